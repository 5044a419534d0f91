"""Cooldowns with a memory, and the probe that newer news allows; over a real store."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from freezegun import freeze_time
from msgspec.structs import replace

from seatpool.core.model import WHOLE_ACCOUNT, Cooldown, ProviderName, QuotaWindow, Scope, ScopeKind
from seatpool.core.outcome import Outcome, OutcomeKind
from seatpool.core.policy import Policy
from seatpool.core.selection import Exhausted
from seatpool.providers.base import Route
from seatpool.providers.http import Headers
from seatpool.service.pool import Answered, PoolService
from seatpool.service.trail import Assignment
from seatpool.store import Store
from tests.service.conftest import Issuer, sign_in
from tests.service.test_pool import FACTS, GOT_429, begin

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
THROTTLE_FRAME = b'{"type":"error","status":429,"error":{"type":"tokens","code":"rate_limit_exceeded","message":""}}'
SOCKET_FACTS = replace(FACTS, route=Route(ProviderName.CODEX, "responses-ws", "api", websocket=True))
THROTTLED = Outcome(OutcomeKind.RATE_LIMITED, "rate_limit_exceeded")
LACKING = Outcome(OutcomeKind.NOT_ENTITLED, "model_not_supported", Scope(ScopeKind.MODEL, str(FACTS.model)))


@pytest.fixture
def clock() -> Iterator[Any]:
    with freeze_time(NOON, real_asyncio=True) as clock:
        yield clock


@asynccontextmanager
async def pool(store: Store, issuer: Issuer) -> AsyncIterator[PoolService]:
    """One process that uses the store."""
    service = PoolService(store, issuer, Policy())
    service.load()
    try:
        yield service
    finally:
        await service.stop()


async def refused(service: PoolService, clock: Any, outcome: Outcome = THROTTLED) -> float:
    """Ask, be refused a second later without a time, and wait for the end of the rest: its minutes."""
    trail, _ = await begin(service)
    clock.tick(1)
    await service.recover(trail, outcome, GOT_429)
    (held,) = service.knowledge.state.cooldowns[1].values()
    clock.move_to(held.until + timedelta(seconds=1))
    return (held.until - held.created_at).total_seconds() / 60


async def served(service: PoolService, clock: Any, status: int = 200) -> None:
    trail, _ = await begin(service)
    clock.tick(1)
    service.served(trail, Answered(status, 1.0), Headers())
    service.release(trail)


@pytest.fixture
def alice(store: Store, issuer: Issuer, clock: Any) -> None:
    sign_in(store, issuer, "alice", expires_in=timedelta(days=30))


@pytest.mark.usefixtures("alice")
async def test_limits_in_a_row_rest_longer_and_a_success_starts_anew(store: Store, issuer: Issuer, clock: Any) -> None:
    async with pool(store, issuer) as service:
        assert [await refused(service, clock) for _ in range(5)] == [1, 5, 25, 60, 60]
        await served(service, clock)
        assert await refused(service, clock) == 1


@pytest.mark.usefixtures("alice")
async def test_a_model_is_missed_for_minutes_at_first_and_for_a_day_where_it_is_refused_again_and_again(
    store: Store, issuer: Issuer, clock: Any
) -> None:
    async with pool(store, issuer) as service:
        assert await refused(service, clock, LACKING) == 10
    async with pool(store, issuer) as service:
        assert [await refused(service, clock, LACKING) for _ in range(5)] == [50, 250, 1250, 1440, 1440]
        await served(service, clock)
        assert await refused(service, clock, LACKING) == 10


@pytest.mark.usefixtures("alice")
async def test_a_handshake_that_goes_well_is_no_success_yet_but_a_finished_turn_is(
    store: Store, issuer: Issuer, clock: Any
) -> None:
    async with pool(store, issuer) as service:
        assert await refused(service, clock) == 1
        await served(service, clock, status=101)
        assert await refused(service, clock) == 5
        trail, _ = await begin(service)
        clock.tick(1)
        service.served(trail, Answered(101, 1.0), Headers())
        await service.sockets.server_frame(trail, b'{"type":"response.completed","response":{"id":"r"}}')
        service.release(trail)
        assert await refused(service, clock) == 1


@pytest.mark.usefixtures("alice")
async def test_limits_in_a_row_are_counted_over_sockets_that_are_warmed_up_first(
    store: Store, issuer: Issuer, clock: Any
) -> None:
    rests = []
    async with pool(store, issuer) as service:
        for number in range(3):
            trail = service.open(f"flow-{number}", SOCKET_FACTS, Headers())
            assert isinstance(await service.assign(trail), Assignment)
            service.served(trail, Answered(101, 1.0), Headers())
            clock.tick(1)
            service.sockets.client_frame(trail, b'{"type":"response.create","generate":false,"input":[]}')
            await service.sockets.server_frame(trail, b'{"type":"response.completed","response":{"id":"w"}}')
            clock.tick(1)
            service.sockets.client_frame(trail, b'{"type":"response.create","input":[{}]}')
            await service.sockets.server_frame(trail, THROTTLE_FRAME)
            service.release(trail)
            (held,) = service.knowledge.state.cooldowns[1].values()
            rests.append((held.until - held.created_at).total_seconds() / 60)
            clock.move_to(held.until + timedelta(seconds=1))
    assert rests == [1, 5, 25]


@pytest.mark.usefixtures("alice")
async def test_the_memory_outlives_the_process_and_so_does_its_end(store: Store, issuer: Issuer, clock: Any) -> None:
    async with pool(store, issuer) as first:
        assert [await refused(first, clock) for _ in range(2)] == [1, 5]
    async with pool(store, issuer) as second:
        assert await refused(second, clock) == 25
        await served(second, clock)
    async with pool(store, issuer) as third:
        assert await refused(third, clock) == 1


@pytest.mark.usefixtures("alice")
async def test_requests_that_were_under_way_together_make_one_strike(store: Store, issuer: Issuer, clock: Any) -> None:
    async with pool(store, issuer) as service:
        trails = [(await begin(service, f"flow-{n}"))[0] for n in range(10)]
        for trail in trails:
            clock.tick(0.1)
            await service.recover(trail, THROTTLED, GOT_429)
        (held,) = service.knowledge.state.cooldowns[1].values()
        assert held.strikes == 1
        clock.move_to(held.until)
        assert await refused(service, clock) == 5


@pytest.mark.usefixtures("alice")
async def test_a_limit_with_a_time_of_its_own_neither_counts_nor_forgets(
    store: Store, issuer: Issuer, clock: Any
) -> None:
    async with pool(store, issuer) as service:
        assert await refused(service, clock) == 1
        trail, _ = await begin(service)
        clock.tick(1)
        until = datetime.now(UTC) + timedelta(seconds=30)
        await service.recover(trail, Outcome(OutcomeKind.RATE_LIMITED, "x", until=until), GOT_429)
        clock.move_to(until)
        assert await refused(service, clock) == 5


@pytest.mark.usefixtures("alice")
async def test_a_person_who_clears_cooldowns_clears_the_memory(store: Store, issuer: Issuer, clock: Any) -> None:
    async with pool(store, issuer) as first:
        assert [await refused(first, clock) for _ in range(2)] == [1, 5]
    store.clear_cooldowns()
    async with pool(store, issuer) as second:
        assert await refused(second, clock) == 1


# -- the probe

SPENT = Outcome(OutcomeKind.QUOTA_SPENT, "usage_limit_reached", until=NOON + timedelta(days=3))


def usage(left: float, minutes: float) -> tuple[QuotaWindow, ...]:
    return (QuotaWindow("primary", left, NOON + timedelta(minutes=minutes), "usage"),)


async def spend(service: PoolService) -> None:
    trail, _ = await begin(service)
    await service.recover(trail, SPENT, GOT_429)
    assert isinstance(await service.assign(service.open("flow-2", FACTS, Headers())), Exhausted)


def hear(service: PoolService, store: Store) -> None:
    """What other processes have written."""
    service.knowledge.take(store.news(service.knowledge.revision))


async def settled(service: PoolService) -> None:
    """Until the right to probe was asked for, as at shutdown."""
    await service.knowledge.drain_probes()


@pytest.mark.usefixtures("alice")
async def test_newer_news_allows_one_request_whose_success_ends_the_cooldown_for_all(
    store: Store, issuer: Issuer, clock: Any
) -> None:
    async with pool(store, issuer) as service:
        await spend(service)
        clock.tick(600)
        service.knowledge.observe(1, usage(0.9, 9))
        await settled(service)
        probe = service.open("probe", FACTS, Headers())
        assert isinstance(await service.assign(probe), Assignment)
        assert isinstance(await service.assign(service.open("flow-3", FACTS, Headers())), Exhausted)
        assert len(store.cooldowns(datetime.now(UTC))) == 1, "not before it has succeeded"
        service.served(probe, Answered(200, 1.0), Headers())
        assert isinstance(await service.assign(service.open("flow-4", FACTS, Headers())), Assignment)
    assert store.cooldowns(datetime.now(UTC)) == ()


@pytest.mark.usefixtures("alice")
async def test_a_probe_that_is_refused_or_abandoned_is_not_repeated(store: Store, issuer: Issuer, clock: Any) -> None:
    async with pool(store, issuer) as service:
        await spend(service)
        clock.tick(600)
        service.knowledge.observe(1, usage(0.9, 9))
        await settled(service)
        trail, _ = await begin(service)
        later = Outcome(OutcomeKind.QUOTA_SPENT, "usage_limit_reached", until=NOON + timedelta(days=3, minutes=1))
        assert await service.recover(trail, later, GOT_429) is None
        clock.tick(600)
        service.knowledge.observe(1, usage(0.8, 19))
        await settled(service)
        assert isinstance(await service.assign(service.open("flow-3", FACTS, Headers())), Exhausted)


@pytest.mark.usefixtures("alice")
async def test_a_request_that_is_sent_again_to_an_account_whose_limit_is_to_be_tried_is_the_one_that_tries(
    store: Store, issuer: Issuer, clock: Any
) -> None:
    async with pool(store, issuer) as service:
        before, _ = await begin(service)  # it went out before anybody knew of the limit
        trail = service.open("flow-2", FACTS, Headers())
        assert isinstance(await service.assign(trail), Assignment)
        await service.recover(trail, SPENT, GOT_429)
        clock.tick(600)
        service.knowledge.observe(1, usage(0.9, 9))
        await settled(service)
        unreached = Outcome(OutcomeKind.STALE_CONNECTION, "stale-connection")
        assert isinstance(await service.recover(before, unreached, Answered(None, None)), Assignment)
        assert isinstance(await service.assign(service.open("flow-3", FACTS, Headers())), Exhausted)
        service.served(before, Answered(200, 1.0), Headers())
        assert isinstance(await service.assign(service.open("flow-4", FACTS, Headers())), Assignment)


@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize("who", ["the one that tried", "another", "one that came since"])
async def test_a_second_limit_within_the_time_of_the_first_may_be_tried_as_well(
    store: Store, issuer: Issuer, clock: Any, who: str
) -> None:
    """Who has two banked resets uses the second one when what the first has brought is spent."""
    async with pool(store, issuer) as service, pool(store, issuer) as other:
        await spend(service)
        clock.tick(600)
        for each in (service, other):
            hear(each, store)
            each.knowledge.observe(1, usage(0.9, 9))
            await settled(each)
        probe, _ = await begin(service)
        service.served(probe, Answered(200, 1.0), Headers())
        await settled(service)
        service.knowledge.flush(5.0)
        clock.tick(3600)
        hear(other, store)
        await settled(other)
        trail, _ = await begin(service)
        again = Outcome(OutcomeKind.QUOTA_SPENT, "usage_limit_reached", until=NOON + timedelta(days=7))
        await service.recover(trail, again, GOT_429)
        clock.tick(600)
        async with pool(store, issuer) as new:
            chosen = {"the one that tried": service, "another": other}.get(who, new)
            hear(chosen, store)
            assert isinstance(await chosen.assign(chosen.open("flow", FACTS, Headers())), Exhausted)
            chosen.knowledge.observe(1, usage(0.9, 79))
            await settled(chosen)
            assert isinstance(await chosen.assign(chosen.open("flow", FACTS, Headers())), Assignment)


@pytest.mark.usefixtures("alice")
async def test_of_two_processes_that_hear_the_news_one_probes(store: Store, issuer: Issuer, clock: Any) -> None:
    async with pool(store, issuer) as first:
        await spend(first)
        async with pool(store, issuer) as second:
            clock.tick(600)
            for each in (first, second):
                each.knowledge.observe(1, usage(0.9, 9))
            await asyncio.gather(settled(first), settled(second))
            asked = [await each.assign(each.open("probe", FACTS, Headers())) for each in (first, second) * 2]
            assert sum(isinstance(each, Assignment) for each in asked) == 1


@pytest.mark.usefixtures("alice")
async def test_news_that_another_process_wrote_are_heard_and_tried(store: Store, issuer: Issuer) -> None:
    now = datetime.now(UTC)
    store.cool(Cooldown(1, WHOLE_ACCOUNT, "usage_limit_reached", now + timedelta(days=3), now))
    async with pool(store, issuer) as service:
        service.start()
        with Store.open(store.url) as elsewhere:
            elsewhere.record(windows=[(1, QuotaWindow("primary", 0.9, now + timedelta(minutes=1), "usage"))])
        async with asyncio.timeout(5):
            while isinstance(await service.assign(service.open("flow", FACTS, Headers())), Exhausted):
                await asyncio.sleep(0.02)
