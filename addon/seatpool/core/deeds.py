"""What people do to a pool, as it is kept: who, when, what, to which account, from what to what."""

from datetime import datetime
from enum import StrEnum

import msgspec


class Did(StrEnum):
    """What was done."""

    ADD = "add"
    SIGN_IN = "sign-in"
    RENAME = "rename"
    REMOVE = "remove"
    PAUSE = "pause"
    RESUME = "resume"
    PRIORITY = "priority"
    WEIGHT = "weight"
    POLICY = "policy"
    OWNER = "owner"
    PEOPLE = "people"
    EXPORT = "export"
    CLEAR_COOLDOWNS = "clear-cooldowns"
    LOCK = "lock"
    UNLOCK = "unlock"
    ADD_ADMIN = "add-admin"
    REMOVE_ADMIN = "remove-admin"
    ROTATE_KEY = "rotate-key"
    EXPORT_KEY = "export-key"


class Actor(msgspec.Struct, frozen=True):
    """Who acts. The person is what they say of themselves, the rest what the system says."""

    person: str
    user: str
    """Of the operating system."""
    host: str


class Deed(msgspec.Struct, frozen=True):
    """One that was done."""

    at: datetime
    actor: Actor
    did: Did | str
    """A string of a newer version's."""
    account: str | None = None
    """Its name then; it may be called otherwise now, or be gone."""
    before: str | None = None
    after: str | None = None
