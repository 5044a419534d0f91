"""What one process knows of the pool, indexed so that choosing costs the same with ten accounts and ten thousand.

Mutable, yet pure: it changes only by what it is told, and never asks the time. Accounts that may be asked stand in one
line per provider, best first; the others rest until a cooldown ends, which an alarm remembers. A score moves with the
time, so each is taken anew every two minutes, or more seldom with thousands: a few at a time, so that nobody waits for
all of them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from math import inf

import msgspec

from seatpool.core import strategy as strategies
from seatpool.core.affinity import NEW_TOKENS, Conversations
from seatpool.core.alarms import Alarms
from seatpool.core.catalogue import Catalogue
from seatpool.core.cooling import Cooling
from seatpool.core.line import Line, Place
from seatpool.core.model import Account, Cooldown, ProviderName, QuotaWindow, Scope
from seatpool.core.policy import Policy
from seatpool.core.quotas import Quotas
from seatpool.core.returning import Returning
from seatpool.core.scoring import Score, Standing, score
from seatpool.core.slots import Caps, Elsewhere
from seatpool.core.strategy import Candidate, Dormancy, Lane, Strategy

TO_BEGIN = 2.0
"""How much more an account is worth while one of its windows waits to be begun.

By simulation: with twice as much, and all the more where it goes before everything (as in codex.md 8), conversations
begin on accounts that have no room for them; with nothing, more is refused.
"""
BEGUN_S = 1800.0
"""A request that was to begin a window is given so long to show that it has (codex.md 8)."""
AGEING = (Standing.LIMITED, Standing.EXHAUSTED)
"""What a score says so goes by the time; the reset of what is exhausted may be one that nobody has told."""


class Seat(msgspec.Struct, gc=False, eq=False):
    """What is known of every account. In one object, since with thousands of them each lies cold when it is chosen."""

    account: Account
    served: float = 0.0
    """Requests that it has served, divided by its weight; who comes later begins with what the others have."""
    used_at: float = 0.0
    """When it served last, in seconds since the epoch; 0.0 for never."""
    score: Score | None = None
    """None: to be taken anew."""
    standing: Candidate | None = None
    """As it was when it last changed: an immutable value, so that keeping one costs nothing."""
    place: Place | None = None
    """In the line of those that may be asked."""


class PoolState:
    """Accounts, quota windows, cooldowns and affinities of every provider."""

    def __init__(self, strategy: Strategy | None = Strategy.QUOTA) -> None:
        self._strategy = strategy
        self.person: str | None = None
        """Who asks; None: somebody to whom every account is open."""
        self.accounts: dict[int, Account] = {}
        self.foreign: set[int] = set()
        """Ids of accounts that are there, but not this person's to use; nothing else is known of them here."""
        self._identified: dict[tuple[ProviderName, str], int] = {}
        self.usable: Counter[ProviderName] = Counter()
        """How many accounts a person has put into the pool that neither their owner nor a refusal has taken out."""
        self.names_version = 0
        """Changes with every name that comes or goes."""
        self._quotas = Quotas()
        self.windows: Mapping[int, Mapping[str, QuotaWindow]] = self._quotas.known
        self._cooling = Cooling()
        self.cooldowns: Mapping[int, Mapping[Scope, Cooldown]] = self._cooling.known
        self.models = Catalogue()
        self._seats: dict[int, Seat] = {}
        self.resting: dict[ProviderName, dict[int, None]] = {name: {} for name in ProviderName}
        """Ids of those that may not be asked now, whoever asks; the last to become so stands last."""
        self._lines = {name: Line() for name in ProviderName}
        self.in_flight: Counter[int] = Counter()
        """Requests of this process that each account serves at this moment."""
        self.elsewhere = Elsewhere()
        self.caps = Caps()
        self.returning = Returning()
        self._reached: dict[tuple[ProviderName, Lane], float] = {}
        """What the one furthest behind in a lane had served when one of it was used last (`Seat.served`)."""
        self._alarms = Alarms()
        self.affinity = Conversations()
        self.dormancy = Dormancy.NEW_SESSION_ONLY
        self.here: set[int] = set()
        """Learnt accounts whose editor is signed in behind this very proxy."""

    @property
    def strategy(self) -> Strategy | None:
        """By what the accounts are ordered; None: by priority alone."""
        return self._strategy

    def rank(self, strategy: Strategy | None, now: datetime) -> None:
        """Order the accounts anew; None: by priority alone, so that a limit moves nobody."""
        if strategy is not self._strategy:
            self._share_anew()
        self._strategy = strategy
        # All of them leave first: ranks of different strategies cannot be compared.
        for account_id in self.accounts:
            self._withdraw(account_id)
        for account_id in self.accounts:
            self._place(account_id, now)

    def age(self, now: datetime, righted: Callable[[datetime], datetime]) -> None:
        """Score everybody anew, and remember when they were used by the new time: the clock was set.

        `righted`: what a moment of before is called now.
        """

        def righted_s(moment: float) -> float:
            return righted(datetime.fromtimestamp(moment, UTC)).timestamp()

        self.affinity.age(righted_s)
        self.caps.age(righted)
        for seat in self._seats.values():
            seat.score, seat.used_at = None, righted_s(seat.used_at) if seat.used_at else 0.0
        self._alarms.clear()
        self.rank(self._strategy, now)

    def follow(self, policy: Policy, now: datetime) -> None:
        """Go by a policy from now on."""
        self.affinity.sticking, self.affinity.strength = policy.affinity, policy.affinity_strength
        self.affinity.ttl_s, self.affinity.limit = policy.affinity_ttl_s, policy.affinity_limit
        self.dormancy = policy.dormancy
        self.rank(policy.order, now)

    def put(self, account: Account, now: datetime) -> None:
        """Add an account, or replace what was known of it. One that is not this person's to use is none: see `foreign`.

        There is no other way in, so whatever is chosen, asked or renewed is theirs.
        """
        if not account.open_to(self.person):
            self.forget(account.id)
            self.foreign.add(account.id)
            return
        self.foreign.discard(account.id)
        self._withdraw(account.id)
        self._count(account.id, -1)
        before = self.accounts.get(account.id)
        self.names_version += before is None or before.name != account.name
        self.accounts[account.id] = account
        self._identified[account.provider, account.identity] = account.id
        self._count(account.id, 1)
        seat = self._seats.get(account.id)
        if seat is None:
            seat = self._seats[account.id] = Seat(account)
        seat.account, seat.score = account, None
        if account.last_used_at is not None:
            used_at = min(account.last_used_at, now)  # the clock may have been set back since
            seat.used_at = max(used_at.timestamp(), seat.used_at)
        self._place(account.id, now)

    def identified(self, provider: ProviderName, identity: str) -> Account | None:
        """The account with this identity."""
        found = self.accounts.get(self._identified.get((provider, identity), 0))
        return found if found is not None and found.identity == identity else None

    def forget(self, account_id: int) -> None:
        """Drop an account."""
        self._withdraw(account_id)
        self._count(account_id, -1)
        self.here.discard(account_id)
        self.caps.forget(account_id)
        self.names_version += account_id in self.accounts
        self.models.forget(account_id)
        account = self.accounts.get(account_id)
        if account is not None:
            self._identified.pop((account.provider, account.identity), None)
        for resting in self.resting.values():
            resting.pop(account_id, None)
        self._alarms.forget(account_id)
        self._quotas.forget(account_id)
        self._cooling.forget(account_id)
        self.accounts.pop(account_id, None)
        self._seats.pop(account_id, None)

    def forget_all_but(self, account_ids: Iterable[int]) -> None:
        """Drop every account that is not named."""
        named = set(account_ids)
        self.foreign &= named
        for account_id in self.accounts.keys() - named:
            self.forget(account_id)

    def arrive(self, account_id: int, now: datetime) -> None:
        """The editor that is signed in with a learnt account is here: there is a token to serve with."""
        self.here.add(account_id)
        self._replace(account_id, now)

    def leave(self, account_id: int, now: datetime) -> None:
        """It has gone, and its token with it."""
        self.here.discard(account_id)
        self._replace(account_id, now)

    def may_serve(self, account: Account) -> bool:
        """Whether anything can be asked of the account at all: in use, and signed in."""
        return account.usable and (not account.learnt or account.id in self.here)

    def observe(self, account_id: int, windows: Iterable[QuotaWindow], now: datetime) -> list[QuotaWindow]:
        """Take in quota windows; returns those that a reader would see differ (`Quotas.observe`)."""
        changed, repeated = self._quotas.observe(account_id, windows, now)
        if changed and not (repeated and self._lasts(account_id)):
            self._rescore(account_id, now)
        return changed

    def cool(self, cooldown: Cooldown, now: datetime) -> None:
        """Take an account, or a part of it, out of selection. Never shortened by a later, smaller one."""
        if self._cooling.add(cooldown):
            self._replace(cooldown.account_id, now)

    def lift(self, account_id: int, scope: Scope, now: datetime) -> None:
        """End a cooldown before its time; or forget one that is over."""
        if self._cooling.lift(account_id, scope):
            self._replace(account_id, now)

    def open_probe(self, cooldown: Cooldown, now: datetime) -> bool:
        """Let one request try what this cooldown, if it is still the one in force, keeps away from. Whether it may."""
        may = self._cooling.open_probe(cooldown)
        if may:
            self._replace(cooldown.account_id, now)
        return may

    def take_probe(self, account_id: int, scopes: Iterable[Scope], now: datetime) -> Cooldown | None:
        """A request for these scopes goes out: where it is the one that tries, the cooldown holds for all others."""
        held = self._cooling.take_probe(account_id, scopes)
        if held is None:
            return None
        self._replace(account_id, now)
        return held if held.until > now else None

    def use(self, account_id: int, now: datetime, conversation: str | None = None) -> None:
        """Note that a request went to an account."""
        moment = now.timestamp()
        if conversation is not None:
            self.affinity.expect(conversation, account_id, moment)
        seat = self._seats.get(account_id)
        if seat is not None:
            self._see_reached(seat)
            seat.used_at = moment
            seat.served += 1.0 / seat.account.weight
            self._replace(account_id, now)

    def acquire(self, account_id: int, now: datetime) -> None:
        """Take one of an account's slots."""
        self.in_flight[account_id] += 1
        self._busy(account_id, now)

    def release(self, account_id: int, now: datetime) -> None:
        """Free one."""
        self.in_flight[account_id] -= 1
        if not self.in_flight[account_id]:
            del self.in_flight[account_id]
        self._busy(account_id, now)

    def full(self, account_id: int, scopes: Iterable[Scope] = ()) -> bool:
        """Whether an account has as many requests under way as it takes, or has only just come back from a limit."""
        limit = self.caps.limit(account_id)
        if limit is not None and self.under_way(account_id) >= limit:
            return True
        return len(self.returning) > 0 and self.returning.full(account_id, scopes)

    def under_way(self, account_id: int) -> int:
        """Requests that an account serves at this moment, those of other processes among them."""
        return self.in_flight.get(account_id, 0) + self.elsewhere.counts.get(account_id, 0)

    def recount(self, account_ids: Iterable[int], now: datetime) -> None:
        """Other processes have more or fewer under way at these."""
        for account_id in account_ids:
            self._busy(account_id, now)

    def merit(self, account_id: int, tokens: int, now: datetime) -> float:
        """What an account is worth to a conversation that would bring so many tokens (`Score.merit`)."""
        return self.score(account_id, now).merit(self.affinity.load(account_id, now.timestamp()) + tokens)

    def candidate(self, account_id: int, now: datetime, tokens: int = NEW_TOKENS) -> Candidate:
        """An account of this pool as a strategy sees it, for a conversation of so many tokens that is not there yet."""
        seat, moment = self._seats[account_id], now.timestamp()
        found = self.score(account_id, now)
        dormant = self.dormancy is not Dormancy.DISABLED and _waits(found, seat.used_at, moment)
        merit = found.merit(self.affinity.load(account_id, moment) + tokens)
        return Candidate(
            seat.account,
            found,
            seat.used_at,
            self.under_way(account_id),
            seat.served,
            merit * TO_BEGIN if dormant else merit,
            dormant,
        )

    def standing(self, account_id: int) -> Candidate | None:
        """An account as it was when it last changed, for a conversation that begins; None where there is none."""
        seat = self._seats.get(account_id)
        return seat.standing if seat is not None else None

    def score(self, account_id: int, now: datetime) -> Score:
        """Its score by the windows that every request draws on, about `AGED_S` old at most (see `Alarms`)."""
        seat = self._seats[account_id]
        if seat.score is None:
            seat.score = score(self._quotas.general(account_id), seat.account.plan, now)
        return seat.score

    def ready(self, provider: ProviderName, now: datetime) -> Iterator[Account]:
        """The accounts that may be asked, best first: usable and not cooling as a whole."""
        self._wake(now)
        for candidate in self._lines[provider]:
            yield candidate.account

    def first(self, provider: ProviderName, now: datetime, count: int) -> tuple[list[int], list[Candidate], int]:
        """The first accounts that may be asked, best first: ids, and what stands there; and how many there are."""
        self._wake(now)
        line = self._lines[provider]
        return *line.first(count), len(line)

    def blocked(self, account_id: int, scopes: Iterable[Scope], now: datetime) -> Cooldown | None:
        """The longest live cooldown of an account that touches any of the scopes (the whole account always counts)."""
        return self._cooling.blocked(account_id, scopes, now)

    def spent(self, account_id: int, buckets: Iterable[str], now: datetime) -> datetime | None:
        """When the last of these buckets resets that nothing is left of; None while there is something of each."""
        return self._quotas.spent(account_id, buckets, now)

    def observed_at(self, account_id: int) -> datetime | None:
        """When anything was seen last of the account's quota."""
        return self._quotas.observed_at(account_id)

    def owner(self, conversation: str | None, now: datetime) -> int | None:
        """The account that a conversation is on."""
        held = self.affinity.held(conversation, now.timestamp())
        return held.account_id if held is not None else None

    def remember(
        self, conversation: str | None, account_id: int, now: datetime, *, cached_tokens: int | None = None
    ) -> None:
        """Note that an account served a conversation.

        `cached_tokens` is what its prompt cache holds from now on: all that was sent, as upstream has counted it; None
        where it has not said so (yet).
        """
        if conversation is None:
            return
        more = self.affinity.remember(conversation, account_id, now.timestamp(), cached_tokens)
        if more and account_id in self.accounts:
            self._replace(account_id, now)

    def served_since(self, conversation: str, moment: float) -> bool:
        """Whether a conversation was served then or later (seconds since the epoch), as far as is known here."""
        held = self.affinity.held(conversation, moment)
        return held is not None and held.at >= moment

    def _wake(self, now: datetime) -> None:
        for account_id in self._alarms.ring(now.timestamp()):
            self._rescore(account_id, now)

    def _lasts(self, account_id: int) -> bool:
        """Whether its score is the same wherever its windows were seen again as they were."""
        seat = self._seats.get(account_id)
        found = seat.score if seat is not None else None
        return found is not None and not found.stale and found.untouched_since is None

    def _share_anew(self) -> None:
        """What was served under another order is nobody's share."""
        self._reached.clear()
        for seat in self._seats.values():
            seat.served = 0.0

    def _see_reached(self, seat: Seat) -> None:
        """Remember, before an account is used, how far those of its lane are."""
        if self._strategy is Strategy.WEIGHTED and seat.place is not None and seat.standing is not None:
            provider, lane = seat.account.provider, strategies.lane(seat.account, seat.standing.score)
            first = self._lines[provider].first_of(lane)
            if first is not None:
                self._reached[provider, lane] = first.served

    def _catch_up(self, seat: Seat, now: datetime) -> None:
        """Let an account that comes, or comes back, begin where the others are; for one that was there that is nothing.

        So it gets its share from now on, not everything until it has served as much as they.
        """
        lane = strategies.lane(seat.account, self.score(seat.account.id, now))
        seat.served = max(seat.served, self._reached.get((seat.account.provider, lane), 0.0))

    def _rescore(self, account_id: int, now: datetime) -> None:
        seat = self._seats.get(account_id)
        if seat is not None:
            seat.score = None
            self._replace(account_id, now)

    def _busy(self, account_id: int, now: datetime) -> None:
        if self._strategy is Strategy.LEAST_BUSY and account_id in self.accounts:
            self._replace(account_id, now)

    def _count(self, account_id: int, by: int) -> None:
        account = self.accounts.get(account_id)
        if account is not None and account.usable and not account.learnt:
            self.usable[account.provider] += by

    def _replace(self, account_id: int, now: datetime) -> None:
        self._withdraw(account_id)
        self._place(account_id, now)

    def _withdraw(self, account_id: int) -> None:
        seat = self._seats.get(account_id)
        if seat is not None and seat.place is not None:
            self._lines[seat.account.provider].leave(seat.place)
            seat.place = None

    def _place(self, account_id: int, now: datetime) -> None:
        seat = self._seats.get(account_id)
        if seat is None:
            return
        account = seat.account
        able = self.may_serve(account)
        away = not able or self.blocked(account_id, (), now) is not None
        if not away and self._strategy is Strategy.WEIGHTED:
            self._catch_up(seat, now)
        candidate = seat.standing = self.candidate(account_id, now)
        resting = self.resting[account.provider]
        resting.pop(account_id, None)
        if able:
            self._set_alarm(seat, candidate.score, now)
        if away:
            resting[account_id] = None
            return
        rank = strategies.fixed(account) if self._strategy is None else strategies.rank(self._strategy, candidate)
        seat.place = self._lines[account.provider].enter(rank, candidate)

    def _set_alarm(self, seat: Seat, score: Score, now: datetime) -> None:
        """Look at the account again when its next cooldown ends, its next window resets, or its score has aged."""
        account_id, moment = seat.account.id, now.timestamp()
        if score.standing in AGEING or score.drained is not None:
            self._alarms.age(account_id, moment)
        due = self._cooling.next_end(account_id, now)
        if score.resets_at is not None:
            due = min(due, score.resets_at)
        if score.untouched_since is not None and (again := seat.used_at + BEGUN_S) > moment:
            due = min(due, again)
        if due < inf:
            self._alarms.set(account_id, due)


def _waits(score: Score, used_at: float, moment: float) -> bool:
    """Whether a window is to be begun: nothing was asked since it was seen so, nor of late."""
    since = score.untouched_since
    return since is not None and used_at < since and moment - used_at >= BEGUN_S
