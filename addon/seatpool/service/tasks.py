"""Tasks that nobody waits for yet: kept until they are done, since the event loop alone would not keep them alive."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """Those of one owner, which sees to it that they come to an end."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._running)

    def begin[T](self, work: Coroutine[Any, Any, T], *, at_once: bool = False) -> asyncio.Task[T]:
        """Do it beside everything else; `at_once`: as far as it goes by itself, before this returns."""
        task = asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=at_once)
        if not task.done():
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return task

    async def drain(self) -> None:
        """Wait for all, also for those that are begun meanwhile; what they raise is not raised here."""
        while self._running:
            waited = tuple(self._running)
            await asyncio.gather(*waited, return_exceptions=True)
            # By itself each leaves in the loop's next turn, for which nobody waits who waits for what is done.
            self._running.difference_update(waited)

    async def end(self, within_s: float) -> None:
        """Wait for all, and cancel those that take longer."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=within_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
