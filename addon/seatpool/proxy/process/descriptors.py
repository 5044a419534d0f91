"""A proxy may have as many connections as the system permits, not only as many as a shell begins with.

Each connection that is tunnelled takes two open files. macOS begins with 256 of them, Linux with 1,024: behind a proxy
of a whole desktop they are used up some day, and then nobody gets through, while asyncio writes a hundred thousand
lines into the log (mitmproxy#3598, #6042). Go's runtime and Node raise this limit for themselves as well.
"""

from contextlib import suppress

ENOUGH = (65_536, 10_240)
"""Open files. macOS refuses more than the second, even where it says that there is no limit (`OPEN_MAX`)."""


def allow_many() -> None:
    """Raise this process's own limit of open files as far as that can be done without asking anybody."""
    try:
        import resource  # there is none on Windows, where this is no limit of a process
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    for enough in ENOUGH:
        wanted = enough if hard == unlimited else min(enough, hard)
        if soft == unlimited or soft >= wanted:
            return
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return
