"""Whose a nameless throttle is: one account's, or the address's that all come from."""

from datetime import UTC, datetime, timedelta

import pytest

from seatpool.core.egress import Egress
from seatpool.core.model import ProviderName

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CODEX, COPILOT = ProviderName


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("before", "others"),
    [
        ([], set()),
        ([(CODEX, 2, 0)], {2}),
        ([(CODEX, 2, 0), (CODEX, 3, 1)], {2, 3}),
        ([(CODEX, 1, 0), (CODEX, 1, 5)], set()),  # one account alone, however often
        ([(COPILOT, 2, 0)], set()),
        ([(CODEX, 2, -0.1)], set()),  # too long ago
        ([(CODEX, 2, 3600)], set()),  # and that was before the clock was set back
        ([(CODEX, 2, -5), (CODEX, 2, 5)], {2}),
        ([(CODEX, 2, 0), (CODEX, 1, 1)], {2}),
    ],
)
def test_two_accounts_of_one_provider_within_seconds_make_it_the_addresss(
    before: list[tuple[ProviderName, int, float]], others: set[int]
) -> None:
    egress = Egress()
    for provider, account_id, seconds in before:
        egress.meet(provider, account_id, at(seconds), within_s=10)
    assert egress.meet(CODEX, 1, at(10), within_s=10).keys() == others


def test_it_is_told_when_the_other_met_it_last() -> None:
    egress = Egress()
    for seconds in (1, 4):
        egress.meet(CODEX, 2, at(seconds), within_s=10)
    assert egress.meet(CODEX, 1, at(6), within_s=10) == {2: at(4)}
