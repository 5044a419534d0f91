"""What is found in the files of the programs that people sign in with."""

import msgspec

from seatpool.core.model import Credential, ProviderName


class NotALogin(ValueError):
    """The file holds no login that we can read; the message says what is wrong with it, never its contents."""


class ImportedLogin(msgspec.Struct, frozen=True, gc=False):
    """One login found in a file of another program."""

    provider: ProviderName
    name: str
    """A suggestion, from what the file says of its owner."""
    identity: str | None
    """As `Account.identity`; None where the file does not say whose it is: then the issuer has to be asked."""
    issuer: str
    credentials: tuple[Credential, ...]
    plan: str | None = None
    handle: str | None = None
    """As `Account.handle`."""
    shared: bool = False
    """The program that wrote the file renews this login by itself: who else does signs it out (codex.md 4)."""
    program: str = ""
    """Who wrote the file, as people call it."""
    note: str = ""
    """What the login cannot serve, to be said after its name; empty where it serves everything."""
