"""The logins that editors come with: whose they are, how long they serve, when two are one account. Over a store."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory
from msgspec.structs import replace

from seatpool.clock import utcnow
from seatpool.core.model import Account, CredentialKind, ProviderName
from seatpool.core.policy import Policy
from seatpool.core.selection import Demand, Selection, select
from seatpool.providers.copilot import COPILOT
from seatpool.providers.http import Headers, HttpReply, HttpRequest
from seatpool.service.pool import PoolService
from seatpool.service.trail import Assignment, Trail
from seatpool.store import Store
from tests.providers.copilot.copilot_material import (
    ANN_CT,
    ANN_CT_LATER,
    ANN_GHO,
    BOB_CT,
    CHAT,
    CHAT_FACTS,
    ENDPOINTS,
    ENGINE,
    ENGINE_PATH,
    NOW,
    NOW_S,
    facts,
    github,
)
from tests.service.conftest import Issuer, jwt, sign_in
from tests.service.test_pool import FACTS

HERE, THERE = "https://chatgpt.com", "https://us.chatgpt.com"
MINUTE, SECOND, DAY = timedelta(minutes=1), timedelta(seconds=1), timedelta(days=1)


@pytest.fixture
def clock() -> Iterator[FrozenDateTimeFactory]:
    with freeze_time(NOW, real_asyncio=True) as clock:
        yield clock


@pytest.fixture
async def service(clock: FrozenDateTimeFactory, store: Store, issuer: Issuer) -> AsyncIterator[PoolService]:
    service = PoolService(store, issuer, Policy())
    service.load()
    yield service
    await service.stop()


async def comes(
    service: PoolService,
    person: str,
    *,
    workspace: str | None = None,
    conversation: str | None = None,
    origin: str = HERE,
    serial: int = 1,
    lasts: timedelta = DAY,
) -> Trail:
    """A request of an editor that is signed in as this person."""
    fields = {"authorization": f"Bearer {jwt(person, NOW + lasts, serial)}"}
    if workspace is not None:
        fields["chatgpt-account-id"] = workspace
    trail = service.open(f"flow-{person}", replace(FACTS, conversation=conversation), Headers(fields.items()))
    await service.learn(trail, origin)
    return trail


def who(service: PoolService, trail: Trail) -> str | None:
    """Whose login a request came with, by what the pool knows of it."""
    return service.knowledge.state.accounts[trail.own.account_id].identity if trail.own is not None else None


def serves(service: PoolService, provider: ProviderName = ProviderName.CODEX) -> str | None:
    """Who would serve a request of anybody."""
    found = select(service.knowledge.state, Demand(provider), utcnow())
    return found.account.identity if isinstance(found, Selection) else None


def look(service: PoolService) -> None:
    """What is done every few seconds."""
    service._primaries.look_around(utcnow())


async def test_one_token_in_two_workspaces_is_two_accounts(service: PoolService) -> None:
    for _ in range(2):  # the first time, and when both are known
        for workspace, identity in ((None, "ws-ann"), ("ws-team", "ws-team")):
            assert who(service, await comes(service, "ann", workspace=workspace)) == f"user-ann/{identity}"


async def test_an_editor_that_has_not_been_seen_for_a_quarter_of_an_hour_serves_nobody_until_it_is_back(
    service: PoolService, clock: FrozenDateTimeFactory
) -> None:
    assert serves(service) is None
    await comes(service, "ann")
    clock.tick(10 * MINUTE)
    await comes(service, "ann")
    clock.tick(15 * MINUTE)
    look(service)
    assert serves(service) == "user-ann/ws-ann"
    clock.tick(SECOND)
    look(service)
    assert serves(service) is None
    (account,) = service.knowledge.state.accounts
    assert service._primaries._vault.known(account) == (), "its token is given up"
    await comes(service, "ann")
    assert serves(service) == "user-ann/ws-ann"


async def test_a_token_that_is_over_serves_nobody_until_the_editor_has_another(
    service: PoolService, clock: FrozenDateTimeFactory
) -> None:
    await comes(service, "ann", lasts=MINUTE)
    clock.tick(MINUTE - SECOND)
    look(service)
    assert serves(service) == "user-ann/ws-ann"
    clock.tick(SECOND)
    look(service)
    assert serves(service) is None
    assert (await comes(service, "ann", lasts=MINUTE)).own is None, "it still sends the old one"
    await comes(service, "ann", serial=2)
    assert serves(service) == "user-ann/ws-ann"


async def test_a_login_that_is_used_at_two_hosts_serves_as_long_as_it_is_used_at_one(
    service: PoolService, clock: FrozenDateTimeFactory
) -> None:
    await comes(service, "ann", conversation="talk")
    clock.tick(10 * MINUTE)
    await comes(service, "ann", conversation="talk", origin=THERE)
    clock.tick(10 * MINUTE)
    look(service)
    assert serves(service) == "user-ann/ws-ann"
    clock.tick(10 * MINUTE)
    look(service)
    assert serves(service) is None


async def test_others_are_served_with_the_token_that_the_editor_has_now(service: PoolService) -> None:
    for serial in (1, 2):
        await comes(service, "ann", workspace="ws-team", serial=serial)
    other = service.open("other", FACTS, Headers())
    found = await service.assign(other)
    assert isinstance(found, Assignment)
    assert found.credential.token == jwt("ann", NOW + DAY, 2)
    assert ("ChatGPT-Account-Id", "ws-team") in found.edits.set_headers


async def test_a_refused_token_serves_nobody_and_neither_does_the_one_before_it(service: PoolService) -> None:
    for serial in (1, 2):
        trail = await comes(service, "ann", serial=serial)
    assert trail.own is not None
    service._primaries.refused(trail.own.credential)
    assert serves(service) is None
    assert (await comes(service, "ann", serial=2)).own is None
    await comes(service, "ann", serial=3)
    assert serves(service) == "user-ann/ws-ann"


@pytest.mark.parametrize(
    ("conversations", "stay"),
    [
        (("talk", "talk"), {"user-bob/ws-bob"}),  # nobody tells a proxy that a person has signed out
        (("talk", "tale"), {"user-ann/ws-ann", "user-bob/ws-bob"}),
        ((None, None), {"user-ann/ws-ann", "user-bob/ws-bob"}),
    ],
)
async def test_whoever_goes_on_with_anothers_conversation_has_taken_that_ones_place(
    store: Store, service: PoolService, conversations: tuple[str | None, str | None], stay: set[str]
) -> None:
    for person, conversation in zip(("ann", "bob"), conversations, strict=True):
        await comes(service, person, conversation=conversation)
    assert {a.identity for a in service.knowledge.state.accounts.values()} == stay
    assert {a.identity for a in store.accounts()} == stay


async def test_whoever_has_another_conversation_at_another_host_is_still_signed_in(service: PoolService) -> None:
    await comes(service, "ann", conversation="talk")
    await comes(service, "ann", conversation="tale", origin=THERE)
    await comes(service, "bob", conversation="talk")
    identities = {a.identity for a in service.knowledge.state.accounts.values()}
    assert identities == {"user-ann/ws-ann", "user-bob/ws-bob"}


async def test_an_account_that_a_person_has_put_into_the_pool_stays_there_when_its_editor_goes(
    store: Store, issuer: Issuer, service: PoolService, clock: FrozenDateTimeFactory
) -> None:
    account = sign_in(store, issuer, "ann")
    service.knowledge.state.put(account, utcnow())
    trail = await comes(service, "ann", conversation="talk")
    assert trail.own is not None and trail.own.account_id == account.id
    clock.tick(16 * MINUTE)
    look(service)
    await comes(service, "bob", conversation="talk")
    await service._primaries._vault.warm([account.id])
    assert service.knowledge.state.may_serve(account)
    (held,) = service._primaries._vault.known(account.id)
    assert held.refresh_token is not None, "its own login serves others, which can be renewed; the editor's cannot"
    assert [a.identity for a in store.accounts() if not a.learnt] == ["user-ann/ws-ann"]


# -- Copilot, whose tokens do not name whose they are


class Minting:
    """api.github.com, as far as it gives out a token."""

    async def send(self, request: HttpRequest) -> HttpReply:
        """Answer a side call."""
        if not request.url.endswith("/copilot_internal/v2/token"):
            return HttpReply(404, Headers(), b"{}")
        told = {"token": ANN_CT_LATER, "expires_at": NOW_S + 3600, "refresh_in": 1500, "endpoints": ENDPOINTS}
        return HttpReply(200, Headers([("content-type", "application/json")]), json.dumps(told).encode())


def seat(store: Store) -> Account:
    """Ann's seat, as a person has put it into the pool: nothing has been minted for it yet."""
    account, _ = store.save_login(
        provider=ProviderName.COPILOT,
        identity="github.com/ann",
        name="work",
        explicit_name=True,
        issuer="github.com",
        plan=None,
        credentials=[github()],
        now=datetime.now(UTC),
    )
    return account


async def chats(service: PoolService, token: str) -> Trail:
    """A request of an editor that holds this token."""
    asked = replace(CHAT_FACTS, conversation=None)
    trail = service.open(f"flow-{token}", asked, Headers([("authorization", f"Bearer {token}")]))
    await service.learn(trail, ENDPOINTS["api"])
    return trail


async def test_a_seat_that_turns_out_to_be_the_editors_own_is_one_account_and_not_two(
    clock: FrozenDateTimeFactory, store: Store
) -> None:
    service = PoolService(store, Minting(), Policy())
    pooled = seat(store)
    service.load()
    for token in (ANN_CT, BOB_CT):
        await chats(service, token)
    learnt = {a.identity for a in store.accounts() if a.learnt}
    assert learnt == {"github.com/tid:ann0", "github.com/tid:bob0"}, "nothing tells yet that one of them is the seat"

    trail = service.open("other", CHAT_FACTS, Headers())
    trail.demand = replace(trail.demand, only=frozenset({pooled.id}))  # a rule names the seat: a token is minted for it
    found = await service.assign(trail)
    assert isinstance(found, Assignment)
    assert (found.account.id, found.credential.kind) == (pooled.id, CredentialKind.COPILOT_TOKEN)
    assert {a.identity for a in store.accounts()} == {"github.com/ann", "github.com/tid:bob0"}
    for token in (ANN_CT, ANN_CT_LATER):
        assert who(service, await chats(service, token)) == "github.com/ann", "by either token"
    assert await service._credentials.keep(COPILOT, pooled, found.credential)
    assert pooled.id in service.knowledge.state.accounts, "it is found once, and never given up"
    await service.stop()


async def test_a_login_that_is_used_for_chat_and_for_ghost_text_serves_others_with_both(
    clock: FrozenDateTimeFactory, service: PoolService
) -> None:
    sent = Headers([("authorization", f"Bearer {ANN_GHO}")])
    for to, path, origin in ((CHAT, "/chat/completions", "api"), (ENGINE, ENGINE_PATH, "proxy")):
        trail = service.open(origin, facts(to, path, authorization=f"Bearer {ANN_GHO}"), sent)
        await service.learn(trail, ENDPOINTS[origin])
    (account,) = service.knowledge.state.accounts
    (held,) = service._primaries._vault.known(account)
    assert held.endpoints == ENDPOINTS
