"""Accounts that are passed over for want of quota: looked after on behalf of requests, in turn, and of no others."""

from datetime import UTC, datetime, timedelta

import pytest

from seatpool.core.model import WHOLE_ACCOUNT, Account, Cooldown, ProviderName, QuotaWindow, Scope, ScopeKind
from seatpool.core.selection import Demand
from seatpool.core.state import PoolState
from seatpool.service.asking.resting import KINDS, Resting
from seatpool.service.memory.inuse import AT_A_TIME

NOW = datetime(2026, 3, 1, tzinfo=UTC)
WITHIN, HOUR, SECOND = timedelta(minutes=5), timedelta(hours=1), timedelta(seconds=1)
CODEX = ProviderName.CODEX
CHAT, MODEL = Scope(ScopeKind.BUCKET, "chat"), Scope(ScopeKind.MODEL, "gpt-x")
SPARK = "codex_spark/primary"
ASKS = Demand(CODEX, scopes=(MODEL, CHAT), conversation="talk", model="gpt-x")


def pool(count: int = 1, **more: object) -> PoolState:
    state = PoolState()
    for number in range(1, count + 1):
        state.put(Account(number, CODEX, f"a{number}", f"i{number}", "chatgpt.com", **more), NOW)  # type: ignore[arg-type]
    return state


def rest(
    state: PoolState, account_id: int, reason: str = "usage_limit_reached", scope: Scope = WHOLE_ACCOUNT
) -> PoolState:
    state.cool(Cooldown(account_id, scope, reason, NOW + HOUR, NOW), NOW)
    return state


def missed(state: PoolState, *demands: Demand, now: datetime = NOW) -> list[int]:
    resting = Resting(state, WITHIN)
    for demand in demands:
        resting.note(demand, NOW)
    return [account.id for account in resting.some(now)]


def test_who_rests_for_want_of_quota_is_missed_by_requests_of_late_and_by_nobody_else() -> None:
    state = rest(pool(2), 1)
    assert missed(state) == []
    assert missed(state, ASKS) == missed(state, ASKS, now=NOW + WITHIN) == [1]
    assert missed(state, ASKS, now=NOW + WITHIN + SECOND) == []
    assert missed(state, ASKS, now=NOW - SECOND) == [], "the clock was set back"


@pytest.mark.parametrize(
    ("reason", "scope", "expected"),
    [
        ("user_weekly_rate_limited", WHOLE_ACCOUNT, True),
        ("quota_exceeded", CHAT, True),
        ("quota_exceeded", Scope(ScopeKind.BUCKET, "completions"), False),  # not what is asked
        ("usage_limit_reached", MODEL, False),  # no window that would be told is about it
        ("rate-limited", WHOLE_ACCOUNT, False),  # throttled: no window tells
        ("insufficient_quota", WHOLE_ACCOUNT, False),  # money
        ("renewal-no-answer", WHOLE_ACCOUNT, False),
    ],
)
def test_only_where_windows_could_tell_that_there_is_some_again(reason: str, scope: Scope, expected: bool) -> None:
    assert missed(rest(pool(), 1, reason, scope), ASKS) == ([1] if expected else [])


def test_whoever_is_throttled_for_longer_is_no_better_off_with_quota() -> None:
    state = rest(pool(), 1)
    state.cool(Cooldown(1, CHAT, "rate-limited", NOW + 2 * HOUR, NOW), NOW)
    assert missed(state, ASKS) == []


def test_a_spent_window_of_the_models_own_counts_without_a_cooldown() -> None:
    state = pool()
    state.observe(1, [QuotaWindow(SPARK, 0.0, NOW, "usage", resets_at=NOW + HOUR)], NOW)
    assert missed(state, ASKS) == []
    assert missed(state, Demand(CODEX, buckets=(SPARK,))) == [1]


@pytest.mark.parametrize(
    "demand",
    [Demand(ProviderName.COPILOT), Demand(CODEX, only=frozenset({2}))],
)
def test_who_could_not_serve_the_request_anyway_is_not_missed(demand: Demand) -> None:
    assert missed(rest(pool(2), 1), demand) == []


@pytest.mark.parametrize("more", [{"paused": True}, {"disabled": "x"}, {"learnt": True}])
def test_who_was_taken_out_or_is_only_learnt_is_left_alone(more: dict[str, object]) -> None:
    assert missed(rest(pool(**more), 1), ASKS) == []


def test_of_many_each_has_its_turn_and_so_few_at_a_time_that_nobody_waits() -> None:
    many = 2 * AT_A_TIME + 7
    state = pool(many)
    for number in range(1, many + 1):
        rest(state, number)
    resting = Resting(state, WITHIN)
    resting.note(ASKS, NOW)
    seen = [[account.id for account in resting.some(NOW)] for _ in range(3)]
    assert max(map(len, seen)) == AT_A_TIME
    assert sorted(account_id for some in seen for account_id in some) == list(range(1, many + 1))
    state.forget(1)
    assert [account.id for account in resting.some(NOW)] == list(range(2, AT_A_TIME + 2)), "and then again"


def test_however_much_is_asked_only_the_latest_kinds_of_it_are_remembered() -> None:
    state = rest(pool(), 1, "quota_exceeded", Scope(ScopeKind.BUCKET, "b0"))
    asks = [Demand(CODEX, scopes=(Scope(ScopeKind.BUCKET, f"b{number}"),)) for number in range(KINDS + 1)]
    assert missed(state, *asks[:-1]) == [1]
    assert missed(state, *asks) == []
    assert missed(state, *asks, asks[0]) == [1]
    assert missed(state, *(Demand(CODEX, scopes=(CHAT,), conversation=str(n)) for n in range(KINDS)), asks[0]) == [1]
