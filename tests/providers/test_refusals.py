"""The fact sheets' refusals, row by row: what each is, whose affair it is, and what follows from it."""

import json
from datetime import UTC, datetime

import pytest

from seatpool.core.model import CredentialKind, ProviderName
from seatpool.core.outcome import About, OutcomeKind
from seatpool.core.policy import Policy
from seatpool.core.recovery import Action, decide
from seatpool.providers.base import RequestFacts, Route
from seatpool.providers.http import Headers, HttpReply
from seatpool.providers.registry import PROVIDERS
from tests.providers.refusals import CODEX, COPILOT, Told

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
FACTS = {
    ProviderName.CODEX: RequestFacts(Route(ProviderName.CODEX, "responses", "api"), (CredentialKind.CODEX_OAUTH,), "m"),
    ProviderName.COPILOT: RequestFacts(
        Route(ProviderName.COPILOT, "chat", "api"), (CredentialKind.COPILOT_TOKEN,), "m", buckets=("chat",)
    ),
}
ROWS = [(ProviderName.COPILOT, told) for told in COPILOT] + [(ProviderName.CODEX, told) for told in CODEX]


def reply(told: Told) -> HttpReply:
    body = told.body if isinstance(told.body, str) else json.dumps(told.body)
    return HttpReply(told.status, Headers(told.headers.items()), body.encode())


@pytest.mark.parametrize(("provider", "told"), ROWS, ids=lambda value: getattr(value, "code", str(value)))
def test_every_row_of_the_fact_sheets(provider: ProviderName, told: Told) -> None:
    outcome = PROVIDERS[provider].classify(FACTS[provider], reply(told), NOW)
    first, then = (decide(outcome, attempt=1, repeats=n, policy=Policy(), now=NOW) for n in (0, 1))
    found = (outcome.kind, outcome.code, outcome.about, first.action, then.action, first.remedy)
    assert found == (told.kind, told.code, told.about, told.first, told.then, told.remedy)


def test_every_party_and_every_kind_of_answer_is_among_them() -> None:
    assert {told.about for _, told in ROWS} == set(About)
    by_the_wire = set(OutcomeKind) - {
        OutcomeKind.OK,
        OutcomeKind.CONNECT_FAILED,
        OutcomeKind.STALE_CONNECTION,
        OutcomeKind.UNANSWERED,
    }
    assert {told.kind for _, told in ROWS} == by_the_wire


@pytest.mark.parametrize(("provider", "told"), ROWS, ids=lambda value: getattr(value, "code", str(value)))
def test_what_is_not_the_accounts_affair_costs_no_account_anything(provider: ProviderName, told: Told) -> None:
    if told.about in (About.ACCOUNT, About.MODEL):
        return
    outcome = PROVIDERS[provider].classify(FACTS[provider], reply(told), NOW)
    for repeats in range(3):
        decision = decide(outcome, attempt=1 + repeats, repeats=repeats, policy=Policy(), now=NOW)
        assert decision.until is None
        assert decision.action is not Action.SWITCH


@pytest.mark.parametrize(("provider", "told"), ROWS, ids=lambda value: getattr(value, "code", str(value)))
def test_a_pause_ends_when_the_upstream_says(provider: ProviderName, told: Told) -> None:
    outcome = PROVIDERS[provider].classify(FACTS[provider], reply(told), NOW)
    decision = decide(outcome, attempt=1, repeats=0, policy=Policy(), now=NOW)
    assert (decision.pause_s is not None) is (decision.action is Action.PAUSE)
    if decision.pause_s is not None:
        wait_s = float(told.headers.get("retry-after", Policy().brief_pause_s))
        assert decision.pause_s == wait_s
    last = decide(outcome, attempt=3, repeats=0, policy=Policy(), now=NOW)
    assert last.action is not Action.PAUSE, "no sending is left"


def test_an_unknown_refusal_tells_its_status_and_a_code_but_no_words() -> None:
    for provider, classifier in PROVIDERS.items():
        for status in (400, 403, 418, 451):
            body = json.dumps({"error": {"code": "FAKE SECRET", "message": "FAKESECRET"}, "detail": "FAKESECRET"})
            outcome = classifier.classify(FACTS[provider], HttpReply(status, Headers(), body.encode()), NOW)
            assert (outcome.unknown, outcome.status, outcome.code) == (True, status, f"unknown-http-{status}")
