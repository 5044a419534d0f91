"""What is remembered when the clock is set."""

from datetime import UTC, datetime, timedelta

import pytest

from seatpool.core import clockwork
from seatpool.core.model import WHOLE_ACCOUNT, Account, Cooldown, ProviderName, QuotaWindow
from seatpool.core.state import PoolState

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE, HOUR, YEAR = timedelta(minutes=1), timedelta(hours=1), timedelta(days=365)


def pool(until: datetime, created_at: datetime) -> PoolState:
    state = PoolState()
    state.put(Account(1, ProviderName.CODEX, "alice", "alice", "chatgpt.com"), NOW)
    state.cool(Cooldown(1, WHOLE_ACCOUNT, "usage_limit_reached", until, created_at), NOW)
    return state


@pytest.mark.parametrize("jump", [HOUR, -HOUR, YEAR, -YEAR, 6 * MINUTE])
def test_a_limit_lasts_as_long_as_it_did_whatever_the_clock_is_set_to(jump: timedelta) -> None:
    state, now = pool(NOW + 30 * MINUTE, NOW), NOW + 10 * MINUTE + jump
    later = clockwork.shift(state, jump, now)
    left = state.cooldowns[1][WHOLE_ACCOUNT].until - now
    assert left == 20 * MINUTE
    assert bool(later) is (jump > timedelta()), "what ends later others are to hear of"
    assert not list(state.ready(ProviderName.CODEX, now + 19 * MINUTE))
    assert [a.name for a in state.ready(ProviderName.CODEX, now + 20 * MINUTE)] == ["alice"]


def test_a_limit_that_is_over_stays_over() -> None:
    state = pool(NOW + MINUTE, NOW)
    assert clockwork.shift(state, -HOUR, NOW + 2 * MINUTE - HOUR) == []
    assert [a.name for a in state.ready(ProviderName.CODEX, NOW + 2 * MINUTE - HOUR)] == ["alice"]


def test_a_stored_limit_from_the_future_lasts_no_longer_than_it_was_to_last() -> None:
    stored = Cooldown(1, WHOLE_ACCOUNT, "usage_limit_reached", NOW + 4 * YEAR + HOUR, NOW + 4 * YEAR)
    assert clockwork.sensible(stored, NOW).until == NOW + HOUR
    fresh = Cooldown(1, WHOLE_ACCOUNT, "usage_limit_reached", NOW + HOUR, NOW + timedelta(seconds=2))
    assert clockwork.sensible(fresh, NOW) is fresh


def test_what_was_seen_in_the_future_does_not_hide_what_is_seen_now() -> None:
    state = pool(NOW, NOW - HOUR)
    state.observe(1, [QuotaWindow("primary", 0.9, NOW + HOUR, "header")], NOW + HOUR)
    state.observe(1, [QuotaWindow("primary", 0.2, NOW, "header")], NOW)
    assert state.windows[1]["primary"].left == 0.2


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_limit_that_was_learnt_after_the_clock_was_set_stays_as_it_is(jump: timedelta) -> None:
    now, second = NOW + jump, timedelta(seconds=1)
    state = pool(now + MINUTE, now - second)
    assert clockwork.shift(state, jump, now, within=2 * second) == []
    assert state.cooldowns[1][WHOLE_ACCOUNT].until == now + MINUTE


def test_one_of_before_is_shifted_however_late_the_clock_was_looked_at() -> None:
    state, now = pool(NOW + 30 * MINUTE, NOW), NOW + 6 * MINUTE + HOUR
    clockwork.shift(state, HOUR, now, within=2 * HOUR)
    assert state.cooldowns[1][WHOLE_ACCOUNT].until == NOW + 30 * MINUTE + HOUR
