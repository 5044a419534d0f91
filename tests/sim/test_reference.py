"""The prior scorer does what codex.md 8 says."""

import pytest

from tests.sim.reference import COOLDOWN_S, FRESH_S, STICKY_S, Reference, Sticky, reduced
from tests.sim.scenario import BEGAN_S, H5_S, WEEK_S, Scenario, World
from tests.sim.upstream import Meter, Reply, Seat
from tests.sim.workload import Turn

NOW = BEGAN_S + 1000.0


def seat(plan: str = "plus", left: float = 0.5, week: float = 0.5) -> Seat:
    short = Meter("primary", H5_S, 1.0, H5_S / 2, rolling=True, used=1 - left)
    return Seat(plan, [short, Meter("secondary", WEEK_S, 1.0, WEEK_S / 2, rolling=False, used=1 - week)])


def made(*seats: Seat, sticky: Sticky = Sticky.ALWAYS) -> Reference:
    reference = Reference(World(Scenario(), [], list(seats)), sticky)
    asks(reference, "first")  # its usage rows are fetched behind the first request
    return reference


def asks(reference: Reference, conversation: str = "c", now: float = NOW, tried: frozenset[int] = frozenset()) -> int:
    account = reference.choose(Turn(0, conversation, 0, 1, 0, 1), now, tried)
    assert account is not None
    return account


def serves(reference: Reference, account: int, conversation: str = "c", now: float = NOW) -> None:
    reference.served(Turn(0, conversation, 0, 1, 0, 1), account, Reply(None, ()), now)


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ([(0.88, H5_S, 9_000.0)], 6.233),
        ([(0.60, WEEK_S, 300_000.0)], 5.836),
        ([(0.20, H5_S, 9_000.0), (0.60, WEEK_S, 300_000.0)], 5.8355 * 0.328),
    ],
)
def test_its_scores_are_those_of_the_description(windows: list[tuple[float, float, float]], expected: float) -> None:
    assert reduced(windows) == pytest.approx(expected, rel=1e-3)


def test_the_best_score_is_first_and_the_larger_plan_counts_by_its_root() -> None:
    assert asks(made(seat(week=0.4), seat(week=0.6))) == 1
    assert asks(made(seat(week=0.9), seat("pro", week=0.4))) == 1


def test_without_usage_rows_the_stored_order_holds() -> None:
    fresh = Reference(World(Scenario(), [], [seat(week=0.1), seat(week=0.9)]))
    assert asks(fresh) == 0
    assert asks(fresh) == 1


def test_a_row_is_used_for_a_minute_before_it_is_fetched_again() -> None:
    seats = [seat(week=0.6), seat(week=0.5)]
    reference = made(*seats)
    seats[0].meters[1].used = 0.9
    assert asks(reference, now=NOW + FRESH_S) == 0
    assert asks(reference, now=NOW + FRESH_S + 1) == 0, "this request warms it"
    assert asks(reference, now=NOW + FRESH_S + 2) == 1


def test_a_conversation_is_held_for_five_minutes_after_its_last_success() -> None:
    reference = made(seat(week=0.5), seat(week=0.6))
    serves(reference, 0)
    assert asks(reference, now=NOW + STICKY_S - 1) == 0
    assert asks(reference, now=NOW + STICKY_S) == 1


def test_with_auto_it_is_left_for_much_better() -> None:
    for week, expected in ((0.55, 0), (0.95, 1)):
        reference = made(seat(week=0.5), seat(week=week), sticky=Sticky.AUTO)
        serves(reference, 0)
        assert asks(reference) == expected


def test_a_429_rests_an_account_for_a_minute_whatever_its_body_says() -> None:
    reference = made(seat(week=0.6), seat(week=0.5))
    reference.refused(Turn(0, "c", 0, 1, 0, 1), 0, Reply(NOW + 9e5, ()), NOW)
    assert asks(reference, now=NOW + COOLDOWN_S - 1) == 1
    assert asks(reference, now=NOW + COOLDOWN_S) == 0


def test_a_new_session_begins_an_untouched_window_and_then_no_other_for_half_an_hour() -> None:
    dormant = seat(week=0.1)
    dormant.meters[0].used, dormant.meters[0].ends = 0.0, None
    reference = made(seat(week=0.9), dormant)
    assert asks(reference, "new") == 1
    serves(reference, 1, "new")
    assert asks(reference, "newer") == 0
