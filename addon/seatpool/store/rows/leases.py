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
from sqlalchemy import ColumnElement, Connection, Interval, bindparam, delete, func, select

from seatpool.clock import elapsed, utcnow
from seatpool.store.databases.engine import Ready, upsert
from seatpool.store.schema import as_text, leases

_NOW = func.timezone("UTC", func.clock_timestamp(), type_=leases.c.until.type)
_OVER_SHARED = leases.c.until <= _NOW
# What has not begun yet is of the time before the machine was started anew. One of which that cannot be told lasts for
# its length once more at most.
_ENDED = (leases.c.begun_s > bindparam("up_s")) | (leases.c.over_s <= bindparam("up_s"))
_OVER_ON_FILE = _ENDED | (leases.c.begun_s.is_(None) & (leases.c.until <= bindparam("now")))


def _taking(over: ColumnElement[bool], **ends: Any) -> Ready:
    """Have it where nobody else does; `over`: what nobody holds any more."""
    new = upsert(leases).values(ends) if ends else upsert(leases)
    taken = new.on_conflict_do_update(
        index_elements=[leases.c.key],
        set_={name: new.excluded[name] for name in ("owner", "until", "begun_s", "over_s")},
        where=over | (leases.c.owner == new.excluded.owner),
    )
    return Ready(taken.returning(leases.c.key), [column.name for column in leases.c])


_MINE = (leases.c.key == bindparam("key"), leases.c.owner == bindparam("owner"))
_OWNER = Ready(select(leases.c.owner).where(_MINE[0]))
_TAKE_SHARED = _taking(_OVER_SHARED, until=_NOW + bindparam("length", type_=Interval()))
_TAKE_ON_FILE = _taking(_OVER_ON_FILE)
_RELEASE = Ready(delete(leases).where(*_MINE))


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
    before = _OWNER.run(db, key=lease.key).scalar()
    up_s = _up_s()
    # `until` is for processes of an older version, which know no better.
    if not _take(db, lease, utcnow() + length, length, up_s, up_s + length.total_seconds()):
        return Grant.REFUSED
    return Grant.FREE if before in (None, lease.owner) else Grant.LAPSED


def claim(db: Connection, lease: Lease, until: datetime) -> bool:
    """Whether it is `lease.owner` who does it: nobody has claimed it until a moment that is still to come."""
    return _take(db, lease, until, until - utcnow())


def _take(
    db: Connection,
    lease: Lease,
    until: datetime,
    length: timedelta,
    begun_s: float | None = None,
    over_s: float | None = None,
) -> bool:
    """On a server for that length, by its clock; in a file until these moments."""
    if _is_shared(db):
        taken = _TAKE_SHARED.run(db, key=lease.key, owner=lease.owner, length=length, begun_s=None, over_s=None)
    else:
        ends = {"until": as_text(until), "begun_s": begun_s, "over_s": over_s}
        taken = _TAKE_ON_FILE.run(db, key=lease.key, owner=lease.owner, **ends, up_s=_up_s(), now=as_text(utcnow()))
    return taken.first() is not None


def _is_shared(db: Connection) -> bool:
    return db.dialect.name == "postgresql"


def _up_s() -> float:
    return elapsed().total_seconds()


def release(db: Connection, lease: Lease) -> None:
    """Give it back; nothing where another has it by now."""
    _RELEASE.run(db, key=lease.key, owner=lease.owner)


def free(db: Connection, keys: Sequence[str]) -> None:
    """End these, whoever holds them."""
    db.execute(delete(leases).where(leases.c.key.in_(keys)))


def prune(db: Connection, before: datetime) -> int:
    """Drop those that are over, on a file claims only that were by then; how many."""
    if _is_shared(db):
        return db.execute(delete(leases).where(_OVER_SHARED)).rowcount
    return db.execute(delete(leases).where(_OVER_ON_FILE), {"up_s": _up_s(), "now": before}).rowcount
