"""How use is read from what was seen of a window."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatpool.core.model import QuotaWindow
from seatpool.core.usage import LAPSE, Record, began_at, length_of, per_step, steady, worth_keeping

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
END = NOON + 5 * HOUR


def seen(hours: float, left: float, resets_at: datetime | None = END, length_s: int | None = 18_000) -> QuotaWindow:
    return QuotaWindow("primary", left, NOON + hours * HOUR, "header", length_s=length_s, resets_at=resets_at)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (seen(0.1, 0.495), False),
        (seen(0.1, 0.49), True),
        (seen(0.1, 0.51), True),
        (seen(1 / 6, 0.50), True),
        (seen(0.1, 0.499, END + 5 * HOUR), False),
        (QuotaWindow("primary", 1.0, NOON + HOUR, "header", unlimited=True), False),
        (QuotaWindow.none("primary", NOON + HOUR, "usage"), False),
    ],
    ids=["half a percent", "one percent less", "more than before", "ten minutes", "another end", "unlimited", "gone"],
)
def test_a_row_is_written_for_a_percent_or_ten_minutes(after: QuotaWindow, expected: bool) -> None:
    assert worth_keeping(seen(0, 0.50), after) is expected


def test_the_first_observation_and_the_first_after_a_reset_are_kept() -> None:
    assert worth_keeping(None, seen(0, 1.0))
    assert worth_keeping(seen(4.99, 0.998), seen(5.01, 0.999, END + 5 * HOUR))


def test_use_between_two_observations_is_spread_over_the_time_between_them() -> None:
    # 0.40 in two hours, then nothing
    assert per_step([seen(0, 0.9), seen(2, 0.5)], NOON + 4 * HOUR, HOUR) == pytest.approx([0.2, 0.2, 0.0, 0.0])


def test_steps_end_at_the_moment_that_is_asked_for() -> None:
    # 0.40 in two hours from 12:00; steps from 12:30 to 13:30, 14:30
    steps = per_step([seen(0, 0.9), seen(2, 0.5)], NOON + 2.5 * HOUR, HOUR)
    assert steps == pytest.approx([0.2, 0.1])


def test_after_a_reset_what_is_missing_was_used_since_the_reset() -> None:
    # The period ends at 17:00; at 19:00 0.20 of the next one are gone, which began at 17:00: 0.10 an hour.
    steps = per_step([seen(4, 0.5), seen(7, 0.8, END + 5 * HOUR)], NOON + 7 * HOUR, HOUR)
    assert steps == pytest.approx([0.0, 0.1, 0.1])


def test_a_window_that_is_whole_again_before_its_end_has_given_nothing_to_use() -> None:
    # The period was to end at 17:00; at 13:00 all of it is there again, and it ends at 18:00: 0.10 in the next hour.
    end = END + HOUR
    steps = per_step([seen(0, 0.5), seen(1, 1.0, end), seen(2, 0.9, end)], NOON + 2 * HOUR, HOUR)
    assert steps == pytest.approx([0.0, 0.1])


def test_a_period_that_began_before_it_was_seen_is_told_by_its_end() -> None:
    # Seen last at 12:00 and again at 14:00, when it is said to end at 18:00: it began at 13:00.
    assert began_at(seen(0, 0.5), seen(2, 0.8, END + HOUR)) == NOON + HOUR
    assert began_at(seen(0, 0.5), seen(2, 0.8, END + 9 * HOUR)) == NOON + 2 * HOUR, "never after it was seen"


def test_a_share_that_grows_for_no_known_reason_is_no_use() -> None:
    steps = per_step([seen(0, 0.5, None, None), seen(1, 0.8, None, None)], NOON + HOUR, HOUR)
    assert steps == [0.0]


LATER = END + 3 * HOUR


@pytest.mark.parametrize(
    ("lefts", "kept"),
    [
        ([0.5, (1.0, LATER), 0.45, (0.98, LATER), 0.4], [0.5, 0.45, 0.4]),
        ([0.5, *[(0.98, LATER)] * LAPSE, 0.45], [0.5, 0.45]),
        ([0.5, (0.01, LATER), 0.45], [0.5, 0.45]),
        ([0.5, 0.4, 0.45, 0.4], [0.5, 0.45, 0.4]),
        ([0.5, (1.0, LATER), (0.9, LATER)], [0.5, 1.0, 0.9]),
        ([0.5, (1.0, LATER), (0.9, LATER), 0.5, (0.8, LATER)], [0.5, 0.5, 0.8]),
        ([0.5, *[(0.98, LATER)] * (LAPSE + 1), 0.45], [0.5, *[0.98] * (LAPSE + 1), 0.45]),
        ([(0.5, None), (0.9, None), (0.5, None)], [0.5, 0.9, 0.5]),
    ],
    ids=[
        "now and then another window",
        "some times in a row",
        "an emptier one",
        "an old answer that comes late",
        "an early reset",
        "an early reset, and an old answer",
        "for long",
        "no reset is told",
    ],
)
def test_what_is_of_another_window_for_a_moment_is_no_use(
    lefts: list[float | tuple[float, datetime | None]], kept: list[float]
) -> None:
    rows = [row if isinstance(row, tuple) else (row, END) for row in lefts]
    history = [seen(0.1 * n, left, end) for n, (left, end) in enumerate(rows)]
    assert [window.left for window in steady(history)] == kept


def test_one_reset_is_told_a_little_apart() -> None:
    ends = (END, END + timedelta(seconds=90))
    history = [seen(0, 0.5), seen(0.1, 1.0, LATER), seen(0.2, 0.4, ends[1]), seen(0.3, 0.4, ends[0])]
    assert [window.left for window in steady(history)] == [0.5, 0.4, 0.4]


def test_of_the_time_in_which_a_window_was_empty_nothing_is_known() -> None:
    # Empty at 13:00, reset at 17:00.
    steps = per_step([seen(0, 0.4), seen(1, 0.0)], NOON + 6 * HOUR, HOUR)
    assert steps == [pytest.approx(0.4), None, None, None, None, 0.0]


def test_a_moment_between_observations_is_told_by_the_line_between_them_and_a_later_one_by_the_last() -> None:
    record = Record([seen(0, 0.9), seen(2, 0.5), seen(5.5, 0.9, END + 5 * HOUR)])
    moments = {-1: None, 0: 0.9, 1: 0.7, 2: 0.5, 4.9: 0.5, 6: 0.9}
    assert {h: record.left_at(NOON + h * HOUR) for h in moments} == pytest.approx(moments)
    known = record.known_at(NOON + HOUR)
    assert known is not None and known.left == 0.9
    assert record.known_at(NOON - HOUR) is None


@pytest.mark.parametrize(
    ("history", "hours"),
    [
        ([seen(0, 1.0)], 5),
        ([seen(0, 1.0, NOON + 4 * HOUR, None)], 5),
        ([seen(0, 1.0, NOON + 6 * HOUR, None)], 7 * 24),
        ([seen(0, 1.0, NOON + 200 * HOUR, None), seen(190, 0.5, NOON + 200 * HOUR, None)], 30 * 24),
        ([seen(0, 1.0, None, None)], 7 * 24),
    ],
    ids=["told", "within five hours", "within a week", "the longest way to a reset counts", "nothing told"],
)
def test_a_length_that_is_not_told_is_the_shortest_that_fits(history: list[QuotaWindow], hours: int) -> None:
    assert length_of(history) == hours * HOUR


@given(st.lists(st.tuples(st.floats(0.01, 20), st.floats(0, 0.09)), min_size=1, max_size=10), st.floats(0, 30))
def test_no_use_is_lost_or_invented(uses: list[tuple[float, float]], more: float) -> None:
    """Steps as long as the whole add up to what the observations differ by."""
    hours, left, history = 0.0, 1.0, [seen(0, 1.0, None)]
    for gap, used in uses:
        hours, left = hours + gap, left - used
        history.append(seen(hours, left, None))
    until = history[-1].observed_at + more * HOUR
    (total,) = per_step(history, until, until - NOON)
    assert total == pytest.approx(1.0 - left)
    steps = per_step(history, until, (until - NOON) // 7)
    assert sum(u or 0.0 for u in steps) == pytest.approx(1.0 - left, abs=1e-6)
