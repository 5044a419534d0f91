"""The few threads in which everything waits that would hold up the event loop: the store, files, trust stores.

Threads of our own, since the loop's are anybody's, and a cooldown must not wait behind what a script does there; names
are looked up in others yet (`network/reaching`). Few of them, since each brings a connection to the database. What no
request waits for has others: each of its looks at a database that hangs lasts for seconds, and there is always one
under way.
"""

import asyncio
import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

WORKERS = 2
"""Of each kind; writes of a process take turns anyway."""

_LARGE = 128 * 1024
"""Bytes: what is larger comes from the system, and goes back to it at once. glibc begins so, but raises this to the
largest piece that was ever given back, and keeps twice as much of what is free."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8

_threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="seatpool")
_others = ThreadPoolExecutor(WORKERS, thread_name_prefix="seatpool apart")


def spare_memory() -> None:
    """Have all threads of this process allocate from one heap, and give back what is free; where glibc is.

    It would give each later thread a heap, that they may allocate at the same time. Python's cannot; that costs a
    megabyte.
    """
    with suppress(AttributeError, OSError, TypeError):  # other C libraries have no such thing, or no such name
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in ((_M_ARENA_MAX, 1), (_M_TRIM_THRESHOLD, _LARGE), (_M_MMAP_THRESHOLD, _LARGE)):
            mallopt(parameter, value)


async def aside[**P, T](work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do blocking work beside the event loop: what a request waits for, or what takes no time."""
    return await asyncio.get_running_loop().run_in_executor(_threads, partial(work, *args, **kwargs))


async def apart[**P, T](work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same for what asks the database while no request waits for it."""
    return await asyncio.get_running_loop().run_in_executor(_others, partial(work, *args, **kwargs))
