"""Accounts in use: each has its turn, and those that serve nobody have none."""

from datetime import UTC, datetime, timedelta

from seatpool.core.model import Account, ProviderName
from seatpool.core.state import PoolState
from seatpool.service.memory.inuse import AT_A_TIME, InUse

NOW = datetime(2026, 3, 1, tzinfo=UTC)
WITHIN = timedelta(minutes=5)


def state_of(count: int, **more: object) -> PoolState:
    state = PoolState()
    for number in range(1, count + 1):
        name = f"account-{number}"
        state.put(Account(number, ProviderName.CODEX, name, name, "chatgpt.com", **more), NOW)  # type: ignore[arg-type]
    return state


def looked_at(in_use: InUse, now: datetime = NOW) -> list[int]:
    return [account.id for account in in_use.some(now)]


def test_a_few_are_looked_at_every_time() -> None:
    in_use = InUse(state_of(3), WITHIN)
    for number in (2, 1):
        in_use.note(number, NOW)
    assert looked_at(in_use) == looked_at(in_use) == [2, 1]


def test_of_many_each_has_its_turn() -> None:
    many = 2 * AT_A_TIME + 7
    in_use = InUse(state_of(many), WITHIN)
    for number in range(1, many + 1):
        in_use.note(number, NOW)
    seen = [looked_at(in_use) for _ in range(3)]
    assert max(map(len, seen)) == AT_A_TIME
    assert set().union(*seen) == set(range(1, many + 1))
    in_use.note(1, NOW + WITHIN)
    assert looked_at(in_use, NOW + WITHIN + timedelta(seconds=1)).count(1) <= 1


def test_who_serves_nobody_is_forgotten_until_it_serves_again() -> None:
    in_use = InUse(state_of(1), WITHIN)
    in_use.note(1, NOW)
    later = NOW + WITHIN + timedelta(seconds=1)
    assert looked_at(in_use, later) == looked_at(in_use, NOW) == []
    in_use.note(1, later)
    assert looked_at(in_use, later) == [1]


def test_who_was_removed_paused_or_only_learnt_is_left_alone() -> None:
    in_use = InUse(state_of(1), WITHIN)
    in_use.note(2, NOW)
    assert looked_at(in_use) == []
    for more in ({"paused": True}, {"learnt": True}):
        in_use = InUse(state_of(1, **more), WITHIN)
        in_use.note(1, NOW)
        assert looked_at(in_use) == []


def test_nobody_is_in_use_for_as_long_as_the_clock_was_set_back_by() -> None:
    """Or its login would be renewed, and its quota asked for, all that time."""
    in_use = InUse(state_of(2), WITHIN)
    in_use.note(1, NOW + timedelta(days=365))
    in_use.note(2, NOW + timedelta(seconds=2))
    assert looked_at(in_use) == [2]
