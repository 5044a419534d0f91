"""Our own connections: side calls, and how an address is reached."""
