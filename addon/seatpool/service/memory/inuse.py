"""The accounts that this process lets serve, so that what is due for one is done before a request has to wait for it.

Nothing is done for an account that serves nobody: there is no synthetic traffic (promises.md).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice

from seatpool.core.model import Account
from seatpool.core.state import PoolState

AT_A_TIME = 500
"""Looked at in one go, since the event loop waits meanwhile: some milliseconds. With ten thousand accounts it takes
three minutes and a half to look at each, which is less than anything here is early by."""


class InUse:
    """Those that have served lately."""

    def __init__(self, state: PoolState, within: timedelta) -> None:
        """`within`: how long ago an account may have served last."""
        self._state = state
        self._within = within
        self._used: dict[int, datetime] = {}

    def note(self, account_id: int, now: datetime) -> None:
        """An account serves a request."""
        self._used[account_id] = now

    def some(self, now: datetime) -> Iterator[Account]:
        """Those whose turn it is to be looked at: all of them, where they are few."""
        for account_id in tuple(islice(self._used, AT_A_TIME)):
            used_at = self._used.pop(account_id)
            account = self._state.accounts.get(account_id)
            if account is not None and abs(now - used_at) <= self._within:
                self._used[account_id] = used_at  # behind the others
                if account.usable and not account.learnt:
                    yield account
