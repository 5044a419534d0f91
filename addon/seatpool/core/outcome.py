"""Classified answers: what a refusal means, how far it reaches and when it ends."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from types import MappingProxyType

import msgspec

from seatpool.core.model import WHOLE_ACCOUNT, CredentialKind, Scope, ScopeKind

UNKNOWN = "unknown-"
"""Codes begin so of refusals that no row of a table names. The editor gets them as they came, and they are counted."""


class OutcomeKind(Enum):
    """What an answer, or the lack of one, means for the pool."""

    OK = "ok"
    QUOTA_SPENT = "quota-spent"
    """A plan window is empty: cool until it resets, walk on through the pool."""
    RATE_LIMITED = "rate-limited"
    """A short throttle of this account (or of one model on it)."""
    UNAUTHORIZED = "unauthorized"
    """The token is stale or revoked: renew once, then another account."""
    MISDIRECTED = "misdirected"
    """Token and host do not fit together (421): read the endpoints again, once."""
    NOT_ENTITLED = "not-entitled"
    """The account's plan or policy has no such thing: another account may."""
    REVOKED = "revoked"
    """Abuse flag, suspension, licence taken away: disable, tell, and never try the next account."""
    CARRIER = "carrier"
    """The payload carries something that only another account can read."""
    SERVER_ERROR = "server-error"
    """5xx of the service: once more on the same account."""
    OVERLOADED = "overloaded"
    """Not the account's limit (model at capacity, integrator, egress, provider): do not switch."""
    CLIENT_ERROR = "client-error"
    """The request's own fault; the editor is to read it."""
    CONNECT_FAILED = "connect-failed"
    """The request never got out."""
    STALE_CONNECTION = "stale-connection"
    """A kept-alive connection died before a byte of an answer."""
    UNANSWERED = "unanswered"
    """The request went out whole and no answer came: it may have been served."""


class About(Enum):
    """Whose affair a refusal is: who has to change, or to wait, before the answer can be another one."""

    ACCOUNT = "account"
    MODEL = "account+model"
    """One model on the account."""
    REQUEST = "request"
    PROVIDER = "provider"
    """The service, or whoever runs the model: every account would meet it."""
    INTEGRATOR = "integrator"
    """Everybody who uses this client program."""
    EGRESS = "egress"
    """Everybody who comes from this address."""
    CLIENT = "client"
    """The program on the person's machine: its version, its own limits, its next step."""


_USUALLY: Mapping[OutcomeKind, About] = MappingProxyType(
    {
        OutcomeKind.CARRIER: About.REQUEST,
        OutcomeKind.CLIENT_ERROR: About.REQUEST,
        OutcomeKind.SERVER_ERROR: About.PROVIDER,
        OutcomeKind.OVERLOADED: About.PROVIDER,
        OutcomeKind.CONNECT_FAILED: About.PROVIDER,
        OutcomeKind.STALE_CONNECTION: About.PROVIDER,
        OutcomeKind.UNANSWERED: About.PROVIDER,
    }
)
"""Of every other kind it is the account's."""


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """A classified answer."""

    kind: OutcomeKind
    code: str
    """Stable code for logs, cooldown reasons and counters; never a message's text."""
    scope: Scope = WHOLE_ACCOUNT
    until: datetime | None = None
    """When the upstream says that it ends; None when it does not say."""
    without: CredentialKind | None = None
    """Of a CARRIER: the second credential whose absence, or renewal, mends it; None where nothing of ours does."""
    concurrent: bool = False
    """Of a RATE_LIMITED: it is about how many requests the account has under way at the same time."""
    anonymous: bool = False
    """Of a RATE_LIMITED: nothing in the answer names the account or a time; it may be about where we come from."""
    brief: bool = False
    """It is likely to be over soon: the same account is asked once more after a short pause."""
    whose: About | None = None
    """Where it is another's than refusals of its kind usually are."""
    status: int | None = None
    """Of one that is unknown, where it came with one."""

    @property
    def about(self) -> About:
        """Whose affair it is."""
        usual = About.MODEL if self.scope.kind is ScopeKind.MODEL else About.ACCOUNT
        return self.whose or _USUALLY.get(self.kind, usual)

    @property
    def unknown(self) -> bool:
        """No row of a table names it."""
        return self.code.startswith(UNKNOWN)


OK = Outcome(OutcomeKind.OK, "ok")
