"""The database's driver in the simulated world: SQLite itself, and somebody who is told when transactions begin or end.

As a dialect of SQLAlchemy's, not as a listener to its events: with one of these every statement would cost half as much
again.
"""

import sqlite3
from collections.abc import Callable
from typing import Any

from sqlalchemy import Dialect, Engine
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

_CHANGES = "seatpool_changes"
"""How many rows a connection had changed by the end of its last transaction."""


class Told:
    """Who is told."""

    def __init__(self) -> None:
        self.begins: Callable[[], None] = lambda: None
        """A transaction is about to begin. What is raised is what it meets."""
        self.ends: Callable[[sqlite3.Connection, bool], None] = lambda connection, wrote: None
        """The same of its end, and whether it has written anything."""


TOLD = Told()


class Telling(SQLiteDialect_pysqlite):
    """SQLite with Python's own driver."""

    supports_statement_cache = True
    shared: tuple[Dialect, Any] | None = None

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        """What SQLAlchemy has made of our statements for one database serves for all: a third of what a start costs."""
        if cls.shared is None:
            cls.shared = engine.dialect, engine._compiled_cache
        engine.dialect, engine._compiled_cache = cls.shared

    def do_begin(self, dbapi_connection: Any) -> None:
        TOLD.begins()
        super().do_begin(dbapi_connection)

    def do_commit(self, dbapi_connection: Any) -> None:
        connection, info = dbapi_connection.dbapi_connection, dbapi_connection.info  # it comes in the pool's wrapping
        before, info[_CHANGES] = info.get(_CHANGES, 0), connection.total_changes
        TOLD.ends(connection, info[_CHANGES] != before)
        super().do_commit(dbapi_connection)


def use() -> None:
    """For every engine that is made from now on."""
    registry.register("sqlite", __name__, Telling.__name__)
