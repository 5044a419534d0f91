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


@dataclass(frozen=True, slots=True)
class Demand:
    """What a request asks of an account."""

    provider: ProviderName
    scopes: tuple[Scope, ...] = ()
    """The model and buckets it draws on: a cooldown of any of them excludes the account."""
    conversation: str | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """The account to ask."""

    account: Account
    reason: str
    """`affinity` (it has this conversation) or `best` (first by priority, quota left, least recent use)."""


@dataclass(frozen=True, slots=True)
class Exhausted:
    """No account is eligible."""

    limited: bool
    """True: some account would serve later, its limit ends at `soonest`. False: there is nobody to wait for."""
    soonest: datetime | None = None
    reason: str | None = None
    """Code of the limit that ends soonest."""


def select(
    state: PoolState, demand: Demand, now: datetime, tried: AbstractSet[int] = frozenset()
) -> Selection | Exhausted:
    """Choose an account that was not tried yet: the conversation's own, else the best that is ready.

    Ready accounts are ordered by priority, then by most quota left (accounts known to be empty come last), then by
    least recent use.
    """
    owner = state.owner(demand.conversation, now)
    if owner is not None and owner not in tried:
        account = state.accounts.get(owner)
        if account is not None and state.may_serve(account) and state.blocked(owner, demand.scopes, now) is None:
            return Selection(account, "affinity")
    for account in state.ready(demand.provider, now):
        if account.id not in tried and state.blocked(account.id, demand.scopes, now) is None:
            return Selection(account, "best")
    return _exhausted(state, demand, now)


def _exhausted(state: PoolState, demand: Demand, now: datetime) -> Exhausted:
    able = (a.id for a in state.accounts.values() if a.provider is demand.provider and state.may_serve(a))
    waits: list[Cooldown] = [c for a in able if (c := state.blocked(a, demand.scopes, now)) is not None]
    limits = [c for c in waits if not c.reason.startswith(RENEWAL)]
    if not limits:
        return Exhausted(limited=False)
    first = min(limits, key=lambda c: c.until)
    return Exhausted(limited=True, soonest=first.until, reason=first.reason)
