"""One flow's way through the pool: what was tried, and what serves it now."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from time import monotonic

import msgspec
from msgspec.structs import replace

from seatpool.core.model import Account, Cooldown, Credential, CredentialKind, Scope, ScopeKind
from seatpool.core.outcome import OutcomeKind
from seatpool.core.quotas import PREMIUM
from seatpool.core.rules import Rule
from seatpool.core.selection import Demand, Exhausted
from seatpool.core.slots import Slot
from seatpool.providers.base import Edits, RequestFacts
from seatpool.providers.carriers import Carrier
from seatpool.providers.http import HeaderView
from seatpool.providers.repairs import Repaired


class Assignment(msgspec.Struct, frozen=True, gc=False):
    """A flow and an account, for one attempt."""

    account: Account
    credential: Credential
    """The one that the request is sent with; its `repr` is silent."""
    edits: Edits
    number: int
    """Of the attempt, from 1."""
    reason: str
    """Why this account: `affinity`, `bound`, `rule`, `best`, `fallback`, `renewed`, `repaired`, `resent`."""
    started_at: datetime


class Own(msgspec.Struct, frozen=True, gc=False):
    """What the editor itself is signed in with, where that is an account of the pool as well."""

    account_id: int
    credential: Credential
    """As the editor sent it."""
    origin: str
    """Where the editor sent it."""


class Halted(msgspec.Struct, frozen=True, gc=False):
    """An issuer has revoked or flagged an account: its request must not go to another one (promises.md)."""

    account: Account
    code: str


class Answered(msgspec.Struct, frozen=True, gc=False):
    """What is known of the answer to an attempt when its head arrives, or fails to."""

    status: int | None
    first_byte_ms: float | None


class Turn(msgspec.Struct):
    """A turn that is under way on a socket."""

    started_at: datetime
    sent_at: float
    """Monotonic time."""
    model: str | None
    first_ms: float | None = None
    """From then to the upstream's first message."""
    warming: bool = False
    """It only readies the socket for the next one: that it went well tells nothing of quota."""
    message: bytes | None = None
    """The client's, as it was before it was fitted to an account; None once the upstream has sent anything."""


class Bond(msgspec.Struct):
    """What ties a request to the account that can read it; found out only where it would go to another one."""

    body: Callable[[], bytes] = bytes
    """Its decoded body."""
    seen: bool = False
    """It was looked into."""
    owner: int | None = None
    """Whose the newest is of what it holds, else who served its conversation last; None where nobody knows."""
    kinds: frozenset[Carrier] = frozenset()
    """Of a socket: those in the client's last message."""
    free: bool = False
    """It need not wait for its owner any more."""
    ready: tuple[int, Repaired] | None = None
    """What is to be sent next, should this account be asked again."""
    verdict: Exhausted | None = None
    """What the editor is told in the place of a refusal that says only that an account could not read it."""


class Trail(msgspec.Struct):
    """Attempts of one flow. Owned by the event loop; lives as long as the flow."""

    flow_id: str
    facts: RequestFacts
    """With the model that is sent: a substitute's, where `asked` is set."""
    headers: HeaderView
    """As the editor sent them."""
    demand: Demand
    rule: Rule | None = None
    """The person's rule that `demand` follows."""
    own: Own | None = None
    """None as well once upstream has refused it."""
    halted: Halted | None = None
    current: Assignment | None = None
    slot: Slot = msgspec.field(default_factory=Slot)
    """Its place at the account that serves it, or is about to."""
    began: float = msgspec.field(default_factory=monotonic)
    waited_s: float = 0.0
    """For a place or for a limit's end, so far."""
    limited: set[int] = msgspec.field(default_factory=set)
    """Of those that were tried, whom a limit kept from serving: they may be asked again when that is over."""
    left: bool = False
    """Its client has gone."""
    held: bool = False
    """It was refused, and has waited for a limit to end."""
    last: bool = False
    """What is sent now is the one sending more that comes of that."""
    asked_at: datetime | None = None
    """When the present account was last sent something."""
    probe: Cooldown | None = None
    """The cooldown of the present account that this attempt is to try."""
    tries: bool = False
    """It does so: it was sent, or what was ahead of it was refused. A socket does not before its first turn."""
    chosen_in: str | None = None
    """The earlier request whose recorded choice tells the candidates of this one's as well."""
    number: int = 0
    first: int = 1
    """The number of the present request's first attempt: on a socket each turn is a request."""
    again: bool = False
    """The turn that is about to begin has been sent before."""
    tried: set[int] = msgspec.field(default_factory=set)
    repeats: Counter[tuple[int, OutcomeKind]] = msgspec.field(default_factory=Counter)
    bond: Bond = msgspec.field(default_factory=Bond)
    repaired: bytes | None = None
    """What the present attempt is to send in the place of the editor's body; decoded, and None once it is taken."""
    recorded: int = 0
    """Number of the last attempt of which is recorded what came of it."""
    answered: Answered | None = None
    """Of an answer that has begun and is not over."""
    turn: Turn | None = None
    turns: int = 0
    """Of its socket that are over."""
    given_up: set[CredentialKind] = msgspec.field(default_factory=set)
    """Second credentials that upstream would not have: the request goes without."""
    asked: RequestFacts | None = None
    """What the editor asked for, where nobody could serve its model; the substitute's facts are in its place then."""
    substituted: set[str] = msgspec.field(default_factory=set)
    """Substitutes that it has had."""
    exhausted: Exhausted | None = None
    """What the editor is told should nobody be found: of what was looked for, that which ends soonest."""
    told: int = 0
    """Number of the last attempt that belongs to a request which is over, and noted to be."""
    asked_of: int | None = None
    """Id of the account that was asked last."""
    sent_at: datetime | None = None
    """When the present request was first sent to anybody; None of a turn on a socket that was open."""
    first_ms: float | None = None
    """From `began` to the first of an answer to the present request."""
    soonest: tuple[datetime, int, str] | None = None
    """The earliest end that a refusal named, the number of the attempt that got it, and its code."""

    remedy: asyncio.Task[None] | None = None
    """What follows for the account that refused last, on its way to the database."""

    async def remedied(self) -> None:
        """Wait until what follows from refusals is durable."""
        remedy, self.remedy = self.remedy, None
        if remedy is not None:
            await asyncio.shield(remedy)  # a client that leaves does not end it

    def let_go(self) -> None:
        """It need not wait for its conversation's owner any more."""
        self.demand, self.bond.free = replace(self.demand, bound=False), True

    def take_repaired(self) -> bytes | None:
        """What to send now in the place of the editor's body; nothing of it is kept."""
        repaired, self.repaired = self.repaired, None
        return repaired

    def refused(self, until: datetime, code: str, now: datetime) -> None:
        """The present attempt was refused until then: the refusal that ends soonest is the one to be told."""
        if self.soonest is None or self.soonest[0] <= now or until < self.soonest[0]:
            self.soonest = (until, self.number, code)

    def next_turn(self) -> None:
        """A request of its own begins, on the socket of those before."""
        self.first, self.began, self.waited_s = self.number, monotonic(), 0.0
        self.held = self.last = False
        self.first_ms = None
        self.soonest = None
        self.limited.clear()
        self.tried.clear()
        self.repeats.clear()

    @property
    def attempt(self) -> int:
        """Which sending of the present request this is, from 1."""
        return self.number - self.first + 1

    @property
    def short_id(self) -> str:
        """How log lines name the request; enough for `seatpool why`."""
        return self.flow_id[:8]


def demand_of(facts: RequestFacts, draws: tuple[str, ...] = ()) -> Demand:
    """What selection must respect for this request; `draws`: the model's own buckets, as far as they are known."""
    scopes = [Scope(ScopeKind.BUCKET, str(facts.needs[0]))]
    scopes += [Scope(ScopeKind.BUCKET, bucket) for bucket in facts.buckets]
    if facts.model is not None:
        scopes.append(Scope(ScopeKind.MODEL, facts.model))
    premium = any(bucket.startswith(PREMIUM) for bucket in facts.buckets)
    return Demand(
        facts.route.provider, tuple(scopes), facts.conversation, model=facts.model, buckets=draws, premium=premium
    )
