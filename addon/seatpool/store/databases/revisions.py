"""The number of the last change, which every changed row is stamped with.

A transaction that changes accounts, credentials, cooldowns or windows takes the next number. A removed row cannot be
stamped, so the number of the last removal is kept too. Taking a number locks the row that holds it, so numbers are
committed in order and a reader misses none.
"""

from sqlalchemy import Connection, func, select, update

from seatpool.store.databases.backend import CHANNEL
from seatpool.store.databases.engine import Ready
from seatpool.store.schema import feed

_NOW = select(feed.c.revision)
_NEXT = update(feed).values(revision=feed.c.revision + 1).returning(feed.c.revision)
_NEXT_AND_FORGET = _NEXT.values(forgotten=feed.c.revision + 1)
_TAKEN = "seatpool_taken"
_HEARD = func.pg_notify(CHANNEL, "")
"""At the commit, once however often it was said, where a database can tell others."""
_SAID = {False: Ready(_NEXT.returning(_HEARD)), True: Ready(_NEXT_AND_FORGET.returning(_HEARD))}
_SILENT = {False: Ready(_NEXT), True: Ready(_NEXT_AND_FORGET)}


def current(db: Connection) -> int:
    """The number of the last change."""
    number: int = db.execute(_NOW).scalar_one()
    return number


def take(db: Connection, *, removal: bool = False) -> int:
    """The next number; others see it when the transaction ends. `removal`: rows go, so others read everything again."""
    number: int = (_SAID if db.dialect.name == "postgresql" else _SILENT)[removal].run(db).scalar_one()
    db.info.setdefault(_TAKEN, []).append(number)
    return number


def taken(db: Connection) -> list[int]:
    """The numbers taken on this connection since this was last asked, also by what was rolled back."""
    numbers: list[int] = db.info.pop(_TAKEN, [])
    return numbers
