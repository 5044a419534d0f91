"""Lengths of time as a person says them."""

from datetime import UTC, datetime, timedelta

import pytest

from seatpool.core.spans import ago, closely, span

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "roughly", "close"),
    [
        (-5, "0 s", "0 min"),
        (0, "0 s", "0 min"),
        (59, "59 s", "1 min"),
        (119, "119 s", "2 min"),
        (120, "2 min", "2 min"),
        (3599, "60 min", "1 h"),
        (4800, "80 min", "1 h 20 min"),
        (7169, "119 min", "1 h 59 min"),
        (7170, "2 h", "2 h"),
        (8999, "2 h", "2 h 30 min"),
        (9000, "3 h", "2 h 30 min"),
        (17_999, "5 h", "5 h"),
        (86_399, "24 h", "1 d"),
        (90_000, "25 h", "1 d 1 h"),
        (170_000, "47 h", "1 d 23 h"),
        (172_000, "2 d", "2 d"),
        (266_400, "3 d", "3 d 2 h"),
    ],
)
def test_spans(seconds: float, roughly: str, close: str) -> None:
    length = timedelta(seconds=seconds)
    assert (span(length), closely(length)) == (roughly, close)


def test_ago() -> None:
    assert (ago(NOW - timedelta(hours=2), NOW), ago(None, NOW)) == ("2 h ago", "never")
