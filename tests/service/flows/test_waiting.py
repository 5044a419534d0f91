"""Waiting for a place: fair, bounded in time, and over when the client leaves. Over a real store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from msgspec.structs import replace

from seatpool.core.model import ProviderName
from seatpool.core.outcome import Outcome, OutcomeKind
from seatpool.core.policy import Policy
from seatpool.core.selection import FULL, Exhausted
from seatpool.providers.http import Headers
from seatpool.service.pool import Answered, PoolService
from seatpool.service.trail import Assignment, Trail
from seatpool.store import Store
from tests.service.conftest import Issuer, sign_in
from tests.service.test_pool import FACTS, GOT_429, begin

CROWDED = Outcome(OutcomeKind.RATE_LIMITED, "concurrency_limit", concurrent=True)
OK_200 = Answered(200, 1.0)


def flow(service: PoolService, number: int, conversation: str | None = None) -> Trail:
    return service.open(f"flow-{number}", replace(FACTS, conversation=conversation), Headers())


class Queue:
    """Flows that ask one after the other, and in which order they get a place."""

    def __init__(self, service: PoolService) -> None:
        self.service = service
        self.got: list[Trail] = []
        self.tasks: list[asyncio.Task[object]] = []

    async def ask(self, trail: Trail) -> None:
        async def wait() -> object:
            found = await self.service.assign(trail)
            if isinstance(found, Assignment):
                self.got.append(trail)
            return found

        self.tasks.append(asyncio.create_task(wait()))
        await settle()


async def settle() -> None:
    """Let everybody run who can."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
async def service(store: Store, issuer: Issuer) -> AsyncIterator[PoolService]:
    """One account with one place."""
    sign_in(store, issuer, "alice")
    service = PoolService(store, issuer, Policy(max_in_flight=1))
    service.load()
    yield service
    await service.stop()


async def test_a_request_gets_the_place_of_one_that_ends(service: PoolService) -> None:
    first, _ = await begin(service)
    queue = Queue(service)
    await queue.ask(flow(service, 2))
    assert (queue.got, service.waiting) == ([], 1)
    service.release(first)
    await settle()
    assert [t.flow_id for t in queue.got] == ["flow-2"]
    assert service.waiting == 0
    assert service.knowledge.state.in_flight == {1: 1}


async def test_conversations_take_turns_and_each_keeps_its_order(service: PoolService) -> None:
    current, _ = await begin(service)
    queue = Queue(service)
    for number, conversation in enumerate(["a", "a", "a", "b", "c"], start=1):
        await queue.ask(flow(service, number, conversation))
    for _ in range(5):
        service.release(current)
        await settle()
        current = queue.got[-1]
    assert [t.flow_id[-1] for t in queue.got] == ["1", "4", "5", "2", "3"]


async def test_a_newcomer_does_not_overtake_those_who_wait(service: PoolService) -> None:
    first, _ = await begin(service)
    queue = Queue(service)
    await queue.ask(flow(service, 2))
    service.release(first)  # the place is given at once, before anybody else may ask
    await queue.ask(flow(service, 3))
    assert [t.flow_id for t in queue.got] == ["flow-2"]


async def test_after_its_time_a_request_is_told_to_come_again_soon(service: PoolService) -> None:
    service.set_policy(Policy(max_in_flight=1, slot_wait_s=0.5))
    await begin(service)
    late = flow(service, 2)
    found = await service.assign(late)
    assert isinstance(found, Exhausted)
    assert (found.limited, found.reason) == (True, FULL)
    assert found.soonest is not None
    assert timedelta(0) < found.soonest - datetime.now(UTC) <= timedelta(seconds=5)
    assert service.waiting == 0
    again = asyncio.create_task(service.assign(late))
    await settle()
    assert again.done(), "its time is over for good"
    assert isinstance(await again, Exhausted)
    assert service.knowledge.state.in_flight == {1: 1}


async def test_who_leaves_waits_no_longer_and_takes_no_place(service: PoolService) -> None:
    first, _ = await begin(service)
    queue = Queue(service)
    second = flow(service, 2)
    await queue.ask(second)
    await queue.ask(flow(service, 3))
    service.abandon(second)
    service.abandon(second)
    service.abandon(flow(service, 4))
    assert isinstance(await queue.tasks[0], Exhausted)
    service.release(first)
    await settle()
    assert [t.flow_id for t in queue.got] == ["flow-3"]


async def test_a_place_that_is_given_to_one_who_is_stopped_in_that_moment_comes_back(service: PoolService) -> None:
    first, _ = await begin(service)
    queue = Queue(service)
    await queue.ask(flow(service, 2))
    service.release(first)
    queue.tasks[0].cancel()
    with suppress(asyncio.CancelledError):
        await queue.tasks[0]
    assert service.knowledge.state.in_flight == {}


async def test_a_place_that_comes_free_otherwise_is_noticed(service: PoolService) -> None:
    """Here by a person who allows more."""
    await begin(service)
    queue = Queue(service)
    await queue.ask(flow(service, 2))
    service.set_policy(Policy(max_in_flight=2))
    async with asyncio.timeout(5):
        await queue.tasks[0]
    assert service.knowledge.state.in_flight == {1: 2}


async def test_nobody_waits_for_another_providers_place(service: PoolService) -> None:
    assert service.knowledge.state.usable[ProviderName.COPILOT] == 0
    other = replace(FACTS, route=replace(FACTS.route, provider=ProviderName.COPILOT))
    await begin(service)
    assert await service.assign(service.open("flow-2", other, Headers())) == Exhausted(limited=False)


async def test_a_socket_keeps_nobody_waiting_between_its_turns(service: PoolService) -> None:
    socket, _ = await begin(service)
    service.served(socket, Answered(101, 1.0), Headers())
    assert service.knowledge.state.in_flight == {}
    service.sockets.client_frame(socket, b'{"type":"response.create"}')
    assert service.knowledge.state.in_flight == {1: 1}
    queue = Queue(service)
    await queue.ask(flow(service, 2))
    await service.sockets.server_frame(socket, b'{"type":"response.output_text.delta","delta":"x"}')
    assert queue.got == []
    await service.sockets.server_frame(socket, b'{"type":"response.completed","response":{"id":"r"}}')
    await settle()
    assert [t.flow_id for t in queue.got] == ["flow-2"]
    service.release(socket)
    assert service.knowledge.state.in_flight == {1: 1}


# -- what upstream takes


async def test_one_request_too_many_waits_and_goes_out_again_on_the_same_account(
    store: Store, service: PoolService
) -> None:
    service.set_policy(Policy())
    trails = [(await begin(service, f"flow-{n}"))[0] for n in range(4)]
    refused = asyncio.create_task(service.recover(trails[3], CROWDED, GOT_429))
    await settle()
    assert not refused.done(), "three are under way, and two are taken"
    service.release(trails[0])
    await settle()
    assert not refused.done()
    service.release(trails[1])
    again = await refused
    assert again is not None
    assert (again.account.id, again.number) == (1, 2)
    assert service.knowledge.state.caps.limit(1) == 2
    assert store.cooldowns(datetime.now(UTC)) == ()
    await service.recover(trails[2], CROWDED, GOT_429)
    assert service.knowledge.state.caps.limit(1) == 2, "it was under way at that time"


async def test_one_request_too_many_goes_to_an_account_that_has_a_place(
    store: Store, issuer: Issuer, service: PoolService
) -> None:
    sign_in(store, issuer, "bob")
    service.set_policy(Policy())
    service.load()
    trails = [(await begin(service, f"flow-{n}"))[0] for n in range(4)]
    first = trails[0].current
    assert first is not None
    moved = await service.recover(trails[0], CROWDED, GOT_429)
    assert moved is not None and moved.account.id != first.account.id


async def test_the_only_request_of_an_account_that_is_one_too_many_rests_it(store: Store, service: PoolService) -> None:
    """Other programs are at it: asking again at once would meet them again."""
    trail, _ = await begin(service)
    assert await service.recover(trail, CROWDED, GOT_429) is None
    (held,) = store.cooldowns(datetime.now(UTC))
    assert held.strikes == 1
    assert abs(held.until - held.created_at - timedelta(minutes=1)) < timedelta(seconds=1)


async def test_a_time_that_comes_with_it_is_honoured(store: Store, service: PoolService) -> None:
    service.set_policy(Policy())
    trails = [(await begin(service, f"flow-{n}"))[0] for n in range(4)]
    until = datetime.now(UTC) + timedelta(seconds=30)
    assert await service.recover(trails[0], replace(CROWDED, until=until), GOT_429) is None
    assert [c.until for c in store.cooldowns(datetime.now(UTC))] == [until]
    assert service.knowledge.state.caps.limit(1) == 2


async def test_served_requests_at_the_limit_allow_one_more(service: PoolService) -> None:
    service.set_policy(Policy(slot_successes=3))
    service.knowledge.state.caps.refuse(1, 2, datetime.now(UTC), datetime.now(UTC))
    for number in range(3):
        trail, _ = await begin(service, f"flow-{number}")
        service.served(trail, OK_200, Headers())
        service.release(trail)
    assert service.knowledge.state.caps.limit(1) == 2


# -- every way out


async def test_whatever_happens_to_two_hundred_flows_every_place_comes_back(
    store: Store, issuer: Issuer, service: PoolService
) -> None:
    sign_in(store, issuer, "bob")
    service.set_policy(Policy(max_in_flight=2, slot_wait_s=0.05))
    service.load()
    random = Random(7)
    await asyncio.gather(*(_live(service, flow(service, n, random.choice("abc")), Random(n)) for n in range(200)))
    assert service.knowledge.state.in_flight == {}
    assert service.waiting == 0


FATES = (
    Outcome(OutcomeKind.CONNECT_FAILED, "connect-failed"),
    Outcome(OutcomeKind.SERVER_ERROR, "server-error"),
    Outcome(OutcomeKind.UNANSWERED, "unanswered"),
    CROWDED,
)


async def _live(service: PoolService, trail: Trail, random: Random) -> None:
    """Ask; be served, refused, replayed, stopped or left; end, perhaps twice."""
    task = asyncio.create_task(service.assign(trail))
    await asyncio.sleep(random.random() / 50)
    if random.random() < 0.2:
        service.abandon(trail)
    if random.random() < 0.1:
        task.cancel()
    with suppress(asyncio.CancelledError):
        found: object = await task
        while isinstance(found, Assignment) and random.random() < 0.5:
            replay = asyncio.create_task(service.recover(trail, random.choice(FATES), GOT_429))
            if random.random() < 0.2:
                await asyncio.sleep(0)
                service.release(trail)  # the client went away in the middle of it
            found = await replay
        if isinstance(found, Assignment):
            await asyncio.sleep(random.random() / 50)
            service.served(trail, OK_200, Headers())
    service.release(trail)
    if random.random() < 0.3:
        service.release(trail)
