"""Whose numbers an editor is shown."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from seatpool.clock import utcnow
from seatpool.core.model import Account, Credential, CredentialKind, ProviderName, QuotaWindow
from seatpool.core.shown import Showing
from seatpool.core.state import PoolState
from seatpool.providers.base import Edits, RequestFacts, Route
from seatpool.providers.http import Headers
from seatpool.service.telling.shown import ShownQuota
from seatpool.service.trail import Assignment, Own, Trail, demand_of

NOW = utcnow()
FACTS = RequestFacts(Route(ProviderName.CODEX, "responses", "api"), (CredentialKind.CODEX_OAUTH,))
TOKEN = Credential(CredentialKind.CODEX_OAUTH, "FAKESECRET")
OWN, OTHER, PAUSED, SEAT = 1, 2, 3, 4


@pytest.fixture
def state() -> PoolState:
    """One's own account with a plan, another one, one that is paused, and one of another provider."""
    state = PoolState()
    for number in (OWN, OTHER, PAUSED, SEAT):
        provider = ProviderName.COPILOT if number == SEAT else ProviderName.CODEX
        plan = "plus" if number == OWN else "pro"
        account = Account(number, provider, f"a{number}", f"i{number}", "chatgpt.com", plan=plan)
        state.put(replace(account, paused=number == PAUSED), NOW)
        window = QuotaWindow("primary", number / 10, NOW, "header", False, 18000, NOW + timedelta(hours=number))
        state.observe(number, [window], NOW)
    return state


def trail(serves: int, state: PoolState, own: int | None = OWN) -> Trail:
    found = Trail("f", FACTS, Headers(), demand_of(FACTS))
    found.own = Own(own, TOKEN, "https://chatgpt.com") if own is not None else None
    edits = Edits("https://chatgpt.com")
    found.current = Assignment(state.accounts[serves], TOKEN, edits, 1, "best", NOW)
    return found


def test_answers_of_ones_own_account_are_shown_as_they_came(state: PoolState) -> None:
    assert ShownQuota(state, Showing.PRIMARY).of(trail(OWN, state)) is None
    assert ShownQuota(state, Showing.POOL).of(trail(OWN, state)) is not None


def test_another_accounts_answer_tells_ones_own_windows_plan_and_sizes(state: PoolState) -> None:
    shown = ShownQuota(state, Showing.PRIMARY)
    shown.note(trail(OWN, state), {"primary": 300.0})
    shown.note(trail(OTHER, state), {"primary": 1500.0})
    told = shown.of(trail(OTHER, state))
    assert told is not None
    assert (told.plan, told.windows["primary"].left, told.sizes) == ("plus", 0.1, {"primary": 300.0})


@pytest.mark.parametrize("own", [None, 99], ids=["not known", "forgotten"])
def test_where_ones_own_account_is_not_known_nothing_is(state: PoolState, own: int | None) -> None:
    told = ShownQuota(state, Showing.PRIMARY).of(trail(OTHER, state, own))
    assert told is not None
    assert (dict(told.windows), told.plan) == ({}, None)


def test_a_pool_is_what_may_serve_now(state: PoolState) -> None:
    told = ShownQuota(state, Showing.POOL).of(trail(OTHER, state))
    assert told is not None
    window = told.windows["primary"]
    # plus has 0.1 and pro, which counts twenty times, 0.2: (0.1 + 20 * 0.2) / 21
    assert window.left == pytest.approx(4.1 / 21)
    assert window.resets_at == NOW + timedelta(hours=1)
    assert told.plan == "plus"


def test_a_pool_of_nobody_shows_what_came(state: PoolState) -> None:
    state.put(replace(state.accounts[SEAT], paused=True), NOW)
    assert ShownQuota(state, Showing.POOL).pool(ProviderName.COPILOT) is None
    assert ShownQuota(state, Showing.PRIMARY).pool(ProviderName.CODEX) is None
