from datetime import UTC, datetime, timedelta

import pytest

from seatpool.core.model import QuotaWindow
from seatpool.core.shown import as_known, together, up_to_date

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIVE_H = 18000


def window(
    left: float, ends: timedelta | None = HOUR, *, unlimited: bool = False, length_s: int | None = FIVE_H
) -> QuotaWindow:
    resets_at = NOW + ends if ends is not None else None
    return QuotaWindow("primary", left, NOW - HOUR, "header", unlimited, length_s, resets_at)


@pytest.mark.parametrize(
    ("seen", "left", "ends"),
    [
        (window(0.2), 0.2, HOUR),
        (window(0.2, None), 0.2, None),
        (window(0.2, -HOUR), 1.0, 4 * HOUR),  # it began again an hour ago, and lasts five
        (window(0.2, -11 * HOUR), 1.0, 4 * HOUR),  # and again five and ten hours before: 11 = 2 * 5 + 1
        (window(0.2, -HOUR, length_s=None), 1.0, None),
    ],
)
def test_a_window_that_is_over_is_whole_again(seen: QuotaWindow, left: float, ends: timedelta | None) -> None:
    found = up_to_date(seen, NOW)
    assert (found.left, found.resets_at) == (left, NOW + ends if ends is not None else None)
    assert as_known([seen], NOW) == {"primary": found}


@pytest.mark.parametrize(
    ("members", "left", "ends"),
    [
        ([("plus", 0.2, 2 * HOUR), ("plus", 0.6, HOUR)], 0.4, HOUR),  # (0.2 + 0.6) / 2
        ([("pro", 0.5, HOUR), ("plus", 0.92, HOUR)], 0.52, HOUR),  # (20 * 0.5 + 1 * 0.92) / 21
        ([(None, 0.5, 3 * HOUR), ("plus", 1.0, HOUR)], 0.75, 3 * HOUR),  # of the whole one nothing comes back
        ([("plus", 1.0, 3 * HOUR), ("plus", 1.0, 2 * HOUR)], 1.0, 2 * HOUR),
        ([("plus", 0.0, -HOUR), ("plus", 0.0, HOUR)], 0.5, HOUR),  # the first has reset since
        ([("plus", 0.5, None)], 0.5, None),
    ],
)  # fmt: skip
def test_several_accounts_windows_are_one(
    members: list[tuple[str | None, float, timedelta | None]], left: float, ends: timedelta | None
) -> None:
    known = [(plan, [window(share, end)]) for plan, share, end in members]
    (found,) = together([*known, ("pro", [])], NOW, lambda w: w.bucket).values()
    assert found.left == pytest.approx(left)
    assert found.resets_at == (NOW + ends if ends is not None else None)
    assert not found.unlimited


def test_one_account_without_a_limit_is_a_pool_without_one() -> None:
    members = [("plus", [window(0.1)]), ("plus", [window(1.0, None, unlimited=True)])]
    (found,) = together(members, NOW, lambda w: w.bucket).values()
    assert (found.unlimited, found.left) == (True, 1.0)
