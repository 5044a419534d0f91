"""What is drawn of a window: its past as it fell and jumped, and what is ahead."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from seatpool.core.model import ProviderName, QuotaWindow
from seatpool.core.outlook import outlooks
from seatpool.core.report import AccountRow, WindowRow

NOW = datetime(2026, 3, 29, 12, tzinfo=UTC)
LENGTH = timedelta(hours=5)


def row(*windows: WindowRow) -> AccountRow:
    return AccountRow(
        7, "work", ProviderName.CODEX, None, "ready", None, 100, 1.0, "normal", None, 0, 0, None, windows, ()
    )


def shown(left: float, *, unlimited: bool = False) -> WindowRow:
    return WindowRow("primary", left, unlimited, 18_000, NOW + timedelta(hours=1), NOW, "header", False)


def seen(hours_ago: float, left: float, resets_in_h: float) -> QuotaWindow:
    at = NOW - timedelta(hours=hours_ago)
    return QuotaWindow("primary", left, at, "history", length_s=18_000, resets_at=NOW + timedelta(hours=resets_in_h))


def test_a_reset_in_the_past_is_drawn_as_a_jump_and_what_is_older_than_the_window_is_left_out() -> None:
    history = {(7, "primary"): [seen(30, 0.1, -26), seen(4.5, 0.4, -4), seen(3.5, 0.9, 1), seen(0, 0.5, 1)]}
    (told,) = outlooks([row(shown(0.5))], history, NOW)
    assert [point.left for point in told.past] == [0.4, 0.4, 0.9, 0.5]
    assert told.past[2].at - told.past[1].at == timedelta(seconds=1)


def test_what_is_ahead_begins_with_what_is_left_and_ends_at_the_reset() -> None:
    history = {(7, "primary"): [seen(h / 4, 1.0 - (16 - h) * 0.03, 1) for h in range(16, 0, -1)]}
    (told,) = outlooks([row(shown(0.5))], history, NOW)
    assert (told.account, told.bucket, told.resets_at) == ("work", "primary", NOW + timedelta(hours=1))
    assert (told.ahead[0].at, told.ahead[0].likely, told.ahead[-1].at) == (NOW, 0.5, told.resets_at)
    assert all(a.likely >= b.likely and b.least <= b.likely <= b.most for a, b in pairwise(told.ahead))


def test_a_window_that_was_seen_once_lasts_and_one_without_a_limit_is_not_told() -> None:
    (told,) = outlooks([row(shown(0.5), shown(1.0, unlimited=True))], {}, NOW)
    assert (told.runs_out_at, told.range_known, told.earliest, len(told.past)) == (None, False, None, 1)


def test_a_long_past_is_thinned_out_and_its_end_stays() -> None:
    history = {(7, "primary"): [seen(4 - i / 500, 1.0 - i / 4000, 1) for i in range(2000)]}
    (told,) = outlooks([row(shown(0.5))], history, NOW)
    assert 100 < len(told.past) < 250
    assert told.past[-1].at == NOW
