"""Writes that are made before a client sees what follows from them, and before the process ends.

Whoever asked for one may be gone by then, with the connection whose request it was: it is made all the same.
"""

import asyncio
import logging
from collections.abc import Callable

from seatpool.core.model import Cooling
from seatpool.service.memory.writer import Disabled, Writer
from seatpool.service.tasks import Tasks
from seatpool.service.threads import aside
from seatpool.store import StoreError, StoreUnavailable

logger = logging.getLogger(__name__)


class Durable:
    """Makes them beside the event loop; on a database that is away the writer does, once that is back."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._under_way = Tasks()

    async def make(self, write: Callable[[], object], row: Cooling | Disabled, line: str, name: str) -> None:
        """Returns when it was made, or is the writer's.

        `write` makes it and `row` is what the writer would; `line` tells of a database that refuses it, with the
        account's name and why.
        """
        await asyncio.shield(self._under_way.begin(self._make(write, row, line, name)))

    async def drain(self) -> None:
        """Wait for those under way (at shutdown, before the writer is closed)."""
        await self._under_way.drain()

    async def _make(self, write: Callable[[], object], row: Cooling | Disabled, line: str, name: str) -> None:
        try:
            await aside(write)
        except StoreUnavailable:  # memory knows; a database that is away must not cost the request
            self._writer.put(row)
        except StoreError as error:
            logger.warning(line, name, error)
