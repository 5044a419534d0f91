"""What is recorded of an attempt and when: refusals at once, what was served once and at its end, turns one by one."""

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from seatpool.core.model import Account, Attempt, CredentialKind, ProviderName, Tokens
from seatpool.core.outcome import Outcome, OutcomeKind
from seatpool.core.policy import Policy
from seatpool.providers.base import RequestFacts, Route
from seatpool.providers.http import Headers
from seatpool.service.memory.records import CUT, LEFT, OK, Ending
from seatpool.service.pool import PoolService
from seatpool.service.trail import Answered, Assignment, Trail
from seatpool.store import Store
from tests.service.conftest import Issuer, sign_in
from tests.service.test_pool import FACTS
from tests.upstream.dialogue import Usage, responses

SOCKET = RequestFacts(
    Route(ProviderName.CODEX, "responses-ws", "api", websocket=True), (CredentialKind.CODEX_OAUTH,), "gpt-x", "talk"
)
TOLD = Tokens(20_000, 18_000, 300, reasoning=150)


@pytest.fixture
def alice(store: Store, issuer: Issuer, service: PoolService) -> Account:
    account = sign_in(store, issuer, "alice")
    service.load()
    return account


async def begin(service: PoolService, facts: RequestFacts = FACTS, status: int = 200) -> Trail:
    """A flow whose answer has begun."""
    trail = service.open("flow", facts, Headers())
    assert isinstance(await service.assign(trail), Assignment)
    service.served(trail, Answered(status, 5.0), Headers())
    return trail


async def recorded(service: PoolService, store: Store) -> list[Attempt]:
    """Everything, in order."""
    await service.stop()
    return sorted(store.past.attempts(limit=99), key=lambda a: a.number)


def summary(attempts: list[Attempt]) -> list[tuple[Any, ...]]:
    return [(a.number, a.reason, a.outcome, a.status, a.model, a.tokens) for a in attempts]


async def test_an_answer_that_has_only_begun_is_not_recorded_yet(
    store: Store, service: PoolService, alice: Account
) -> None:
    await begin(service)
    assert await recorded(service, store) == []


@pytest.mark.parametrize("outcome", [OK, LEFT, CUT])
async def test_it_is_recorded_once_with_how_it_ended(
    store: Store, service: PoolService, alice: Account, outcome: str
) -> None:
    trail = await begin(service)
    for _ in range(2):
        service.ended(trail, Ending(outcome, 77.0, TOLD))
    service.release(trail)
    service.ended(trail, Ending(CUT, 99.0))
    (attempt,) = await recorded(service, store)
    assert (attempt.outcome, attempt.first_byte_ms, attempt.total_ms, attempt.tokens) == (outcome, 5.0, 77.0, TOLD)


async def test_a_flow_that_ends_after_a_refusal_adds_nothing(
    store: Store, service: PoolService, alice: Account
) -> None:
    trail = service.open("flow", FACTS, Headers())
    await service.assign(trail)
    refused = Outcome(OutcomeKind.QUOTA_SPENT, "usage_limit_reached")
    assert await service.recover(trail, refused, Answered(429, 9.0)) is None
    service.ended(trail, Ending(OK, 99.0, TOLD))
    assert [(a.outcome, a.total_ms) for a in await recorded(service, store)] == [("usage_limit_reached", 9.0)]


@pytest.mark.parametrize(("outcome", "total_ms"), [(LEFT, 30.0), (CUT, 30.0), (LEFT, None), (OK, 30.0)])
async def test_who_leaves_before_the_answer_has_left_what_was_sent(
    store: Store, service: PoolService, alice: Account, outcome: str, total_ms: float | None
) -> None:
    """Not what was never sent, and of what ended well without an answer there is nothing to tell."""
    trail = service.open("flow", FACTS, Headers())
    await service.assign(trail)
    for _ in range(2):
        service.ended(trail, Ending(outcome, total_ms))
    told = [(a.outcome, a.status, a.first_byte_ms, a.total_ms) for a in await recorded(service, store)]
    assert told == ([] if total_ms is None or outcome == OK else [(outcome, None, None, total_ms)])


async def test_who_asked_and_about_what_is_recorded(store: Store, service: PoolService, alice: Account) -> None:
    service.ended(await begin(service, replace(FACTS, client="vscode", repositories=("h/o/n", "h/o/m"))), Ending(OK))
    (attempt,) = await recorded(service, store)
    assert (attempt.client, attempt.repository) == ("vscode", "h/o/n")


@pytest.mark.parametrize(("days", "left"), [(400, 2), (50, 1), (1, 0)])
async def test_requests_are_kept_as_long_as_their_person_says_and_their_sums_for_good(
    store: Store, service: PoolService, alice: Account, days: int, left: int
) -> None:
    now = datetime.now(UTC)
    made = [Attempt("f", 1, alice.id, "r", "m", OK, 200, now - timedelta(days=d), 1.0) for d in (399, 49, 401)]
    store.record(attempts=made)
    service.set_policy(Policy(ledger_days=days))
    service.start()
    async with asyncio.timeout(10):
        while len(store.past.attempts(limit=9)) != left:
            await asyncio.sleep(0.01)
    assert sum(used.counts.requests for used in store.past.usage(date(2000, 1, 1))) == 3


# -- a socket


def create(**more: Any) -> bytes:
    return json.dumps({"type": "response.create", "model": "gpt-y", "input": [], **more}).encode()


def frames(kind: str = "ok") -> list[bytes]:
    """The upstream's messages of a turn."""
    script = responses("alice", "gpt-y", 1, Usage())
    ends = {
        "ok": script.closing("hello"),
        "limit": [{"type": "error", "status": 429, "error": {"type": "usage_limit_reached", "message": "no"}}],
        "open": [],
    }
    return [json.dumps(event).encode() for event in [*script.opening, script.delta("hello"), *ends[kind]]]


async def turn(service: PoolService, trail: Trail, kind: str = "ok") -> None:
    service.sockets.client_frame(trail, create())
    for frame in frames(kind):
        await service.sockets.server_frame(trail, frame)


HANDSHAKE = (1, "best", OK, 101, "gpt-x", None)


async def test_each_turn_of_a_socket_is_an_attempt_of_its_own(
    store: Store, service: PoolService, alice: Account
) -> None:
    before = datetime.now(UTC)
    trail = await begin(service, SOCKET, 101)
    for kind in ("ok", "ok", "limit"):
        await turn(service, trail, kind)
    service.ended(trail, Ending(LEFT, 5000.0))
    attempts = await recorded(service, store)
    assert summary(attempts) == [
        HANDSHAKE,
        (2, "socket", OK, None, "gpt-y", TOLD),
        (3, "socket", OK, None, "gpt-y", TOLD),
        (4, "socket", "usage_limit_reached", None, "gpt-y", None),
    ]
    assert attempts[0].total_ms == attempts[0].first_byte_ms == 5.0
    for each in attempts[1:]:
        assert each.first_byte_ms is not None and each.total_ms is not None
        assert 0 <= each.first_byte_ms <= each.total_ms
    starts = [each.started_at for each in attempts]
    assert before <= starts[0] and starts == sorted(starts)


@pytest.mark.parametrize("outcome", [LEFT, CUT])
async def test_a_turn_that_the_socket_ends_amid_is_recorded_so(
    store: Store, service: PoolService, alice: Account, outcome: str
) -> None:
    trail = await begin(service, SOCKET, 101)
    await turn(service, trail)
    await turn(service, trail, "open")
    service.ended(trail, Ending(outcome))
    service.release(trail)
    service.ended(trail, Ending(outcome))
    assert [row[2] for row in summary(await recorded(service, store))] == [OK, OK, outcome]


async def test_a_turn_may_tell_first_what_it_is_about(store: Store, service: PoolService, alice: Account) -> None:
    trail = await begin(service, replace(SOCKET, client="codex_vscode"), 101)
    remotes = {"workspaces": {"/w": {"associated_remote_urls": {"origin": "git@github.com:Acme/Widgets.git"}}}}
    for message in (create(), create(client_metadata={"x-codex-turn-metadata": json.dumps(remotes)}), create()):
        service.sockets.client_frame(trail, message)
        for content in frames():
            await service.sockets.server_frame(trail, content)
    told = [(a.client, a.repository) for a in await recorded(service, store)]
    assert told == [("codex_vscode", None)] * 2 + [("codex_vscode", "github.com/acme/widgets")] * 2


async def test_what_the_client_says_besides_begins_no_turn(store: Store, service: PoolService, alice: Account) -> None:
    trail = await begin(service, SOCKET, 101)
    service.sockets.client_frame(trail, b'{"type":"response.processed","response_id":"resp_1"}')
    service.ended(trail, Ending(LEFT))
    assert summary(await recorded(service, store)) == [HANDSHAKE]


async def test_a_turn_that_another_one_replaces_was_left(store: Store, service: PoolService, alice: Account) -> None:
    trail = await begin(service, SOCKET, 101)
    service.sockets.client_frame(trail, create())
    await turn(service, trail)
    assert [row[2] for row in summary(await recorded(service, store))] == [OK, LEFT, OK]


# -- what a conversation weighs


async def test_what_was_told_of_its_cache_is_what_a_conversation_weighs(
    store: Store, service: PoolService, alice: Account
) -> None:
    trail = await begin(service)
    service.ended(trail, Ending(OK, 77.0, TOLD))
    held = service.knowledge.state.affinity.held("talk", datetime.now(UTC).timestamp())
    assert held is not None
    assert held.tokens == 20_000
    await service.stop()
    (row,) = store.affinities(datetime(2026, 1, 1, tzinfo=UTC))
    assert (row.conversation, row.cached_tokens) == ("talk", 20_000)


async def test_a_sockets_turns_keep_its_conversation_warm(store: Store, service: PoolService, alice: Account) -> None:
    trail = await begin(service, SOCKET, 101)
    affinity = service.knowledge.state.affinity
    opened = affinity.held("talk", 0.0)
    await turn(service, trail)
    after = affinity.held("talk", 0.0)
    assert opened is not None and after is not None
    assert (opened.told, after.told) == (0, 20_000)
    assert after.at > opened.at
