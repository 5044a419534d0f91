"""The whole system in simulated worlds, each from its seed; `scripts/prove` plays them.

What runs is the product itself: store, service, addon and replay layer, over a real SQLite file and behind mitmproxy's
own connection handler, in several processes that are one. What is not real is the world around it:

loop          clock, scheduler, threads: the seed chooses who goes on next, and how long a thread takes
network       connections, whose bytes arrive late, in pieces, or never
driver        the database's driver, which tells when transactions begin and end, so that these can go wrong
issuer        who owns what: refresh tokens that are good once; side calls
upstream      what models' servers answer; they remember every byte that they sent
http1, http2  how they say it
editor        who asks, over HTTP and WebSockets, loses patience, and compares
proxy         one process; it can be killed at any moment
scene         one world: who is in it, and what goes wrong
weather       what it is like, and what has befallen it so far
judge         looks at what processes do, and compares with what must hold (`trial` names it)
choosing      of that: whom they choose to ask, and whom they leave out
database      what it reads in the file, by itself
mutations     faults in the product, of which each breaks one thing that must hold
world         puts clock, chances and process ids of the simulated world in the place of Python's
player        plays seeds, in a process of its own
"""
