"""The tables' rows, each kind in a module of its own, on a transaction that is open."""
