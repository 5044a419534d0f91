"""Other models and fast mode, over a real store: when a substitute is asked for, whom, and what the request says."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from seatpool.core import fallback
from seatpool.core.fastmode import FastMode
from seatpool.core.model import CredentialKind, Keeping, ProviderName, QuotaWindow, Scope, ScopeKind
from seatpool.core.outcome import Outcome, OutcomeKind
from seatpool.core.policy import Policy
from seatpool.core.rules import Rule
from seatpool.core.selection import Exhausted
from seatpool.providers.base import RequestFacts, Route
from seatpool.providers.codex import CODEX
from seatpool.providers.http import Headers
from seatpool.providers.rewriting import Wish
from seatpool.service.flows.sockets import Answer
from seatpool.service.memory.records import Ending
from seatpool.service.pool import Answered, PoolService
from seatpool.service.trail import Assignment, Trail
from seatpool.store import Store
from tests.service.conftest import Issuer, sign_in

FACTS = RequestFacts(Route(ProviderName.CODEX, "responses", "api"), (CredentialKind.CODEX_OAUTH,), "gpt-x", "talk")
SOCKET = replace(FACTS, route=Route(ProviderName.CODEX, "responses-ws", "api", websocket=True))
GOT_400 = Answered(400, 1.0)
HOUR = timedelta(hours=1)
SUBSTITUTES = Policy(fallback=fallback.read(["gpt-x: gpt-y, gpt-z"]))
ONLY_BOB = Rule("bob's", 1, only=("bob",))


@pytest.fixture
async def service(store: Store, issuer: Issuer) -> AsyncIterator[PoolService]:
    for priority, person in enumerate(("alice", "bob")):
        sign_in(store, issuer, person)
        store.set_priority(person, priority)
    service = PoolService(store, issuer, SUBSTITUTES)
    service.load()
    yield service
    await service.stop()


def refused(model: str = "gpt-x", until: datetime | None = None) -> Outcome:
    return Outcome(OutcomeKind.NOT_ENTITLED, "model_not_supported", Scope(ScopeKind.MODEL, model), until)


def told(assignment: Assignment | None) -> tuple[str, str, Wish | None] | None:
    return (assignment.account.name, assignment.reason, assignment.edits.wish) if assignment is not None else None


async def walk(service: PoolService, trail: Trail) -> list[tuple[str, str | None]]:
    """Who is asked for what, as long as each model is refused."""
    first = await service.assign(trail)
    assert isinstance(first, Assignment)
    asked = [(first.account.name, trail.facts.model)]
    while (again := await service.recover(trail, refused(trail.facts.model or ""), GOT_400)) is not None:
        asked.append((again.account.name, trail.facts.model))
    return asked


async def test_every_account_is_asked_for_the_model_before_any_is_for_a_substitute(service: PoolService) -> None:
    service.set_policy(replace(SUBSTITUTES, max_attempts=10))
    trail = service.open("flow", FACTS, Headers())
    models = [model for _, model in await walk(service, trail)]
    assert models == ["gpt-x", "gpt-x", "gpt-y", "gpt-y", "gpt-z", "gpt-z"]
    assert service.knowledge.state.in_flight == {}


async def test_the_number_of_attempts_holds_for_substitutes_as_well(service: PoolService) -> None:
    trail = service.open("flow", FACTS, Headers())
    assert [model for _, model in await walk(service, trail)] == ["gpt-x", "gpt-x", "gpt-y"]


async def test_attempts_say_what_was_sent_and_why(service: PoolService, store: Store) -> None:
    await walk(service, service.open("flow", FACTS, Headers()))
    trail = service.open("next", FACTS, Headers())
    assignment = await service.assign(trail)
    assert isinstance(assignment, Assignment)
    assert told(assignment) == (assignment.account.name, "fallback", Wish("gpt-x", "gpt-y"))
    service.served(trail, Answered(200, 1.0), Headers())
    service.ended(trail, Ending())
    await service.stop()
    (attempt, *_) = store.past.attempts(limit=1)
    assert (attempt.flow_id, attempt.model, attempt.reason, attempt.outcome) == ("next", "gpt-y", "fallback", "ok")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"model": "gpt-other"}, "no entry names it"),
        ({"model": None}, "nobody knows what it asks for"),
        ({"route": Route(ProviderName.CODEX, "images", "api")}, "another model cannot do that"),
        ({"needs": (CredentialKind.CODEX_OAUTH, CredentialKind.COPILOT_SESSION)}, "auto mode has chosen"),
    ],
)
async def test_what_has_no_substitute(service: PoolService, changes: dict[str, object], why: str) -> None:
    facts = replace(FACTS, **changes)  # type: ignore[arg-type]
    for name in ("alice", "bob"):
        account = next(a for a in service.knowledge.state.accounts.values() if a.name == name)
        bucket = Scope(ScopeKind.BUCKET, str(CredentialKind.CODEX_OAUTH))
        await service.knowledge.cool(account, bucket, "limited", datetime.now(UTC) + HOUR, 0)
    choice = await service.assign(service.open("flow", facts, Headers()))
    assert isinstance(choice, Exhausted) and choice.limited, why


async def test_an_account_whose_connection_fails_is_not_tried_again_for_a_substitute(service: PoolService) -> None:
    service.set_policy(replace(SUBSTITUTES, max_attempts=10))
    trail = service.open("flow", FACTS, Headers())
    await service.assign(trail)
    assert trail.current is not None
    down = trail.current.account.name
    for _ in range(2):
        await service.recover(trail, Outcome(OutcomeKind.CONNECT_FAILED, "connect-failed"), Answered(None, None))
    assert trail.current.account.name != down
    again = await service.recover(trail, refused(), GOT_400)
    assert again is not None and (again.account.name, trail.facts.model) != (down, "gpt-y")


async def test_waiting_for_a_place_is_no_reason_for_a_substitute(service: PoolService) -> None:
    service.set_policy(replace(SUBSTITUTES, max_in_flight=1, slot_wait_s=0.01))
    held = [service.open(f"flow-{n}", replace(FACTS, conversation=f"talk-{n}"), Headers()) for n in range(2)]
    for trail in held:
        assert isinstance(await service.assign(trail), Assignment)
    third = service.open("third", FACTS, Headers())
    choice = await service.assign(third)
    assert isinstance(choice, Exhausted) and choice.full
    assert third.asked is None


async def test_what_is_told_is_the_limit_that_ends_soonest(service: PoolService) -> None:
    """Of the model's own limit and its substitutes': then the request can be served."""
    now = datetime.now(UTC)
    for account in service.knowledge.state.accounts.values():
        for model, hours in (("gpt-x", 5), ("gpt-y", 2), ("gpt-z", 9)):
            await service.knowledge.cool(account, Scope(ScopeKind.MODEL, model), "limited", now + hours * HOUR, 0)
    choice = await service.assign(service.open("flow", FACTS, Headers()))
    assert isinstance(choice, Exhausted)
    assert choice.soonest == now + 2 * HOUR


async def test_where_nobody_has_a_substitute_the_limit_of_the_asked_model_is_told(service: PoolService) -> None:
    now = datetime.now(UTC)
    for account in service.knowledge.state.accounts.values():
        await service.knowledge.cool(account, Scope(ScopeKind.MODEL, "gpt-x"), "limited", now + 5 * HOUR, 0)
        service.knowledge.state.models.put(account.id, ProviderName.CODEX, frozenset({"gpt-x"}), now)
    service.knowledge.state.models.put(99, ProviderName.CODEX, frozenset({"gpt-y", "gpt-z"}), now)
    choice = await service.assign(service.open("flow", FACTS, Headers()))
    assert isinstance(choice, Exhausted)
    assert (choice.limited, choice.soonest) == (True, now + 5 * HOUR)


async def test_a_rule_about_the_asked_model_binds_its_substitutes(service: PoolService) -> None:
    service.set_policy(replace(SUBSTITUTES, max_attempts=10))
    trail = service.open("flow", FACTS, Headers(), ONLY_BOB)
    assert {name for name, _ in await walk(service, trail)} == {"bob"}


async def test_a_rule_about_the_substitute_binds_it_as_well(service: PoolService) -> None:
    service.set_policy(replace(SUBSTITUTES, max_attempts=10))
    service.ruling.rule_of = lambda facts: ONLY_BOB if facts.model == "gpt-y" else None
    asked = await walk(service, service.open("flow", FACTS, Headers()))
    assert [name for name, model in asked if model == "gpt-y"] == ["bob"]


async def test_nobody_is_asked_for_a_substitute_whom_not_both_rules_allow(service: PoolService) -> None:
    service.ruling.rule_of = lambda facts: ONLY_BOB if facts.model == "gpt-y" else None
    asked = await walk(service, service.open("flow", FACTS, Headers(), Rule("alice's", 2, only=("alice",))))
    assert asked == [("alice", "gpt-x"), ("alice", "gpt-z")]


async def test_a_turn_that_a_rule_decides_keeps_the_substitutes_own(service: PoolService) -> None:
    service.ruling.rule_of = lambda facts: ONLY_BOB if facts.model == "gpt-y" else None
    for account in service.knowledge.state.accounts.values():
        await service.knowledge.cool(account, Scope(ScopeKind.MODEL, "gpt-x"), "limited", datetime.now(UTC) + HOUR, 0)
    trail = service.open("flow", SOCKET, Headers())
    assignment = await service.assign(trail)
    assert isinstance(assignment, Assignment) and assignment.account.name == "bob"
    assert service.sockets.may_go_on(trail, None, beginning=False)
    assert not service.sockets.may_go_on(trail, Rule("alice's", 2, only=("alice",)), beginning=False)


async def test_without_the_option_an_exhausted_model_is_told(store: Store, issuer: Issuer) -> None:
    sign_in(store, issuer, "alice")
    service = PoolService(store, issuer, Policy())
    service.load()
    trail = service.open("flow", FACTS, Headers())
    assert [model for _, model in await walk(service, trail)] == ["gpt-x"]
    choice = await service.assign(service.open("next", FACTS, Headers()))
    assert isinstance(choice, Exhausted) and choice.reason == "model_not_supported"


# -- sockets


def limited(model: str) -> bytes:
    said = f"The '{model}' model is not supported when using Codex with a ChatGPT account."
    return b'{"type":"error","status":400,"error":{"message":"%b"}}' % said.encode()


async def test_a_limit_frame_becomes_a_reconnect_where_a_substitute_can_be_had(service: PoolService) -> None:
    trails = [service.open(f"flow-{n}", replace(SOCKET, conversation=f"talk-{n}"), Headers()) for n in range(2)]
    for trail in trails:
        await service.assign(trail)
    answers = [await service.sockets.server_frame(trail, limited("gpt-x")) for trail in trails]
    assert all(answer == Answer(CODEX.reconnect_frame(None)) for answer in answers)


async def test_with_no_substitute_left_the_frame_stays_as_it_is(service: PoolService) -> None:
    for account in service.knowledge.state.accounts.values():
        for model in ("gpt-y", "gpt-z"):
            until = datetime.now(UTC) + HOUR
            await service.knowledge.cool(account, Scope(ScopeKind.MODEL, model), "limited", until, 0)
    trails = [service.open(f"flow-{n}", replace(SOCKET, conversation=f"talk-{n}"), Headers()) for n in range(2)]
    for trail in trails:
        await service.assign(trail)
    for trail in trails:
        answer = await service.sockets.server_frame(trail, limited("gpt-x"))
    assert answer == Answer(limited("gpt-x"))


async def test_a_socket_is_outdated_once_somebody_can_serve_the_model_itself(service: PoolService) -> None:
    await walk(service, service.open("flow", FACTS, Headers()))
    trail = service.open("next", SOCKET, Headers())
    assert isinstance(await service.assign(trail), Assignment)
    assert service.sockets.client_frame(trail, b'{"type":"response.create","model":"gpt-x"}') == (
        b'{"type":"response.create","model":"gpt-y"}'
    )
    assert not service.sockets.outdated(trail, b"")
    state = service.knowledge.state
    state.lift(next(iter(state.accounts)), Scope(ScopeKind.MODEL, "gpt-x"), datetime.now(UTC))
    assert service.sockets.outdated(trail, b"")
    service.release(trail)
    assert not service.sockets.outdated(trail, b"")


# -- fast mode


def window(left: float, bucket: str = "secondary") -> QuotaWindow:
    """A week that is half over."""
    now = datetime.now(UTC)
    return QuotaWindow(bucket, left, now, "header", length_s=604_800, resets_at=now + timedelta(days=3.5))


async def wish(service: PoolService, facts: RequestFacts = FACTS) -> Wish | None:
    trail = service.open("flow", replace(facts, conversation=None), Headers(), Rule("alice's", 1, only=("alice",)))
    assignment = await service.assign(trail)
    assert isinstance(assignment, Assignment)
    service.release(trail)
    return assignment.edits.wish


def see(service: PoolService, *windows: QuotaWindow) -> int:
    (alice,) = (a for a in service.knowledge.state.accounts.values() if a.name == "alice")
    service.knowledge.state.observe(alice.id, windows, datetime.now(UTC))
    return alice.id


@pytest.mark.parametrize(
    ("mode", "left", "fast"),
    [
        (FastMode.AUTO, 0.9, True),
        (FastMode.AUTO, 0.4, False),
        (FastMode.AUTO, None, False),
        (FastMode.ALWAYS, 0.4, True),
        (FastMode.DISABLED, 0.9, False),
    ],
)
async def test_the_mode_and_the_quota_decide(
    service: PoolService, mode: FastMode, left: float | None, fast: bool
) -> None:
    service.set_policy(Policy(fast_mode=mode))
    if left is not None:
        see(service, window(left))
    assert await wish(service) == (Wish(fast=True) if fast else None)


async def test_only_turns_are_hastened(service: PoolService) -> None:
    service.set_policy(Policy(fast_mode=FastMode.ALWAYS))
    for name in ("compact", "search", "images", "memories"):
        assert await wish(service, replace(FACTS, route=Route(ProviderName.CODEX, name, "api"))) is None
    assert await wish(service, SOCKET) == Wish(fast=True)


async def test_a_preserved_account_is_spared(service: PoolService) -> None:
    service.set_policy(Policy(fast_mode=FastMode.AUTO))
    alice = see(service, window(0.9))
    state = service.knowledge.state
    state.put(replace(state.accounts[alice], keeping=Keeping.PRESERVED), datetime.now(UTC))
    assert await wish(service) is None


async def test_a_models_own_quota_counts_where_the_request_draws_on_it(service: PoolService) -> None:
    service.set_policy(Policy(fast_mode=FastMode.AUTO))
    see(service, window(0.9), window(0.3, "codex_other/secondary"))
    assert await wish(service) == Wish(fast=True)
    trail = service.open("learns", FACTS, Headers())
    await service.assign(trail)
    service.served(trail, Answered(200, 1.0), Headers([("x-codex-active-limit", "codex_other")]))
    assert await wish(service) is None


async def test_room_that_shrinks_a_little_is_still_room(service: PoolService) -> None:
    service.set_policy(Policy(fast_mode=FastMode.AUTO))
    see(service, window(0.51))
    assert await wish(service) is None
    see(service, window(0.6))
    assert await wish(service) == Wish(fast=True)
    see(service, window(0.51))
    assert await wish(service) == Wish(fast=True)
    see(service, window(0.45))
    assert await wish(service) is None


async def test_a_fast_socket_is_outdated_once_there_is_no_room(service: PoolService) -> None:
    service.set_policy(Policy(fast_mode=FastMode.AUTO))
    see(service, window(0.9))
    trail = service.open("flow", SOCKET, Headers(), Rule("alice's", 1, only=("alice",)))
    await service.assign(trail)
    assert not service.sockets.outdated(trail, b"")
    see(service, window(0.2))
    assert service.sockets.outdated(trail, b"")


async def test_a_substitute_can_be_hastened_as_well(service: PoolService) -> None:
    service.set_policy(replace(SUBSTITUTES, fast_mode=FastMode.ALWAYS))
    await walk(service, service.open("flow", FACTS, Headers()))
    assert await wish(service) in (Wish("gpt-x", "gpt-y", fast=True), Wish("gpt-x", "gpt-z", fast=True))
