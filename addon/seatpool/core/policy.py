"""Every tunable number, with its unit and its source."""

import msgspec

from seatpool.core.affinity import Sticking
from seatpool.core.fallback import NO_FALLBACK, Fallback
from seatpool.core.fastmode import FastMode
from seatpool.core.provenance import Moving
from seatpool.core.silence import silent
from seatpool.core.strategy import Dormancy, Strategy


class Policy(msgspec.Struct, frozen=True):
    """How the pool behaves. Options of the proxy fill the first group; the rest are measured or sourced constants."""

    max_attempts: int = 3
    """Sendings of one request at most; a walk for spent quota may go on, once per account (promises.md)."""
    rotate_on_limit: bool = True
    """False: a limited account's refusal is the editor's to see, and no cooldown follows from it."""
    replay_unanswered: bool = False
    """A request that went out whole and got no answer goes to another account, although it may have been served."""
    strategy: Strategy = Strategy.QUOTA
    """In which order accounts are asked."""
    affinity: Sticking = Sticking.AUTO
    """How much a warm prompt cache counts against another account's quota."""
    affinity_strength: float = 1.0
    """By what that is multiplied."""
    dormancy: Dormancy = Dormancy.NEW_SESSION_ONLY
    """When a request begins a window that begins with its first use."""
    learn: bool = True
    """The accounts that editors are signed in with serve as well."""
    poll_usage: bool = True
    """Issuers are asked for the quota of accounts in use, where their answers have not told it for a while."""
    union_models: bool = False
    """The editor's model list names the models of the pooled accounts as well."""
    fallback: Fallback = NO_FALLBACK
    """Which models are asked for where nobody can serve the one that was."""
    fast_mode: FastMode = FastMode.DISABLED
    """Which requests ask for being served faster."""
    moving: Moving = Moving.ASK_UPSTREAM
    """What becomes of a request whose contents only an account can read that cannot serve now."""

    max_in_flight: int = 0
    """Requests of one account under way at the same time at most; 0: as many as upstream takes, which is learnt."""

    slot_wait_s: float = 10.0
    """How long a request waits for a place at an account: an editor shows nothing wrong for that long (codex.md 6)."""
    short_wait_s: float = 5.0
    """A throttle that ends within it is waited for rather than left for another account (copilot.md 5.4)."""
    brief_pause_s: float = 0.5
    """Before the one brief retry where the provider is overloaded and names no time (copilot.md 5.4)."""
    max_wait_s: float = 10.0
    """How long a request waits for the end of a limit, within its client's patience; 0: not at all. As for a place."""
    slot_successes: int = 10
    """Requests served at a learnt limit before one more is tried."""
    rate_limit_cooldown_s: float = 60.0
    """When a throttle names no end (codex.md 8, the default of the prior scorer); the first of several in a row."""
    quota_cooldown_s: float = 15 * 60.0
    """When spent quota names no reset: long enough not to hammer, short against the shortest window (5 h)."""
    repeated_limit_factor: float = 5.0
    """How much longer each limit without a time rests an account than the one before: 1 min, 5 min, 25 min, 1 h."""
    egress_within_s: float = 10.0
    """Two accounts that are throttled namelessly within this time share an address that is: a replay takes seconds."""
    longest_guess_s: float = 3600.0
    """Longer than this no limit rests on our own guess; spent quota that names no reset: 15 min, then 1 h."""
    first_entitlement_s: float = 10 * 60.0
    """A model that the account is said not to have, for the first of several times in a row: a service that is not
    itself says so for minutes of models that all have (github/copilot-cli#1941). Then 50 min, 4 h, 21 h, a day."""
    entitlement_cooldown_s: float = 24 * 3600.0
    """The same when it has been said again and again, and a kind of token that the account does not have; plans change
    by the day, not by the minute."""
    unauthorized_cooldown_s: float = 5 * 60.0
    """A token refused although it was just renewed."""
    renewal_cooldown_s: float = 30.0
    """The token endpoint failed in passing (network, 429 or 5xx without a time of its own)."""
    unreached_cooldown_s: float = 2.0
    """Nobody could be connected to, as while a network comes up after sleep; twice that each time in a row, and as long
    as the above in the end. Each try may take five seconds of a request's."""
    longest_cooldown_s: float = 35 * 24 * 3600.0
    """No window is longer than a month; a later deadline is a unit mistaken."""

    affinity_ttl_s: float = 30 * 24 * 3600.0
    """For so long is remembered who owns a conversation that only its owner can read (codex.md 2.3, copilot.md 4).

    People take conversations up again after a weekend, and after a holiday.
    """
    notify_desktop: bool = False
    """Notices are shown on the person's desktop."""
    webhook: str = ""
    """Where notices are sent; empty: nowhere. May hold a secret."""
    otlp_endpoint: str = ""
    """Where traces are sent; empty: nowhere."""
    ledger_days: int = 400
    """For so long each request is kept in the record; the sums of its day stay."""
    affinity_limit: int = 10_000
    """Conversations remembered; the oldest are forgotten first."""

    unreadable_s: float = 3600.0
    """For so long nobody asks an account again that could not read a conversation; plans and keys change rarely."""

    __repr__ = silent("webhook", "otlp_endpoint")

    @property
    def order(self) -> Strategy | None:
        """The strategy; None where limits are to move nobody: then priority alone decides."""
        return self.strategy if self.rotate_on_limit else None
