"""What is remembered when the clock is set."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from seatpool.core import clockwork
from seatpool.core.model import WHOLE_ACCOUNT, Account, Cooldown, ProviderName, QuotaWindow
from seatpool.core.state import PoolState
from seatpool.core.strategy import Strategy

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


@pytest.mark.parametrize(
    ("jump", "window", "own", "left"),
    [
        pytest.param(14 * HOUR, 2 * HOUR, True, None, id="over meanwhile"),
        pytest.param(HOUR, 2 * HOUR, True, HOUR, id="goes on until the reset"),
        pytest.param(HOUR, 2 * HOUR + MINUTE, True, HOUR, id="the reset in other words"),
        pytest.param(HOUR, 2 * HOUR - 2 * MINUTE, True, 2 * HOUR, id="another reset"),
        pytest.param(HOUR, 2 * HOUR, False, 2 * HOUR, id="another account's"),
        pytest.param(-HOUR, 2 * HOUR, True, 2 * HOUR, id="set back"),
    ],
)
def test_a_limit_that_ends_with_a_window_does_so_where_the_machine_stood_still(
    jump: timedelta, window: timedelta, own: bool, left: timedelta | None
) -> None:
    state, now = pool(NOW + 2 * HOUR, NOW), NOW + jump
    seen = QuotaWindow("primary", 0.0, NOW, "header", length_s=18000, resets_at=NOW + window)
    state.observe(1 if own else 2, [seen], NOW)
    later = clockwork.shift(state, jump, now)
    assert bool(later) is (left == 2 * HOUR and jump > timedelta())
    held = state.blocked(1, (), now)
    assert (held.until - now if held is not None else None) == left
    assert bool(list(state.ready(ProviderName.CODEX, now))) is (left is None)


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


@pytest.mark.parametrize("jump", [HOUR, -HOUR, YEAR, -YEAR])
def test_a_conversation_stays_as_warm_as_it_was_and_others_are_told_of_it_anew(jump: timedelta) -> None:
    state, now = pool(NOW, NOW), NOW + 2 * MINUTE + jump
    state.remember("a", 1, NOW, cached_tokens=700)
    state.affinity.wrote("a")
    clockwork.shift(state, jump, now)
    held = state.affinity.held("a", now.timestamp())
    assert held is not None
    assert held.warmth(now.timestamp()) == 1.0
    assert held.warmth((now + 4 * MINUTE).timestamp()) == 0.0
    assert state.affinity.load(1, now.timestamp()) == 700
    assert state.affinity.load(1, (now + 4 * MINUTE).timestamp()) == 0
    assert held.written_at == 0.0


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_accounts_take_turns_whatever_the_clock_is_set_to(jump: timedelta) -> None:
    state, now = PoolState(Strategy.ROUND_ROBIN), NOW + 4 * MINUTE
    for number in (1, 2, 3):
        account = Account(number, ProviderName.CODEX, f"ws-{number}", f"a{number}", "chatgpt.com")
        state.put(replace(account, last_used_at=NOW + number * MINUTE), now)
    for by in (timedelta(), jump):
        now += by
        if by:
            clockwork.shift(state, by, now)
        asked = []
        for _ in range(6):
            now += MINUTE
            asked.append(next(iter(state.ready(ProviderName.CODEX, now))).id)
            state.use(asked[-1], now)
        assert asked == [1, 2, 3, 1, 2, 3]


def test_an_account_that_was_used_in_the_future_was_used_just_now() -> None:
    state = PoolState(Strategy.ROUND_ROBIN)
    for number, used_at in ((1, NOW + HOUR), (2, NOW - HOUR)):
        account = Account(number, ProviderName.CODEX, f"ws-{number}", f"a{number}", "chatgpt.com")
        state.put(replace(account, last_used_at=used_at), NOW)
    state.use(2, NOW + MINUTE)
    assert [a.id for a in state.ready(ProviderName.CODEX, NOW + MINUTE)] == [1, 2]


def test_places_are_lowered_again_after_the_clock_was_set_back() -> None:
    state, now = pool(NOW, NOW), NOW - HOUR
    assert state.caps.refuse(1, 8, NOW - MINUTE, NOW)
    clockwork.shift(state, -HOUR, now)
    assert not state.caps.refuse(1, 3, now - MINUTE, now), "that one was under way together with the first"
    assert state.caps.refuse(1, 4, now + MINUTE, now + MINUTE)
    assert state.caps.limit(1) == 2
