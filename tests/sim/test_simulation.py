"""The simulation is sound, and in it the default beats what there was before."""

from functools import cache
from random import Random

import pytest

from seatpool.core.affinity import Sticking
from seatpool.core.model import ProviderName
from seatpool.core.policy import Policy
from seatpool.core.strategy import Strategy
from tests.sim.contestants import CONTESTANTS, DEFAULT, REFERENCE, REFERENCE_AUTO, ROTATION
from tests.sim.measures import Measures, missed
from tests.sim.pool import Pool
from tests.sim.running import simulate
from tests.sim.scenario import Scenario, world
from tests.sim.upstream import CACHED_COST, OUTPUT_COST, Expiry, Meter, Seat, cost
from tests.sim.workload import DAY_S, FULL, HOUR_S, LONGEST, SHORTEST, Turn, turns

SEEDS = range(1, 7)
WORKING_DAYS = 5 / 7


@cache
def week(contestant: str, provider: ProviderName, seed: int) -> Measures:
    """Five days of one person over five accounts, with less than enough."""
    scenario = Scenario(provider, people=1, accounts=5, weeks=WORKING_DAYS, supply=0.7, seed=seed)
    return simulate(scenario, CONTESTANTS[contestant])


def day(contestant: str, **scenario: object) -> Measures:
    return simulate(Scenario(weeks=1 / 7, **scenario), CONTESTANTS[contestant])  # type: ignore[arg-type]


# -- the claim


@pytest.mark.parametrize("provider", ProviderName)
@pytest.mark.parametrize("other", [REFERENCE, REFERENCE_AUTO, ROTATION])
def test_the_default_refuses_less_and_reads_less_again_than_what_there_was(provider: ProviderName, other: str) -> None:
    ours = [week(DEFAULT, provider, seed) for seed in SEEDS]
    theirs = [week(other, provider, seed) for seed in SEEDS]
    assert all(our.refusals <= their.refusals for our, their in zip(ours, theirs, strict=True)), "with every seed"
    assert sum(m.refusals for m in ours) < 0.95 * sum(m.refusals for m in theirs)
    assert sum(m.moved for m in ours) < 0.8 * sum(m.moved for m in theirs)
    assert sum(m.cold for m in ours) < sum(m.cold for m in theirs), "though it serves more"


@pytest.mark.parametrize("provider", ProviderName)
def test_the_default_meets_few_limits(provider: ProviderName) -> None:
    for seed in SEEDS:
        assert week(DEFAULT, provider, seed).limits_per_1000 < 0.2 * week(REFERENCE, provider, seed).limits_per_1000


# -- the strategies behave as they are called


def used(strategy: Strategy, *, accounts: int = 3) -> list[float]:
    """Shares of the requests by account; all are alike but for their priority."""
    made = world(Scenario(people=2, accounts=accounts, weeks=1 / 7, supply=20, seed=3))
    for seat in made.seats:
        seat.plan = "plus"
        for meter in seat.meters:
            meter.size, meter.used = 1e9, 0.0
    router = Pool(made, Policy(strategy=strategy, affinity=Sticking.DISABLED))
    served = [0] * accounts
    for turn in made.turns:
        account = router.choose(turn, turn.at + 1e9, set())
        assert account is not None
        served[account] += 1
        reply = made.seats[account].ask(turn, turn.at)
        router.served(turn, account, reply, turn.at + 1e9)
        router.ended(turn, account, reply, turn.at + turn.duration_s + 1e9)
    return [count / len(made.turns) for count in served]


def test_round_robin_and_weighted_share_evenly() -> None:
    for strategy in (Strategy.ROUND_ROBIN, Strategy.WEIGHTED):
        assert used(strategy) == pytest.approx([1 / 3] * 3, abs=0.01)


def test_priority_asks_the_first_account_alone_while_it_can() -> None:
    assert used(Strategy.PRIORITY) == [1, 0, 0]


def test_drain_asks_the_account_whose_window_ends_first_until_it_has() -> None:
    """Two weekly windows end in turn: the one that ends first is used first, and nothing of it is left over."""
    made = world(Scenario(accounts=2, weeks=WORKING_DAYS, supply=1.5, seed=2))
    for seat, ends in zip(made.seats, (3 * DAY_S, 6 * DAY_S), strict=True):
        seat.plan, seat.meters = "plus", [Meter("secondary", 7 * DAY_S, 1e12, ends, rolling=False)]
    router = Pool(made, Policy(strategy=Strategy.DRAIN, affinity=Sticking.DISABLED))
    chosen = [(t.at, router.choose(t, t.at + 1_790_553_600.0, set())) for t in made.turns]
    assert {account for at, account in chosen if at < 3 * DAY_S} == {0}


# -- the machine


def test_the_same_seed_gives_the_same_week_and_another_another() -> None:
    for name in (DEFAULT, REFERENCE):
        assert day(name, seed=4) == day(name, seed=4)
    assert day(DEFAULT, seed=4) != day(DEFAULT, seed=5)


@pytest.mark.parametrize("name", CONTESTANTS)
def test_every_token_is_read_once_and_every_cost_charged_once(name: str) -> None:
    scenario = Scenario(accounts=5, weeks=2 / 7, supply=0.6, seed=2)
    asked = world(scenario).turns
    seen = simulate(scenario, CONTESTANTS[name])
    refused = sum(t.context for t in asked) - seen.cached - seen.uncached
    assert seen.requests == len(asked)
    assert (refused == 0) is (seen.refusals == 0)
    assert 0 <= seen.moved <= seen.cold <= seen.uncached
    assert seen.charged == pytest.approx(seen.uncached + CACHED_COST * seen.cached + OUTPUT_COST * seen.output)


def test_with_more_than_enough_nobody_is_refused() -> None:
    for name in CONTESTANTS:
        assert day(name, supply=50).refusals == 0


# -- what people ask


@pytest.fixture(scope="module")
def asked() -> list[Turn]:
    return turns(Random(1), people=3, weeks=1)


def test_turns_come_in_the_order_of_time_and_grow_within_a_conversation(asked: list[Turn]) -> None:
    last: dict[str, Turn] = {}
    for turn in asked:
        before = last.get(turn.conversation)
        assert turn.number == (before.number + 1 if before else 0)
        assert turn.known <= turn.context <= FULL
        if before is not None and turn.known:
            assert turn.known == before.context + before.output < turn.context
        last[turn.conversation] = turn
    assert [t.at for t in asked] == sorted(t.at for t in asked)
    assert max(t.number for t in asked) < LONGEST


def test_nights_are_quiet_and_some_conversations_are_taken_up_after_hours(asked: list[Turn]) -> None:
    night = [t for t in asked if 3 <= t.at % DAY_S / HOUR_S < 6]
    assert len(night) < 0.02 * len(asked)
    before: dict[str, float] = {}
    resumed = 0
    for turn in asked:
        resumed += turn.at - before.get(turn.conversation, turn.at) > HOUR_S
        before[turn.conversation] = turn.at
    counts = [sum(t.conversation == name for t in asked) for name in list(before)[:50]]
    assert resumed > 3
    assert sorted(counts)[len(counts) // 2] >= SHORTEST


# -- what accounts have


def turn(at: float, number: int = 0, context: int = 1000, known: int = 0) -> Turn:
    return Turn(at, "c", number, context, known, 100)


def test_a_rolling_window_begins_with_its_first_use_and_a_fixed_one_does_not_wait() -> None:
    rolling = Meter("primary", 100.0, 1e6, None, rolling=True)
    fixed = Meter("secondary", 1000.0, 1e6, 70.0, rolling=False)
    seat = Seat("plus", [rolling, fixed])
    seat.ask(turn(50), 50.0)
    assert (rolling.ends, fixed.ends) == (150.0, 70.0)
    seat.settle(200.0)
    assert (rolling.ends, fixed.ends) == (None, 1070.0)


def test_a_full_window_refuses_until_it_resets() -> None:
    seat = Seat("plus", [Meter("primary", 100.0, 500.0, None, rolling=True)])
    assert seat.ask(turn(0), 0.0).refused_until is None
    seat.charge(cost(turn(0), 0), 1.0)
    assert seat.ask(turn(2), 2.0).refused_until == 100.0
    assert seat.ask(turn(100), 100.0).refused_until is None


def test_a_cache_lives_five_minutes_after_its_last_use_and_only_where_it_is() -> None:
    here, there = (Seat("plus", [Meter("primary", 1e6, 1e9, None, rolling=True)]) for _ in range(2))
    here.ask(turn(0), 0.0)
    assert here.ask(turn(299, 1, 2000, 1100), 299.0).cached == 1100
    assert there.ask(turn(300, 2, 3000, 2100), 300.0).cached == 0
    assert here.ask(turn(598, 2, 3000, 2100), 598.0).cached == 2100
    assert here.ask(turn(898, 3, 4000, 3100), 898.0).cached == 0


def test_waste_is_what_expired_before_it_was_missed() -> None:
    expired = [Expiry(100.0, 50.0, 30.0)]
    assert missed(expired, [(99.0, 10.0)]) == 0, "before it expired"
    assert missed(expired, [(101.0, 10.0), (102.0, 10.0)]) == 20
    assert missed(expired, [(101.0, 100.0)]) == 30, "no more than there was"
    assert missed(expired, [(150.0, 10.0)]) == 0, "by now the next window would be over as well"
