"""When there is room for speed. Five hours and a week, half over, unless told otherwise."""

from datetime import UTC, datetime, timedelta

import pytest

from seatpool.core.fastmode import has_room
from seatpool.core.model import QuotaWindow
from seatpool.core.scoring import Score, Standing, score

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
SHORT, LONG = timedelta(hours=5), timedelta(days=7)


def window(left: float, length: timedelta, ahead: float = 0.5, age: timedelta = timedelta()) -> QuotaWindow:
    """`ahead`: share of its time that is left."""
    name = "primary" if length == SHORT else "secondary"
    seconds = int(length.total_seconds())
    return QuotaWindow(name, left, NOW - age, "header", length_s=seconds, resets_at=NOW + length * ahead)


def scored(*windows: QuotaWindow) -> Score:
    return score(windows, "plus", NOW)


@pytest.mark.parametrize(
    ("windows", "room"),
    [
        ((window(0.6, LONG),), True),  # a fifth more is left than the time needs
        ((window(0.53, LONG),), True),  # 0.53 / 0.5 = 1.06
        ((window(0.52, LONG),), False),  # 1.04
        ((window(0.4, LONG),), False),
        ((window(0.9, LONG), window(0.6, SHORT)), True),
        ((window(0.9, LONG), window(0.1, SHORT)), False),  # 1.8 of the long one, times the guard's 0.1/0.5 x 0.82
        ((window(0.9, LONG), window(0.02, SHORT, 0.01)), False),  # below 3 %, however soon it resets
        ((window(1.0, LONG, 1.0), window(1.0, SHORT, 1.0)), False),  # nothing has begun: no more than even
        ((window(0.9, LONG, age=timedelta(hours=2)),), False),  # seen too long ago
        ((window(0.0, LONG),), False),
        ((), False),
        ((QuotaWindow("credits", 1.0, NOW, "header", unlimited=True),), True),
    ],
)
def test_room_is_more_quota_than_time(windows: tuple[QuotaWindow, ...], room: bool) -> None:
    assert has_room(scored(*windows)) is room


@pytest.mark.parametrize(("left", "stays"), [(0.52, True), (0.50, True), (0.48, False)])
def test_once_on_it_stays_on_until_a_little_too_much_is_used(left: float, stays: bool) -> None:
    assert has_room(scored(window(left, LONG)), already=True) is stays


def test_unlimited_quota_that_was_seen_long_ago_is_no_room() -> None:
    assert not has_room(Score(1.0, Standing.UNLIMITED, stale=True))
