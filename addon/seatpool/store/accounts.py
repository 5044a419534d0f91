"""Account rows, on an open transaction."""

from collections.abc import Collection, Mapping
from datetime import datetime
from itertools import count
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, delete, insert, select, update

from seatpool.core.model import Account, ProviderName
from seatpool.store import revisions
from seatpool.store.errors import BadName, NameTaken, UnknownAccount
from seatpool.store.schema import accounts

_ALL = select(accounts).order_by(accounts.c.priority, accounts.c.id)


_USED_AT = bindparam("used_at", type_=accounts.c.last_used_at.type)
_TOUCH = (
    update(accounts)
    .where(
        accounts.c.id == bindparam("touched"),
        accounts.c.last_used_at.is_(None) | (accounts.c.last_used_at < _USED_AT),
    )
    .values(last_used_at=_USED_AT)
)


def every(db: Connection) -> tuple[Account, ...]:
    """In the order in which they are asked by priority, then as they were added."""
    return tuple(map(_account, db.execute(_ALL)))


def changed(db: Connection, after: int) -> tuple[Account, ...]:
    """Those stamped after this revision."""
    return tuple(map(_account, db.execute(_ALL.where(accounts.c.revision > after))))


def named(db: Connection, name: str) -> Account:
    """Raises `UnknownAccount`, which tells the names there are."""
    if (found := _find(db, accounts.c.name == name)) is None:
        raise UnknownAccount.named(name, db.scalars(select(accounts.c.name).order_by(accounts.c.name)))
    return found


def numbered(db: Connection, account_id: int) -> Account:
    """Raises `UnknownAccount`."""
    if (found := _find(db, accounts.c.id == account_id)) is None:
        raise UnknownAccount.numbered(account_id)
    return found


def existing(db: Connection, ids: Collection[int]) -> frozenset[int]:
    """Those of the ids that an account has."""
    return frozenset(db.scalars(select(accounts.c.id).where(accounts.c.id.in_(ids))))


def sign_in(
    db: Connection,
    *,
    provider: ProviderName,
    identity: str,
    name: str,
    explicit_name: bool,
    issuer: str,
    plan: str | None,
    now: datetime,
) -> tuple[Account, bool]:
    """Insert or update by provider and identity; True: it is a new one. May raise `NameTaken` and `BadName`."""
    held = _find(db, (accounts.c.provider == provider.value) & (accounts.c.identity == identity))
    values: dict[str, Any] = {"issuer": issuer, "disabled": None, "state_since": now}
    if plan is not None:
        values["plan"] = plan
    if held is None:
        free = _own(db, name, None) if explicit_name else _free(db, name, fallback=provider.value)
        fresh = {"provider": provider.value, "identity": identity, "name": free, "priority": 100, "paused": False}
        stamped = insert(accounts).values(**fresh, **values, revision=revisions.take(db)).returning(accounts)
        return _account(db.execute(stamped).one()), True
    if explicit_name:
        values["name"] = _own(db, name, held.id)
    return _write(db, held, **values), False


def rename(db: Connection, name: str, new_name: str) -> Account:
    """May raise `UnknownAccount`, `NameTaken` and `BadName`."""
    held = named(db, name)
    return _change(db, held, name=_own(db, new_name, held.id))


def set_priority(db: Connection, name: str, priority: int) -> Account:
    """Lower is asked first. May raise `UnknownAccount`."""
    return _change(db, named(db, name), priority=priority)


def set_paused(db: Connection, name: str, paused: bool, now: datetime) -> Account:
    """Resuming also enables a disabled account: that lasts until a person acts. May raise `UnknownAccount`."""
    held = named(db, name)
    wanted = (paused, held.disabled if paused else None)
    if wanted == (held.paused, held.disabled):
        return held
    return _write(db, held, paused=paused, disabled=wanted[1], state_since=now)


def disable(db: Connection, account_id: int, reason: str, now: datetime) -> Account:
    """May raise `UnknownAccount`."""
    held = numbered(db, account_id)
    return held if held.disabled == reason else _write(db, held, disabled=reason, state_since=now)


def set_plan(db: Connection, account_id: int, plan: str | None) -> Account:
    """May raise `UnknownAccount`."""
    return _change(db, numbered(db, account_id), plan=plan)


def remove(db: Connection, name: str) -> Account:
    """The row and everything of it; returns what it was. May raise `UnknownAccount`."""
    held = named(db, name)
    revisions.take(db, removal=True)
    db.execute(delete(accounts).where(accounts.c.id == held.id))
    return held


def touch(db: Connection, used: Mapping[int, datetime]) -> None:
    """Last used, where that is news. No revision: other processes need not hear of it."""
    if used:
        db.execute(_TOUCH, [{"touched": account_id, "used_at": used_at} for account_id, used_at in used.items()])


def _account(row: Row[Any]) -> Account:
    return Account(
        id=row.id,
        provider=ProviderName(row.provider),
        name=row.name,
        identity=row.identity,
        issuer=row.issuer,
        priority=row.priority,
        paused=row.paused,
        disabled=row.disabled,
        plan=row.plan,
        last_used_at=row.last_used_at,
    )


def _find(db: Connection, which: ColumnElement[bool]) -> Account | None:
    row = db.execute(select(accounts).where(which)).one_or_none()
    return None if row is None else _account(row)


def _change(db: Connection, held: Account, **values: Any) -> Account:
    """Write what differs; nothing to write is no change for others to read."""
    return held if all(getattr(held, key) == value for key, value in values.items()) else _write(db, held, **values)


def _write(db: Connection, held: Account, **values: Any) -> Account:
    stamped = update(accounts).where(accounts.c.id == held.id).values(**values, revision=revisions.take(db))
    return _account(db.execute(stamped.returning(accounts)).one())


def _own(db: Connection, name: str, account_id: int | None) -> str:
    """A name that a person chose for the account with this id (None: a new one)."""
    name = name.strip()
    if not name or not name.isprintable():
        raise BadName(name)
    other = db.scalar(select(accounts.c.id).where(accounts.c.name == name))
    if other not in (None, account_id):
        raise NameTaken(name)
    return name


def _free(db: Connection, suggested: str, fallback: str) -> str:
    """A suggested name, made printable, with -2, -3, ... where it is taken."""
    wanted = "".join(filter(str.isprintable, suggested)).strip() or fallback
    taken = frozenset(db.scalars(select(accounts.c.name)))
    if wanted not in taken:
        return wanted
    return next(name for n in count(2) if (name := f"{wanted}-{n}") not in taken)
