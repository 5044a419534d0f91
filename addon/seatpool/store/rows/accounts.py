"""Account rows, on an open transaction."""

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from itertools import count
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, bindparam, delete, func, insert, select, true, update

from seatpool.core.deeds import Did
from seatpool.core.model import Account, Keeping, ProviderName
from seatpool.store.acting import admins, audit
from seatpool.store.databases import revisions
from seatpool.store.databases.engine import Many, among
from seatpool.store.errors import BadName, BadWeight, NameTaken, UnknownAccount
from seatpool.store.schema import accounts, as_text

LIGHTEST, HEAVIEST = 0.001, 1000.0
"""Of weights: a million to one is more than anybody means."""
NO_PEOPLE = "[]"

_ALL = select(accounts).order_by(accounts.c.priority, accounts.c.id)
_CHANGED = _ALL.where(accounts.c.revision > bindparam("after"))
_HANDLE_ALONE = accounts.c.identity == accounts.c.handle
_AMONG = select(accounts.c.id).where(among(accounts.c.id, "ids"))
_HOW_MANY = select(func.count()).where(among(accounts.c.id, "ids"))
_TOUCH = Many(
    "UPDATE accounts SET last_used_at = used.column2 FROM (VALUES (?, ?)) AS used"
    " WHERE accounts.id = used.column1"
    " AND (accounts.last_used_at IS NULL OR accounts.last_used_at < used.column2)",
    ["touched", "used_at"],
    elsewhere=update(accounts)
    .where(
        accounts.c.id == bindparam("touched"),
        func.coalesce(accounts.c.last_used_at < bindparam("used_at"), true()),
    )
    .values(last_used_at=bindparam("used_at")),
)


def every(db: Connection) -> tuple[Account, ...]:
    """In the order in which they are asked by priority, then as they were added."""
    return tuple(map(_account, db.execute(_ALL)))


def changed(db: Connection, after: int) -> tuple[Account, ...]:
    """Those stamped after this revision."""
    return tuple(map(_account, db.execute(_CHANGED, {"after": after})))


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


def disabled(db: Connection, account_id: int) -> str | None:
    """Why it is out of use; None where it is not, and for an account that is gone."""
    reason: str | None = db.scalar(select(accounts.c.disabled).where(accounts.c.id == account_id))
    return reason


def existing(db: Connection, ids: Collection[int]) -> frozenset[int]:
    """Those of the ids that an account has."""
    wanted = frozenset(ids)
    given = {"ids": json.dumps([*wanted])}  # one statement, however many there are
    if db.scalar(_HOW_MANY, given) == len(wanted):
        return wanted  # as nearly always: the driver lets go of the interpreter for each row that it fetches
    return frozenset(db.scalars(_AMONG, given))


class Login(msgspec.Struct, frozen=True):
    """What a sign-in, an import or an editor's traffic says of an account; the fields are those of `Account`."""

    provider: ProviderName
    identity: str
    """The same as `handle` where no better one is known."""
    handle: str | None
    name: str
    explicit_name: bool
    issuer: str
    plan: str | None
    learnt: bool


def sign_in(db: Connection, login: Login, now: datetime) -> tuple[Account, bool]:
    """Insert or update; True: it is a new one. May raise `NameTaken` and `BadName`.

    What is learnt adds nothing to an account that we hold a login of, and enables none: traffic is no person's act.
    """
    held = _same(db, login)
    if held is None:
        return _add(db, login, now), True
    if login.learnt and not held.learnt:
        return held, False
    if not login.learnt:
        admins.require_say(db, held)
    values: dict[str, Any] = {"issuer": login.issuer}
    if login.plan is not None:
        values["plan"] = login.plan
    if login.handle is not None:
        values["handle"] = login.handle
    if login.identity != login.handle:
        values["identity"] = login.identity
    if login.explicit_name:
        values["name"] = _own(db, login.name, held.id)
    _take_handle(db, login, held.id)
    if login.learnt:
        return _change(db, held, **values), False
    if held.learnt and held.owner is None:
        values["owner"] = admins.owner_of_new(db)
    written = write(db, held, **values, learnt=False, disabled=None, state_since=now)
    audit.note(db, Did.SIGN_IN, written, before=_state(held), after=_state(written))
    if written.name != held.name:
        audit.note(db, Did.RENAME, held, before=held.name, after=written.name)
    return written, False


def _same(db: Connection, login: Login) -> Account | None:
    """By identity; else by handle, where the row or the login knows no more than that.

    Two rows with identities of their own may have had one handle, one after the other: GitHub gives them out again.
    """
    ours = accounts.c.provider == login.provider.value
    held = _find(db, ours & (accounts.c.identity == login.identity))
    if held is not None or login.handle is None:
        return held
    known_by_it = ours & (accounts.c.handle == login.handle)
    return _find(db, known_by_it if login.identity == login.handle else known_by_it & _HANDLE_ALONE)


def _add(db: Connection, login: Login, now: datetime) -> Account:
    name = _own(db, login.name, None) if login.explicit_name else _free(db, login.name, fallback=login.provider.value)
    _take_handle(db, login, None)
    values = {
        "provider": login.provider.value,
        "identity": login.identity,
        "handle": login.handle,
        "name": name,
        "issuer": login.issuer,
        "plan": login.plan,
        "learnt": login.learnt,
        "priority": 100,
        "paused": False,
        "state_since": now,
        "owner": None if login.learnt else admins.owner_of_new(db),
    }
    added = _account(
        db.execute(insert(accounts).values(**values, revision=revisions.take(db)).returning(accounts)).one()
    )
    if not login.learnt:  # what is learnt is no person's act
        audit.note(db, Did.ADD, added, after=_kind(added))
    return added


def _take_handle(db: Connection, login: Login, account_id: int | None) -> None:
    """From whoever had it before the account with this id (None: a new one)."""
    if login.handle is None:
        return
    had = _find(db, (accounts.c.provider == login.provider.value) & (accounts.c.handle == login.handle))
    if had is not None and had.id != account_id:
        write(db, had, handle=None)


def rename(db: Connection, name: str, new_name: str) -> Account:
    """May raise `UnknownAccount`, `NameTaken` and `BadName`."""
    held = yours(db, name)
    return _set(db, held, Did.RENAME, name=_own(db, new_name, held.id))


def set_priority(db: Connection, name: str, priority: int) -> Account:
    """Lower is asked first. May raise `UnknownAccount`."""
    return _set(db, yours(db, name), Did.PRIORITY, priority=priority)


def set_weight(db: Connection, name: str, weight: float) -> Account:
    """May raise `UnknownAccount` and `BadWeight`."""
    held = yours(db, name)
    if not LIGHTEST <= weight <= HEAVIEST:  # so worded, it refuses NaN as well
        raise BadWeight(weight, LIGHTEST, HEAVIEST)
    return _set(db, held, Did.WEIGHT, weight=weight)


def set_keeping(db: Connection, name: str, keeping: Keeping) -> Account:
    """May raise `UnknownAccount`."""
    return _set(db, yours(db, name), Did.POLICY, keeping=keeping.value)


def set_paused(db: Connection, name: str, paused: bool, now: datetime) -> Account:
    """Resuming also enables a disabled account: that lasts until a person acts. May raise `UnknownAccount`."""
    held = yours(db, name)
    wanted = (paused, held.disabled if paused else None)
    if wanted == (held.paused, held.disabled):
        return held
    written = write(db, held, paused=paused, disabled=wanted[1], state_since=now)
    audit.note(db, Did.PAUSE if paused else Did.RESUME, written, before=_state(held), after=_state(written))
    return written


def disable(db: Connection, account_id: int, reason: str, now: datetime) -> Account:
    """May raise `UnknownAccount`."""
    held = numbered(db, account_id)
    return held if held.disabled == reason else write(db, held, disabled=reason, state_since=now)


def set_plan(db: Connection, account_id: int, plan: str | None) -> Account:
    """May raise `UnknownAccount`."""
    return _change(db, numbered(db, account_id), plan=plan)


def remove(db: Connection, name: str) -> Account:
    """The row and everything of it; returns what it was. May raise `UnknownAccount` and `NotAllowed`."""
    held = yours(db, name)
    audit.note(db, Did.REMOVE, held, before=_kind(held))
    return _delete(db, held)


def forget(db: Connection, account_id: int) -> bool:
    """As `remove`, if there is such an account and it was learnt; whether it went."""
    held = _find(db, (accounts.c.id == account_id) & accounts.c.learnt)
    return held is not None and _delete(db, held) is held


def touch(db: Connection, used: Mapping[int, datetime]) -> None:
    """Last used, where that is news. No revision: other processes need not hear of it."""
    if used:
        _TOUCH.run(db, [(account_id, as_text(used_at)) for account_id, used_at in used.items()])


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
        handle=row.handle,
        learnt=row.learnt,
        weight=row.weight,
        keeping=Keeping(row.keeping),
        owner=row.owner,
        people=tuple(json.loads(row.people)) if row.people != NO_PEOPLE else (),
    )


def yours(db: Connection, name: str) -> Account:
    """One that this person may change. May raise `UnknownAccount` and `NotAllowed`."""
    held = named(db, name)
    admins.require_say(db, held)
    return held


def _set(db: Connection, held: Account, did: Did, **value: Any) -> Account:
    """Write one value and note who has; the same again is no deed."""
    written = _change(db, held, **value)
    if written is not held:
        (field,) = value
        audit.note(db, did, held, before=getattr(held, field), after=getattr(written, field))
    return written


def _kind(held: Account) -> str:
    return f"{held.provider}, {held.plan}" if held.plan else held.provider.value


def _state(held: Account) -> str:
    if held.disabled is not None:
        return f"disabled: {held.disabled}"
    return "paused" if held.paused else "in use"


def _find(db: Connection, which: ColumnElement[bool]) -> Account | None:
    row = db.execute(select(accounts).where(which)).one_or_none()
    return None if row is None else _account(row)


def _delete(db: Connection, held: Account) -> Account:
    revisions.take(db, removal=True)
    db.execute(delete(accounts).where(accounts.c.id == held.id))
    return held


def _change(db: Connection, held: Account, **values: Any) -> Account:
    """Write what differs; nothing to write is no change for others to read."""
    return held if all(getattr(held, key) == value for key, value in values.items()) else write(db, held, **values)


def write(db: Connection, held: Account, **values: Any) -> Account:
    """Put these in place of what it has, for others to read."""
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
