"""The values that cross boundaries: frozen, slotted, and silent about tokens.

What is frozen and holds nothing but such values cannot be part of a cycle. So it is `gc=False`, here and wherever there
is one for each account or each request: nobody has to look through ten thousand of them for garbage.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from seatpool.core.silence import silent

NOTHING: Mapping[str, str] = MappingProxyType({})


class ProviderName(StrEnum):
    """A wire dialect."""

    CODEX = "codex"
    COPILOT = "copilot"


class CredentialKind(StrEnum):
    """What a token is, and so which requests it can serve: a swap is always like for like."""

    CODEX_OAUTH = "codex-oauth"
    """ChatGPT access token with its rotating refresh token (codex.md 4)."""
    GITHUB_OAUTH = "github-oauth"
    """`gho_`, `ghu_` or fine-grained PAT; sent as it is by the Copilot CLI (copilot.md 2.6)."""
    COPILOT_TOKEN = "copilot-token"  # noqa: S105 # a kind, not a secret
    """`tid=...`, minted from a GitHub token for about half an hour (copilot.md 2.1)."""
    COPILOT_SESSION = "copilot-session"
    """Auto mode's second credential, bound to the account that asked for it (copilot.md 4)."""


class Keeping(StrEnum):
    """How free its owner is with an account's quota."""

    NORMAL = "normal"
    EXPENDABLE = "expendable"
    """To be used before the others."""
    PRESERVED = "preserved"
    """Only when no other account can serve."""


class ScopeKind(StrEnum):
    """How much of an account a cooldown takes out of selection."""

    ACCOUNT = "account"
    MODEL = "model"
    BUCKET = "bucket"


class Scope(msgspec.Struct, frozen=True, gc=False):
    """What a cooldown covers. `value` is empty for the whole account, else the model's or bucket's name."""

    kind: ScopeKind = ScopeKind.ACCOUNT
    value: str = ""


WHOLE_ACCOUNT = Scope()


class Credential(msgspec.Struct, frozen=True, gc=False):
    """A token and what belongs to it. Its `repr` shows kind and expiry, never a secret."""

    kind: CredentialKind
    token: str
    refresh_token: str | None = None
    expires_at: datetime | None = None
    """When upstream stops taking it; None where the token does not say."""
    endpoints: Mapping[str, str] = NOTHING
    """Origins (`https://host`) that came with this very token, by use: `api`, `proxy`."""
    attributes: Mapping[str, str] = NOTHING
    """What else the provider needs beside the token; the keys are the provider's own."""
    generation: int = 0
    """Grows with every stored renewal; 0 before it was ever stored."""

    __repr__ = silent("token", "refresh_token", "endpoints", "attributes")


class Account(msgspec.Struct, frozen=True, gc=False):
    """Who pays. A person in a workspace, never just an e-mail address (codex.md 4)."""

    id: int
    provider: ProviderName
    name: str
    """Unique in the database; what a person types."""
    identity: str
    """The provider's own stable name for this person and workspace; unique for one provider."""
    issuer: str
    """Host that issued the login: `chatgpt.com`, `github.com` or `<tenant>.ghe.com`."""
    priority: int = 100
    """Lower is asked first."""
    paused: bool = False
    disabled: str | None = None
    """Why a durable refusal took it out, until a person acts; None while it is in use."""
    plan: str | None = None
    last_used_at: datetime | None = None
    handle: str | None = None
    """A name that upstream lets its owner change, such as `github.com/alice`; tells a login that knows no more."""
    weight: float = 1.0
    """Its share of requests beside the others', where the strategy is `weighted`."""
    keeping: Keeping = Keeping.NORMAL
    learnt: bool = False
    """The account that an editor is signed in with, known from its own traffic: we hold no login of it."""
    owner: str | None = None
    """Whose it is; None: everybody's."""
    people: tuple[str, ...] = ()
    """Who may use it beside its owner, by name; nobody where it is everybody's."""

    def open_to(self, person: str | None) -> bool:
        """Whether this person may use it; None stands for whoever asks where there are no persons."""
        return self.owner is None or person is None or person == self.owner or person in self.people

    @property
    def usable(self) -> bool:
        """Neither paused by its owner nor disabled by a durable refusal."""
        return not self.paused and self.disabled is None


class QuotaWindow(msgspec.Struct, frozen=True, gc=False):
    """One limit of one account as it was last seen."""

    bucket: str
    """The upstream's name for it: `primary`, `chat`, `session`, ...; `limit/slot` where only some models draw on it."""
    left: float
    """Share left, 0.0 to 1.0; 1.0 when unlimited."""
    observed_at: datetime
    source: str
    """Where it was read: `header`, `frame`, `body` or `usage`."""
    unlimited: bool = False
    length_s: int | None = None
    """0: there is no such window any more. That is known, kept and told to others as if it were one."""
    resets_at: datetime | None = None

    @classmethod
    def none(cls, bucket: str, observed_at: datetime, source: str) -> "QuotaWindow":
        """The news that there is no such window."""
        return cls(bucket, 1.0, observed_at, source, length_s=0)

    @property
    def gone(self) -> bool:
        """Whether it is the news that there is none."""
        return self.length_s == 0

    @property
    def shown(self) -> tuple[int, bool, datetime | None]:
        """What a reader would see of it: the share left in tenths of a percent, whether there is a limit, its end."""
        return round(self.left * 1000), self.unlimited, self.resets_at

    def repeated_by(self, other: "QuotaWindow") -> bool:
        """Whether another observation says the same."""
        return (self.left, self.unlimited, self.length_s, self.resets_at) == (
            other.left,
            other.unlimited,
            other.length_s,
            other.resets_at,
        )

    @property
    def empty_until(self) -> datetime | None:
        """The reset of a spent window; where upstream names none, its length after it was seen so. None: not spent."""
        if self.unlimited or self.left > 0.0:
            return None
        if self.resets_at is None and self.length_s is not None:
            return self.observed_at + timedelta(seconds=self.length_s)
        return self.resets_at


class Cooldown(msgspec.Struct, frozen=True, gc=False):
    """A timed removal of an account, or of a part of it, from selection."""

    account_id: int
    scope: Scope
    reason: str
    """A stable code, such as `usage_limit_reached`; never a message's text."""
    until: datetime
    created_at: datetime
    strikes: int = 0
    """How often in a row it was refused here and nobody gave a time; 0 where upstream has always named one."""


class Cooling(msgspec.Struct, frozen=True, gc=False):
    """A cooldown that begins, one that ends, or one that takes the other's place."""

    begins: Cooldown | None = None
    ends: Cooldown | None = None
    """Before its time, or forgotten after it, unless another process has replaced it meanwhile."""


class Affinity(msgspec.Struct, frozen=True, gc=False):
    """Which account served a conversation last."""

    conversation: str
    """Its opaque key; holds no content."""
    account_id: int
    served_at: datetime
    cached_tokens: int | None = None
    """What the account's prompt cache holds of it; None where upstream has not told."""


class Carried(msgspec.Struct, frozen=True, gc=False):
    """What an account has given out that nobody else can read: hashes alone, no contents."""

    account_id: int
    keys: tuple[int, ...]
    """Each of 64 bits."""
    learnt_at: datetime


class UnderWay(msgspec.Struct, frozen=True, gc=False):
    """How many requests of one process are under way, as it has told the others."""

    owner: str
    """Differs for every process."""
    beat_at: datetime
    counts: Mapping[int, int]
    """By account id, each 1 or more; empty where it has none."""


class Tokens(NamedTuple):
    """What an upstream has counted of one answer; None where it has not said."""

    input: int | None
    """Of all that was sent, read from a prompt cache or not."""
    cached: int | None
    """Those of them that were read from a prompt cache."""
    output: int | None
    reasoning: int | None = None
    """Those of the output that are not shown."""
    written: int | None = None
    """Those of the input that were put into a prompt cache, where that has a price of its own."""
    nano_credits: int | None = None
    """What a plan that bills by use was charged: billionths of an AI credit (copilot.md 5.3)."""


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """One sending of one flow upstream, or one turn on its open socket, as it is recorded."""

    flow_id: str
    number: int
    """From 1."""
    account_id: int
    route: str
    model: str | None
    """The one that was sent: a substitute's, where the editor asked for another."""
    outcome: str
    status: int | None
    """HTTP status; None when no answer came, and of a turn on a socket."""
    started_at: datetime
    first_byte_ms: float | None
    """From the sending of this attempt to the head of its answer."""
    reason: str | None = None
    """Why this account: as `Selection.reason`, or `renewed`, `repaired`, `resent`; `socket` of a turn on its socket.
    None in old records."""
    chosen_in: str | None = None
    """Flow of the same conversation whose recorded choice tells the candidates of this one as well."""
    total_ms: float | None = None
    """To the end of its answer; None in old records."""
    tokens: Tokens | None = None
    client: str | None = None
    """The program that asked, as it names itself."""
    repository: str | None = None
    """The first that the request named; none where it did not tell."""
