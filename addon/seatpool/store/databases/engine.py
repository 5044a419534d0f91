"""From a URL or path to an engine; statements for many rows; what a driver raises in plain words.

What depends on the kind of database is in `backend`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import chain
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    CursorResult,
    Engine,
    Select,
    String,
    Table,
    UpdateBase,
    bindparam,
    make_url,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from seatpool.store.databases import backend, places
from seatpool.store.databases.backend import BEGIN, BUSY, Backend
from seatpool.store.errors import StoreUnavailable, Unstorable

BUSY_TIMEOUT_S = 5.0
"""How long a statement waits for another process's transaction before it gives up."""

HURRIED_S = 1.0
"""The same where a request waits."""

FORMS = "give a path, sqlite:///PATH, or postgresql+psycopg://USER@HOST/DATABASE"

Row = tuple[object, ...]
_VALUES = re.compile(r"VALUES (\(\?(?:, \?)*\))")
_SIZES = (16, 4, 1)
"""Rows in one statement; the driver keeps the statements of these few sizes ready, with the last values in them."""


def resolve(url_or_path: str) -> URL:
    """A plain path is a SQLite file; anything with `://` is a SQLAlchemy URL; `""` is the default one.

    Raises `StoreUnavailable`.
    """
    url_or_path = url_or_path or places.default_url()
    if "://" not in url_or_path:
        return URL.create("sqlite", database=str(places.absolute(url_or_path)))
    try:
        url = make_url(url_or_path)
    except (ArgumentError, ValueError):
        raise StoreUnavailable(f"the database's URL cannot be read; {FORMS}") from None
    kind = url.get_backend_name()
    if not backend.known(kind):
        raise StoreUnavailable(f"{kind} databases are not supported; {FORMS}")
    return backend.of(kind).checked(url)


def located(url_or_path: str) -> str:
    """Where the database of that name is, as a person would say it. Raises `StoreUnavailable`."""
    return place(resolve(url_or_path))


def place(url: URL) -> str:
    """Where the database is, as a person would say it; without a password."""
    return backend.of(url.get_backend_name()).place(url)


def of(url: URL) -> Backend:
    """The kind of database behind it."""
    return backend.of(url.get_backend_name())


def open_engine(url: URL) -> Engine:
    """An engine whose connections are set up; reads unless told otherwise by the functions below."""
    engine = of(url).make_engine(url, BUSY_TIMEOUT_S)
    return engine.execution_options(**{BEGIN: "read", BUSY: BUSY_TIMEOUT_S})


def lookup(engine: Engine) -> Engine:
    """For one lone SELECT: no transaction around it."""
    return engine.execution_options(**{BEGIN: "lookup"})


def writing(engine: Engine, busy_s: float | None = None) -> Engine:
    """For transactions that change something."""
    return engine.execution_options(**{BEGIN: "write", BUSY: BUSY_TIMEOUT_S if busy_s is None else busy_s})


def durable(engine: Engine, busy_s: float | None = None) -> Engine:
    """For changes that must survive a power cut as well."""
    return engine.execution_options(**{BEGIN: "durable", BUSY: BUSY_TIMEOUT_S if busy_s is None else busy_s})


@contextmanager
def begun(engine: Engine) -> Iterator[Connection]:
    """A transaction as the engine's options have it, committed at the end.

    With a listener to SQLAlchemy's `begin` nobody would have to say this, but each statement would cost half as much
    again.
    """
    with engine.connect() as db, db.begin():
        backend.of(engine.dialect.name).begin(db)
        yield db


def upsert(table: Table) -> sqlite.Insert:
    """An INSERT that knows ON CONFLICT; `postgres` teaches SQLAlchemy to say it there as well."""
    return sqlite.insert(table)


class among(FunctionElement[Any]):  # noqa: N801 # used as a function
    """Whether a column has one of the whole numbers of a JSON list that a parameter will bring.

    So it is one and the same statement, however many there are. It is no `Boolean`: SQLAlchemy would have SQLite
    compare that with 1, and SQLite then looks at every row of the table.
    """

    inherit_cache = True

    def __init__(self, column: ColumnElement[int], name: str) -> None:
        super().__init__(column, bindparam(name, type_=String()))


@compiles(among, "sqlite")
def _among(element: among, compiler: SQLCompiler, **kw: Any) -> str:
    column, given = (compiler.process(part, **kw) for part in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({given}))"  # noqa: S608 # of ours


class Ready:
    """A statement that a request waits for, compiled once for each kind of database.

    What SQLAlchemy does for one that it has compiled before still takes longer than SQLite's work. Values go to the
    driver as they are, a moment `as_text`, and results come as they are.
    """

    def __init__(self, statement: UpdateBase | Select[Any], names: Sequence[str] | None = None) -> None:
        """`names`: of the columns that it writes; None where it says so itself."""
        self._statement = statement
        self._names = names
        self._compiled: dict[str, tuple[str, Mapping[str, Any], Sequence[str] | None]] = {}

    def run(self, db: Connection, **values: object) -> CursorResult[Any]:
        """With a value for each of its parameters."""
        kind = db.dialect.name
        if kind not in self._compiled:
            made = self._statement.compile(dialect=db.dialect, column_keys=self._names)
            self._compiled[kind] = str(made), made.params, made.positiontup
        sql, fixed, order = self._compiled[kind]
        given = {**fixed, **values}
        return db.exec_driver_sql(sql, given if order is None else tuple(given[name] for name in order))


class Many:
    """A statement for many rows at a time, compiled once, and not before there are some.

    What SQLAlchemy does for each row otherwise outweighs SQLite's work.

    Where it has a VALUES list, rows go in by the dozen: the driver lets go of the interpreter and takes it back for
    every single step, which costs the event loop more than the step itself. PostgreSQL's driver sends all of them
    before it waits for the first answer, so there each row is a statement.
    """

    def __init__(
        self, statement: UpdateBase | str, names: Sequence[str], elsewhere: UpdateBase | str | None = None
    ) -> None:
        """`names`: those of the statement's parameters, in the order in which the rows will have them.

        `elsewhere` says the same where SQLite's own words in `statement` are not understood.
        """
        self._names = list(names)
        self._given = statement
        self._statement = elsewhere if elsewhere is not None else statement
        self._by_name: str | None = None

    def run(self, db: Connection, rows: Iterable[Row]) -> None:
        """The values as the driver takes them: a moment `as_text`."""
        if db.dialect.name != "sqlite":
            self._run_each(db, rows)
            return
        in_order, by_size = self._compiled
        left = list(map(in_order, rows))
        for size, sql in by_size.items():
            whole = len(left) // size * size
            if whole:
                groups = [tuple(chain.from_iterable(left[i : i + size])) for i in range(0, whole, size)]
                db.exec_driver_sql(sql, groups)
                del left[:whole]

    @cached_property
    def _compiled(self) -> tuple[Callable[[Row], Row], Mapping[int, str]]:
        """For SQLite: a row's values in the order of the statement's, and the statement by the number of rows."""
        if isinstance(self._given, str):
            sql, order = self._given, list(range(len(self._names)))
        else:
            compiled = self._given.compile(dialect=sqlite.dialect(paramstyle="qmark"), column_keys=self._names)
            sql, order = str(compiled), [self._names.index(name) for name in compiled.positiontup or ()]
        group = _VALUES.search(sql)
        if group is None:
            return itemgetter(*order), {1: sql}
        begin, end = sql[: group.start(1)], sql[group.end(1) :]
        return itemgetter(*order), {size: f"{begin}{', '.join([group[1]] * size)}{end}" for size in _SIZES}

    def _run_each(self, db: Connection, rows: Iterable[Row]) -> None:
        given: list[Any] = list(rows)
        if not given:
            return
        if isinstance(self._statement, str):
            db.exec_driver_sql(self._statement.replace("?", "%s"), given)
            return
        if self._by_name is None:
            self._by_name = str(self._statement.compile(dialect=db.dialect, column_keys=self._names))
        db.exec_driver_sql(self._by_name, [dict(zip(self._names, row, strict=True)) for row in given])


@contextmanager
def plainly(kind: str, where: str) -> Iterator[None]:
    """Turn what the driver raises into `StoreUnavailable` or `Unstorable`, in one line, without statements or values.

    `kind` as SQLAlchemy names dialects.
    """
    try:
        yield
    except DBAPIError as error:
        if isinstance(error, IntegrityError) or backend.of(kind).is_the_value(error):
            raise Unstorable(f"the database {where} does not take such a value") from error
        said, mend = backend.of(kind).plain(error)
        raise StoreUnavailable(f"the database {where} cannot be used: {said}; {mend}") from error
    except UnicodeEncodeError as error:  # a driver's, or SQLAlchemy's, about a text with half a character in it
        raise Unstorable(f"the database {where} does not take a text that is not UTF-8") from error
    except PoolTimeout as error:
        raise StoreUnavailable(f"the database {where} is busy in every thread; try again") from error
