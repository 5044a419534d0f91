"""What one choice of an account costs, measured in this process on the core alone."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from statistics import median
from types import MappingProxyType

from seatpool.core.model import Account, ProviderName, QuotaWindow
from seatpool.core.policy import Policy
from seatpool.core.selection import Demand, Selection, select
from seatpool.core.state import PoolState

CHOICES_US: Mapping[int, float] = MappingProxyType({10: 50.0, 1000: 2000.0})
"""Accounts, and microseconds that a choice among them may take."""
BATCH, BATCHES = 200, 15
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def choice_us(accounts: int) -> float:
    """Microseconds for a choice and what follows from it in the state: the median of batches.

    A third each are turns of a conversation that goes on, new conversations, and heavy ones that are taken up again.
    """
    state = _pool(accounts)
    taken = []
    for batch in range(BATCHES):
        demands = [_demand(state, batch * BATCH + number, accounts) for number in range(BATCH)]
        now = NOW + timedelta(seconds=batch)
        began = time.perf_counter()
        for demand in demands:
            found = select(state, demand, now)
            assert isinstance(found, Selection)
            state.use(found.account.id, now)
        taken.append((time.perf_counter() - began) / BATCH * 1e6)
    return median(taken)


def _demand(state: PoolState, number: int, accounts: int) -> Demand:
    name = f"c{number}"
    if number % 3:
        served_at = NOW if number % 3 == 1 else NOW - timedelta(hours=1)
        state.remember(name, number % accounts, served_at, cached_tokens=100_000)
    return Demand(ProviderName.CODEX, conversation=name)


def _pool(accounts: int) -> PoolState:
    state = PoolState()
    state.follow(Policy(), NOW)
    for number in range(accounts):
        plan = ("plus", "pro", "prolite")[number % 3]
        state.put(Account(number, ProviderName.CODEX, f"a{number}", f"i{number}", "chatgpt.com", plan=plan), NOW)
        left = 1 - number % 90 / 100
        short = QuotaWindow("primary", left, NOW, "header", length_s=18_000, resets_at=NOW + timedelta(hours=2))
        long = QuotaWindow("secondary", left, NOW, "header", length_s=604_800, resets_at=NOW + timedelta(days=3))
        state.observe(number, [short, long], NOW)
    return state
