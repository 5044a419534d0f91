"""Who does what: the actor of a process, and a row for each deed, on the transaction of the deed itself.

The actor travels with the engine, so whoever writes knows it and nobody has to hand it on. Rows are never pruned.
"""

import getpass
import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, or_, select

from seatpool.core.deeds import Actor, Deed, Did
from seatpool.core.model import Account
from seatpool.store.errors import BadPerson
from seatpool.store.schema import accounts, audit

PERSON = "SEATPOOL_PERSON"
"""Variable of the environment that says who a person is; else they are the operating system's user."""
LONGEST = 100
"""Characters of a person's name."""
_ACTOR = "seatpool_actor"
_NEWEST_LAST = select(audit).order_by(audit.c.id)


def here(person: str = "") -> Actor:
    """Whoever runs this process, under the name that is given here or in the environment. Raises `BadPerson`."""
    user = _user()
    return Actor(named(person or os.environ.get(PERSON, "") or user), user, socket.gethostname() or "localhost")


def named(person: str) -> str:
    """A person's name as it is stored. Raises `BadPerson`."""
    name = person.strip()
    if not name or len(name) > LONGEST or not name.isprintable():
        raise BadPerson(person)
    return name


def acting(engine: Engine, actor: Actor) -> Engine:
    """The engine in this actor's hands."""
    return engine.execution_options(**{_ACTOR: actor})


def actor(db: Connection) -> Actor:
    """In whose hands this connection is."""
    found: Actor | None = db.get_execution_options().get(_ACTOR)
    return found if found is not None else here()


def note(
    db: Connection, did: Did, account: Account | None = None, *, before: object = None, after: object = None
) -> None:
    """What is being done in this transaction; undone, it was never noted. Never a secret."""
    who = actor(db)
    row: dict[str, Any] = {
        "done_at": datetime.now(UTC),
        "person": who.person,
        "system_user": who.user,
        "host": who.host,
        "deed": did.value,
        "account_id": account.id if account is not None else None,
        "account": account.name if account is not None else None,
        "before": None if before is None else str(before),
        "after": None if after is None else str(after),
    }
    db.execute(insert(audit).values(**row))


def deeds(db: Connection, since: datetime | None, name: str | None) -> Sequence[Deed]:
    """Those done then or later, to the account that has or had this name, under whatever name; the latest last."""
    wanted = _NEWEST_LAST if since is None else _NEWEST_LAST.where(audit.c.done_at >= since)
    if name is not None:
        now = select(accounts.c.id).where(accounts.c.name == name)
        once = select(audit.c.account_id).where(audit.c.account == name)
        wanted = wanted.where(or_(audit.c.account_id.in_(now), audit.c.account_id.in_(once)))
    return tuple(map(_deed, db.execute(wanted)))


def _deed(row: Row[Any]) -> Deed:
    who = Actor(row.person, row.system_user, row.host)
    did = Did(row.deed) if row.deed in Did else row.deed
    return Deed(row.done_at, who, did, row.account, row.before, row.after)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # nobody has given this number a name, as in some containers
        return f"uid-{os.getuid()}"
