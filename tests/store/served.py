"""Databases of the tests' own PostgreSQL server."""

from functools import cache

from seatpool.store import migrate
from seatpool.store.databases import engine as engines
from tests.harness import postgres


def fresh() -> str:
    """The URL of one that has the tables: copied, since to make them takes longer than most tests."""
    return postgres.shared().new(_migrated())


@cache
def _migrated() -> str:
    url = engines.resolve(postgres.shared().new())
    engine = engines.open_engine(url)
    migrate.bring_to_head(engine, engines.place(url))
    engine.dispose()
    assert url.database is not None
    return url.database


def told(url: str, sql: str) -> str:
    """What the database answers."""
    return postgres.shared().say(sql, url.rpartition("/")[2])
