"""What an account's quota is worth: the reference numbers of codex.md 8, and what goes beyond them."""

from datetime import UTC, datetime, timedelta
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatpool.core.model import QuotaWindow
from seatpool.core.scoring import Standing, balance, score, window_score

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
H5, WEEK = 5 * 3600, 7 * 24 * 3600


def window(bucket: str, left: float, length_s: int | None, ahead_s: float | None, **more: object) -> QuotaWindow:
    ends = None if ahead_s is None else NOW + timedelta(seconds=ahead_s)
    return QuotaWindow(bucket, left, NOW, "header", length_s=length_s, resets_at=ends, **more)  # type: ignore[arg-type]


def value(*windows: QuotaWindow, plan: str | None = None, now: datetime = NOW) -> float:
    return score(windows, plan, now).value


@pytest.mark.parametrize(
    ("left", "span", "ahead", "expected"),
    [
        (0.88, H5, 9_000, 6.233),  # 12 % used: 0.88 x sqrt(10) / (0.5 x 1) x 1.12
        (0.60, WEEK, 300_000, 5.836),  # 40 % used
    ],
)
def test_the_reference_scores_of_one_window(left: float, span: int, ahead: int, expected: float) -> None:
    assert round(window_score(left, span, ahead), 3) == expected


def test_the_reference_guard() -> None:
    assert round(balance(0.20, 0.5), 3) == -1.115  # ln(0.2 / 0.5 x 0.82)
    found = score([window("primary", 0.20, H5, 9_000), window("secondary", 0.60, WEEK, 300_000)], None, NOW)
    assert (found.main, found.guard, round(found.factor, 3)) == ("secondary", "primary", 0.328)
    assert isclose(found.value, 5.8355 * 0.328, rel_tol=1e-4)


@pytest.mark.parametrize(
    ("plan", "times"),
    [
        ("prolite", 5),
        ("self_serve_business_prolite", 5),
        ("pro", 20),
        ("individual_pro", 5),
        ("individual_max", 20),
        ("business", 1),
        (None, 1),
    ],
)
def test_the_reference_plan_weights(plan: str | None, times: int) -> None:
    plus = value(window("primary", 0.5, H5, 9_000), plan="plus")
    assert isclose(value(window("primary", 0.5, H5, 9_000), plan=plan), plus * times**0.5)


def test_a_guard_that_resets_when_the_main_window_does_guards_nothing() -> None:
    weekly = window("secondary", 0.6, WEEK, 3_600)
    assert value(window("primary", 0.2, H5, 3_600), weekly) == value(weekly)


def test_a_guard_of_which_almost_nothing_is_left_takes_in_proportion() -> None:
    # 1.5 % left of the little that is 3 %: a half at most, though the time left to its reset weighs almost nothing
    found = score([window("primary", 0.015, H5, 299_900), window("secondary", 0.6, WEEK, 300_000)], None, NOW)
    assert found.factor <= 0.5


def test_unlimited_absent_and_exhausted_are_three_things() -> None:
    assert score([], None, NOW).standing is Standing.UNKNOWN
    assert score([window("chat", 1.0, None, None, unlimited=True)], None, NOW).standing is Standing.UNLIMITED
    assert score([window("primary", 0.0, H5, 60)], None, NOW).standing is Standing.EXHAUSTED
    assert value(window("primary", 0.0, H5, 60)) == 0.0


def test_a_spent_window_among_good_ones_is_a_spent_account() -> None:
    assert value(window("primary", 0.0, H5, 60), window("secondary", 0.9, WEEK, 300_000)) == 0.0


CHAT = window("chat", 1.0, None, None, unlimited=True)
TYPING = window("completions", 1.0, None, None, unlimited=True)
PREMIUM = window("premium_interactions", 0.0, 30 * 86_400, 9 * 86_400)
SESSION = window("session", 0.5, H5, 9_000)


@pytest.mark.parametrize(
    ("windows", "standing", "main", "drained"),
    [
        ([CHAT, TYPING, PREMIUM], Standing.UNLIMITED, "completions", PREMIUM.bucket),
        ([PREMIUM, CHAT], Standing.UNLIMITED, "chat", PREMIUM.bucket),
        ([CHAT, PREMIUM, SESSION], Standing.LIMITED, "session", PREMIUM.bucket),
        ([CHAT, PREMIUM, window("session", 0.0, H5, 60)], Standing.EXHAUSTED, "session", None),
        ([CHAT, window("premium_models", 0.0, None, None)], Standing.UNLIMITED, "chat", "premium_models"),
        ([CHAT, window("premium_models", 0.1, H5, 60)], Standing.LIMITED, "premium_models", None),
        ([PREMIUM, TYPING], Standing.EXHAUSTED, PREMIUM.bucket, None),  # of chat nobody has told
        ([PREMIUM, window("chat", 0.5, H5, 60)], Standing.EXHAUSTED, PREMIUM.bucket, None),
    ],
)
def test_an_empty_premium_window_is_no_empty_account_where_chat_has_no_limit(
    windows: list[QuotaWindow], standing: Standing, main: str, drained: str | None
) -> None:
    found = score(windows, None, NOW)
    assert (found.standing, found.main, found.drained) == (standing, main, drained)


def test_it_is_looked_at_again_when_the_premium_window_resets() -> None:
    found = score([CHAT, PREMIUM], None, NOW)
    assert PREMIUM.resets_at is not None and found.resets_at == PREMIUM.resets_at.timestamp()
    assert score([CHAT, PREMIUM], None, PREMIUM.resets_at).drained is None


def test_a_window_that_has_reset_since_counts_as_full() -> None:
    later = NOW + timedelta(seconds=61)
    assert value(window("primary", 0.0, H5, 60), now=later) == window_score(1.0, H5, H5)


@pytest.mark.parametrize(("length", "over_s"), [(H5, H5), (WEEK, WEEK), (None, WEEK)])
def test_a_window_whose_reset_nobody_tells_is_over_after_its_length(length: int | None, over_s: int) -> None:
    seen = [window("primary", 0.0, length, None)]
    before, after = (score(seen, None, NOW + timedelta(seconds=s)) for s in (over_s - 1, over_s))
    assert before.standing is Standing.EXHAUSTED
    assert (after.standing, after.room, after.untouched_since) == (Standing.LIMITED, 1.0, NOW.timestamp() + over_s)


@pytest.mark.parametrize(
    ("ahead", "length"),
    [(3_600, H5), (H5 + 1, WEEK), (WEEK + 1, 30 * 86_400), (31 * 86_400, 30 * 86_400)],  # the last: a long month
)
def test_a_window_of_unknown_length_is_taken_for_the_shortest_that_fits(ahead: int, length: int) -> None:
    assert value(window("x", 0.5, None, ahead)) == value(window("x", 0.5, length, ahead))


def test_copilots_windows_are_on_the_same_scale() -> None:
    month = window("premium_interactions", 0.5, 30 * 86_400, 15 * 86_400)
    tight = window("session", 0.05, H5, 9_000)
    assert 0 < value(month, tight) < value(month) < 50


def test_what_was_seen_more_than_an_hour_ago_is_marked() -> None:
    windows = [window("primary", 0.5, WEEK, 300_000)]
    assert not score(windows, None, NOW + timedelta(minutes=60)).stale
    assert score(windows, None, NOW + timedelta(minutes=61)).stale


WINDOWS = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from([H5, WEEK, 30 * 86_400]), st.floats(0.001, 1)), min_size=1, max_size=4
)


@given(WINDOWS, st.floats(0, 1), st.integers(0, 3))
def test_more_quota_never_scores_lower(shape: list[tuple[float, int, float]], more: float, which: int) -> None:
    windows = [window(f"w{i}", left, span, span * time) for i, (left, span, time) in enumerate(shape)]
    place = which % len(windows)
    left, span, time = shape[place]
    better = list(windows)
    better[place] = window(f"w{place}", left + (1 - left) * more, span, span * time)
    assert value(*better) >= value(*windows) * (1 - 1e-9)


@given(WINDOWS)
def test_the_order_in_which_windows_were_seen_does_not_matter(shape: list[tuple[float, int, float]]) -> None:
    windows = [window(f"w{i}", left, span, span * time) for i, (left, span, time) in enumerate(shape)]
    assert score(windows, None, NOW) == score(windows[::-1], None, NOW)
