"""Lease rows, on an open transaction: an exclusive right among processes that expires by itself.

What is held while something is done is held for a length, by a clock that nobody sets: that of the server, where
processes are on several machines; else the time since the machine was started, which is the same for all its processes
and ends with them. What is not to be done again before some moment is claimed until then, by the calendar, and stays
claimed when the machine is started anew.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, func, select

from seatpool.clock import elapsed, utcnow
from seatpool.store.engine import upsert
from seatpool.store.schema import leases

_NOW = func.timezone("UTC", func.clock_timestamp(), type_=leases.c.until.type)


class Lease(msgspec.Struct, frozen=True):
    """Who holds which right."""

    key: str
    """What it is a right to, such as `renew:7:codex-oauth`."""
    owner: str
    """Differs for every process, and for every thread that must exclude the others."""


class Grant(IntEnum):
    """What comes of asking for a right; false where there is none."""

    REFUSED = 0
    """Another has it."""
    FREE = 1
    """It was nobody's, or the asker's own already."""
    LAPSED = 2
    """Who had it has not given it back: it was killed, or could not."""


def acquire(db: Connection, lease: Lease, length: timedelta) -> Grant:
    """Have it for so long from now on, also where it is `lease.owner`'s own already."""
    before = db.scalar(select(leases.c.owner).where(leases.c.key == lease.key))
    if not _acquired(db, lease, length):
        return Grant.REFUSED
    return Grant.FREE if before in (None, lease.owner) else Grant.LAPSED


def _acquired(db: Connection, lease: Lease, length: timedelta) -> bool:
    if _is_shared(db):
        return _take(db, lease, {"until": _NOW + length, "begun_s": None, "over_s": None})
    begun_s = _up_s()
    # `until` is for processes of an older version, which know no better.
    ends = {"until": utcnow() + length, "begun_s": begun_s, "over_s": begun_s + length.total_seconds()}
    return _take(db, lease, ends)


def claim(db: Connection, lease: Lease, until: datetime) -> bool:
    """Whether it is `lease.owner` who does it: nobody has claimed it until a moment that is still to come."""
    ends = _NOW + (until - utcnow()) if _is_shared(db) else until
    return _take(db, lease, {"until": ends, "begun_s": None, "over_s": None})


def _take(db: Connection, lease: Lease, ends: dict[str, Any]) -> bool:
    values = {"owner": lease.owner, **ends}
    taken = (
        upsert(leases)
        .values(key=lease.key, **values)
        .on_conflict_do_update(
            index_elements=[leases.c.key],
            set_=values,
            where=_over(db, utcnow()) | (leases.c.owner == lease.owner),
        )
    )
    return db.execute(taken.returning(leases.c.key)).first() is not None


def _over(db: Connection, now: datetime) -> ColumnElement[bool]:
    """What nobody holds any more; `now` for what was claimed."""
    if _is_shared(db):
        return leases.c.until <= _NOW
    up_s = _up_s()
    # What has not begun yet is of the time before the machine was started anew. One of which that cannot be told lasts
    # for its length once more at most.
    ended = (leases.c.begun_s > up_s) | (leases.c.over_s <= up_s)
    return ended | (leases.c.begun_s.is_(None) & (leases.c.until <= now))


def _is_shared(db: Connection) -> bool:
    return db.dialect.name == "postgresql"


def _up_s() -> float:
    return elapsed().total_seconds()


def release(db: Connection, lease: Lease) -> None:
    """Give it back; nothing where another has it by now."""
    db.execute(delete(leases).where(leases.c.key == lease.key, leases.c.owner == lease.owner))


def free(db: Connection, keys: Sequence[str]) -> None:
    """End these, whoever holds them."""
    db.execute(delete(leases).where(leases.c.key.in_(keys)))


def prune(db: Connection, before: datetime) -> int:
    """Drop those that are over, on a file claims only that were by then; how many."""
    return db.execute(delete(leases).where(_over(db, before))).rowcount
