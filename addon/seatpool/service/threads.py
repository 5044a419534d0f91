"""The few threads in which everything waits that would hold up the event loop: the store, files, trust stores.

Threads of our own, since mitmproxy looks names up in the loop's: a slow name server must not delay a cooldown. Few of
them, since each brings a connection to the database and a heap of its own.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

WORKERS = 2
"""Writes of a process take turns anyway."""

_threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="seatpool")


async def aside[**P, T](work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do blocking work beside the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_threads, partial(work, *args, **kwargs))
