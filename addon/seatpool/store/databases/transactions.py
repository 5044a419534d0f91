"""Transactions on one engine: how the threads of a process take turns, and what the process knows to have written."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import InvalidRequestError

from seatpool.store.databases import backend, revisions
from seatpool.store.databases import engine as engines
from seatpool.store.databases.backend import Ear
from seatpool.store.errors import StoreUnavailable

COMMITTED_S = 0.02
"""Within it a thread that has committed has said what."""


class _Told(NamedTuple):
    """The last revisions without a gap that were taken by writes with `told`."""

    numbers: range = range(0)
    losses: int = 0
    """How many there were when the first of these began: after one more the numbers may be given to other changes."""


class Transactions:
    """Each is a context with a connection, committed at its end; may be begun from any thread until `close`."""

    def __init__(self, engine: Engine, where: str) -> None:
        self._where = where
        self._engine = engine
        self._kind = backend.of(engine.dialect.name)
        self._lookup = engines.lookup(engine)
        self._engines = {
            (durable, busy_s): kind(engine, busy_s)
            for durable, kind in ((False, engines.writing), (True, engines.durable))
            for busy_s in (engines.BUSY_TIMEOUT_S, engines.HURRIED_S)
        }
        self._turn = threading.Lock()
        event.listen(engine, "invalidate", self._note_loss)
        self._closed = False
        self._told = _Told()
        self.losses = 0
        """How often a connection to a server was lost: it may be another one since, or itself of some time ago."""
        self.hurried = False
        """Requests wait for writes: those that are not `patient` wait for a second, and while none succeeds not at all.

        Somebody has to go on trying patiently, or it stays so.
        """
        self.trouble: str | None = None
        """Why the last write failed, in one line, until one succeeds."""

    def close(self) -> None:
        """Waits for a write that is under way. Later calls raise `StoreUnavailable`."""
        self._closed = True  # whoever waits for a turn would go on taking it ahead of this thread
        with self._turn:
            self._engine.pool.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """What is seen does not change meanwhile."""
        try:
            with self._transaction(self._engine) as db:
                yield db
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, InvalidRequestError) as error:
            raise self._damaged(error) from error

    def listen(self, wake: Callable[[], None]) -> Ear:
        """See `Backend`."""
        return self._kind.listen(self._engine, wake)

    def lookup(self) -> AbstractContextManager[Connection]:
        """For one lone SELECT."""
        return self._transaction(self._lookup)

    @contextmanager
    def write(
        self, *, durable: bool = False, told: bool = False, patient: bool = False, soon: bool = False
    ) -> Iterator[Connection]:
        """Threads of this process take turns here, at once and in order; other processes are waited for by polling.

        `durable`: it survives a power cut as well. `told`: whoever asked for it knows everything that it writes.
        `patient`: nobody waits for it, also where writes are `hurried`; `soon`: as if they were.
        """
        hurried = self.hurried and not patient
        if hurried and self.trouble is not None:
            raise StoreUnavailable(self.trouble)
        busy_s = engines.HURRIED_S if hurried or soon else engines.BUSY_TIMEOUT_S
        if not self._turn.acquire(timeout=busy_s):
            raise StoreUnavailable(f"the database {self._where} is busy with another write; try again")
        losses = self.losses
        try:
            with self._transaction(self._engines[durable, busy_s]) as db:
                revisions.taken(db)  # forgets those of a transaction on this connection that came to nothing
                yield db
                numbers = revisions.taken(db)
            self.trouble = None
            if told and numbers:
                self._told = self._also_told(numbers, losses)
        except LookupError as error:  # others may be about what was to be written
            damaged = self._damaged(error)
            self.trouble = str(damaged)
            raise damaged from error
        except StoreUnavailable as error:
            self.trouble = str(error)
            raise
        finally:
            self._turn.release()

    def has_told(self, after: int, last: int) -> bool:
        """Whether all revisions after one and up to another were taken by writes with `told`.

        Who hears of a commit is often earlier than the thread that made it, so it is waited for a little.
        """
        if not self._covers(after, last) and self._turn.acquire(timeout=COMMITTED_S):
            self._turn.release()
        return self._covers(after, last)

    def forget_told(self) -> None:
        """A reader began anew: numbers may come again, as in a copy that was put back."""
        self._told = _Told()

    def _also_told(self, numbers: list[int], losses: int) -> _Told:
        before = self._told
        goes_on = before.losses == losses and numbers[0] == before.numbers.stop
        return _Told(range(before.numbers.start if goes_on else numbers[0], numbers[-1] + 1), losses)

    def _covers(self, after: int, last: int) -> bool:
        told = self._told
        return told.losses == self.losses and told.numbers.start <= after + 1 <= last < told.numbers.stop

    def empty_log(self) -> None:
        """Take what was deleted or replaced out of the log as well, where that can be done now."""
        try:
            with self.lookup() as db:
                self._kind.empty_log(db)
        except StoreUnavailable:
            pass  # the log is overwritten in time, and what is secret in it is sealed

    def _damaged(self, error: Exception) -> StoreUnavailable:
        """Bytes that were overwritten come as values that nobody has written."""
        said = f"what it holds cannot be read ({type(error).__name__})"
        return StoreUnavailable(f"the database {self._where} is damaged: {said}; put a copy back")

    def _note_loss(self, *_connection: object) -> None:
        self.losses += 1

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        if self._closed:
            raise StoreUnavailable(f"the database {self._where} was closed by this program")
        try:
            with engines.plainly(self._engine.dialect.name, self._where), engines.begun(engine) as db:
                yield db
        except StoreUnavailable as error:
            if self._kind.is_away(error.__cause__):
                self.trouble = str(error)  # so that no request waits for a server that is not there
            raise
        finally:
            if self._closed:
                self._engine.pool.dispose()  # `close` could not reach the connection that was in use here
