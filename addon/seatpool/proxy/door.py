"""Opens the pool's database when the proxy starts, and as soon as it can be opened where it could not.

The proxy starts all the same: a dead one is worse than one without a pool.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec
from mitmproxy.options import Options

from seatpool.proxy import settings
from seatpool.service.pool import PoolService
from seatpool.service.threads import aside
from seatpool.service.transport import Transport
from seatpool.store import Store, StoreError, located

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0


class Opened(msgspec.Struct, frozen=True):
    """What is behind the door."""

    store: Store
    transport: Transport
    service: PoolService


class Door:
    """One per proxy."""

    def __init__(self, database: str, opts: Options) -> None:
        self._database = database
        self._options = opts
        self.problem: str | None = None
        """Why it is closed, in one line."""
        self._was_there = False
        self._seen: tuple[int, ...] | None = None

    @property
    def where(self) -> str:
        """The database's file; its name where that cannot be told."""
        try:
            return located(self._database)
        except StoreError:
            return self._database

    def open(self) -> Opened | None:
        """Blocking. None, with the reason in `problem`, where it cannot be."""
        self._was_there = self._was_there or Path(self.where).exists()
        try:
            store = Store.open(self._database, person=self._options.pool_person)
            try:
                transport = Transport(settings.transport_of(self._options))
                service = PoolService(store, transport, settings.policy_of(self._options))
                service.load()
            except BaseException:
                store.close()
                raise
        except StoreError as error:
            self.problem = f"{type(error).__name__}: {error}"
            return None
        except Exception as error:  # a damaged file makes anything of anything
            logger.exception("action=not-opened")
            self.problem = f"{type(error).__name__} while {self.where} was opened"
            return None
        self.problem = None
        return Opened(store, transport, service)

    async def wait(self, come_in: Callable[[Opened], None]) -> None:
        """Try again and again, until it opens."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if await aside(self._changing):
                continue
            opened = await aside(self.open)
            if opened is not None:
                come_in(opened)
                return

    def _changing(self) -> bool:
        """Whether the file is being put there just now, or was there and is gone: an empty one is not to replace it."""
        try:
            found = Path(self.where).stat()
        except OSError:
            return self._was_there
        before, self._seen = self._seen, (found.st_ino, found.st_size, found.st_mtime_ns)
        return before != self._seen
