"""Carrier rows, on an open transaction: what each answer gave out that only its account can read, as hashes."""

import struct
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, select

from seatpool.core.model import Carried
from seatpool.store.databases import revisions
from seatpool.store.databases.engine import Many
from seatpool.store.schema import as_text, carriers

MOST = 20_000
"""Answers kept and told; the newest of them. A process remembers some 65,000 hashes."""

_COLUMNS = ["account_id", "digests", "learnt_at", "revision"]
_ADD = Many(carriers.insert(), _COLUMNS)
_DROP_OLDEST = delete(carriers).where(carriers.c.id <= select(func.max(carriers.c.id) - MOST).scalar_subquery())
_NEWEST = select(carriers).order_by(carriers.c.id.desc()).limit(MOST)
_CHANGED = _NEWEST.where(carriers.c.revision > bindparam("after"))


def add(db: Connection, learnt: Sequence[Carried]) -> None:
    """Keep these, and drop the oldest of what is too much. The accounts must exist."""
    if learnt:
        revision = revisions.take(db)
        rows = (
            (c.account_id, struct.pack(f">{len(c.keys)}Q", *c.keys), as_text(c.learnt_at), revision) for c in learnt
        )
        _ADD.run(db, rows)
        db.execute(_DROP_OLDEST)


def changed(db: Connection, after: int) -> tuple[Carried, ...]:
    """Those stamped after this revision, the oldest first; of more than `MOST` the newest."""
    return tuple(map(_carried, reversed(db.execute(_CHANGED, {"after": after}).all())))


def prune(db: Connection, before: datetime) -> int:
    """Drop those that were learnt before then; how many. Nobody needs to hear of it."""
    return db.execute(delete(carriers).where(carriers.c.learnt_at < before)).rowcount


def _carried(row: Row[Any]) -> Carried:
    return Carried(row.account_id, struct.unpack(f">{len(row.digests) // 8}Q", row.digests), row.learnt_at)
