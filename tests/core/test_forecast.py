"""When a window runs out, by how it was used up."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from seatpool.core.backtest import Horizon, backtest
from seatpool.core.forecast import Forecaster
from seatpool.core.model import QuotaWindow
from seatpool.core.usage import worth_keeping

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIVE_HOURS, WEEK = 5 * HOUR, 7 * 24 * HOUR


def used_up(length: timedelta, days: float, rate: Callable[[datetime], float]) -> list[QuotaWindow]:
    """Observed every five minutes, in periods end to end from Monday; `rate` is a share per hour."""
    history: list[QuotaWindow] = []
    moment, left, resets_at = MONDAY, 1.0, MONDAY + length
    while moment <= MONDAY + timedelta(days=days):
        window = QuotaWindow(
            "w", round(left, 4), moment, "header", length_s=int(length.total_seconds()), resets_at=resets_at
        )
        if worth_keeping(history[-1] if history else None, window):
            history.append(window)
        moment += HOUR / 12
        left = max(left - rate(moment) / 12, 0.0)
        if moment >= resets_at:
            left, resets_at = 1.0, resets_at + length
    return history


def at_work(seed: int, rate: float) -> Callable[[datetime], float]:
    """In bursts, from eight to six, on weekdays."""
    chance = random.Random(seed)

    def now(moment: datetime) -> float:
        busy = moment.weekday() < 5 and 8 <= moment.hour < 18 and chance.random() < 0.4
        return rate * chance.expovariate(1.0) if busy else 0.0

    return now


def test_steady_use_runs_out_when_arithmetic_says_so() -> None:
    # 0.25 an hour since midnight: at 02:00 half is left, which lasts until 04:00, an hour before the reset.
    now = MONDAY + 2 * HOUR
    told = Forecaster(used_up(FIVE_HOURS, 2 / 24, lambda _: 0.25), now).at(now)
    assert told.left == pytest.approx(0.5)
    assert told.until == MONDAY + FIVE_HOURS
    assert told.runs_out_at is not None
    assert abs(told.runs_out_at - (MONDAY + 4 * HOUR)) < timedelta(minutes=1)


def test_answers_about_a_window_that_has_hardly_begun_change_nothing_between_those_that_tell_it() -> None:
    history = used_up(WEEK, 3, lambda _: 0.005)
    now = history[-1].observed_at
    jumping = [
        replace(seen, left=0.98, resets_at=seen.observed_at + WEEK) if n % 6 == 3 else seen
        for n, seen in enumerate(history[:-1])
    ]
    told, expected = (Forecaster([*some, history[-1]], now).at(now) for some in (jumping, history[:-1]))
    assert told.runs_out_at is expected.runs_out_at is None
    assert told.at_reset.likely == pytest.approx(expected.at_reset.likely, abs=0.02)


def test_steady_use_that_ends_after_the_reset_lasts() -> None:
    # 0.15 an hour: 0.25 of it are left at 05:00.
    now = MONDAY + 2 * HOUR
    told = Forecaster(used_up(FIVE_HOURS, 2 / 24, lambda _: 0.15), now).at(now)
    assert told.runs_out_at is None
    assert told.at_reset.likely == pytest.approx(0.25, abs=0.01)


def test_a_single_observation_tells_the_pace_of_its_period_and_no_range() -> None:
    # Two days into the week 0.80 are used: 0.40 a day, so that the rest lasts half a day.
    now = MONDAY + timedelta(days=2)
    window = QuotaWindow("w", 0.2, now, "header", length_s=7 * 86_400, resets_at=MONDAY + WEEK)
    told = Forecaster([window], now).at(now)
    assert told.points == 0
    assert told.runs_out_at is not None
    assert abs(told.runs_out_at - now - 12 * HOUR) < timedelta(minutes=5)
    assert told.earliest == told.latest == told.runs_out_at


@pytest.mark.parametrize("left", [1.0, 0.3])
def test_a_window_of_which_only_one_thing_was_ever_seen_and_no_reset_lasts(left: float) -> None:
    told = Forecaster([QuotaWindow("w", left, MONDAY, "header")], MONDAY).at(MONDAY)
    assert (told.left, told.runs_out_at, told.points) == (left, None, 0)


def test_what_is_empty_runs_out_now_and_is_full_after_its_reset() -> None:
    history = used_up(FIVE_HOURS, 4 / 24, lambda _: 0.5)
    now = MONDAY + 4 * HOUR
    assert Forecaster(history, now).at(now).runs_out_at == now
    later = MONDAY + 6 * HOUR
    assert Forecaster(history, later).at(later).left == 1.0


def test_a_burst_does_not_go_on_through_the_night() -> None:
    """A week's window, used at work by 0.012 an hour: nobody thinks that it goes on so for five days."""
    history = used_up(WEEK, 16 + 17 / 24, lambda m: 0.012 if m.weekday() < 5 and 8 <= m.hour < 18 else 0.0)
    now = MONDAY + timedelta(days=16, hours=17)  # Wednesday: 27 hours of 50 are worked, 0.324 used
    told = Forecaster(history, now).at(now)
    assert told.left == pytest.approx(1 - 29 * 0.012, abs=0.02)
    # 21 hours are to come: 0.25 (the record knows no weekends; they make it a little more careful)
    assert told.runs_out_at is None
    assert 0.2 < told.at_reset.likely < told.left - 0.15
    assert told.points >= 20


def test_nothing_later_than_the_moment_enters_its_forecast() -> None:
    history = used_up(FIVE_HOURS, 6, at_work(1, 0.3))
    forecaster = Forecaster(history, MONDAY + timedelta(days=6))
    for moment in forecaster.moments()[40::30]:
        past = [w for w in history if w.observed_at <= moment]
        alone = Forecaster(past, moment)
        assert forecaster.state(moment) == alone.state(moment)
        assert forecaster.share(moment, moment + HOUR).likely == pytest.approx(
            alone.share(moment, moment + HOUR).likely, abs=0.02
        )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0.02, 1.0), st.floats(0.5, 9.9), st.sampled_from([FIVE_HOURS, WEEK]))
@example(61, 1.0, 3.0, WEEK)
def test_a_range_holds_its_forecast_and_stays_in_order(seed: int, rate: float, days: float, length: timedelta) -> None:
    now = MONDAY + timedelta(days=days)
    told = Forecaster(used_up(length, days, at_work(seed, rate * FIVE_HOURS / length)), now).at(now)
    never = told.until + HOUR
    assert now <= (told.earliest or never) <= (told.runs_out_at or never) <= (told.latest or never)
    assert 0.0 <= told.at_reset.least <= told.at_reset.likely <= told.at_reset.most <= told.left
    for moment in (told.earliest, told.runs_out_at, told.latest):
        assert moment is None or moment <= told.until


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0.05, 0.95))
def test_less_quota_never_lasts_longer(seed: int, share: float) -> None:
    history = used_up(WEEK, 3.5, at_work(seed, 0.02))
    now = MONDAY + timedelta(days=3.5)
    forecaster = Forecaster(history, now)
    last = history[-1]
    less = [*history[:-1], QuotaWindow("w", last.left * share, last.observed_at, "header", resets_at=last.resets_at)]
    poorer = Forecaster(less, now)
    assert poorer.state(now)[0] < forecaster.state(now)[0]
    never = MONDAY + WEEK + HOUR
    assert (poorer.at(now).runs_out_at or never) <= (forecaster.at(now).runs_out_at or never)


def test_steady_use_is_forecast_without_error() -> None:
    now = MONDAY + timedelta(days=5)
    hour, reset = backtest(Forecaster(used_up(FIVE_HOURS, 5, lambda _: 0.1), now))
    for result in (hour, reset):
        assert result.cases >= 20
        # An observation is up to ten minutes old, in which 0.017 are used.
        assert result.error == pytest.approx(0.0, abs=0.017)
        assert result.covered is not None and result.covered >= 0.8


@pytest.mark.parametrize("seed", range(3))
def test_at_work_the_forecast_is_nearer_than_a_straight_line_and_its_range_holds_about_eight_of_ten(seed: int) -> None:
    history = used_up(FIVE_HOURS, 20, at_work(seed, 0.3))
    results = {r.horizon: r for r in backtest(Forecaster(history, MONDAY + timedelta(days=20)))}
    reset = results[Horizon.RESET]
    assert reset.error is not None and reset.straight_error is not None and reset.covered is not None
    assert reset.error < reset.straight_error
    assert 0.6 <= reset.covered <= 0.95


def test_with_little_history_nothing_is_scored() -> None:
    now = MONDAY + 2 * HOUR
    for result in backtest(Forecaster(used_up(FIVE_HOURS, 2 / 24, lambda _: 0.1), now)):
        assert (result.error, result.straight_error, result.covered) == (None, None, None)
