"""Copilot's months: what is spent for the models that a plan does not include leaves those that it includes."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from seatpool.core import fallback
from seatpool.core.model import Credential, CredentialKind, ProviderName, QuotaWindow, Scope, ScopeKind
from seatpool.core.policy import Policy
from seatpool.core.selection import Exhausted
from seatpool.providers.copilot import COPILOT
from seatpool.providers.http import Headers, HttpReply, HttpRequest
from seatpool.service.asking.errands import ModelsErrand
from seatpool.service.pool import Answered, PoolService
from seatpool.service.trail import Assignment, Trail
from seatpool.store import Store
from tests.providers.copilot.copilot_material import ENDPOINTS, facts
from tests.service.conftest import Issuer

PREMIUM, OTHER, INCLUDED = "claude-opus", "gpt-5-codex", "gpt-5-mini"
GOT_402 = Answered(402, 1.0)
SPENT = b'{"error":{"message":"You have no quota","code":"quota_exceeded"}}'
REFUSED = HttpReply(402, Headers([("retry-after", str(9 * 86_400))]), SPENT)
HOOK = "https://hooks.example/x"


class Outside(Issuer):
    """Takes notices as well."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[dict[str, Any]] = []

    async def send(self, request: HttpRequest) -> HttpReply:
        if request.url != HOOK:
            return await super().send(request)
        self.told.append(json.loads(request.body))
        return HttpReply(200, Headers(), b"")


@pytest.fixture
def outside() -> Outside:
    return Outside()


@pytest.fixture
async def service(store: Store, outside: Outside) -> AsyncIterator[PoolService]:
    """Two seats."""
    now = datetime.now(UTC)
    for name in ("alice", "bob"):
        minted = Credential(CredentialKind.COPILOT_TOKEN, f"tid={name}", None, now + timedelta(hours=1), ENDPOINTS)
        store.save_login(
            provider=ProviderName.COPILOT,
            identity=f"github.com/{name}",
            name=name,
            explicit_name=True,
            issuer="github.com",
            plan="individual",
            credentials=[Credential(CredentialKind.GITHUB_OAUTH, f"gho_FAKESECRET{name}"), minted],
            now=now,
        )
    service = PoolService(store, outside, Policy(learn=False))
    service.load()
    yield service
    await service.stop()


def opened(service: PoolService, model: str, about: str = "") -> Trail:
    said = [{"role": "user", "content": about or f"of {model}"}]
    return service.open(f"flow-{model}", facts(body={"model": model, "messages": said}), Headers())


async def spend(service: PoolService, model: str) -> list[str]:
    """Have everybody refuse the model; who was asked."""
    trail = opened(service, model)
    asked, got = [], await service.assign(trail)
    while isinstance(got, Assignment):
        asked.append(got.account.name)
        got = await service.recover(trail, COPILOT.classify(trail.facts, REFUSED, datetime.now(UTC)), GOT_402)
    service.release(trail)
    return sorted(asked)


async def serves(service: PoolService, model: str, about: str = "") -> str | Exhausted:
    """Who serves such a request."""
    trail = opened(service, model, about)
    got = await service.assign(trail)
    if isinstance(got, Assignment):
        service.served(trail, Answered(200, 1.0), Headers())
        service.release(trail)
        return got.account.name
    assert isinstance(got, Exhausted)
    return got


def see(service: PoolService, *names: str, **left: float | None) -> None:
    """What the own record of these seats, or of all, says by now; None: without a limit."""
    now = datetime.now(UTC)
    windows = tuple(
        QuotaWindow(bucket, 1.0 if share is None else share, now, "usage", share is None, 30 * 86_400)
        for bucket, share in left.items()
    )
    for account in service.knowledge.state.accounts.values():
        if account.name in (names or (account.name,)):
            service.knowledge.observe(account.id, windows)


async def test_a_model_that_the_plan_includes_is_served_whatever_the_others_have_spent(service: PoolService) -> None:
    assert await spend(service, PREMIUM) == ["alice", "bob"]
    assert await serves(service, INCLUDED) in ("alice", "bob")
    for known in service.knowledge.state.cooldowns.values():
        assert set(known) == {Scope(ScopeKind.MODEL, PREMIUM)}
    assert await spend(service, PREMIUM) == [], "until the month is over nobody is asked for that one"
    exhausted = await serves(service, PREMIUM)
    assert isinstance(exhausted, Exhausted) and exhausted.reason == "quota_exceeded"
    assert await spend(service, OTHER) == ["alice", "bob"], "each model is refused once"


async def test_a_substitute_that_the_plan_includes_is_asked_for_on_the_very_seats(service: PoolService) -> None:
    service.set_policy(Policy(learn=False, fallback=fallback.read([f"{PREMIUM}: {INCLUDED}"])))
    trail = opened(service, PREMIUM)
    got = await service.assign(trail)
    for _ in range(2):
        assert isinstance(got, Assignment) and trail.facts.model == PREMIUM
        got = await service.recover(trail, COPILOT.classify(trail.facts, REFUSED, datetime.now(UTC)), GOT_402)
    assert isinstance(got, Assignment) and trail.facts.model == INCLUDED


async def test_when_there_is_quota_again_each_model_is_tried_by_a_request_for_it(service: PoolService) -> None:
    for model in (PREMIUM, OTHER):
        await spend(service, model)
    see(service, chat=None, premium_interactions=0.0)
    await service.knowledge.drain_probes()
    assert isinstance(await serves(service, OTHER), Exhausted)
    see(service, chat=None, premium_interactions=0.9)
    await service.knowledge.drain_probes()
    for model in (OTHER, PREMIUM, OTHER):
        assert await serves(service, model) in ("alice", "bob")


async def test_a_seat_without_premium_requests_serves_the_rest_rather_than_a_free_seat(service: PoolService) -> None:
    see(service, "alice", chat=None, premium_interactions=0.0)
    see(service, "bob", chat=0.9)
    assert await serves(service, INCLUDED) == "bob", "nobody has told yet what is included"
    entries = [{"id": INCLUDED, "billing": {"is_premium": False}}, {"id": PREMIUM, "billing": {"is_premium": True}}]
    told = HttpReply(200, Headers(), json.dumps({"data": entries}).encode())
    (bob,) = (account for account in service.knowledge.state.accounts.values() if account.name == "bob")
    await ModelsErrand(service.knowledge, service.policy).take(COPILOT, bob, {}, told, datetime.now(UTC))
    assert await serves(service, INCLUDED, "a new conversation") == "alice"
    assert await serves(service, PREMIUM) == "bob"


async def test_a_person_is_told_of_the_model_while_others_can_be_had(service: PoolService, outside: Outside) -> None:
    service.set_policy(Policy(learn=False, webhook=HOOK))
    await spend(service, PREMIUM)
    for account in list(service.knowledge.state.accounts.values()):
        until = datetime.now(UTC) + timedelta(hours=1)
        await service.knowledge.cool(account, Scope(), "user_global_rate_limited", until)
    await serves(service, INCLUDED)
    await service.notices.stop()
    told = [each for each in outside.told if each["kind"] == "exhausted"]
    everything, one = sorted(told, key=lambda each: str(each["title"]))
    assert one["title"] == f"seatpool: all copilot accounts are limited for {PREMIUM}"
    assert one["text"].startswith(f"Every copilot account that may serve {PREMIUM} is limited until ")
    assert everything["title"] == "seatpool: all copilot accounts are limited"
