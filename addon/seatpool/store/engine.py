"""From a URL or path to an engine, and everything that is special about SQLite.

A kill of the process loses nothing that was committed: the write-ahead log is in the operating system's hands by then.
A power cut may take the last commits with it under `synchronous=NORMAL`, so what cannot be had twice (a rotated refresh
token) is committed through `durable()`, which waits for the disk.
"""

import os
import re
import sqlite3
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType

from sqlalchemy import URL, Connection, Engine, Table, UpdateBase, create_engine, event, make_url
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from seatpool.store.errors import StoreUnavailable

BUSY_TIMEOUT_S = 5.0
"""How long a statement waits for another process's transaction before it gives up."""

HURRIED_S = 1.0
"""The same where a request waits."""

CACHE_KIB = 128
"""Of each connection. Nothing here reads much twice, and a process holds several connections."""

_OWNER_ALONE = 0o700

_VALUES = re.compile(r"VALUES (\(\?(?:, \?)*\))")
_SIZES = (16, 4, 1)
"""Rows in one statement; the driver keeps the statements of these few sizes ready, with the last values in them."""

_BEGIN = "seatpool_begin"
_BUSY = "seatpool_busy"
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
    ("disk I/O", "check that disk"),
)


def resolve(url_or_path: str) -> URL:
    """A plain path is a SQLite file; anything with `://` is a SQLAlchemy URL. Raises `StoreUnavailable`."""
    if "://" not in url_or_path:
        path = Path(url_or_path).expanduser().absolute()
        return URL.create("sqlite", database=str(path))
    try:
        url = make_url(url_or_path)
    except ArgumentError:
        raise StoreUnavailable("the database's URL cannot be read; give a path, or sqlite:///PATH") from None
    if url.get_backend_name() != "sqlite":
        raise StoreUnavailable(f"{url.get_backend_name()} databases are not supported; give a path, or sqlite:///PATH")
    if url.database in (None, "", ":memory:"):
        raise StoreUnavailable("a database in memory cannot be shared; give a path, or sqlite:///PATH")
    return url


def place(url: URL) -> str:
    """Where the database is, as a person would say it; without a password."""
    return url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string()


def create_file(path: Path, *, ours: bool) -> None:
    """Make the file and its directory, readable by their owner alone; what exists is left as it is.

    `ours`: nobody named the directory, so it is made to be its owner's alone even if it exists.
    """
    try:
        if ours and path.parent.is_dir() and stat.S_IMODE(path.parent.stat().st_mode) != _OWNER_ALONE:
            path.parent.chmod(_OWNER_ALONE)
        path.parent.mkdir(mode=_OWNER_ALONE, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        if not path.parent.is_dir():
            raise StoreUnavailable(f"the database cannot be made: {path.parent} is not a directory") from None
    except OSError as error:
        raise StoreUnavailable(f"the database {path} cannot be made: {error.strerror or error}") from error


def open_engine(url: URL) -> Engine:
    """An engine whose connections are set up; reads unless told otherwise by the functions below."""
    engine = create_engine(
        url,
        hide_parameters=True,
        connect_args={"timeout": BUSY_TIMEOUT_S},
        execution_options={_BEGIN: "read"},
    )
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def lookup(engine: Engine) -> Engine:
    """For one lone SELECT: no transaction around it."""
    return engine.execution_options(**{_BEGIN: "lookup"})


def writing(engine: Engine, busy_s: float = BUSY_TIMEOUT_S) -> Engine:
    """For transactions that change something."""
    return engine.execution_options(**{_BEGIN: "write", _BUSY: busy_s})


def durable(engine: Engine, busy_s: float = BUSY_TIMEOUT_S) -> Engine:
    """For changes that must survive a power cut as well."""
    return engine.execution_options(**{_BEGIN: "durable", _BUSY: busy_s})


def _set_up(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
    try:
        connection.isolation_level = None  # Python's own idea of when to BEGIN is switched off; `_begin` says it
        for pragma in ("foreign_keys=ON", "secure_delete=ON", f"cache_size=-{CACHE_KIB}"):
            connection.execute(f"PRAGMA {pragma}").close()
    except BaseException:
        connection.close()
        raise


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    level, begin = _KINDS[options[_BEGIN]]
    busy_s = options.get(_BUSY, BUSY_TIMEOUT_S)
    if connection.info.get("busy", BUSY_TIMEOUT_S) != busy_s:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={busy_s * 1000:.0f}").close()
        connection.info["busy"] = busy_s
    if level is not None and connection.info.get("synchronous") != level:
        connection.exec_driver_sql(f"PRAGMA synchronous={level}")
        connection.info["synchronous"] = level
    if begin is not None:
        connection.exec_driver_sql(begin)


def ensure_wal(engine: Engine) -> None:
    """Readers beside one writer. The mode stays with the file, so this writes only once in a file's life.

    SQLite does not wait by itself when several processes switch a new file at once.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            with lookup(engine).connect() as db:
                if db.exec_driver_sql("PRAGMA journal_mode").scalar_one() != "wal":
                    db.exec_driver_sql("PRAGMA journal_mode=WAL").close()
            return
        except DBAPIError as error:
            if "locked" not in str(error.orig) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def empty_log(db: Connection) -> None:
    """Truncate the write-ahead log, in which deleted rows live on; nothing happens while others read.

    On a connection without a transaction.
    """
    db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").close()


def upsert(table: Table) -> sqlite.Insert:
    """An INSERT that knows ON CONFLICT."""
    return sqlite.insert(table)


class Many:
    """A statement for many rows at a time, compiled once; what SQLAlchemy does for each row outweighs SQLite's work.

    Where it has a VALUES list, rows go in by the dozen: the driver lets go of the interpreter and takes it back for
    every single step, which costs the event loop more than the step itself.
    """

    def __init__(self, statement: UpdateBase | str, names: Sequence[str]) -> None:
        """`names`: those of the statement's parameters, in the order in which the rows will have them."""
        if isinstance(statement, str):
            self._sql, order = statement, list(range(len(names)))
        else:
            compiled = statement.compile(dialect=sqlite.dialect(paramstyle="qmark"), column_keys=list(names))
            self._sql, order = str(compiled), [list(names).index(name) for name in compiled.positiontup or ()]
        self._in_order = itemgetter(*order)
        self._by_size = {1: self._sql}
        group = _VALUES.search(self._sql)
        if group is not None:
            self._by_size = {
                size: f"{self._sql[: group.start(1)]}{', '.join([group[1]] * size)}{self._sql[group.end(1) :]}"
                for size in _SIZES
            }

    def run(self, db: Connection, rows: Iterable[tuple[object, ...]]) -> None:
        """The values as the driver takes them: a moment `as_text`."""
        left = list(map(self._in_order, rows))
        for size, sql in self._by_size.items():
            whole = len(left) // size * size
            if whole:
                groups = [tuple(chain.from_iterable(left[i : i + size])) for i in range(0, whole, size)]
                db.exec_driver_sql(sql, groups)
                del left[:whole]


@contextmanager
def plainly(where: str) -> Iterator[None]:
    """Turn what the driver raises into `StoreUnavailable`, in one line, without statements or values."""
    try:
        yield
    except DBAPIError as error:
        said = (str(error.orig).splitlines() or ["no reason given"])[0]
        mend = next((hint for part, hint in _MENDING if part in said), "check the file and its directory")
        raise StoreUnavailable(f"the database {where} cannot be used: {said}; {mend}") from error
    except PoolTimeout as error:
        raise StoreUnavailable(f"the database {where} is busy in every thread; try again") from error
