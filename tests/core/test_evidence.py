"""What speaks against a cooldown, and the single request that tries it."""

from datetime import UTC, datetime, timedelta

import pytest

from seatpool.core.evidence import refuted
from seatpool.core.model import (
    WHOLE_ACCOUNT,
    Account,
    Cooldown,
    ProviderName,
    QuotaWindow,
    Scope,
    ScopeKind,
)
from seatpool.core.selection import Demand, Selection, select
from seatpool.core.state import PoolState

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CHAT = Scope(ScopeKind.BUCKET, "chat")
COMPLETIONS = Scope(ScopeKind.BUCKET, "completions")
MODEL = Scope(ScopeKind.MODEL, "gpt-x")


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def cooldown(reason: str = "usage_limit_reached", scope: Scope = WHOLE_ACCOUNT, hours: float = 5) -> Cooldown:
    return Cooldown(1, scope, reason, at(hours * 60), NOW)


def window(bucket: str, left: float, minutes: float, source: str = "usage", *, unlimited: bool = False) -> QuotaWindow:
    return QuotaWindow(bucket, left, at(minutes), source, unlimited=unlimited)


FULL = window("primary", 0.5, 1)
WEEK = window("secondary", 0.2, 1, "header")
UNLIMITED = window("chat", 1.0, 1, unlimited=True)


@pytest.mark.parametrize(
    ("held", "windows", "expected"),
    [
        (cooldown(), [FULL, WEEK], True),
        (cooldown(), [window("primary", 0.03, 1)], True),
        (cooldown(), [window("primary", 0.029, 1)], False),
        (cooldown(), [FULL, window("secondary", 0.0, 1)], False),
        (cooldown(), [FULL, window("secondary", 0.5, -1)], False),  # of one window nothing new is known
        (cooldown(), [window("primary", 0.5, 0)], False),  # seen with the refusal itself
        (cooldown(), [window("primary", 0.5, 1, "frame")], False),
        (cooldown(), [window("primary", 0.5, 1, "body")], False),
        (cooldown(), [window("credits", 0.0, 1, unlimited=True), FULL], True),
        (cooldown(), [FULL, window("bengalfox/primary", 0.0, -9)], True),  # another limit, not this one
        (cooldown(), [window("bengalfox/primary", 0.9, 1)], False),
        (cooldown(), [], False),
        (cooldown("rate-limited"), [FULL], False),
        (cooldown("insufficient_quota"), [FULL], False),  # money, not a window
        (cooldown("renewal-no-answer"), [FULL], False),
        (cooldown("quota_exceeded", CHAT), [window("chat", 0.5, 1), window("completions", 0.0, 1)], True),
        (cooldown("quota_exceeded", CHAT), [window("chat", 0.0, 1), window("completions", 1.0, 1)], False),
        (cooldown("quota_exceeded", CHAT), [UNLIMITED, window("premium_interactions", 0.0, 1)], False),
        (cooldown("quota_exceeded", CHAT), [UNLIMITED, window("premium_interactions", 0.5, 1)], True),
        (cooldown("quota_exceeded", COMPLETIONS), [window("completions", 0.5, 1), window("chat", 0.0, 1)], True),
        (cooldown("quota_exceeded", COMPLETIONS), [window("completions", 0.0, 1), UNLIMITED], False),
        # limits of hours and days are windows of their own, of which an account's record says nothing
        (cooldown("user_weekly_rate_limited", CHAT), [UNLIMITED, window("premium_interactions", 0.5, 1)], False),
        (cooldown("user_weekly_rate_limited"), [UNLIMITED, window("premium_interactions", 0.5, 1)], False),
        (cooldown("user_weekly_rate_limited", CHAT), [window("weekly", 0.0, 1, "header")], False),
        (cooldown("user_weekly_rate_limited", CHAT), [window("weekly", 0.5, 1, "header")], True),
        (cooldown("user_global_rate_limited", CHAT), [window("weekly", 0.5, 1, "header")], False),
        (cooldown("user_global_rate_limited", CHAT), [window("session", 0.5, 1, "header")], True),
        (cooldown(scope=MODEL), [FULL], False),
        # what a model is refused for that the plan does not include
        (cooldown("quota_exceeded", MODEL), [UNLIMITED, window("premium_interactions", 0.5, 1)], True),
        (cooldown("quota_exceeded", MODEL), [UNLIMITED, window("premium_interactions", 0.0, 1)], False),
        (cooldown("quota_exceeded", MODEL), [UNLIMITED, window("premium_interactions", 0.5, -1)], False),
        (cooldown("quota_exceeded", MODEL), [UNLIMITED], False),  # nobody was refused for want of that
        (cooldown("quota_exceeded", MODEL), [window("chat", 0.5, 1)], True),
        (cooldown("quota_exceeded", MODEL), [window("chat", 0.0, 1)], False),
        (cooldown("quota_exceeded", MODEL), [UNLIMITED, window("premium_models", 1.0, 1, unlimited=True)], True),
        (cooldown("quota_exceeded", MODEL), [window("premium_models", 0.5, 1), window("weekly", 0.0, 1)], True),
        (cooldown("user_weekly_rate_limited", MODEL), [window("premium_models", 0.5, 1)], False),
    ],
)
def test_only_newer_news_of_every_window_that_it_is_about_speaks_against_a_cooldown(
    held: Cooldown, windows: list[QuotaWindow], expected: bool
) -> None:
    assert refuted(held, {w.bucket: w for w in windows}) is expected


@pytest.mark.parametrize(
    ("held", "minutes", "expected"),
    [
        (cooldown(), 1, True),
        (cooldown(), 0, False),  # seen with the refusal itself
        (cooldown("rate-limited"), 1, False),
        (cooldown(scope=MODEL), 1, False),  # what was bought is for what every model draws on
    ],
)
def test_what_was_bought_since_speaks_against_empty_windows(held: Cooldown, minutes: float, expected: bool) -> None:
    spent = window("primary", 0.0, 1)
    assert not refuted(held, {"primary": spent})
    assert refuted(held, {"primary": spent}, funded_at=at(minutes)) is expected


DEMAND = Demand(ProviderName.COPILOT, (CHAT,))


@pytest.fixture
def state() -> PoolState:
    state = PoolState()
    state.put(Account(1, ProviderName.COPILOT, "a", "i", "github.com"), NOW)
    return state


def is_ready(state: PoolState, minutes: float) -> bool:
    return isinstance(select(state, DEMAND, at(minutes)), Selection)


@pytest.mark.parametrize("scope", [WHOLE_ACCOUNT, CHAT])
def test_a_probe_lets_one_request_pass_and_the_cooldown_holds_for_the_next(state: PoolState, scope: Scope) -> None:
    held = cooldown(scope=scope)
    state.cool(held, NOW)
    assert not is_ready(state, 1)
    assert state.open_probe(held, at(1))
    assert is_ready(state, 1)
    assert state.take_probe(1, (CHAT,), at(2)) == held
    assert not is_ready(state, 2)
    assert state.take_probe(1, (CHAT,), at(2)) is None
    assert is_ready(state, 300), "the cooldown ends when it was to end"


def test_a_request_for_something_else_is_no_probe(state: PoolState) -> None:
    held = cooldown("quota_exceeded", CHAT)
    state.cool(held, NOW)
    state.open_probe(held, at(1))
    assert state.take_probe(1, (Scope(ScopeKind.BUCKET, "completions"),), at(1)) is None
    assert is_ready(state, 1)


def test_models_of_one_account_are_each_tried_by_a_request_of_their_own(state: PoolState) -> None:
    held = [cooldown("quota_exceeded", Scope(ScopeKind.MODEL, name)) for name in ("gpt-x", "gpt-y")]
    for each in held:
        state.cool(each, NOW)
        assert state.open_probe(each, at(1))
    for each in reversed(held):
        assert state.take_probe(1, (CHAT, each.scope), at(2)) == each
        assert state.take_probe(1, (CHAT, each.scope), at(2)) is None
        assert state.blocked(1, (each.scope,), at(2)) == each


def test_a_cooldown_that_was_replaced_or_lifted_is_not_tried(state: PoolState) -> None:
    held = cooldown(hours=1)
    state.cool(held, NOW)
    state.cool(cooldown(hours=2), NOW)
    assert not state.open_probe(held, at(1))
    state.lift(1, WHOLE_ACCOUNT, at(1))
    assert not state.open_probe(cooldown(hours=2), at(1))


def test_while_a_probe_is_open_a_smaller_cooldown_still_does_not_shorten_the_one_that_it_tries(
    state: PoolState,
) -> None:
    held = cooldown(hours=5)
    state.cool(held, NOW)
    state.open_probe(held, at(1))
    state.cool(cooldown(hours=1), at(2))
    assert not is_ready(state, 90)
    assert state.take_probe(1, (), at(90)) is None


def test_a_probe_stays_open_where_what_it_tries_is_read_back_from_the_database(state: PoolState) -> None:
    held = cooldown()
    state.cool(held, NOW)
    state.open_probe(held, at(1))
    state.cool(cooldown(), at(1))
    assert is_ready(state, 1)
    assert state.take_probe(1, (), at(2)) == held


def test_a_person_who_clears_a_cooldown_clears_it_under_its_probe_as_well(state: PoolState) -> None:
    held = cooldown()
    state.cool(held, NOW)
    state.open_probe(held, at(1))
    state.lift(1, WHOLE_ACCOUNT, at(2))
    assert state.take_probe(1, (), at(3)) is None
    assert is_ready(state, 3)


def test_an_account_that_went_takes_its_probe_along(state: PoolState) -> None:
    held = cooldown()
    state.cool(held, NOW)
    state.open_probe(held, at(1))
    state.forget(1)
    state.put(Account(1, ProviderName.COPILOT, "a", "i", "github.com"), NOW)
    assert state.take_probe(1, (), at(2)) is None
    assert is_ready(state, 2)
