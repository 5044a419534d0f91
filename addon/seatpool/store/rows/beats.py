"""What each process has under way, one row each, on an open transaction.

A process replaces its own row with each beat, and takes away those of processes that were not heard for long. Rows are
few, so readers are told all of them whenever anything has changed.
"""

import json

from sqlalchemy import Connection, bindparam, delete, select

from seatpool.core.model import UnderWay
from seatpool.core.slots import EXPIRES
from seatpool.store.databases import revisions
from seatpool.store.databases.engine import upsert
from seatpool.store.schema import under_way

_OVER = delete(under_way).where(
    (under_way.c.owner == bindparam("idle")) | (under_way.c.beat_at < bindparam("dead", type_=under_way.c.beat_at.type))
)
_NEW = upsert(under_way)
_PUT = _NEW.on_conflict_do_update(
    index_elements=[under_way.c.owner],
    set_={"counts": _NEW.excluded.counts, "beat_at": _NEW.excluded.beat_at},
)
_EVERY = select(under_way).order_by(under_way.c.owner)


def save(db: Connection, told: UnderWay) -> None:
    """Instead of what this process told before; one that has nothing under way has no row."""
    revisions.take(db)
    db.execute(_OVER, {"idle": None if told.counts else told.owner, "dead": told.beat_at - EXPIRES})
    if told.counts:
        db.execute(_PUT, {"owner": told.owner, "counts": json.dumps(told.counts), "beat_at": told.beat_at})


def every(db: Connection) -> tuple[UnderWay, ...]:
    """Of each process that has told anything, those that are heard no longer included, and accounts that are gone."""
    return tuple(UnderWay(row.owner, row.beat_at, _counts(row.counts)) for row in db.execute(_EVERY))


def _counts(text: str) -> dict[int, int]:
    return {int(account_id): count for account_id, count in json.loads(text).items()}
