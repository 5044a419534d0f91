"""What becomes of a socket's messages: who leaves an account, and what is sent again."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from seatpool.core.model import WHOLE_ACCOUNT, CredentialKind, ProviderName, QuotaWindow
from seatpool.core.policy import Policy
from seatpool.core.tail import line, sendings
from seatpool.providers.base import RequestFacts, Route
from seatpool.providers.http import Headers
from seatpool.service.flows.sockets import CLOSE
from seatpool.service.pool import Answered, PoolService
from seatpool.service.trail import Trail
from seatpool.store import Store
from seatpool.store.past import Wanted
from tests.service.conftest import Issuer, sign_in

CREATE = b'{"type":"response.create","model":"gpt-y","input":[]}'
DONE = b'{"type":"response.completed","response":{"id":"r"}}'
WARM_UP = b'{"type":"response.create","model":"gpt-y","generate":false,"input":[]}'
LIMIT = (
    b'{"type":"error","status":429,"status_code":429,'
    b'"error":{"type":"usage_limit_reached","message":"","resets_in_seconds":3600}}'
)
EXPIRED = (
    b'{"type":"error","status":401,"status_code":401,"error":{"type":"invalid_request_error","code":"token_expired"}}'
)
DELTA = b'{"type":"response.output_text.delta","delta":"x"}'
FACTS = RequestFacts(
    Route(ProviderName.CODEX, "responses-ws", "api", websocket=True), (CredentialKind.CODEX_OAUTH,), "gpt-x", "talk"
)


@pytest.fixture
async def service(store: Store, issuer: Issuer) -> AsyncIterator[PoolService]:
    for priority, person in enumerate(("alice", "bob")):
        sign_in(store, issuer, person)
        store.set_priority(person, priority)
    service = PoolService(store, issuer, Policy(learn=False, strategy=None))
    service.load()
    yield service
    await service.stop()


async def opened(service: PoolService, closed: list[str], name: str = "flow") -> Trail:
    """A socket on alice, where a first turn is over."""
    trail = service.open(name, replace(FACTS, conversation=name), Headers())
    await service.assign(trail)
    service.served(trail, Answered(101, 1.0), Headers())
    service.sockets.opened(trail, lambda: closed.append(name))
    service.sockets.client_frame(trail, CREATE)
    assert await service.sockets.server_frame(trail, DONE) is None
    assert trail.current is not None and trail.current.account.name == "alice"
    return trail


async def limit(service: PoolService, name: str) -> None:
    account = next(a for a in service.knowledge.state.accounts.values() if a.name == name)
    await service.knowledge.cool(account, WHOLE_ACCOUNT, "limited", datetime.now(UTC) + timedelta(hours=1))


async def test_who_idles_on_a_limited_account_is_closed_at_once_and_who_works_there_is_not(
    service: PoolService,
) -> None:
    closed: list[str] = []
    await opened(service, closed, "idle")
    busy = await opened(service, closed, "busy")
    gone = await opened(service, closed, "gone")
    service.release(gone)
    service.sockets.client_frame(busy, CREATE)
    await limit(service, "alice")
    assert closed == ["idle"]
    assert await service.sockets.server_frame(busy, DELTA) is None
    assert await service.sockets.server_frame(busy, DONE) is CLOSE


@pytest.mark.parametrize(("refusal", "renewed"), [(EXPIRED, 1), (LIMIT, 0)])
async def test_a_token_that_is_refused_on_a_socket_is_renewed_for_the_next_handshake(
    service: PoolService, issuer: Issuer, refusal: bytes, renewed: int
) -> None:
    trail = await opened(service, [])
    service.sockets.client_frame(trail, CREATE)
    await service.sockets.server_frame(trail, refusal)
    for _ in range(400):
        if issuer.refreshes == renewed:
            break
        await asyncio.sleep(0.01)
    await service.stop()
    assert issuer.refreshes == renewed


async def test_a_socket_that_has_not_served_yet_is_left_alone(service: PoolService) -> None:
    closed: list[str] = []
    trail = service.open("flow", FACTS, Headers())
    await service.assign(trail)
    service.sockets.opened(trail, lambda: closed.append("flow"))
    await limit(service, "alice")
    assert closed == []


async def test_a_socket_whose_turn_is_being_moved_is_left_alone(service: PoolService) -> None:
    closed: list[str] = []
    trail = await opened(service, closed)
    trail.again = True
    await limit(service, "alice")
    assert closed == []


async def test_where_nobody_else_could_serve_a_limit_closes_nothing_but_a_person_does(service: PoolService) -> None:
    closed: list[str] = []
    trail = await opened(service, closed)
    await limit(service, "bob")
    await limit(service, "alice")
    assert (closed, service.sockets.leaves(trail)) == ([], False)
    assert trail.current is not None
    await service.knowledge.disable(trail.current.account, "no-licence")
    assert closed == ["flow"]


async def test_a_turn_that_begins_on_an_account_that_is_out_is_asked_for_anew(service: PoolService) -> None:
    """It has crossed our close. What the client closes by itself is not closed again."""
    closed: list[str] = []
    trail = await opened(service, closed)
    await limit(service, "alice")
    assert closed == ["flow"]
    answer = await service.sockets.client_turn(trail, CREATE)
    assert answer is not None and b"websocket_connection_limit_reached" in (answer.content or b"")
    assert await service.sockets.client_turn(trail, b'{"type":"response.processed"}') is None
    service.sockets.look()
    assert closed == ["flow"]


async def trying(service: PoolService, name: str, message: bytes = CREATE) -> Trail:
    """A socket on alice, whose spent quota is said to be there again: its first turn is to try that."""
    account = next(a for a in service.knowledge.state.accounts.values() if a.name == "alice")
    until = datetime.now(UTC) + timedelta(hours=1)
    await service.knowledge.cool(account, WHOLE_ACCOUNT, "usage_limit_reached", until)
    service.knowledge.observe(account.id, (QuotaWindow("primary", 0.9, datetime.now(UTC), "usage"),))
    await service.knowledge.drain_probes()
    trail = service.open(name, replace(FACTS, conversation=name), Headers())
    await service.assign(trail)
    assert trail.current is not None and trail.current.account.name == "alice"
    service.served(trail, Answered(101, 1.0), Headers())
    service.sockets.opened(trail, lambda: None)
    assert await service.sockets.client_turn(trail, message) is None, "it goes out, though a cooldown holds for others"
    service.sockets.client_frame(trail, message)
    return trail


async def test_the_first_turn_of_a_socket_tries_what_newer_news_speaks_against(
    service: PoolService, store: Store
) -> None:
    trail = await trying(service, "flow")
    assert len(store.cooldowns(datetime.now(UTC))) == 1, "not before the turn has succeeded"
    assert await service.sockets.server_frame(trail, DONE) is None
    assert await service.sockets.client_turn(trail, CREATE) is None
    await service.stop()
    assert store.cooldowns(datetime.now(UTC)) == ()


async def test_a_first_turn_that_tried_and_was_refused_leaves_the_account(service: PoolService, store: Store) -> None:
    trail = await trying(service, "flow")
    answer = await service.sockets.server_frame(trail, LIMIT)
    assert answer is not None and b"websocket_connection_limit_reached" in (answer.content or b"")
    assert service.sockets.leaves(trail)
    assert len(store.cooldowns(datetime.now(UTC))) == 1
    following = service.open("next", FACTS, Headers())
    await service.assign(following)
    assert following.current is not None and following.current.account.name == "bob"


async def test_a_warm_up_that_goes_well_says_nothing_of_quota(service: PoolService, store: Store) -> None:
    trail = await trying(service, "flow", WARM_UP)
    assert await service.sockets.server_frame(trail, DONE) is None
    assert await service.sockets.client_turn(trail, CREATE) is None, "it is the turn that tries the limit"
    assert len(service.knowledge.state.cooldowns[1]) == 1
    service.sockets.client_frame(trail, CREATE)
    assert await service.sockets.server_frame(trail, DONE) is None
    await service.stop()
    assert store.cooldowns(datetime.now(UTC)) == ()


async def test_a_socket_that_closes_before_a_turn_has_tried_nothing(service: PoolService, store: Store) -> None:
    trail = await trying(service, "flow", WARM_UP)
    assert await service.sockets.server_frame(trail, DONE) is None
    service.release(trail)
    service.release(trail)
    following, other = (service.open(name, FACTS, Headers()) for name in ("next", "other"))
    for each in (following, other):
        await service.assign(each)
    assert [t.current.account.name for t in (following, other) if t.current] == ["alice", "bob"], "one tries it"
    service.served(following, Answered(101, 1.0), Headers())
    service.sockets.client_frame(following, CREATE)
    service.release(following)
    last = service.open("last", FACTS, Headers())
    await service.assign(last)
    assert last.current is not None and last.current.account.name == "bob", "it went out, whatever came of it"


async def test_a_warm_up_is_part_of_its_turns_request(service: PoolService, store: Store) -> None:
    trail = service.open("flow", FACTS, Headers())
    await service.assign(trail)
    service.served(trail, Answered(101, 1.0), Headers())
    for message in (WARM_UP, CREATE, CREATE):
        service.sockets.client_frame(trail, message)
        await service.sockets.server_frame(trail, DONE)
    service.sockets.client_frame(trail, WARM_UP)  # of a client that does not wait for it
    service.sockets.client_frame(trail, CREATE)
    await service.sockets.server_frame(trail, DONE)
    service.release(trail)
    await service.stop()
    told = [line(each, {}) for each in store.past.newest_ended(Wanted(), 9)[1]]
    assert [[sent.reason for sent in each.attempts] for each in told] == [
        ["best", "warm-up", "socket"],
        ["socket"],
        ["warm-up", "socket"],
    ]
    assert [(sendings(each), "after" in each.why) for each in told] == [(1, False)] * 3
    used = store.past.usage(datetime.now(UTC).date() - timedelta(days=1))  # it may be midnight
    assert sum(each.counts.requests for each in used) == 3


async def test_each_turn_has_its_own_attempts(service: PoolService) -> None:
    trail = await opened(service, [])
    trail.number, trail.tried = 3, {1}
    assert trail.attempt > 1
    service.sockets.client_frame(trail, CREATE)
    assert (trail.attempt, trail.tried) == (1, set())
    trail.number, trail.again = 4, True
    service.sockets.client_frame(trail, CREATE)
    assert trail.attempt == 2, "the same turn, sent again"


async def test_a_turns_message_is_kept_until_something_comes(service: PoolService) -> None:
    trail = await opened(service, [])
    service.sockets.client_frame(trail, CREATE)
    assert trail.turn is not None and trail.turn.message is CREATE
    await service.sockets.server_frame(trail, DELTA)
    assert trail.turn.message is None


async def test_the_model_that_a_turn_names_is_what_its_socket_asks_for(service: PoolService) -> None:
    trail = await opened(service, [])
    assert (trail.facts.model, trail.demand.model) == ("gpt-y", "gpt-y")
