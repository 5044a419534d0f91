"""Requests under a rule, over a real store: who may serve them, and who never does."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from seatpool.core.model import CredentialKind, ProviderName
from seatpool.core.outcome import Outcome, OutcomeKind
from seatpool.core.policy import Policy
from seatpool.core.rules import Rule
from seatpool.core.selection import Exhausted
from seatpool.providers.base import RequestFacts, Route
from seatpool.providers.http import Headers
from seatpool.service.pool import Answered, PoolService
from seatpool.service.trail import Assignment, Trail
from seatpool.store import Store
from tests.service.conftest import Issuer, sign_in

FACTS = RequestFacts(Route(ProviderName.CODEX, "responses", "api"), (CredentialKind.CODEX_OAUTH,), "gpt-x", "talk")
ONLY_BOB = Rule("bob's", 1, only=("bob",))
ONLY_WORK = Rule("work", 1, only=("b*", "carol"))
LIKES_BOB = Rule("rather bob", 1, prefer=("bob",))

Opened = Callable[..., Trail]


@pytest.fixture
async def service(store: Store, issuer: Issuer) -> AsyncIterator[PoolService]:
    for priority, person in enumerate(("alice", "bob", "carol")):
        sign_in(store, issuer, person)
        store.set_priority(person, priority)
    service = PoolService(store, issuer, Policy())
    service.load()
    yield service
    await service.stop()


async def served(service: PoolService, trail: Trail) -> str | None:
    choice = await service.assign(trail)
    return choice.account.name if isinstance(choice, Assignment) else None


def opened(service: PoolService, rule: Rule | None, conversation: str = "talk") -> Trail:
    return service.open("flow", replace(FACTS, conversation=conversation), Headers(), rule)


def spent() -> Outcome:
    return Outcome(OutcomeKind.QUOTA_SPENT, "usage_limit_reached", until=datetime.now(UTC) + timedelta(hours=5))


async def test_a_replay_stays_among_the_accounts_that_the_rule_allows(service: PoolService) -> None:
    trail = opened(service, ONLY_WORK)
    asked = [await served(service, trail)]
    while (again := await service.recover(trail, spent(), Answered(429, 1.0))) is not None:
        asked.append(again.account.name)
    assert sorted(asked, key=str) == ["bob", "carol"]
    choice = await service.assign(opened(service, ONLY_WORK, "next"))
    assert isinstance(choice, Exhausted) and choice.limited


async def test_a_conversation_leaves_its_account_where_a_rule_forbids_it(service: PoolService) -> None:
    trail = opened(service, None)
    first = await served(service, trail)
    service.served(trail, Answered(200, 1.0), Headers())
    assert first != "bob"
    assert await served(service, opened(service, None)) == first
    assert await served(service, opened(service, ONLY_BOB)) == "bob"


async def test_a_rule_that_names_nobody_here_is_served_by_nobody(service: PoolService) -> None:
    nobody = Rule("typo", 1, only=("wrok",))
    assert await service.assign(opened(service, nobody)) == Exhausted(limited=False)


async def test_what_is_preferred_comes_first_and_others_serve_where_it_cannot(service: PoolService) -> None:
    trail = opened(service, LIKES_BOB)
    assert await served(service, trail) == "bob"
    again = await service.recover(trail, spent(), Answered(429, 1.0))
    assert again is not None and again.account.name != "bob"


async def test_a_name_given_later_counts_for_the_next_request(service: PoolService, store: Store) -> None:
    rule = Rule("new", 1, only=("newcomer",))
    assert await served(service, opened(service, rule)) is None
    store.rename("carol", "newcomer")
    service.load()
    assert await served(service, opened(service, rule)) == "newcomer"


async def test_a_sockets_turn_goes_on_only_where_its_rule_allows(service: PoolService) -> None:
    trail = opened(service, None)
    assert await served(service, trail) != "bob"
    assert service.sockets.may_go_on(trail, None, beginning=False)
    assert not service.sockets.may_go_on(trail, ONLY_BOB, beginning=False)
    assert trail.rule is ONLY_BOB
    assert service.sockets.may_go_on(trail, None, beginning=False), "another turn, which no rule is about"
    assert trail.demand.only is None


async def test_a_preference_moves_a_conversation_only_where_it_begins(service: PoolService) -> None:
    trail = opened(service, None)
    first = await served(service, trail)
    service.served(trail, Answered(200, 1.0), Headers())
    assert service.sockets.may_go_on(trail, LIKES_BOB, beginning=False)
    assert await served(service, opened(service, LIKES_BOB)) == first, "its cache is warm there"
    assert not service.sockets.may_go_on(trail, LIKES_BOB, beginning=True)
    assert await served(service, opened(service, LIKES_BOB)) == "bob"


async def test_a_preference_moves_nobody_to_an_account_that_cannot_serve(service: PoolService, store: Store) -> None:
    store.set_paused("bob", True, datetime.now(UTC))
    service.load()
    trail = opened(service, None)
    await service.assign(trail)
    assert service.sockets.may_go_on(trail, LIKES_BOB, beginning=True)
