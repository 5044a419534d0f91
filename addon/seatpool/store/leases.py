"""Lease rows, on an open transaction: an exclusive right among processes that expires by itself."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, func

from seatpool.store.engine import upsert
from seatpool.store.schema import leases

_NOW = func.timezone("UTC", func.clock_timestamp(), type_=leases.c.until.type)


class Lease(msgspec.Struct, frozen=True):
    """Who holds which right."""

    key: str
    """What it is a right to, such as `renew:7:codex-oauth`."""
    owner: str
    """Differs for every process, and for every thread that must exclude the others."""


def acquire(db: Connection, lease: Lease, now: datetime, until: datetime) -> bool:
    """Whether `lease.owner` holds it now: it was free, or over, or its own already (then prolonged).

    Where processes are on several machines, whose clocks differ, it is the database's clock that counts.
    """
    shared = db.dialect.name == "postgresql"
    at: Any = _NOW if shared else now
    values = {"owner": lease.owner, "until": _NOW + (until - now) if shared else until}
    wanted = upsert(leases).values(key=lease.key, **values)
    taken = wanted.on_conflict_do_update(
        index_elements=[leases.c.key],
        set_=values,
        where=(leases.c.until <= at) | (leases.c.owner == lease.owner),
    )
    return db.execute(taken.returning(leases.c.key)).first() is not None


def release(db: Connection, lease: Lease) -> None:
    """Give it back; nothing where another has it by now."""
    db.execute(delete(leases).where(leases.c.key == lease.key, leases.c.owner == lease.owner))


def free(db: Connection, keys: Sequence[str]) -> None:
    """End these, whoever holds them."""
    db.execute(delete(leases).where(leases.c.key.in_(keys)))


def prune(db: Connection, before: datetime) -> int:
    """Drop those that were over by then; how many."""
    return db.execute(delete(leases).where(leases.c.until < before)).rowcount
