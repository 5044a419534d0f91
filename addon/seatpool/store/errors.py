"""What can go wrong with the store. Each message is one line: what, where, and how to mend it; never a secret."""

from collections.abc import Iterable


class StoreError(Exception):
    """Everything that the store raises."""


class StoreUnavailable(StoreError):
    """The database cannot be read or written now: locked, full, damaged, out of reach, or closed."""


class Unstorable(StoreError):
    """A value that this kind of database cannot keep: a text with a NUL or not UTF-8, or none where one must be.

    It is about what was to be written alone. Nothing was changed.
    """


class NewerDatabase(StoreError):
    """The database has a schema that this version does not know. Nothing was changed in it."""


class WrongKey(StoreUnavailable):
    """The key that sealed the credentials is missing or is another one. Nothing was changed.

    For a process that runs it may pass: the key was changed, and the keyring that has the new one is locked just now.
    """


class Superseded(StoreError):
    """Somebody else has stored a newer credential meanwhile: a person who signed in, or another process."""

    def __init__(self, account_id: int, kind: str) -> None:
        super().__init__(f"the {kind} credential of account {account_id} was replaced meanwhile; read it again")


class UnknownAccount(StoreError):
    """No account of that name or number; it may just have been removed by another process."""

    @classmethod
    def named(cls, name: str, known: Iterable[str]) -> "UnknownAccount":
        """For a name that a person typed: tells the names there are."""
        names = ", ".join(known)
        hint = f"known: {names}" if names else "there is none yet, `seatpool account import PATH` adds one"
        return cls(f"no account is named {name!r}; {hint}")

    @classmethod
    def numbered(cls, account_id: int) -> "UnknownAccount":
        """For an id that a process held on to."""
        return cls(f"account {account_id} is gone: it was removed, or never was in this database")


class NameTaken(StoreError):
    """Another account has that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"another account is named {name!r} already; choose another name")


class BadName(StoreError):
    """A name that cannot be shown on one line, or none at all."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} cannot be an account's name; use one line of visible characters")


class BadWeight(StoreError):
    """A weight that no share can be reckoned by."""

    def __init__(self, weight: float, lightest: float, heaviest: float) -> None:
        super().__init__(f"{weight:g} cannot be a weight; say a number from {lightest:g} to {heaviest:g}")


class BadPerson(StoreError):
    """A name that cannot be a person's."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} cannot be a person's name; use one line of visible characters, 100 at most")


class BadLock(StoreError):
    """What cannot be locked, or not to that."""


class NotAllowed(StoreError):
    """Another person may do that, this one may not. Nothing was changed."""

    @classmethod
    def admins_only(cls, admins: Iterable[str], person: str) -> "NotAllowed":
        """For what concerns everybody."""
        return cls(f"only an admin may do that: {', '.join(admins)}; {_you_are(person)}")

    @classmethod
    def anothers(cls, name: str, owner: str | None, admins: Iterable[str], person: str) -> "NotAllowed":
        """For an account of somebody else's."""
        return cls(f"{name} is {owner}'s: only they or an admin may do that: {', '.join(admins)}; {_you_are(person)}")

    @classmethod
    def everybodys(cls, name: str) -> "NotAllowed":
        """For an account that nobody can be kept from."""
        return cls(f"{name} is everybody's; say whose it is first: seatpool account owner {name} PERSON")


def _you_are(person: str) -> str:
    return f"you are {person}, unless SEATPOOL_PERSON says otherwise"
