"""Who may do what, on an open transaction. Until the first admin is named, everybody may do everything."""

from datetime import UTC, datetime

from sqlalchemy import Connection, delete, select

from seatpool.core.deeds import Did
from seatpool.core.model import Account
from seatpool.store.acting import audit
from seatpool.store.databases.engine import upsert
from seatpool.store.errors import NotAllowed
from seatpool.store.schema import admins

_EVERY = select(admins.c.person).order_by(admins.c.since, admins.c.person)


def every(db: Connection) -> tuple[str, ...]:
    """In the order in which they were named."""
    return tuple(db.scalars(_EVERY))


def require(db: Connection) -> None:
    """What follows is for admins. Raises `NotAllowed`."""
    known, person = every(db), audit.actor(db).person
    if known and person not in known:
        raise NotAllowed.admins_only(known, person)


def require_say(db: Connection, held: Account) -> None:
    """What follows is for the owner of an account and for admins; everybody's is everybody's. Raises `NotAllowed`."""
    if not has_say(db, held):
        raise NotAllowed.anothers(held.name, held.owner, every(db), audit.actor(db).person)


def has_say(db: Connection, held: Account) -> bool:
    """Whether this person may change an account."""
    known, person = every(db), audit.actor(db).person
    return not known or person in known or held.owner in (None, person)


def owner_of_new(db: Connection) -> str | None:
    """Whose an account is that this person adds: where there is a team it is theirs, until they share it."""
    return audit.actor(db).person if every(db) else None


def appoint(db: Connection, person: str) -> bool:
    """Whether they were none before. May raise `NotAllowed` and `BadPerson`."""
    require(db)
    name = audit.named(person)
    new = upsert(admins).values(person=name, since=datetime.now(UTC)).on_conflict_do_nothing()
    if db.execute(new.returning(admins.c.person)).first() is None:
        return False
    audit.note(db, Did.ADD_ADMIN, after=name)
    return True


def dismiss(db: Connection, person: str) -> bool:
    """Whether they were one; after the last one, everybody is again. May raise `NotAllowed` and `BadPerson`."""
    require(db)
    name = audit.named(person)
    if not db.execute(delete(admins).where(admins.c.person == name)).rowcount:
        return False
    audit.note(db, Did.REMOVE_ADMIN, before=name)
    return True
