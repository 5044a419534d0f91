"""One request's way through the pool: who serves it, what it waits for, what follows from its answer."""
