"""The few threads in which everything waits that would hold up the event loop: the store, files, trust stores.

Threads of our own, since mitmproxy looks names up in the loop's: a slow name server must not delay a cooldown. Few of
them, since each brings a connection to the database.
"""

import asyncio
import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

WORKERS = 2
"""Writes of a process take turns anyway."""

_M_ARENA_MAX = -8

_threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="seatpool")


def share_heap() -> None:
    """Have all threads of this process allocate from one heap; later ones, and where glibc is.

    It would give each thread one, that they may allocate at the same time. Python's cannot; it costs a megabyte.
    """
    with suppress(AttributeError, OSError, TypeError):  # other C libraries have no such thing, or no such name
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


async def aside[**P, T](work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do blocking work beside the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_threads, partial(work, *args, **kwargs))
