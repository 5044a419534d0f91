"""Real proxies on one database, real clients, and everything that can go wrong around them: `./scripts/soak`.

main          arguments, progress, and the end
plan          which fault comes when, out of a seed
world         who exists at the fakes
databases     what the proxies share, and how that goes wrong
stage         the network, the fakes, the proxies, and the faults as they happen to them
inside        a program that looks at the database where the proxies see it
observer      a script in each proxy that tells what it has under way
upstream      the fakes as a program that can be restarted: it goes on where it was
clients       HTTP/1.1, HTTP/2 and WebSocket clients that look at every byte they get
life          what happens on an ordinary day: limits, renewals, accounts that a person pauses
verdict       what must hold whatever happened
"""
