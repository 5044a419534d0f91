"""Waiting for the end of a limit: within patience and bounds, in order, counted. Over a real store and loop."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from seatpool.core.explain import WAITING
from seatpool.core.model import WHOLE_ACCOUNT
from seatpool.core.outcome import Outcome, OutcomeKind
from seatpool.core.policy import Policy
from seatpool.core.selection import Exhausted
from seatpool.providers.http import Headers
from seatpool.service.flows import waiting
from seatpool.service.pool import PoolService
from seatpool.service.trail import Assignment
from seatpool.store import Store
from tests.service.conftest import Issuer, sign_in
from tests.service.flows.test_waiting import OK_200, Queue, flow, settle
from tests.service.test_pool import FACTS, GOT_429, begin

NAMES = ("alice", "bob", "carol")
SOON_S = 1.5
"""How long a limit lasts whose end is waited for: what is done before it ends takes less, on a busy machine as well."""
LONG_S = 60.0
"""One that outlasts the test, and that a request would wait for."""


def limit(seconds: float, kind: OutcomeKind = OutcomeKind.RATE_LIMITED) -> Outcome:
    return Outcome(kind, "rate_limit_exceeded", until=datetime.now(UTC) + timedelta(seconds=seconds))


@pytest.fixture
async def service(store: Store, issuer: Issuer) -> AsyncIterator[PoolService]:
    for name in NAMES:
        sign_in(store, issuer, name)
    service = PoolService(store, issuer, Policy())
    service.load()
    yield service
    await service.stop()


async def limited(service: PoolService, *seconds: float) -> None:
    """All three accounts are limited for so long."""
    for account, each in zip(service.knowledge.state.accounts.values(), seconds, strict=True):
        until = datetime.now(UTC) + timedelta(seconds=each)
        await service.knowledge.cool(account, WHOLE_ACCOUNT, "rate_limit_exceeded", until)


async def test_a_request_that_meets_limited_accounts_goes_on_when_the_first_limit_ends(
    store: Store, service: PoolService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    before = datetime.now(UTC)
    await limited(service, LONG_S, SOON_S, LONG_S)
    trail, assignment = await begin(service)
    assert assignment.account.name == "bob"
    assert timedelta(seconds=SOON_S) <= datetime.now(UTC) - before < timedelta(seconds=LONG_S)
    (began,) = [line for line in caplog.messages if "action=waiting" in line]
    assert "provider=codex route=responses reason=rate_limit_exceeded until=" in began
    assert not any(name in began for name in NAMES), "it is nobody's yet"
    assert [line for line in caplog.messages if "action=waited" in line and "result=served" in line]
    await service.stop()
    choices, _ = store.past.request(trail.flow_id)
    assert [(c.reason, c.account_id) for c in choices] == [(WAITING, None), ("best", assignment.account.id)]


@pytest.mark.parametrize(
    ("policy", "route", "seconds"),
    [
        (Policy(max_wait_s=0.2), FACTS.route, 30.0),
        (Policy(max_wait_s=0.0), FACTS.route, 30.0),
        (Policy(max_wait_s=600.0), replace(FACTS.route, name="responses-ws", websocket=True), 30.0),
        (Policy(), FACTS.route, 3600.0),
    ],
)
async def test_what_takes_longer_than_is_allowed_or_than_the_client_waits_is_told_at_once(
    service: PoolService, policy: Policy, route: object, seconds: float, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    service.set_policy(policy)
    await limited(service, 9000, seconds, 9000)
    found = await service.assign(service.open("flow-1", replace(FACTS, route=route), Headers()))
    assert not [line for line in caplog.messages if "action=waiting" in line]
    assert isinstance(found, Exhausted)
    assert found.soonest is not None
    assert found.soonest - datetime.now(UTC) < timedelta(seconds=seconds)


async def test_a_request_that_is_refused_by_all_waits_and_is_sent_to_the_first_that_is_back(
    service: PoolService,
) -> None:
    """Two sendings, one wait, the third."""
    await limited(service, 0.01, 0.01, 600)
    trail, first = await begin(service)
    second = await service.recover(trail, limit(LONG_S), GOT_429)
    assert second is not None
    third = await service.recover(trail, limit(SOON_S), GOT_429)
    assert third is not None
    assert [first.number, second.number, third.number] == [1, 2, 3]
    assert third.account.id == second.account.id, "its limit ended first"


async def test_who_has_used_up_his_sendings_is_sent_once_more_after_a_wait_and_then_told(service: PoolService) -> None:
    trail, _ = await begin(service)
    for seconds in (SOON_S, LONG_S, LONG_S):
        following = await service.recover(trail, limit(seconds), GOT_429)
        assert following is not None
    assert following.number == 4
    assert await service.recover(trail, limit(0.1), GOT_429) is None
    assert trail.soonest is not None
    assert trail.soonest[1] == 4, "what ended meanwhile is not told"
    assert service.knowledge.state.in_flight == {}


async def test_a_walk_over_spent_accounts_is_made_once(service: PoolService) -> None:
    service.set_policy(Policy(max_attempts=2))
    trail, _ = await begin(service)
    for seconds in (SOON_S, LONG_S, LONG_S):
        following = await service.recover(trail, limit(seconds, OutcomeKind.QUOTA_SPENT), GOT_429)
        assert following is not None
    assert following.number == 4
    assert await service.recover(trail, limit(0.1, OutcomeKind.QUOTA_SPENT), GOT_429) is None


async def test_with_one_sending_allowed_a_refusal_is_the_editors(service: PoolService) -> None:
    service.set_policy(Policy(max_attempts=1))
    await limited(service, 0.01, 600, 600)
    trail, _ = await begin(service)
    assert await service.recover(trail, limit(0.1), GOT_429) is None


async def test_whoever_is_free_is_asked_rather_than_waited_for_and_attempts_end(service: PoolService) -> None:
    service.set_policy(Policy(max_attempts=2))
    trail, _ = await begin(service)
    assert await service.recover(trail, limit(0.1), GOT_429) is not None
    assert await service.recover(trail, limit(0.1), GOT_429) is None, "carol was free, and two sendings are the limit"


async def test_those_who_wait_go_one_after_the_other_and_newcomers_stand_behind_them(service: PoolService) -> None:
    await limited(service, LONG_S, SOON_S, LONG_S)
    queue = Queue(service)
    for number in range(4):
        await queue.ask(flow(service, number, f"talk-{number}"))
    assert service.waiting == 4
    async with asyncio.timeout(5):
        await queue.tasks[0]
    assert [t.flow_id for t in queue.got] == ["flow-0"], "the first tries it"
    await queue.ask(flow(service, 4, "talk-4"))
    assert len(queue.got) == 1
    service.served(queue.got[0], OK_200, Headers())
    await settle()
    assert [t.flow_id for t in queue.got] == ["flow-0", "flow-1", "flow-2"]
    service.served(queue.got[1], OK_200, Headers())
    await settle()
    assert [t.flow_id for t in queue.got] == [f"flow-{n}" for n in range(5)]
    assert service.waiting == 0
    assert len(service.knowledge.state.returning) == 0


async def test_a_first_that_is_refused_again_sends_the_others_away_when_that_lasts(service: PoolService) -> None:
    await limited(service, LONG_S, SOON_S, LONG_S)
    queue = Queue(service)
    for number in range(3):
        await queue.ask(flow(service, number, f"talk-{number}"))
    async with asyncio.timeout(5):
        await queue.tasks[0]
        assert await service.recover(queue.got[0], limit(300), GOT_429) is None
        others = await asyncio.gather(*queue.tasks[1:])
    assert all(isinstance(found, Exhausted) for found in others)


async def test_a_cooldown_that_a_person_clears_lets_them_go_at_once(store: Store, service: PoolService) -> None:
    service.follower.start()
    await limited(service, 9, 9, 9)
    queue = Queue(service)
    await queue.ask(flow(service, 1))
    assert store.clear_cooldowns(None) == 3
    loop = asyncio.get_running_loop()
    before = loop.time()
    async with asyncio.timeout(5):
        assert isinstance(await queue.tasks[0], Assignment)
    assert loop.time() - before < 2


async def test_an_account_that_another_process_brings_back_serves_them(store: Store, service: PoolService) -> None:
    service.follower.start()
    store.set_paused("carol", True, datetime.now(UTC))
    async with asyncio.timeout(5):
        while service.knowledge.state.accounts[3].usable:
            await asyncio.sleep(0.05)
    await limited(service, 9, 9, 0)
    queue = Queue(service)
    await queue.ask(flow(service, 1))
    store.set_paused("carol", False, datetime.now(UTC))
    async with asyncio.timeout(5):
        found = await queue.tasks[0]
    assert isinstance(found, Assignment)
    assert found.account.name == "carol"


async def test_who_leaves_and_who_is_there_at_shutdown_waits_no_longer(service: PoolService) -> None:
    await limited(service, 9, 9, 9)
    queue = Queue(service)
    first = flow(service, 1)
    await queue.ask(first)
    await queue.ask(flow(service, 2))
    service.abandon(first)
    assert isinstance(await queue.tasks[0], Exhausted)
    await service.stop()
    assert isinstance(await queue.tasks[1], Exhausted)
    assert isinstance(await service.assign(flow(service, 3)), Exhausted), "nobody begins to wait after the end"
    assert service.knowledge.state.in_flight == {}


async def test_so_many_wait_and_no_more(service: PoolService) -> None:
    await limited(service, 9, 9, 9)
    queue = Queue(service)
    queue.tasks = [asyncio.create_task(service.assign(flow(service, n))) for n in range(waiting.AT_MOST)]
    await settle()
    assert service.waiting == waiting.AT_MOST
    assert isinstance(await service.assign(flow(service, 999)), Exhausted)


async def test_a_limit_on_an_open_socket_is_a_reconnect_where_the_handshake_would_wait(service: PoolService) -> None:
    await limited(service, 0.01, 600, 600)
    ws = replace(FACTS, route=replace(FACTS.route, name="responses-ws", websocket=True))
    trail = service.open("flow-1", ws, Headers())
    assert isinstance(await service.assign(trail), Assignment)
    told = b'{"type":"error","status":429,"error":{"type":"usage_limit_reached","resets_in_seconds":%d}}'
    short = await service.sockets.server_frame(trail, told % 1)
    assert short is not None
    assert b"websocket_connection_limit_reached" in (short.content or b"")
    again = service.open("flow-2", ws, Headers())
    assert isinstance(await service.assign(again), Assignment), "it waited, and goes on"
