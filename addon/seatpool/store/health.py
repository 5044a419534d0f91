"""How a database is, looked at from outside: nothing is made, migrated or repaired, and nobody is kept waiting."""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import msgspec
from sqlalchemy import URL, inspect, text

from seatpool.store.databases import engine as engines
from seatpool.store.databases.mounts import elsewhere
from seatpool.store.databases.sqlite import must_be_new_enough
from seatpool.store.errors import StoreUnavailable
from seatpool.store.migrate import HEAD, REVISIONS
from seatpool.store.sealing.masterkey import key_file

BUSY_S = 1.0
STEPS = 10_000
"""Of SQLite's machine, between two looks at the time."""


class Health(msgspec.Struct, frozen=True):
    """What was found."""

    path: Path
    """Of its file."""
    served: str | None = None
    """Where it is, for one on a server; it has no file then."""
    size: int | None = None
    """Bytes, with the write-ahead log; None: there is no such file."""
    schema: str | None = None
    head: str = HEAD
    foreign: bool = False
    """It is another program's."""
    fault: str | None = None
    """SQLite's own words for what is wrong with it."""
    busy: bool = False
    """Somebody writes for longer than a write takes."""
    unchecked: bool = False
    """It is too large to be looked through in the time that there was."""
    unwritable: tuple[Path, ...] = ()
    """What has to be written, and cannot be."""
    open_to_others: tuple[Path, ...] = ()
    """What others on this machine could read."""
    elsewhere: str | None = None
    """The kind of file system that it is on, where that is another machine's."""

    @property
    def name(self) -> str:
        """Where it is, as a person would say it."""
        return self.served or str(self.path)

    @property
    def is_newer(self) -> bool:
        """A newer seatpool has written it."""
        return self.schema is not None and self.schema not in REVISIONS

    @property
    def is_older(self) -> bool:
        """The next one that opens it brings it to the present schema."""
        return self.schema is not None and self.schema in REVISIONS[:-1]


def examine(url_or_path: str, within_s: float) -> Health:
    """`""` is the default, as for `Store.open`. Raises `StoreUnavailable` for what names no database.

    And for a server that cannot be reached, or does not let us in, and a SQLite that is too old.
    """
    url = engines.resolve(url_or_path)
    if url.get_backend_name() != "sqlite":
        return _on_server(url)
    must_be_new_enough()
    path = Path(engines.place(url))
    if not path.exists():
        return Health(path)
    if not path.is_file():
        raise StoreUnavailable(f"the database {path} is no file; choose another one")
    files = [path.with_name(path.name + end) for end in ("", "-wal", "-shm")]
    needed = [file for file in (path.parent, *files) if file.exists() and not os.access(file, os.W_OK)]
    secret = [file for file in (*files, key_file(str(path), "")) if file.exists() and _is_open(file)]
    health = Health(
        path,
        size=sum(file.stat().st_size for file in files[:2] if file.exists()),
        unwritable=tuple(needed),
        open_to_others=tuple(secret),
        elsewhere=elsewhere(path),
    )
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=BUSY_S)) as db:
            return _looked_into(db, health, within_s)
    except sqlite3.Error as error:
        return msgspec.structs.replace(health, fault=str(error))


def _on_server(url: URL) -> Health:
    where, engine = engines.place(url), engines.open_engine(url)
    try:
        with engines.plainly(url.get_backend_name(), where), engines.begun(engine) as db:
            tables = inspect(db).get_table_names()
            ours = "alembic_version" in tables
            schema = db.scalar(text("SELECT version_num FROM alembic_version")) if ours else None
            size = db.scalar(text("SELECT pg_database_size(current_database())"))
    finally:
        engine.dispose()
    return Health(Path(), where, size, schema, foreign=bool(tables) and not ours)


def _looked_into(db: sqlite3.Connection, health: Health, within_s: float) -> Health:
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "alembic_version" not in tables:
        return msgspec.structs.replace(health, foreign=bool(tables))
    (schema,) = db.execute("SELECT version_num FROM alembic_version").fetchone() or (None,)
    fault, unchecked = _check(db, within_s)
    return msgspec.structs.replace(
        health, schema=schema, fault=fault, unchecked=unchecked, busy=not health.unwritable and _is_busy(health.path)
    )


def _check(db: sqlite3.Connection, within_s: float) -> tuple[str | None, bool]:
    until = time.perf_counter() + within_s
    db.set_progress_handler(lambda: time.perf_counter() > until, STEPS)
    try:
        (said,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            return None, True
        raise
    finally:
        db.set_progress_handler(None, 0)
    return (None if said == "ok" else str(said).splitlines()[0]), False


def _is_busy(path: Path) -> bool:
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=BUSY_S)) as db:
        db.isolation_level = None
        try:
            db.execute("BEGIN IMMEDIATE")
            db.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                return True
            raise
    return False


def _is_open(file: Path) -> bool:
    return os.name != "nt" and bool(file.stat().st_mode & 0o077)
