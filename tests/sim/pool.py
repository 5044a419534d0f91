"""The real core behind a simulated request: `service/pool.py` without its input and output.

The same calls in the same order: select, use, acquire; on an answer observe and remember; on a refusal observe, decide,
cool, and select again without what was tried; release at the end.
"""

from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime

from seatpool.core.model import Account, Cooldown, ProviderName, QuotaWindow
from seatpool.core.outcome import Outcome, OutcomeKind
from seatpool.core.policy import Policy
from seatpool.core.recovery import Action, Remedy, decide
from seatpool.core.selection import Demand, Exhausted, select
from seatpool.core.state import PoolState
from tests.sim.scenario import BEGAN_S, World
from tests.sim.upstream import Reply, Told
from tests.sim.workload import Turn


@dataclass(slots=True)
class _Trail:
    number: int = 0
    repeats: Counter[int] = field(default_factory=Counter)


class Pool:
    """The product, under a policy."""

    def __init__(self, made: World, policy: Policy, *, tells_cached: bool = True) -> None:
        self.state = PoolState()
        self.state.follow(policy, _moment(BEGAN_S))
        self._policy = policy
        self._provider: ProviderName = made.scenario.provider
        self._trail = _Trail()
        self._tells_cached = tells_cached
        for place, seat in enumerate(made.seats):
            account = Account(place, self._provider, f"a{place}", f"i{place}", "issuer", priority=place, plan=seat.plan)
            self.state.put(account, _moment(BEGAN_S))
            # Signing in shows the account's quota, and so the pool knows it.
            self._observe(place, Reply(None, seat.told(0.0)), _moment(BEGAN_S))

    def choose(self, turn: Turn, now: float, tried: AbstractSet[int]) -> int | None:
        if not tried:
            self._trail = _Trail()
        moment = _moment(now)
        choice = select(self.state, Demand(self._provider, (), turn.conversation), moment, tried)
        if isinstance(choice, Exhausted):
            return None
        self.state.use(choice.account.id, moment, turn.conversation)
        self.state.acquire(choice.account.id, moment)
        self._trail.number += 1
        return choice.account.id

    def served(self, turn: Turn, account: int, reply: Reply, now: float) -> None:
        self._observe(account, reply, _moment(now))
        self._remember(turn, account, now, None)

    def refused(self, turn: Turn, account: int, reply: Reply, now: float) -> bool:
        moment, trail = _moment(now), self._trail
        self._observe(account, reply, moment)
        until = None if reply.refused_until is None else _moment(reply.refused_until)
        outcome = Outcome(OutcomeKind.QUOTA_SPENT, "usage_limit_reached", until=until)
        decision = decide(
            outcome, attempt=trail.number, repeats=trail.repeats[account], policy=self._policy, now=moment
        )
        trail.repeats[account] += 1
        if decision.remedy is Remedy.COOL and decision.until is not None:
            self.state.cool(Cooldown(account, outcome.scope, outcome.code, decision.until, moment), moment)
        self.state.release(account, moment)
        return decision.action is Action.SWITCH

    def ended(self, turn: Turn, account: int, reply: Reply, now: float) -> None:
        self.state.release(account, _moment(now))
        if self._tells_cached:
            self._remember(turn, account, now, turn.context)

    def _remember(self, turn: Turn, account: int, now: float, tokens: int | None) -> None:
        self.state.remember(turn.conversation, account, _moment(now), cached_tokens=tokens)

    def _observe(self, account: int, reply: Reply, now: datetime) -> None:
        self.state.observe(account, [_window(told, now) for told in reply.told], now)


def _window(told: Told, now: datetime) -> QuotaWindow:
    ends = _moment(round(now.timestamp() + told.resets_in_s))  # upstream names the second, which stays the same
    length = None if told.length_s is None else int(told.length_s)
    return QuotaWindow(told.bucket, 1.0 - told.used_share, now, "header", length_s=length, resets_at=ends)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
