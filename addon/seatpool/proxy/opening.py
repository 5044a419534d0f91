"""A database that could not be opened at start is tried again: a locked keyring, a disk that is not mounted yet."""

import asyncio
from collections.abc import Callable

from seatpool.store import NewerDatabase, Store, StoreError

FIRST_S, LONGEST_S = 1.0, 60.0
"""Pauses double: each attempt may have the keyring ask the person."""


async def until_open(attempt: Callable[[], Store], take: Callable[[Store], None], pause_s: float = FIRST_S) -> None:
    """`attempt` in a thread, since it may wait for disks and keyrings; `take` what it opened. Silent until then.

    Ends without it where only another version of seatpool could open it.
    """
    while True:
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_S)
        try:
            store = await asyncio.to_thread(attempt)
        except NewerDatabase:
            return
        except StoreError:
            continue
        try:
            take(store)
        except StoreError:
            await asyncio.to_thread(store.close)
            continue
        return


async def give_up(task: asyncio.Task[None] | None) -> None:
    """At the end of the proxy."""
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
