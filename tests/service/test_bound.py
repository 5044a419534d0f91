"""What only a conversation's owner can read stays there: past its cache, whatever affinity counts, over a restart."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from freezegun import freeze_time
from msgspec.structs import replace

from seatpool.core.affinity import Sticking
from seatpool.core.model import CredentialKind, ProviderName
from seatpool.core.policy import Policy
from seatpool.core.provenance import Moving
from seatpool.core.selection import Exhausted
from seatpool.core.strategy import Strategy
from seatpool.providers.base import RequestFacts, Route
from seatpool.providers.http import Headers
from seatpool.service.memory.records import Ending
from seatpool.service.pool import PoolService
from seatpool.service.trail import Answered, Assignment, Trail
from seatpool.store import Store
from tests.service.conftest import Issuer, sign_in

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
FACTS = RequestFacts(Route(ProviderName.CODEX, "responses", "api"), (CredentialKind.CODEX_OAUTH,), "gpt-x", "talk")
SOCKET = replace(FACTS, route=Route(ProviderName.CODEX, "responses-ws", "api", websocket=True))
PLAIN = json.dumps({"model": "gpt-x", "include": ["reasoning.encrypted_content"], "input": []}).encode()
CIPHER = json.dumps({"input": [{"type": "reasoning", "encrypted_content": "gAAAA"}]}).encode()
ROTATE = Policy(strategy=Strategy.ROUND_ROBIN, affinity=Sticking.DISABLED)
"""Nothing but a bond keeps a conversation where it is."""


@asynccontextmanager
async def pool(store: Store, issuer: Issuer, policy: Policy = ROTATE) -> AsyncIterator[PoolService]:
    service = PoolService(store, issuer, policy)
    service.load()
    service.set_policy(policy)
    try:
        yield service
    finally:
        await service.stop()


@pytest.fixture
def people(store: Store, issuer: Issuer) -> None:
    for person in ("alice", "bob", "carol"):
        sign_in(store, issuer, person, timedelta(days=400))


@dataclass
class Body:
    """Counts how often it is asked for."""

    content: bytes
    asked: int = 0

    def __call__(self) -> bytes:
        self.asked += 1
        return self.content


async def send(
    service: PoolService, body: Callable[[], bytes], facts: RequestFacts = FACTS, flow: str = "flow"
) -> tuple[Trail, Assignment]:
    """A request that is under way."""
    trail = service.open(flow, facts, Headers(), None, body)
    found = await service.assign(trail)
    assert isinstance(found, Assignment)
    return trail, found


async def ask(
    service: PoolService, body: bytes | Body, facts: RequestFacts = FACTS, issued: bytes = b""
) -> tuple[int, str]:
    """Who serves a request, and why. `issued`: what the answer gives out."""
    trail, found = await send(service, body if isinstance(body, Body) else Body(body), facts)
    service.served(trail, Answered(200, 1.0), Headers())
    service.ended(trail, Ending(issued=issued))
    service.release(trail)
    return found.account.id, found.reason


@pytest.mark.usefixtures("people")
async def test_without_a_bond_they_take_turns(store: Store, issuer: Issuer) -> None:
    async with pool(store, issuer) as service:
        assert len({(await ask(service, PLAIN))[0] for _ in range(3)}) == 3


BOUND = {
    "a cipher": (FACTS, CIPHER),
    "a turn's own token": (replace(FACTS, turn_state="state"), PLAIN),
    "a socket, whose messages come later": (SOCKET, b""),
}


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("case", BOUND)
async def test_it_stays_with_its_owner_though_nothing_else_keeps_it(store: Store, issuer: Issuer, case: str) -> None:
    facts, body = BOUND[case]
    async with pool(store, issuer) as service:
        owner, _ = await ask(service, PLAIN)
        assert [await ask(service, body, facts) for _ in range(3)] == [(owner, "bound")] * 3


@pytest.mark.usefixtures("people")
async def test_its_owner_is_known_for_weeks_and_over_a_restart(store: Store, issuer: Issuer) -> None:
    with freeze_time(NOON, real_asyncio=True) as clock:
        async with pool(store, issuer, Policy()) as first:
            owner, _ = await ask(first, PLAIN)
        clock.move_to(NOON + timedelta(days=20))
        async with pool(store, issuer) as second:
            assert [await ask(second, CIPHER) for _ in range(2)] == [(owner, "bound")] * 2


@pytest.mark.usefixtures("people")
async def test_it_leaves_an_owner_that_is_unavailable_and_goes_back_until_another_has_given_something_newer(
    store: Store, issuer: Issuer
) -> None:
    def pause(*, paused: bool) -> None:
        service.knowledge.state.put(replace(service.knowledge.state.accounts[owner], paused=paused), datetime.now(UTC))

    async with pool(store, issuer) as service:
        owner, _ = await ask(service, PLAIN)
        pause(paused=True)
        another, reason = await ask(service, CIPHER)
        assert another != owner
        assert reason == "best"
        pause(paused=False)
        assert await ask(service, CIPHER) == (owner, "bound")
        pause(paused=True)
        another, _ = await ask(service, CIPHER, issued=b'"encrypted_content": "gBBBB"')
        pause(paused=False)
        assert await ask(service, CIPHER.replace(b"gAAAA", b"gBBBB")) == (another, "bound")


@pytest.mark.usefixtures("people")
async def test_a_body_is_looked_at_only_where_the_request_would_leave(store: Store, issuer: Issuer) -> None:
    body = Body(CIPHER)
    async with pool(store, issuer, Policy()) as service:
        for _ in range(3):  # nobody's yet, and then warm
            await ask(service, body)
        assert body.asked == 0
        service.set_policy(ROTATE)
        await ask(service, body)
    assert body.asked == 1


@pytest.mark.usefixtures("people")
async def test_it_waits_for_a_place_with_its_owner(store: Store, issuer: Issuer) -> None:
    async with pool(store, issuer, replace(ROTATE, max_in_flight=1)) as service:
        first, held = await send(service, Body(PLAIN))
        service.served(first, Answered(200, 1.0), Headers())
        waiting = asyncio.create_task(send(service, Body(CIPHER), flow="flow-2"))
        while not service.waiting:
            await asyncio.sleep(0)
        service.release(first)
        _, found = await waiting
        assert (found.account.id, found.reason) == (held.account.id, "bound")


@pytest.mark.usefixtures("people")
async def test_nobody_waits_longer_than_for_any_place(store: Store, issuer: Issuer) -> None:
    async with pool(store, issuer, replace(ROTATE, max_in_flight=1, slot_wait_s=0.05)) as service:
        first, held = await send(service, Body(PLAIN))
        service.served(first, Answered(200, 1.0), Headers())
        _, found = await send(service, Body(CIPHER), flow="flow-2")
        assert found.account.id != held.account.id
        assert service.waiting == 0
        assert sorted(service.knowledge.state.in_flight.values()) == [1, 1]


# -- whose the newest is


@pytest.mark.usefixtures("people")
async def test_an_agent_that_was_served_elsewhere_takes_its_session_along_no_more(store: Store, issuer: Issuer) -> None:
    """They share the session's key (codex.md 2.1), and each goes back to whoever thought for it."""
    async with pool(store, issuer) as service:
        main, _ = await ask(service, PLAIN, issued=CIPHER)
        agent, _ = await ask(service, PLAIN, issued=CIPHER.replace(b"gAAAA", b"gBBBB"))
        assert agent != main
        for _ in range(2):
            assert await ask(service, CIPHER) == (main, "bound")
            assert await ask(service, CIPHER.replace(b"gAAAA", b"gBBBB")) == (agent, "bound")


@pytest.mark.usefixtures("people")
async def test_what_it_holds_is_known_under_another_name_and_after_a_restart(store: Store, issuer: Issuer) -> None:
    async with pool(store, issuer) as first:
        await ask(first, PLAIN)
        owner, _ = await ask(first, PLAIN, replace(FACTS, conversation="before"), issued=CIPHER)
    async with pool(store, issuer) as second:
        resumed = replace(FACTS, conversation="resumed")
        assert await ask(second, CIPHER, resumed) == (owner, "bound")
        assert (await ask(second, CIPHER.replace(b"gAAAA", b"gBBBB"), replace(FACTS, conversation="new")))[1] == "best"


@pytest.mark.usefixtures("people")
async def test_a_removed_accounts_conversations_are_anybodys(store: Store, issuer: Issuer) -> None:
    async with pool(store, issuer) as first:
        owner, _ = await ask(first, PLAIN, issued=CIPHER)
        name = first.knowledge.state.accounts[owner].name
    store.remove(name)
    async with pool(store, issuer, replace(ROTATE, moving=Moving.NEVER)) as second:
        assert (await ask(second, CIPHER))[0] != owner


@pytest.mark.usefixtures("people")
async def test_nobody_reads_in_a_body_who_has_an_account_alone(store: Store, issuer: Issuer) -> None:
    async with pool(store, issuer) as service:
        trail, _ = await send(service, Body(PLAIN))
        assert service.bonds.marks(trail) == (b"output_item.done",)
        service.knowledge.state.forget_all_but({1})
        assert service.bonds.marks(trail) == ()


@pytest.mark.usefixtures("people")
async def test_a_captive_waits_for_its_owners_place_and_for_nobody_elses(store: Store, issuer: Issuer) -> None:
    policy = replace(ROTATE, max_in_flight=1, slot_wait_s=0.05, moving=Moving.NEVER)
    async with pool(store, issuer, policy) as service:
        first, _ = await send(service, Body(PLAIN))
        service.served(first, Answered(200, 1.0), Headers())
        trail = service.open("flow-2", FACTS, Headers(), None, Body(CIPHER))
        found = await service.assign(trail)
        assert isinstance(found, Exhausted)
        assert found.limited and found.soonest is not None
