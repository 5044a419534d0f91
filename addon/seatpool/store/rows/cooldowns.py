"""Cooldown rows, on an open transaction."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, delete, select, update
from sqlalchemy.exc import IntegrityError

from seatpool.core.deeds import Did
from seatpool.core.model import Cooldown, Scope, ScopeKind
from seatpool.store.acting import admins, audit
from seatpool.store.databases import revisions
from seatpool.store.databases.engine import Ready, upsert
from seatpool.store.errors import UnknownAccount
from seatpool.store.rows import accounts
from seatpool.store.schema import as_text, cooldowns

_KEY = (cooldowns.c.account_id, cooldowns.c.scope, cooldowns.c.value)
_RUNNING = cooldowns.c.lifted < cooldowns.c.revision
_SOONEST_FIRST = select(cooldowns).order_by(cooldowns.c.until, *_KEY)
_CHANGED = _SOONEST_FIRST.where(cooldowns.c.revision > bindparam("after"))

_LATER = Ready(
    select(cooldowns.c.account_id).where(
        *(column == bindparam(column.name) for column in _KEY), _RUNNING, cooldowns.c.until >= bindparam("until")
    )
)
_NEW = upsert(cooldowns)
_PUT = Ready(
    _NEW.on_conflict_do_update(
        index_elements=list(_KEY),
        set_={name: _NEW.excluded[name] for name in ("reason", "until", "created_at", "revision", "strikes")},
    ),
    [column.name for column in cooldowns.c],
)


def cool(db: Connection, cooldown: Cooldown) -> Cooldown:
    """Never shortens one that runs: returns the one in force, this or a later one. May raise `UnknownAccount`."""
    key = {"account_id": cooldown.account_id, "scope": cooldown.scope.kind.value, "value": cooldown.scope.value}
    until = as_text(cooldown.until)
    if _LATER.run(db, **key, until=until).first() is not None:
        return _cooldown(db.execute(select(cooldowns).where(_at(cooldown))).one())
    values = {"reason": cooldown.reason, "until": until, "created_at": as_text(cooldown.created_at), "lifted": 0}
    try:
        _PUT.run(db, **key, **values, revision=revisions.take(db), strikes=cooldown.strikes)
    except IntegrityError:  # the foreign key says it; to ask beforehand would be one more statement to wait for
        raise UnknownAccount.numbered(cooldown.account_id) from None
    return cooldown


def lift(db: Connection, account_id: int | None) -> int:
    """End those of one account, or all, before their time; how many. Those that are over count while they are kept.

    It is for whoever may use an account, or change it: the others' are left alone.
    """
    resting = db.scalars(select(cooldowns.c.account_id).where(_RUNNING).distinct()).all()
    count, person = 0, audit.actor(db).person
    for held in accounts.every(db):
        if held.id not in resting or account_id not in (None, held.id):
            continue
        if not held.open_to(person) and not admins.has_say(db, held):
            continue
        revision = revisions.take(db)
        which = _RUNNING & (cooldowns.c.account_id == held.id)
        lifted = db.execute(update(cooldowns).where(which).values(lifted=revision, revision=revision)).rowcount
        audit.note(db, Did.CLEAR_COOLDOWNS, held, before=lifted)
        count += lifted
    return count


def end(db: Connection, cooldown: Cooldown) -> None:
    """End, or forget, one that is still the very one that is stored."""
    which = _RUNNING & _at(cooldown) & (cooldowns.c.created_at == cooldown.created_at)
    if db.execute(select(cooldowns.c.account_id).where(which)).first() is not None:
        revision = revisions.take(db)
        db.execute(update(cooldowns).where(which).values(lifted=revision, revision=revision))


def live(db: Connection, now: datetime) -> tuple[Cooldown, ...]:
    """Those that run, the soonest to end first."""
    rows = db.execute(_SOONEST_FIRST.where(_RUNNING, cooldowns.c.until > now))
    return tuple(map(_cooldown, rows))


def changed(db: Connection, after: int) -> tuple[tuple[Cooldown, ...], tuple[tuple[int, Scope], ...]]:
    """Those that run of the ones stamped after this revision, and those lifted after it; one can be both, in turn."""
    rows = db.execute(_CHANGED, {"after": after}).all()
    running = tuple(_cooldown(row) for row in rows if row.lifted < row.revision)
    return running, tuple((row.account_id, _scope(row)) for row in rows if row.lifted > max(after, 0))


def prune(db: Connection, before: datetime) -> int:
    """Drop those that were over by then; how many. Nobody needs to hear of it."""
    return db.execute(delete(cooldowns).where(cooldowns.c.until < before)).rowcount


def _at(cooldown: Cooldown) -> ColumnElement[bool]:
    """The row of its account and scope, whichever cooldown is in it."""
    values = (cooldown.account_id, cooldown.scope.kind.value, cooldown.scope.value)
    return and_(*(column == value for column, value in zip(_KEY, values, strict=True)))


def _scope(row: Row[Any]) -> Scope:
    return Scope(ScopeKind(row.scope), row.value)


def _cooldown(row: Row[Any]) -> Cooldown:
    return Cooldown(row.account_id, _scope(row), row.reason, row.until, row.created_at, row.strikes)
