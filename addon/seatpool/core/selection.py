"""Which account serves a request."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime

import msgspec
from msgspec.structs import replace

from seatpool.core.affinity import Held, Sticking
from seatpool.core.evidence import can_be_refuted
from seatpool.core.model import WHOLE_ACCOUNT, Account, ProviderName, Scope, ScopeKind
from seatpool.core.scoring import Standing
from seatpool.core.state import PoolState
from seatpool.core.strategy import Candidate, Dormancy, Strategy, is_last_resort, rank

RENEWAL = "renewal-"
"""Cooldown reasons that begin so are about our own side calls, not about a limit."""
SPENT = "usage_limit_reached"
"""Reason of an account that is known to have nothing left of a model's own quota."""
LACKING = "model-not-in-list"
"""Reason where nobody is left but accounts whose own lists lack the model."""
REVOKED = "revoked-"
"""Reasons of disabled accounts that begin so: the issuer has taken the seat away or flags it."""
SHORTLIST = 8
"""So many of the first are compared for a conversation that weighs more than a new one."""
AFFINITY = "affinity"
BOUND = "bound"
FALLBACK = "fallback"
"""Reason of a choice for a substitute: nobody can serve the model that was asked for."""
FULL = "full"
"""Why there is nobody: whoever could serve has as many requests under way as it takes."""


class Demand(msgspec.Struct, frozen=True, gc=False):
    """What a request asks of an account."""

    provider: ProviderName
    scopes: tuple[Scope, ...] = ()
    """The model and buckets it draws on: a cooldown of any of them excludes the account."""
    conversation: str | None = None
    only: AbstractSet[int] | None = None
    """Ids of the accounts that a rule allows; None where no rule has a say."""
    prefer: AbstractSet[int] = frozenset()
    """Ids of the accounts that a rule puts before the others."""
    bound: bool = False
    """It holds what only the conversation's owner can read: nobody else is asked while that one is available."""
    owner: int | None = None
    """Who that is, where what it holds tells; else whoever served the conversation last."""
    captive: bool = False
    """Nobody but the owner is asked at all."""
    model: str | None = None
    """An account whose own list lacks it is left out (`Catalogue.lacks`)."""
    buckets: tuple[str, ...] = ()
    """Quota of the model's own that the request draws on: an account that has none left of it is left out."""
    premium: bool = False
    """Unless the plan includes the model, the request costs premium quota: where nothing is left of that, all others
    are asked before, since the account refuses it, or its owner pays for more."""


class Selection(msgspec.Struct, frozen=True, gc=False):
    """The account to ask."""

    account: Account
    reason: str
    """`affinity` (it has this conversation's cache), `bound` (it alone can read all of it), `rule` (a rule prefers it)
    or `best` (first in the strategy's order); `fallback` where it is for another model than was asked for."""


class Exhausted(msgspec.Struct, frozen=True, gc=False):
    """No account is eligible."""

    limited: bool
    """True: some account would serve later, its limit ends at `soonest`. False: there is nobody to wait for."""
    soonest: datetime | None = None
    reason: str | None = None
    """Code of the limit that ends soonest; or why there is nobody, where that is known: `bound` where its owner is not
    in use."""
    full: bool = False
    """An account would serve as soon as one of its requests is over."""


def select(
    state: PoolState, demand: Demand, now: datetime, tried: AbstractSet[int] = frozenset()
) -> Selection | Exhausted:
    """Choose an account that was not tried yet: the conversation's own while that is wise, else the best that is ready.

    What a rule forbids is not looked at; of what it allows, what it prefers comes before the others.
    """
    held = state.affinity.held(demand.conversation, now.timestamp())
    owner = _owner(state, demand, held, now, tried)
    if owner is not None and state.full(owner.id, demand.scopes):
        if demand.bound:
            return Exhausted(limited=True, reason=FULL, full=True)
        owner = None
    if owner is not None and demand.bound:
        return Selection(owner, BOUND)
    if demand.captive:
        return owners_limit(state, demand, now)
    warm = owner is not None and held is not None and _is_warm(state, held, now)
    best = _best(state, demand, held if not warm else None, now, tried)
    if owner is not None and held is not None and warm and _stays(state, demand, owner, held, best, now):
        return Selection(owner, AFFINITY)
    return best or _exhausted(state, demand, now, tried)


def able(state: PoolState, demand: Demand, account_id: int, now: datetime) -> bool:
    """Whether nothing keeps this account from such a request but, maybe, how many it has under way."""
    return _could(state, demand, account_id, now, frozenset())


def able_otherwise(state: PoolState, demand: Demand, now: datetime) -> bool:
    """Whether somebody could serve such a request, were it for another model, of which nothing is known."""
    scopes = tuple(scope for scope in demand.scopes if scope.kind is not ScopeKind.MODEL)
    return isinstance(select(state, replace(demand, scopes=scopes, model=None, buckets=()), now), Selection)


def is_drained(state: PoolState, demand: Demand, account_id: int, now: datetime) -> bool:
    """Whether the account is known to have nothing left of what such a request costs, though it has of the rest.

    Never where a limit is to move nobody.
    """
    if not demand.premium or state.strategy is None or state.score(account_id, now).drained is None:
        return False
    return not state.models.includes(account_id, demand.provider, demand.model)


def waits_for_quota(state: PoolState, demand: Demand, account: Account, now: datetime) -> bool:
    """Whether spent quota keeps such a request from this account, as far as newer numbers of it could say otherwise."""
    if account.provider is not demand.provider or (demand.only is not None and account.id not in demand.only):
        return False
    held = state.blocked(account.id, demand.scopes, now)
    return can_be_refuted(held) if held is not None else state.spent(account.id, demand.buckets, now) is not None


def owners_limit(state: PoolState, demand: Demand, now: datetime) -> Exhausted:
    """When the one account that can read a request will serve again, as far as a limit stands in its way."""
    held = state.affinity.held(demand.conversation, now.timestamp())
    owner = demand.owner if demand.owner is not None else held.account_id if held is not None else None
    account = state.accounts.get(owner) if owner is not None else None
    allowed = account is not None and (demand.only is None or account.id in demand.only) and state.may_serve(account)
    limit = _limit(state, demand, account.id, now) if account is not None and allowed else None
    if limit is None:
        return Exhausted(limited=False, reason=BOUND)
    return Exhausted(limited=True, soonest=limit[0], reason=limit[1])


def whose_limit(state: PoolState, demand: Demand, told: Exhausted) -> Account | None:
    """Whom it is about that nobody can serve: the one who alone could, or whose limit ends soonest."""
    if demand.bound or told.reason == BOUND:
        return state.accounts.get(demand.owner) if demand.owner is not None else None
    limited = (i for i, held in state.cooldowns.items() if any(c.until == told.soonest for c in held.values()))
    accounts = (state.accounts.get(i) for i in limited)
    return next((a for a in accounts if a is not None and a.provider is demand.provider), None)


def _owner(
    state: PoolState, demand: Demand, held: Held | None, now: datetime, tried: AbstractSet[int]
) -> Account | None:
    """The conversation's own account, where it could serve, as soon as it has a place."""
    owner = demand.owner if demand.owner is not None else held.account_id if held is not None else None
    account = state.accounts.get(owner) if owner is not None else None
    if account is None or account.provider is not demand.provider or not state.may_serve(account):
        return None
    return account if _could(state, demand, account.id, now, tried) else None


def _is_warm(state: PoolState, held: Held, now: datetime) -> bool:
    return state.affinity.sticking is not Sticking.DISABLED and held.warmth(now.timestamp()) > 0.0


def _stays(state: PoolState, demand: Demand, owner: Account, held: Held, best: Selection | None, now: datetime) -> bool:
    """Whether a warm conversation stays with its owner rather than go to the best: the cost of reading it again."""
    if best is None or best.account.id == owner.id or state.strategy is None:
        return True
    here, there = state.standing(owner.id), state.standing(best.account.id)
    assert here is not None and there is not None, "both are in the pool"
    if _is_last(state, demand, here, now) and not _is_last(state, demand, there, now):
        return False
    if there.dormant and state.dormancy is Dormancy.ALWAYS:
        return False
    if state.affinity.sticking is Sticking.ALWAYS or state.strategy is not Strategy.QUOTA:
        return True
    worth = state.merit(owner.id, 0, now) * held.bonus(now.timestamp(), state.affinity.strength)
    return state.merit(best.account.id, held.tokens, now) <= worth


def _is_last(state: PoolState, demand: Demand, candidate: Candidate, now: datetime) -> bool:
    return is_last_resort(candidate) or is_drained(state, demand, candidate.account.id, now)


def _best(
    state: PoolState, demand: Demand, held: Held | None, now: datetime, tried: AbstractSet[int]
) -> Selection | None:
    """The first in order, and for a conversation that brings more than a new one (`held`) the best of the first few."""
    few = SHORTLIST if held is not None and state.strategy is Strategy.QUOTA else 1
    found: list[Account] = []
    others: dict[tuple[bool, bool], Account] = {}
    for account in state.ready(demand.provider, now):
        if not _eligible(state, demand, account.id, now, tried):
            continue
        behind = bool(demand.prefer) and account.id not in demand.prefer, is_drained(state, demand, account.id, now)
        if any(behind):
            others.setdefault(behind, account)
            continue
        if (False, True) in others and state.score(account.id, now).standing is Standing.EXHAUSTED:
            break  # so are all that follow; who has something left, be it of the rest, goes before
        found.append(account)
        if len(found) == few:
            break
    if not found:
        return _second(demand, others)
    if held is not None and len(found) > 1:
        tokens = held.tokens
        found.sort(key=lambda a: rank(Strategy.QUOTA, state.candidate(a.id, now, tokens)))
    return Selection(found[0], "rule" if demand.prefer else "best")


def _second(demand: Demand, others: Mapping[tuple[bool, bool], Account]) -> Selection | None:
    """Of those whom no rule prefers, or who have nothing left of what the request costs: what the rule says first."""
    if not others:
        return None
    unwanted, drained = min(others)
    return Selection(others[unwanted, drained], "rule" if demand.prefer and not unwanted else "best")


def _eligible(state: PoolState, demand: Demand, account_id: int, now: datetime, tried: AbstractSet[int]) -> bool:
    return not state.full(account_id, demand.scopes) and _could(state, demand, account_id, now, tried)


def _could(state: PoolState, demand: Demand, account_id: int, now: datetime, tried: AbstractSet[int]) -> bool:
    allowed = demand.only is None or account_id in demand.only
    if not allowed or account_id in tried or state.blocked(account_id, demand.scopes, now) is not None:
        return False
    if state.models.lacks(account_id, demand.model, now):
        return False
    return not demand.buckets or state.spent(account_id, demand.buckets, now) is None


def _exhausted(state: PoolState, demand: Demand, now: datetime, tried: AbstractSet[int]) -> Exhausted:
    able = [
        a.id
        for a in state.accounts.values()
        if a.provider is demand.provider and state.may_serve(a) and (demand.only is None or a.id in demand.only)
    ]
    if any(_could(state, demand, account_id, now, tried) for account_id in able):
        return Exhausted(limited=True, reason=FULL, full=True)
    lacking, limits = False, []
    for account_id in able:
        if state.models.lacks(account_id, demand.model, now):
            lacking = True
        elif (limit := _limit(state, demand, account_id, now)) is not None:
            limits.append(limit)
    if not limits:
        return Exhausted(limited=False, reason=LACKING if lacking else None)
    soonest, reason = min(limits)
    return Exhausted(limited=True, soonest=soonest, reason=reason)


def expect_back(state: PoolState, demand: Demand, now: datetime) -> None:
    """A request waits until a limit of somebody who could serve it is over."""
    for account in state.accounts.values():
        if account.provider is demand.provider and (demand.only is None or account.id in demand.only):
            held = state.blocked(account.id, demand.scopes, now)
            if held is not None or state.spent(account.id, demand.buckets, now) is not None:
                state.returning.expect(account.id, held.scope if held is not None else WHOLE_ACCOUNT)


def _limit(state: PoolState, demand: Demand, account_id: int, now: datetime) -> tuple[datetime, str] | None:
    """When the account may serve, and the code of what stands in the way until then; None where no limit does."""
    held = state.blocked(account_id, demand.scopes, now)
    if held is not None and held.reason.startswith(RENEWAL):
        return None
    limits = [(held.until, held.reason)] if held is not None else []
    empty = state.spent(account_id, demand.buckets, now)
    return max([*limits, (empty, SPENT)] if empty is not None else limits, default=None)
