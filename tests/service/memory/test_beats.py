"""Each process tells the others how much it has under way: soon, seldom, and nothing while it is idle."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from seatpool.core.model import UnderWay
from seatpool.core.policy import Policy
from seatpool.core.state import PoolState
from seatpool.providers.http import Headers
from seatpool.service.memory.beats import Beats
from seatpool.service.pool import PoolService
from seatpool.service.trail import Assignment, Trail
from seatpool.store import Store, feed
from tests.service.conftest import Issuer, sign_in
from tests.service.test_pool import FACTS

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


class Process:
    """One that is looked at four times a second."""

    def __init__(self) -> None:
        self.state = PoolState()
        self.told: list[UnderWay] = []
        self.beats = Beats(self.state, self.told.append, "me")

    def run(self, begin: int, end: int) -> list[tuple[float, dict[int, int]]]:
        """What it writes meanwhile, and when, in seconds."""
        self.told.clear()
        for quarter in range(4 * begin, 4 * end):
            self.beats.look(at(quarter / 4))
        return [((each.beat_at - NOON).total_seconds(), dict(each.counts)) for each in self.told]


@pytest.fixture
def process() -> Process:
    return Process()


def test_an_idle_process_writes_nothing(process: Process) -> None:
    assert process.run(0, 60) == []
    process.beats.end(at(60))
    assert process.told == []


def test_a_change_is_told_at_once_then_that_it_holds_and_the_end(process: Process) -> None:
    process.state.acquire(7, NOON)
    assert process.run(0, 7) == [(0, {7: 1}), (3, {7: 1}), (6, {7: 1})]
    process.state.release(7, at(7))
    assert process.run(7, 60) == [(7, {})]


def test_however_busy_it_writes_once_a_second(process: Process) -> None:
    for quarter in range(40):
        process.state.acquire(quarter % 3, at(quarter / 4))
        process.beats.look(at(quarter / 4))
    assert [each.beat_at for each in process.told] == [at(second) for second in range(10)]
    assert sum(process.told[-1].counts.values()) == 37


def test_a_clock_that_is_set_back_does_not_silence_it(process: Process) -> None:
    process.state.acquire(7, NOON)
    assert process.run(100, 101) == [(100, {7: 1})]
    assert process.run(0, 1) == [(0, {7: 1})]


def test_a_process_that_goes_says_so(process: Process) -> None:
    process.state.acquire(7, NOON)
    process.beats.look(at(0))
    process.beats.end(at(0.1))
    assert process.told[-1] == UnderWay("me", at(0.1), {})


def test_it_hears_the_others_and_not_itself(process: Process) -> None:
    changes = feed.Changes(
        1, False, (), (), (), (), {}, under_way=(UnderWay("me", NOON, {7: 9}), UnderWay("x", NOON, {7: 1}))
    )
    process.beats.hear(changes, NOON)
    assert process.state.under_way(7) == 1
    process.beats.hear(feed.nothing(2), NOON)
    assert process.state.under_way(7) == 1, "nothing was told of it"
    process.beats.look(at(60))
    assert process.state.under_way(7) == 0, "it was killed"


# -- two of them on one database


@asynccontextmanager
async def pool(url: str, issuer: Issuer) -> AsyncIterator[PoolService]:
    with Store.open(url) as store:
        service = PoolService(store, issuer, Policy(max_in_flight=2, slot_wait_s=0.0))
        service.load()
        service.start()
        try:
            yield service
        finally:
            await service.stop()


async def begin(service: PoolService, flow_id: str) -> Trail:
    trail = service.open(flow_id, FACTS, Headers([]))
    assert isinstance(await service.assign(trail), Assignment)
    return trail


async def until(service: PoolService, account_id: int, count: int) -> None:
    """What the follower has heard."""
    async with asyncio.timeout(10):
        while service.knowledge.state.under_way(account_id) != count:
            await asyncio.sleep(0.02)


async def test_a_place_is_taken_for_both_and_free_again_when_the_other_one_ends(store: Store, issuer: Issuer) -> None:
    account_id = sign_in(store, issuer, "alice").id
    async with pool(store.url, issuer) as one:
        async with pool(store.url, issuer) as two:
            await begin(one, "a")
            await begin(two, "b")
            await until(one, account_id, 2)
            await until(two, account_id, 2)
            assert not isinstance(await one.assign(one.open("c", FACTS, Headers([]))), Assignment)
        await until(one, account_id, 1)
        await begin(one, "d")
    assert store.changes(None).under_way == (), "who goes leaves nothing behind"
