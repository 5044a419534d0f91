"""Whose an account is, and who may use it beside them. On an open transaction."""

import json
from collections.abc import Sequence

from sqlalchemy import Connection

from seatpool.core.deeds import Did
from seatpool.core.model import Account
from seatpool.store.acting import admins, audit
from seatpool.store.databases import revisions
from seatpool.store.errors import NotAllowed
from seatpool.store.rows import accounts


def set_owner(db: Connection, name: str, person: str | None, others: Sequence[str] | None = None) -> Account:
    """None: it is everybody's from now on, and who it was shared with is forgotten. Else it is shared with `others`,
    or with those it was shared with before.

    Whoever gives it away may use it no longer, unless the new owner lets them. May raise `UnknownAccount`, `BadPerson`
    and `NotAllowed`: what is everybody's is given away by admins alone.
    """
    owner = audit.named(person) if person is not None else None
    revisions.take(db)  # nobody else changes it from here on
    held = accounts.yours(db, name)
    if held.owner is None and owner is not None:
        admins.require(db)
    named = held.people if others is None else tuple(sorted(map(audit.named, others)))
    people = tuple(each for each in named if owner not in (None, each))
    if (held.owner, held.people) == (owner, people):
        return held
    written = accounts.write(db, held, owner=owner, people=json.dumps(people))
    if held.owner != owner:
        audit.note(db, Did.OWNER, held, before=held.owner, after=owner)
    _note_people(db, held, written)
    return written


def share(db: Connection, name: str, persons: Sequence[str], *, on: bool) -> Account:
    """Let these use it as well, or no longer. May raise `UnknownAccount`, `BadPerson` and `NotAllowed`."""
    meant = {audit.named(person) for person in persons}
    revisions.take(db)  # as above
    held = accounts.yours(db, name)
    if held.owner is None:
        raise NotAllowed.everybodys(name)
    people = tuple(sorted(set(held.people) | meant - {held.owner} if on else set(held.people) - meant))
    if people == held.people:
        return held
    written = accounts.write(db, held, people=json.dumps(people))
    _note_people(db, held, written)
    return written


def _note_people(db: Connection, held: Account, written: Account) -> None:
    if held.people != written.people:
        before, after = (", ".join(each.people) or None for each in (held, written))
        audit.note(db, Did.PEOPLE, held, before=before, after=after)
