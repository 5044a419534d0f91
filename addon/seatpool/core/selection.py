"""Which account serves a request."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

from seatpool.core.model import Account, Cooldown, ProviderName, Scope
from seatpool.core.state import PoolState

RENEWAL = "renewal-"
"""Cooldown reasons that begin so are about our own side calls, not about a limit."""
REVOKED = "revoked-"
"""Reasons of disabled accounts that begin so: the issuer has taken the seat away or flags it."""
FULL = "full"
"""Why there is nobody: whoever could serve has as many requests under way as it takes."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a request asks of an account."""

    provider: ProviderName
    scopes: tuple[Scope, ...] = ()
    """The model and buckets it draws on: a cooldown of any of them excludes the account."""
    conversation: str | None = None
    only: AbstractSet[int] | None = None
    """Ids of the accounts that a rule allows; None where no rule has a say."""
    prefer: AbstractSet[int] = frozenset()
    """Ids of the accounts that a rule puts before the others."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The account to ask."""

    account: Account
    reason: str
    """`affinity` (it has this conversation), `rule` (a rule prefers it) or `best` (first in the strategy's order)."""


@dataclass(frozen=True, slots=True)
class Exhausted:
    """No account is eligible."""

    limited: bool
    """True: some account would serve later, its limit ends at `soonest`. False: there is nobody to wait for."""
    soonest: datetime | None = None
    reason: str | None = None
    """Code of the limit that ends soonest."""
    full: bool = False
    """An account would serve as soon as one of its requests is over."""


def select(
    state: PoolState, demand: Demand, now: datetime, tried: AbstractSet[int] = frozenset()
) -> Selection | Exhausted:
    """Choose an account that was not tried yet: the conversation's own, else the best that is ready.

    What a rule forbids is not looked at; of what it allows, what it prefers comes before the others.
    """
    owner = state.owner(demand.conversation, now)
    if owner is not None and _eligible(state, demand, owner, now, tried):
        account = state.accounts.get(owner)
        if account is not None and state.may_serve(account):
            return Selection(account, "affinity")
    second: Account | None = None
    for account in state.ready(demand.provider, now):
        if not _eligible(state, demand, account.id, now, tried):
            continue
        if not demand.prefer or account.id in demand.prefer:
            return Selection(account, "rule" if demand.prefer else "best")
        second = second or account
    return Selection(second, "best") if second is not None else _exhausted(state, demand, now, tried)


def _eligible(state: PoolState, demand: Demand, account_id: int, now: datetime, tried: AbstractSet[int]) -> bool:
    return not state.full(account_id) and _could(state, demand, account_id, now, tried)


def _could(state: PoolState, demand: Demand, account_id: int, now: datetime, tried: AbstractSet[int]) -> bool:
    allowed = demand.only is None or account_id in demand.only
    return allowed and account_id not in tried and state.blocked(account_id, demand.scopes, now) is None


def _exhausted(state: PoolState, demand: Demand, now: datetime, tried: AbstractSet[int]) -> Exhausted:
    able = [
        a.id
        for a in state.accounts.values()
        if a.provider is demand.provider and state.may_serve(a) and (demand.only is None or a.id in demand.only)
    ]
    if any(_could(state, demand, account_id, now, tried) for account_id in able):
        return Exhausted(limited=True, reason=FULL, full=True)
    waits: list[Cooldown] = [c for a in able if (c := state.blocked(a, demand.scopes, now)) is not None]
    limits = [c for c in waits if not c.reason.startswith(RENEWAL)]
    if not limits:
        return Exhausted(limited=False)
    first = min(limits, key=lambda c: c.until)
    return Exhausted(limited=True, soonest=first.until, reason=first.reason)
