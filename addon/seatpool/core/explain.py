"""Why a request went where it went.

On the request's way nothing is worked out: `glimpse` keeps references to values that do not change, of a dozen accounts
at most. What they say is read from them later, beside the request (`explain`), and compared with what another strategy
would have made of them (`would_choose`).
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from enum import StrEnum
from itertools import islice
from types import MappingProxyType
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from seatpool.core import strategy as strategies
from seatpool.core.model import WHOLE_ACCOUNT, Account, Cooldown, ProviderName, Scope
from seatpool.core.scoring import Score, Standing
from seatpool.core.selection import AFFINITY, BOUND, Demand, Exhausted, Selection, is_drained
from seatpool.core.state import PoolState
from seatpool.core.strategy import Candidate, Strategy

SEEN = 12
"""Accounts that are kept of those that could be asked, the first of them; and of those that could not, the latest."""
EXHAUSTED = "exhausted"
"""The reason of a choice that found nobody."""
WAITING = "waiting"
"""The reason of one that found nobody yet: the request waits for somebody."""
STAYED = frozenset({AFFINITY, BOUND})
"""Reasons of a choice that leaves a conversation where it is."""
NOBODY: AbstractSet[int] = frozenset()
NONE_COOLING: Mapping[int, tuple[Cooldown, ...]] = MappingProxyType({})


class Glimpse(NamedTuple):
    """What is kept of a choice: a tuple of references, since making it is a part of every request."""

    flow_id: str
    number: int
    """Of the attempt that it was made for, from 1."""
    decided_at: datetime
    demand: Demand
    route: str
    model: str | None
    rule: str | None
    strategy: Strategy | None
    reason: str
    account_id: int | None
    tried: AbstractSet[int]
    candidates: tuple[Candidate, ...]
    in_flight: tuple[int, ...]
    """Of each of the candidates."""
    cooldowns: Mapping[int, tuple[Cooldown, ...]]
    """Of those that have any, by id."""
    here: AbstractSet[int]
    """Editors' own accounts whose editor was here."""
    passing: "Mapping[int, tuple[Bar, ...]]"
    """What stood in the way at that very moment, by id."""
    able: int
    """How many accounts could be asked by whoever asks, those that are not among the candidates included."""
    drained: AbstractSet[int] = NOBODY
    """Those that have nothing left of what the request costs: they are as good as empty."""


class BarKind(StrEnum):
    """What kept an account out of a choice."""

    RULE = "rule"
    """A rule of the person's names others."""
    LACKING = "lacking"
    """Its own list of models lacks this one."""
    SPENT = "spent"
    """Nothing is left of the model's own quota."""
    DISABLED = "disabled"
    PAUSED = "paused"
    AWAY = "away"
    """It is an editor's own, and no editor that is signed in with it is here."""
    COOLING = "cooling"
    FULL = "full"
    """As many requests were under way on it as it takes."""
    TRIED = "tried"
    """This request had been on it before."""


RESTING = frozenset({BarKind.DISABLED, BarKind.PAUSED, BarKind.AWAY, BarKind.COOLING})
"""What keeps an account out whoever asks, where it is about the whole account."""


class Bar(msgspec.Struct, frozen=True, gc=False):
    """One thing that kept an account out."""

    kind: BarKind
    code: str = ""
    """Why it was disabled, or is cooling."""
    until: datetime | None = None
    """When a cooldown ends, or a quota is reset."""
    scope: Scope = WHOLE_ACCOUNT
    """What of the account is cooling."""


NONE_PASSING: Mapping[int, tuple[Bar, ...]] = MappingProxyType({})


class Contender(NamedTuple):
    """An account in a choice. A tuple, since a dozen are made for every request."""

    candidate: Candidate
    """As the strategies saw it; of its account only id, priority and keeping are to be relied on."""
    bars: tuple[Bar, ...] = ()
    """Empty: it could be asked."""
    preferred: bool = False
    """A rule puts it before others."""


class Choice(msgspec.Struct, frozen=True, gc=False):
    """One choice of an account for a request, as it is recorded. Knows accounts by id, and nothing that was said."""

    flow_id: str
    number: int
    """Of the attempt that it was made for, from 1; the same again where the chosen account could not be used."""
    decided_at: datetime
    provider: ProviderName
    route: str
    model: str | None
    rule: str | None
    """Name of the rule that decided who may serve."""
    strategy: Strategy | None
    """None: by priority alone, since limits were to move nobody."""
    reason: str
    """As `Selection.reason`; `waiting` or `exhausted` where there was nobody."""
    account_id: int | None
    """None: nobody could be asked."""
    contenders: tuple[Contender, ...]
    """Those that could be asked come first, in the strategy's order."""
    left_out: int = 0
    """Accounts that could be asked as well and were not recorded."""


def glimpse(
    state: PoolState,
    demand: Demand,
    now: datetime,
    tried: AbstractSet[int],
    choice: Selection | Exhausted,
    request: tuple[str, int, str, str | None, str | None],
) -> Glimpse:
    """What is kept of a choice that was just made; `request`: flow, number of the attempt, route, model and rule."""
    chosen, reason = (None, EXHAUSTED) if isinstance(choice, Exhausted) else (choice.account.id, choice.reason)
    ids, seen, able = state.first(demand.provider, now, SEEN)
    resting = state.resting[demand.provider]
    if able > SEEN or demand.only is not None:
        chosen_too = () if chosen is None else (chosen,)
        _add(state, ids, seen, chosen_too, demand.only or (), demand.prefer, tried, reversed(resting))
    elif resting:
        _add(state, ids, seen, reversed(resting))
    cooling = state.cooldowns
    busy, elsewhere = state.in_flight, state.elsewhere.counts
    flow_id, number, route, model, rule = request
    return Glimpse(
        flow_id,
        number,
        now,
        demand,
        route,
        model,
        rule,
        state.strategy,
        reason,
        chosen,
        frozenset(tried),
        tuple(seen),
        tuple([busy.get(i, 0) + elsewhere.get(i, 0) for i in ids]),
        NONE_COOLING
        if cooling.keys().isdisjoint(ids)
        else {i: tuple(cooling[i].values()) for i in ids if i in cooling},
        frozenset(state.here),
        _passing(state, demand, ids, now),
        able,
        frozenset([i for i in ids if is_drained(state, demand, i, now)]) if demand.premium else NOBODY,
    )


def _add(state: PoolState, ids: list[int], seen: list[Candidate], *more: Iterable[int]) -> None:
    """Of each of the others not more than of the first; mostly there is nothing to add."""
    for others in more:
        for other in islice(others, SEEN):
            standing = state.standing(other) if other not in ids else None
            if standing is not None:
                ids.append(other)
                seen.append(standing)


def _passing(state: PoolState, demand: Demand, ids: Iterable[int], now: datetime) -> Mapping[int, tuple[Bar, ...]]:
    """What is known to the state alone: asked of it only where there can be something."""
    listed = demand.model is not None and not state.models.silent
    if state.caps.unbounded and not state.returning and not listed and not demand.buckets:
        return NONE_PASSING
    found: dict[int, tuple[Bar, ...]] = {}
    for account_id in ids:
        bars: tuple[Bar, ...] = (
            (Bar(BarKind.LACKING),) if listed and state.models.lacks(account_id, demand.model, now) else ()
        )
        reset = state.spent(account_id, demand.buckets, now) if demand.buckets else None
        if reset is not None:
            bars += (Bar(BarKind.SPENT, until=reset),)
        if state.full(account_id, demand.scopes):
            bars += (Bar(BarKind.FULL),)
        if bars:
            found[account_id] = bars
    return found


def explain(seen: Glimpse) -> Choice:
    """What a glimpse says."""
    free: list[Contender] = []
    barred: list[Contender] = []
    demand = seen.demand
    special = {*seen.cooldowns, *seen.tried, *seen.passing, *demand.prefer}
    for candidate, in_flight in zip(seen.candidates, seen.in_flight, strict=True):
        account = candidate.account
        if account.provider is not demand.provider:
            continue
        if candidate.in_flight != in_flight:
            candidate = replace(candidate, in_flight=in_flight)
        if account.id in seen.drained:
            candidate = replace(candidate, score=_emptied(candidate.score))
        if demand.only is None and account.usable and not account.learnt and account.id not in special:
            free.append(Contender(candidate))
        else:
            contender = Contender(candidate, tuple(_bars(account, seen)), account.id in demand.prefer)
            (barred if contender.bars else free).append(contender)
    if seen.drained:
        free.sort(key=lambda contender: contender.candidate.account.id in seen.drained)
    return Choice(
        seen.flow_id,
        seen.number,
        seen.decided_at,
        demand.provider,
        seen.route,
        seen.model,
        seen.rule,
        seen.strategy,
        seen.reason,
        seen.account_id,
        (*free, *barred),
        seen.able - len(free) - sum(map(_able, barred)),
    )


def _emptied(score: Score) -> Score:
    """As it counts for a request that costs what is drained."""
    return replace(score, standing=Standing.EXHAUSTED, main=score.drained or score.main)


def _bars(account: Account, seen: Glimpse) -> Iterator[Bar]:
    demand = seen.demand
    if demand.only is not None and account.id not in demand.only:
        yield Bar(BarKind.RULE)
    if account.disabled is not None:
        yield Bar(BarKind.DISABLED, account.disabled)
    if account.paused:
        yield Bar(BarKind.PAUSED)
    if account.learnt and account.id not in seen.here:
        yield Bar(BarKind.AWAY)
    for held in seen.cooldowns.get(account.id, ()):
        if held.until > seen.decided_at and (held.scope == WHOLE_ACCOUNT or held.scope in demand.scopes):
            yield Bar(BarKind.COOLING, held.reason, held.until, held.scope)
    yield from seen.passing.get(account.id, ())
    if account.id in seen.tried:
        yield Bar(BarKind.TRIED)


def _able(contender: Contender) -> bool:
    """Whether it rests for nobody in particular."""
    return not any(bar.kind in RESTING and bar.scope == WHOLE_ACCOUNT for bar in contender.bars)


def would_choose(choice: Choice, strategy: Strategy) -> int | None:
    """Id of the account that a strategy would have chosen of those recorded, were the conversation a new one."""
    free = [c for c in choice.contenders if not c.bars]
    preferred = [c for c in free if c.preferred]
    best = min(preferred or free, key=lambda c: strategies.rank(strategy, c.candidate), default=None)
    return best.candidate.account.id if best is not None else None
