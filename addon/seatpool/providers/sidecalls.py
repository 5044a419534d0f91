"""What is asked of an issuer beside the editor's requests: credentials, quota, lists of models."""

from collections.abc import Generator, Mapping
from datetime import datetime
from enum import Enum

import msgspec

from seatpool.core.model import Account, Credential, CredentialKind, QuotaWindow
from seatpool.providers.http import HttpReply, HttpRequest

OWNER = "owner"
"""Key of the credential's attributes: path of the file where it was found. What its program renews we never do, and
when it is signed in there anew nobody tells us: we read it again."""


class Why(Enum):
    """What makes a renewal necessary."""

    MISSING = "missing"
    """There is none that can be sent."""
    EARLY = "early"
    """The held one is good for some minutes yet, and no request waits."""
    REFUSED = "refused"
    """Upstream just refused the held one (401 or 421), whatever its expiry says."""


class RenewalNeed(msgspec.Struct, frozen=True, gc=False):
    """Why and for whom a credential is to be had."""

    account: Account
    kind: CredentialKind
    held: Mapping[CredentialKind, Credential]
    """Every credential of the account that is stored or cached now."""
    client_headers: tuple[tuple[str, str], ...] = ()
    """What the person's own editor last sent of the headers named by `client_headers`; empty before any was seen."""
    why: Why = Why.MISSING


class Reread(msgspec.Struct, frozen=True, gc=False):
    """Yielded by a renewal of a login that another program renews: what does its file hold now?"""

    path: str


class Keep(msgspec.Struct, frozen=True, gc=False):
    """Yielded by a renewal: store this durably *before* going on (a refresh token is good once)."""

    credential: Credential


class Renewed(msgspec.Struct, frozen=True, gc=False):
    """A renewal went well."""

    credential: Credential
    plan: str | None = None
    windows: tuple[QuotaWindow, ...] = ()


class RenewalRefused(msgspec.Struct, frozen=True, gc=False):
    """A renewal was refused."""

    code: str
    """Stable code for log and `status`."""
    durable: bool
    """True: only a person can mend it (disable the account). False: try again later."""
    retry_at: datetime | None = None
    kind_only: bool = False
    """The login is fine but cannot give this kind of credential (copilot.md 2.4: 404); cool that kind only."""
    revoked: bool = False
    """The issuer has taken the seat away or flags the account: the request must not go to another one (promises.md)."""
    doubtful: bool = False
    """It is known to pass, as in an issuer's bad hours: to be believed where it goes on."""
    unreached: bool = False
    """Nobody was there to be asked: it is the network that is away, if anything is."""


Renewal = Generator[HttpRequest | Keep | Reread, HttpReply | bytes | None, Renewed | RenewalRefused]
"""Send `None` to start and after a `Keep`; after a request its reply, after a `Reread` the file's content, or `None`
where there was none."""


class Usage(msgspec.Struct, frozen=True, gc=False):
    """What an issuer tells of an account's quota when it is asked."""

    windows: tuple[QuotaWindow, ...]
    plan: str | None = None
    gone: tuple[str, ...] = ()
    """Buckets that the plan does not have, as the answer says; what it leaves open is not among them."""
    credential: Credential | None = None
    """The held one with what it lacked and the answer told; None where there was nothing to learn."""
    funded: bool = False
    """Something else, that was bought, pays for what the windows lack."""


class NotTold(msgspec.Struct, frozen=True, gc=False):
    """An issuer that was asked has not told."""

    code: str
    """Stable code for the log."""
    retry_at: datetime | None = None
    """Before that it wants not to be asked again."""
    revoked: bool = False
    """It has taken the seat away or flags the account (promises.md)."""


Models = Mapping[str, bytes]
"""An account's own list: each model's entry, as JSON, by the name under which requests ask for it."""

Held = Mapping[CredentialKind, Credential]
"""The credentials of an account that memory holds."""

ClientHeaders = tuple[tuple[str, str], ...]
"""What `Provider.client_headers` told last; empty before any editor was seen."""
