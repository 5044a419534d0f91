"""Transactions on one engine: how the threads of a process take turns, and what the process knows to have written."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Connection, Engine

from seatpool.store import engine as engines
from seatpool.store import revisions
from seatpool.store.errors import StoreUnavailable


class Transactions:
    """Each is a context with a connection, committed at its end; may be begun from any thread until `close`."""

    def __init__(self, engine: Engine, where: str) -> None:
        self._where = where
        self._engine = engine
        self._lookup = engines.lookup(engine)
        self._writing = engines.writing(engine)
        self._durable = engines.durable(engine)
        self._turn = threading.Lock()
        self._closed = False
        self.told = range(0)
        """The last revisions without a gap that were taken by writes with `told`."""

    def close(self) -> None:
        """Waits for a write that is under way. Later calls raise `StoreUnavailable`."""
        with self._turn:
            self._closed = True
            self._engine.pool.dispose()

    def read(self) -> AbstractContextManager[Connection]:
        """What is seen does not change meanwhile."""
        return self._transaction(self._engine)

    def lookup(self) -> AbstractContextManager[Connection]:
        """For one lone SELECT."""
        return self._transaction(self._lookup)

    @contextmanager
    def write(self, *, durable: bool = False, told: bool = False) -> Iterator[Connection]:
        """Threads of this process take turns here, at once and in order; other processes are waited for by polling.

        `durable`: it survives a power cut as well. `told`: whoever asked for it knows everything that it writes.
        """
        if not self._turn.acquire(timeout=engines.BUSY_TIMEOUT_S):
            raise StoreUnavailable(f"the database {self._where} is busy with another write; try again")
        try:
            with self._transaction(self._durable if durable else self._writing) as db:
                revisions.taken(db)  # forgets those of a transaction on this connection that came to nothing
                yield db
                numbers = revisions.taken(db)
            if told and numbers:
                first = self.told.start if numbers[0] == self.told.stop else numbers[0]
                self.told = range(first, numbers[-1] + 1)
        finally:
            self._turn.release()

    def empty_log(self) -> None:
        """Take what was deleted or replaced out of the log as well, where that can be done now."""
        try:
            with self.lookup() as db:
                engines.empty_log(db)
        except StoreUnavailable:
            pass  # the log is overwritten in time, and what is secret in it is sealed

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        if self._closed:
            raise StoreUnavailable(f"the database {self._where} was closed by this program")
        try:
            with engines.plainly(self._where), engine.begin() as db:
                yield db
        finally:
            if self._closed:
                self._engine.pool.dispose()  # `close` could not reach the connection that was in use here
