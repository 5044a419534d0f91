"""Opens the pool's database when the proxy starts, and as soon as it can be opened where it could not.

The proxy starts all the same: a dead one is worse than one without a pool.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec
from mitmproxy.options import Options

from seatpool.beside import Beside, NotYet
from seatpool.proxy import settings
from seatpool.service.network.transport import Transport
from seatpool.service.pool import PoolService
from seatpool.service.threads import aside
from seatpool.store import Store, StoreError, located

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
START_S = 10.0
"""How long a try is waited for. A keyring may ask its person first, and a disk behind a network may not answer."""


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
        self._under_way: Beside[Opened] | None = None
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
        """Blocking, for `START_S` at most. None, with the reason in `problem`, where it cannot be.

        A try that takes longer goes on, and the next call has what comes of it.
        """
        trial, self._under_way = self._under_way or Beside(self._open, "door"), None
        try:
            opened = trial.got(START_S)
        except NotYet:
            self._under_way = trial
            self.problem = f"{self.where} is not open yet: the keyring that has its key, or its disk, does not answer"
        except StoreError as error:
            self.problem = f"{type(error).__name__}: {error}"
        except Exception as error:  # a damaged file makes anything of anything
            logger.exception("action=not-opened")
            self.problem = f"{type(error).__name__} while {self.where} was opened"
        else:
            self.problem = None
            return opened
        return None

    def _open(self) -> Opened:
        self._was_there = self._was_there or Path(self.where).exists()
        store = Store.open(self._database, person=self._options.pool_person)
        try:
            transport = Transport(settings.transport_of(self._options))
            service = PoolService(store, transport, settings.policy_of(self._options))
            service.load()
        except BaseException:
            store.close()
            raise
        return Opened(store, transport, service)

    async def wait(self, come_in: Callable[[Opened], None]) -> None:
        """Try again and again, until it opens."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if self._under_way is None and await aside(self._changing):
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
