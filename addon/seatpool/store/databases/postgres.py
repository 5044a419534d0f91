"""Everything that is special about PostgreSQL (see `backend`). Loaded where it is used alone.

Writers take turns, as on SQLite: an advisory lock is the first thing in a writing transaction, so numbers of the feed
are committed in order, and what is read after it is everybody's last word. A reader sees one moment.

`synchronous_commit` stays as the server has it: a server that crashed must not have forgotten numbers of the feed that
others have seen. Where it is off for all, `durable` puts it on all the same.
"""

import os
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.sqlite import dml
from sqlalchemy.exc import DataError, DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.compiler import SQLCompiler

from seatpool.store.databases.backend import BEGIN, BUSY
from seatpool.store.databases.engine import HURRIED_S, among, begun, lookup
from seatpool.store.databases.listening import KEPT_ALIVE, Listener, is_direct
from seatpool.store.errors import StoreUnavailable

DRIVER = "postgresql+psycopg"
INSTALL = "pip install 'psycopg[binary]' (in a clone: .venv/bin/pip ...)"
OURS = 0x5EA7900
"""Of the advisory lock. It is the database's, so pools in several schemas of one database wait for each other, too."""
OLDEST = 120000
"""As the server tells its version."""

CONNECT_S = 3
"""How long a server is waited for."""
ANSWER_S, PATIENT_S = 2.0, 60.0
"""How long an answer is waited for: of a lookup, or where a request waits; and where a person or nobody does."""
_AT_MOST: Mapping[str, str] = MappingProxyType(
    {
        "connect_timeout": str(CONNECT_S),
        "keepalives_idle": "3",
        "keepalives_interval": "1",
        "keepalives_count": "3",
        "tcp_user_timeout": "4000",
        "fallback_application_name": "seatpool",
        "target_session_attrs": "read-write",
    }
)
"""So that a machine or network that is gone is noticed in seconds; what the URL says otherwise goes before."""
_SOON = "SET LOCAL idle_in_transaction_session_timeout = '10s'"
"""So that the server soon ends what a machine that is gone, or a process that was stopped, has begun.

Of each transaction: poolers refuse a connection with `options`, and give a session's settings to whoever comes next.
"""

_TURN = f"{_SOON}; SET LOCAL lock_timeout = {{busy_ms}}; SELECT pg_advisory_xact_lock({OURS})"
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
"""Whatever a role or database has as its default: any other would show a writer what was before it had its turn."""
_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "lookup": "",
        "read": f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_SOON}",
        "write": f"{_BEGIN}; {_TURN}",
        "durable": f"{_BEGIN}; {{wait}}{_TURN}",
    }
)

_OF_VALUES = ("22", "54")
"""Classes of what the server says: data that are none, and more than it can keep (a key of over 2,704 bytes)."""

_TLS = "look at sslmode, sslrootcert and sslcert in the URL"
_MENDING = (
    ("certificate", _TLS),  # one that is none "does not exist" either
    ("SSL", _TLS),
    ("startup parameter", "a pooler takes no options: take them out of the URL, or name the server itself"),
    ("no schema has been selected", "make the schema that search_path names: CREATE SCHEMA ..."),
    ("password", "set PGPASSWORD, or write it into ~/.pgpass"),
    ("pg_hba.conf", "let this user in from here in the server's pg_hba.conf"),
    ("does not exist", "make that user and database, with createuser and createdb"),
    ("permission denied for schema", "let this user make tables there: GRANT CREATE ON SCHEMA public TO ..."),
    ("permission denied", "make this user the owner of the pool's tables"),
    ("session is read-only", "it is a copy that cannot be written; name the server that is copied"),
    ("read-only", "it is a copy that cannot be written; name the server that is copied"),
    ("lock timeout", "another program is busy with it, try again or end that program"),
    ("too many", "let the server have more connections"),
    ("No space left", "free some space on the server's disk"),
)
_NAMING = {"dbname", "user", "service"}
"""Behind the `?` of a URL, as libpq knows them."""
_REACH = "see that the server runs, and that it can be reached from here"
_AROUND = re.compile(
    r"^connection is bad: |(?:connection failed: )?connection to server .*?failed: (?:FATAL: +)?|^FATAL: +"
)


def checked(url: URL) -> URL:
    """See `Backend`. A password in it is refused: it would stand in options, process lists and logs."""
    if url.drivername not in ("postgresql", DRIVER):
        raise StoreUnavailable(f"{url.drivername} is not supported; say {DRIVER}://USER@HOST/DATABASE")
    if url.password is not None or {"password", "sslpassword"} & set(url.query):
        raise StoreUnavailable(
            f"the database's URL has a password in it ({place(url)}); take it out, and set PGPASSWORD instead or write"
            " it into ~/.pgpass"
        )
    if not (url.database or url.username or _NAMING & set(url.query) or {"PGDATABASE", "PGSERVICE"} & set(os.environ)):
        raise StoreUnavailable(f"the database's URL names no database; say {DRIVER}://USER@HOST/DATABASE")
    options = url.query.get("options", ())
    if not isinstance(options, str) and options:
        url = url.update_query_dict({"options": " ".join(options)})
    return url.set(drivername=DRIVER)


def place(url: URL) -> str:
    """See `Backend`: the URL, without the driver, a password, and settings that only tell how to get there."""
    # Of a password with an @ in it, SQLAlchemy takes the end for the host's beginning.
    host = (url.host or "").rpartition("@")[2] or _host(url)
    named = {name: url.query[name] for name in sorted(_NAMING & set(url.query))}
    plain = URL.create("postgresql", url.username, None, host, url.port, url.database, named)
    return plain.render_as_string()


def _host(url: URL) -> str | None:
    named = url.query.get("host")
    hosts = (named,) if isinstance(named, str) else named or ()
    return ",".join(hosts) or None


def make_place(url: URL, *, ours: bool) -> None:
    """See `Backend`: whoever runs the server makes the database."""


def make_engine(url: URL, busy_s: float) -> Engine:
    """See `Backend`."""
    try:
        engine = create_engine(
            url,
            hide_parameters=True,
            pool_pre_ping=True,  # a server that was started anew costs nobody an error
            isolation_level="AUTOCOMMIT",  # `begin` says when to BEGIN
            connect_args={
                # Prepared statements do not outlive a proxy between us and the server, nor `_KINDS` being several.
                "prepare_threshold": None,
                **{name: value for name, value in _AT_MOST.items() if name not in url.query},
            },
        )
    except ImportError as error:
        raise StoreUnavailable(f"PostgreSQL needs a driver that is not installed here; say {INSTALL}") from error
    event.listen(engine, "do_connect", _connect)
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "checkin", _rest)
    return engine


def _connect(_dialect: object, _record: object, arguments: Any, named: Any) -> Any:
    from seatpool.store.databases.bounded import Bounded  # needs the driver

    return Bounded.connect(*arguments, **named)


def _set_up(connection: Any, record: ConnectionPoolEntry) -> None:
    (waits,) = connection.execute("SELECT current_setting('synchronous_commit')").fetchone()
    if is_direct(connection):
        connection.execute(KEPT_ALIVE)
    record.info["wait"] = "SET LOCAL synchronous_commit = on; " if waits == "off" else ""


def begin(db: Connection) -> None:
    """See `Backend`."""
    options = db.get_execution_options()
    kind, busy_s = options[BEGIN], options[BUSY]
    driver: Any = db.connection.driver_connection
    driver.limit_s = ANSWER_S + busy_s
    words = _KINDS[kind]
    if words:
        wait = db.info.get("wait", "")
        db.exec_driver_sql(words.format(busy_ms=f"{busy_s * 1000:.0f}", wait=wait))
    driver.limit_s = ANSWER_S if kind == "lookup" or busy_s <= HURRIED_S else PATIENT_S


def _rest(connection: Any, _record: ConnectionPoolEntry) -> None:
    if connection is not None:
        connection.limit_s = ANSWER_S  # for the question whether it is still there, before its next use


def prepare(engine: Engine, busy_s: float) -> None:
    """See `Backend`: nothing is changed, but what cannot be used is refused."""
    with begun(lookup(engine)) as db:
        version = int(db.exec_driver_sql("SHOW server_version_num").scalar_one())
        encoding = db.exec_driver_sql("SHOW server_encoding").scalar_one()
    if version < OLDEST:
        raise StoreUnavailable(f"{place(engine.url)} is a PostgreSQL {version // 10000}; it takes 12 or newer")
    if encoding != "UTF8":
        name = engine.url.database
        raise StoreUnavailable(
            f"{place(engine.url)} is encoded as {encoding}; make one in UTF8: createdb -E UTF8 -T template0 {name}"
        )


def empty_log(db: Connection) -> None:
    """See `Backend`: what the server keeps of what was deleted is its own; secrets in it are sealed."""


def listen(engine: Engine, wake: Callable[[], None]) -> Listener:
    """See `Backend`."""
    arguments, named = engine.dialect.create_connect_args(engine.url)
    ours = {name: value for name, value in _AT_MOST.items() if name not in engine.url.query}
    return Listener(arguments, {**ours, **named}, wake)


def is_away(cause: BaseException | None) -> bool:
    """See `Backend`."""
    return isinstance(cause, OperationalError) and (
        cause.connection_invalidated or getattr(cause.orig, "sqlstate", None) is None
    )


def is_the_value(error: DBAPIError) -> bool:
    """See `Backend`: a NUL in a text, a number or a key that is too large; or what the driver did not even send."""
    state = getattr(error.orig, "sqlstate", None)
    unsent = state is None and isinstance(error, DataError | ProgrammingError)
    return unsent or (state is not None and state.startswith(_OF_VALUES))


def plain(error: DBAPIError) -> tuple[str, str]:
    """See `Backend`."""
    said = (str(error.orig).strip().splitlines() or ["no reason given"])[0]
    said = _AROUND.sub("", said).removeprefix("ERROR:").strip()
    return said, next((hint for part, hint in _MENDING if part in said), _REACH)


# -- what SQLite's words are here


@compiles(dml.OnConflictDoUpdate, "postgresql")
def _do_update(clause: Any, compiler: Any, **kw: Any) -> str:
    same = postgresql.dml.OnConflictDoUpdate(
        index_elements=clause.inferred_target_elements,
        set_=dict(clause.update_values_to_set),
        where=clause.update_whereclause,
    )
    return str(compiler.visit_on_conflict_do_update(same, **kw))


@compiles(dml.OnConflictDoNothing, "postgresql")
def _do_nothing(_clause: Any, _compiler: Any, **_kw: Any) -> str:
    return "ON CONFLICT DO NOTHING"


@compiles(among, "postgresql")
def _among(element: among, compiler: SQLCompiler, **kw: Any) -> str:
    column, given = (compiler.process(part, **kw) for part in element.clauses)
    return f"{column} IN (SELECT CAST(value AS bigint) FROM json_array_elements_text(CAST({given} AS json)))"  # noqa: S608 # of ours
