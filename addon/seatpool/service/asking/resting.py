"""The accounts that requests of late have passed over for want of quota: what is left may be more than was told.

Upstream resets windows early at times, and people buy more. Whoever serves nobody hears nothing of it by itself.
"""

from collections import OrderedDict
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

from seatpool.core.model import Account, ProviderName, Scope
from seatpool.core.selection import Demand, waits_for_quota
from seatpool.core.state import PoolState
from seatpool.service.logins.remembered import remember
from seatpool.service.memory.inuse import AT_A_TIME

KINDS = 8
"""Of requests, the latest: each is compared with every account that has its turn, while the event loop waits."""

_Kind = tuple[ProviderName, tuple[Scope, ...], tuple[str, ...], AbstractSet[int] | None]


class Resting:
    """By what is asked, and not by account: so a request costs the same however many accounts rest."""

    def __init__(self, state: PoolState, within: timedelta) -> None:
        """`within`: how long ago a request may have come last."""
        self._state = state
        self._within = within
        self._asked: OrderedDict[_Kind, tuple[Demand, datetime]] = OrderedDict()
        self._round: list[int] = []
        """Ids of those whose turn is still to come."""

    def note(self, demand: Demand, now: datetime) -> None:
        """A request looks for an account."""
        kind = demand.provider, demand.scopes, demand.buckets, demand.only
        remember(self._asked, kind, (demand, now), KINDS)

    def some(self, now: datetime) -> Iterator[Account]:
        """Those of whose turn it is that nothing but spent quota keeps from such a request: of few accounts, all."""
        wanted = [demand for demand, at in self._asked.values() if timedelta() <= now - at <= self._within]
        if not wanted:
            self._asked.clear()
            return
        self._round = self._round or list(self._state.accounts)
        turn, self._round = self._round[:AT_A_TIME], self._round[AT_A_TIME:]
        for account_id in turn:
            account = self._state.accounts.get(account_id)
            if account is None or not account.usable or account.learnt:
                continue
            if any(waits_for_quota(self._state, demand, account, now) for demand in wanted):
                yield account
