"""Everything that is special about SQLite (see `backend`).

A kill of the process loses nothing that was committed: the write-ahead log is in the operating system's hands by then.
A power cut may take the last commits with it under `synchronous=NORMAL`, so what cannot be had twice (a rotated refresh
token) is committed as `durable`, which waits for the disk.
"""

import os
import sqlite3
import stat
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from seatpool import homes
from seatpool.store.databases.backend import BEGIN, BUSY, Ear
from seatpool.store.databases.files import Connector, Opened
from seatpool.store.databases.watching import Watcher
from seatpool.store.errors import StoreUnavailable

CACHE_KIB = 128
"""Of each connection. Nothing here reads much twice, and a process holds several connections."""

LOG_MIB = 16
"""What the write-ahead log is cut back to. SQLite works it in at 4 MB, but not while somebody reads what is older: a
browser of databases that was left open, or a backup. Without this the file then stays as large as it got.
"""

OLDEST = (3, 35)
"""The first with RETURNING. It is the system's for some Pythons: RHEL 9 has 3.34 for its Python 3.12."""

_OWNER_ALONE = 0o700

_PRAGMAS = (
    "foreign_keys=ON",
    "secure_delete=ON",
    "temp_store=MEMORY",
    f"cache_size=-{CACHE_KIB}",
    f"journal_size_limit={LOG_MIB << 20}",
)

_KINDS: Mapping[str, tuple[str | None, str | None]] = MappingProxyType(
    {
        "lookup": (None, None),
        "read": (None, "BEGIN"),
        "write": ("NORMAL", "BEGIN IMMEDIATE"),
        "durable": ("FULL", "BEGIN IMMEDIATE"),
    }
)
"""How SQLite begins each kind of transaction, after setting `synchronous` where the connection has it otherwise.

IMMEDIATE: a writer waits for its turn at the start, not in the middle.
"""

_MENDING = (
    ("locked", "another program is busy with it, try again or end that program"),
    ("full", "free some space on that disk"),
    ("unable to open", "check that it is a file in a directory that is yours"),
    ("readonly", "make the file and its directory writable for you"),
    ("not a database", "move the file away, or put a copy back"),
    ("malformed", "move the file away, or put a copy back"),
    ("disk I/O", "check that disk, and that it has space left"),  # it says so, too, where there is no room for `-shm`
)


def checked(url: URL) -> URL:
    """See `Backend`."""
    if url.database in (None, "", ":memory:"):
        raise StoreUnavailable("a database in memory cannot be shared; give a path, or sqlite:///PATH")
    if "uri" in url.query:
        raise StoreUnavailable("SQLite's own URIs are not understood; give a path, or sqlite:///PATH")
    return url.set(database=str(Path(place(url)).absolute()))


def place(url: URL) -> str:
    """See `Backend`: the file."""
    return url.database or ""


def make_place(url: URL, *, ours: bool) -> None:
    """See `Backend`: the file and its directory."""
    must_be_new_enough()
    create_file(Path(place(url)), ours=ours)


def must_be_new_enough() -> None:
    """Raises `StoreUnavailable` for a SQLite that does not know our words."""
    if sqlite3.sqlite_version_info < OLDEST:
        least = ".".join(map(str, OLDEST))
        raise StoreUnavailable(
            f"this Python ({sys.executable}) has SQLite {sqlite3.sqlite_version}, and {least} or newer is needed;"
            " use a Python that brings its own, such as those that uv installs"
        )


def create_file(path: Path, *, ours: bool) -> None:
    """Make the file and its directory, readable by their owner alone; what exists is left as it is.

    `ours`: nobody named the directory, so it is made to be its owner's alone even if it exists, where that can be.
    """
    try:
        if ours and path.parent.is_dir() and stat.S_IMODE(path.parent.stat().st_mode) != _OWNER_ALONE:
            with suppress(OSError):  # another's, such as a container's volume; the files in it are for us alone anyway
                path.parent.chmod(_OWNER_ALONE)
        homes.make_private(path.parent, parents=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        if not path.parent.is_dir():
            raise StoreUnavailable(f"the database cannot be made: {path.parent} is not a directory") from None
    except OSError as error:
        raise StoreUnavailable(f"the database {path} cannot be made: {error.strerror or error}") from error


def make_engine(url: URL, busy_s: float) -> Engine:
    """See `Backend`."""
    # The connection that was used last has its statements and pages at hand.
    connector = Connector(Path(place(url)), busy_s)
    engine = create_engine(url, hide_parameters=True, pool_use_lifo=True, creator=connector)
    event.listen(engine, "connect", partial(_set_up, busy_s))
    event.listen(engine, "checkout", partial(_look, engine))
    return engine


def _set_up(busy_s: float, connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").close()
        record.info["busy"] = busy_s
    except BaseException:
        connection.close()
        raise


def _look(engine: Engine, connection: Opened, _record: ConnectionPoolEntry, _taken: PoolProxiedConnection) -> None:
    """Have all connections made anew where another file is in the place of theirs; that counts as a loss."""
    if not connection.stands():
        engine.pool.dispose()  # none that is not in use stays open, see `files`
        raise InvalidatePoolError


def begin(db: Connection) -> None:
    """See `Backend`."""
    options = db.get_execution_options()
    level, words = _KINDS[options[BEGIN]]
    busy_s = options[BUSY]
    if db.info["busy"] != busy_s:
        db.exec_driver_sql(f"PRAGMA busy_timeout={busy_s * 1000:.0f}").close()
        db.info["busy"] = busy_s
    if level is not None and db.info.get("synchronous") != level:
        db.exec_driver_sql(f"PRAGMA synchronous={level}")
        db.info["synchronous"] = level
    if words is not None:
        db.exec_driver_sql(words)
    if level is not None:  # it may have waited for its turn for seconds
        driver: Any = db.connection.driver_connection
        driver.must_stand()


def prepare(engine: Engine, busy_s: float) -> None:
    """See `Backend`: readers beside one writer. The mode stays with the file, so this writes once in a file's life.

    SQLite does not wait by itself when several processes switch a new file at once.
    """
    deadline = time.monotonic() + busy_s
    while True:
        try:
            with engine.connect() as db:
                if db.exec_driver_sql("PRAGMA journal_mode").scalar_one() != "wal":
                    db.exec_driver_sql("PRAGMA journal_mode=WAL").close()
            return
        except DBAPIError as error:
            if "locked" not in str(error.orig) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def empty_log(db: Connection) -> None:
    """See `Backend`: deleted rows live on in the write-ahead log; nothing happens while others read."""
    db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").close()


def listen(engine: Engine, wake: Callable[[], None]) -> Ear:
    """See `Backend`: SQLite tells nobody, so somebody watches."""
    return Watcher(Path(place(engine.url)), wake)


def is_away(cause: BaseException | None) -> bool:
    """See `Backend`: a file is there, or is not; to look costs nothing."""
    return False


def is_the_value(error: DBAPIError) -> bool:
    """See `Backend`: SQLite keeps anything."""
    return False


def plain(error: DBAPIError) -> tuple[str, str]:
    """See `Backend`."""
    said = (str(error.orig).splitlines() or ["no reason given"])[0]
    return said, next((hint for part, hint in _MENDING if part in said), "check the file and its directory")
