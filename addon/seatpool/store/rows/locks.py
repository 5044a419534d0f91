"""Lock rows, on an open transaction: options that have one value in every proxy on the database."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from seatpool.core.deeds import Did
from seatpool.core.locks import RULES, Lock, checked
from seatpool.store.acting import admins, audit
from seatpool.store.databases import revisions
from seatpool.store.databases.engine import upsert
from seatpool.store.errors import BadLock
from seatpool.store.schema import locks

_EVERY = select(locks).order_by(locks.c.name)
_CHANGED = _EVERY.where(locks.c.revision > bindparam("after"))


def every(db: Connection) -> tuple[Lock, ...]:
    """Those that hold."""
    return tuple(map(_lock, db.execute(_EVERY.where(locks.c.value.is_not(None)))))


def changed(db: Connection, after: int) -> tuple[Lock, ...]:
    """Those set or cleared after this revision."""
    return tuple(map(_lock, db.execute(_CHANGED, {"after": after})))


def put(db: Connection, name: str, value: str | None) -> Lock | None:
    """Set it, or clear it with None; as it was before. May raise `BadLock` and `NotAllowed`."""
    admins.require(db)
    try:
        name, said = checked(name, value)
    except ValueError as error:
        raise BadLock(str(error)) from None
    revision = revisions.take(db)
    before = next((each for each in every(db) if each.name == name), None)
    was = before.value if before is not None else None
    if was == said:
        return before
    values = {
        "value": said,
        "person": audit.actor(db).person,
        "set_at": datetime.now(UTC),
        "revision": revision,
    }
    new = upsert(locks).values(name=name, **values)
    db.execute(new.on_conflict_do_update(index_elements=[locks.c.name], set_=values))
    audit.note(db, Did.LOCK if said is not None else Did.UNLOCK, before=_shown(name, was), after=_shown(name, said))
    return before


def _shown(name: str, value: str | None) -> str | None:
    """Rules are long, and may name what is nobody else's: how many lines there are is enough."""
    if value is None:
        return None
    return f"{name}={len(value.splitlines())} lines" if name == RULES else f"{name}={value}"


def _lock(row: Row[Any]) -> Lock:
    return Lock(row.name, row.value, row.person, row.set_at)
