"""Limits in a row that nobody gives a time for, and the success that makes them forgotten."""

from datetime import UTC, datetime, timedelta

import pytest

from seatpool.core.model import WHOLE_ACCOUNT, Cooldown, Scope, ScopeKind
from seatpool.core.strikes import count, settled

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MODEL = Scope(ScopeKind.MODEL, "gpt-x")
OTHER = Scope(ScopeKind.MODEL, "gpt-y")


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def struck(strikes: int, scope: Scope = WHOLE_ACCOUNT) -> Cooldown:
    """From noon on, for a minute."""
    return Cooldown(1, scope, "rate-limited", at(1), NOW, strikes)


@pytest.mark.parametrize(
    ("held", "asked", "expected"),
    [
        (None, 2, 1),
        (struck(1), 2, 2),
        (struck(3), 2, 4),
        (struck(3), -1, 3),  # it was under way when the last one struck: the same event
        (struck(3), 0, 3),
        (struck(0), 2, 1),  # upstream named its time
        (struck(0), -1, 1),
    ],
)
def test_only_a_request_that_was_sent_after_the_last_strike_adds_one(
    held: Cooldown | None, asked: float, expected: int
) -> None:
    assert count(held, at(asked)) == expected


@pytest.mark.parametrize(
    ("cooldown", "asked", "now", "forgotten"),
    [
        (struck(2), 2, 3, True),
        (struck(2, MODEL), 2, 3, True),
        (struck(2, OTHER), 2, 3, False),  # another model was served
        (struck(0), 2, 3, False),  # nothing to forget
        (struck(2), -1, 3, False),  # sent before the strike, it tells nothing of what came after
        (struck(2), 0.2, 0.5, False),  # while it runs, a cooldown is not for an answer to end
    ],
)
def test_a_success_clears_the_strikes_of_what_it_drew_on(
    cooldown: Cooldown, asked: float, now: float, forgotten: bool
) -> None:
    found = settled({cooldown.scope: cooldown}, [MODEL], at(asked), at(now))
    assert found == ((cooldown,) if forgotten else ())
