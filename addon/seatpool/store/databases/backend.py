"""What the store has to know of the kind of database behind it: the one place where SQLite and PostgreSQL differ.

A module for each (`sqlite`, `postgres`) offers what `Backend` says; PostgreSQL's is loaded where it is used alone.
"""

import importlib
from collections.abc import Callable
from typing import Protocol, cast

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

BEGIN, BUSY = "seatpool_begin", "seatpool_busy"
"""Execution options: the kind of transaction (`lookup`, `read`, `write`, `durable`), and for how many seconds it waits
for those of others."""

CHANNEL = "seatpool"
"""Of what is notified; a name of the database's: pools in several schemas of one database wake each other, too."""

_MODULES = {"sqlite": "seatpool.store.databases.sqlite", "postgresql": "seatpool.store.databases.postgres"}


class Ear(Protocol):
    """Hears of what other processes have committed."""

    @property
    def hearing(self) -> bool:
        """Whether nothing can have been missed since it last woke anybody."""

    def close(self) -> None:
        """Hear no more."""


class Backend(Protocol):
    """Of one kind of database."""

    def checked(self, url: URL) -> URL:
        """The URL as it is used from here on. Raises `StoreUnavailable` for one that names no usable database."""

    def place(self, url: URL) -> str:
        """Where that is, as a person would say it; without a password."""

    def make_place(self, url: URL, *, ours: bool) -> None:
        """What has to be there before a connection. May raise `StoreUnavailable`."""

    def make_engine(self, url: URL, busy_s: float) -> Engine:
        """An engine whose connections are set up."""

    def begin(self, db: Connection) -> None:
        """Begin a transaction as the connection's `BEGIN` and `BUSY` say; the first thing on it."""

    def prepare(self, engine: Engine, busy_s: float) -> None:
        """What a database needs before its tables are made or used."""

    def empty_log(self, db: Connection) -> None:
        """Take what was deleted out of the files as well, where that can be done; on a connection of a `lookup`."""

    def listen(self, engine: Engine, wake: Callable[[], None]) -> Ear:
        """Have `wake` called, in a thread of its own, after every commit of another process."""

    def is_the_value(self, error: DBAPIError) -> bool:
        """Whether it is about a value that this kind of database cannot keep, whatever state it is in."""

    def is_away(self, cause: BaseException | None) -> bool:
        """Whether that is why nobody can be reached behind the database's name."""

    def plain(self, error: DBAPIError) -> tuple[str, str]:
        """What the driver said, in one line without values, and how to mend it."""


def of(kind: str) -> Backend:
    """`kind` as SQLAlchemy names dialects. Raises `KeyError`."""
    return cast("Backend", importlib.import_module(_MODULES[kind]))


def known(kind: str) -> bool:
    """Whether there is such a kind."""
    return kind in _MODULES
