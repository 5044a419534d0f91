"""What a choice is explained by: who could be asked, what kept the others out, and whom other strategies would take."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from seatpool.core.explain import SEEN, Bar, BarKind, Choice, explain, glimpse, would_choose
from seatpool.core.model import (
    WHOLE_ACCOUNT,
    Account,
    Cooldown,
    Keeping,
    ProviderName,
    QuotaWindow,
    Scope,
    ScopeKind,
)
from seatpool.core.scoring import Standing
from seatpool.core.selection import Demand, Selection, select
from seatpool.core.state import PoolState
from seatpool.core.strategy import Strategy

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
END = NOW + timedelta(hours=3)
MODEL = Scope(ScopeKind.MODEL, "gpt-x")
OTHER_MODEL = Scope(ScopeKind.MODEL, "gpt-y")
DEMAND = Demand(ProviderName.CODEX, (MODEL,), "talk")
REQUEST = ("flow-1", 1, "responses", "gpt-x", "work")


def account(id_: int, **more: object) -> Account:
    return replace(Account(id_, ProviderName.CODEX, f"a{id_}", f"i{id_}", "chatgpt.com"), **more)  # type: ignore[arg-type]


def pool(*accounts: Account) -> PoolState:
    state = PoolState()
    for each in accounts:
        state.put(each, NOW)
    return state


def chosen(state: PoolState, demand: Demand = DEMAND, tried: frozenset[int] = frozenset()) -> Choice:
    choice = select(state, demand, NOW, tried)
    return explain(glimpse(state, demand, NOW, tried, choice, REQUEST))


def bars(choice: Choice) -> dict[int, tuple[Bar, ...]]:
    return {c.candidate.account.id: c.bars for c in choice.contenders}


def cool(scope: Scope, until: datetime = END) -> Callable[[PoolState], None]:
    return lambda state: state.cool(Cooldown(2, scope, "spent", until, NOW - timedelta(hours=1)), NOW)


def put(**more: object) -> Callable[[PoolState], None]:
    return lambda state: state.put(account(2, **more), NOW)


def fill(state: PoolState) -> None:
    for _ in range(3):
        state.acquire(2, NOW)
    assert state.caps.refuse(2, 3, NOW, NOW)


def list_models(state: PoolState) -> None:
    state.models.put(1, ProviderName.CODEX, frozenset({"gpt-x", "gpt-y"}), NOW)
    state.models.put(2, ProviderName.CODEX, frozenset({"gpt-y"}), NOW)


def spend(state: PoolState) -> None:
    state.observe(2, (QuotaWindow("gpt-x/primary", 0.0, NOW, "header", resets_at=END),), NOW)


NOTHING: Callable[[PoolState], None] = lambda _state: None  # noqa: E731 # one of a table
CASES: dict[str, tuple[Callable[[PoolState], None], Demand, frozenset[int], tuple[Bar, ...]]] = {
    "nothing": (NOTHING, DEMAND, frozenset(), ()),
    "paused": (put(paused=True), DEMAND, frozenset(), (Bar(BarKind.PAUSED),)),
    "disabled": (put(disabled="revoked-x"), DEMAND, frozenset(), (Bar(BarKind.DISABLED, "revoked-x"),)),
    "its editor is away": (put(learnt=True), DEMAND, frozenset(), (Bar(BarKind.AWAY),)),
    "cooling": (cool(WHOLE_ACCOUNT), DEMAND, frozenset(), (Bar(BarKind.COOLING, "spent", END),)),
    "its model cools": (cool(MODEL), DEMAND, frozenset(), (Bar(BarKind.COOLING, "spent", END, MODEL),)),
    "another model cools": (cool(OTHER_MODEL), DEMAND, frozenset(), ()),
    "it cooled before": (cool(WHOLE_ACCOUNT, NOW), DEMAND, frozenset(), ()),
    "a rule": (NOTHING, replace(DEMAND, only=frozenset({1})), frozenset(), (Bar(BarKind.RULE),)),
    "a rule that names it": (NOTHING, replace(DEMAND, only=frozenset({2})), frozenset(), ()),
    "no place is free": (fill, DEMAND, frozenset(), (Bar(BarKind.FULL),)),
    "its list lacks the model": (list_models, replace(DEMAND, model="gpt-x"), frozenset(), (Bar(BarKind.LACKING),)),
    "its list lacks another": (list_models, replace(DEMAND, model="gpt-z"), frozenset(), ()),
    "the model's quota is spent": (
        spend,
        replace(DEMAND, buckets=("gpt-x/primary",)),
        frozenset(),
        (Bar(BarKind.SPENT, until=END),),
    ),
    "another's quota is spent": (spend, replace(DEMAND, buckets=("gpt-y/primary",)), frozenset(), ()),
    "tried": (NOTHING, DEMAND, frozenset({2}), (Bar(BarKind.TRIED),)),
    "tried, and cooling since": (
        cool(WHOLE_ACCOUNT),
        DEMAND,
        frozenset({2}),
        (Bar(BarKind.COOLING, "spent", END), Bar(BarKind.TRIED)),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_keeps_an_account_out_is_named(case: str) -> None:
    happens, demand, tried, expected = CASES[case]
    state = pool(account(1, priority=1), account(2))
    happens(state)
    assert bars(chosen(state, demand, tried))[2] == expected


def test_a_choice_names_its_request_reason_and_strategy_and_puts_the_eligible_first_in_their_order() -> None:
    state = pool(account(1, paused=True), account(2, priority=3), account(3, priority=2))
    choice = chosen(state)
    assert (choice.flow_id, choice.number, choice.route, choice.model, choice.rule) == REQUEST
    assert (choice.account_id, choice.reason, choice.strategy, choice.decided_at) == (3, "best", Strategy.QUOTA, NOW)
    assert [c.candidate.account.id for c in choice.contenders] == [3, 2, 1]
    assert choice.left_out == 0


def test_a_choice_that_found_nobody_says_so() -> None:
    choice = chosen(pool(account(1, paused=True)))
    assert (choice.account_id, choice.reason) == (None, "exhausted")
    assert would_choose(choice, Strategy.DRAIN) is None


def test_a_conversations_account_is_chosen_by_affinity_and_a_new_conversation_might_go_elsewhere() -> None:
    state = pool(account(1), account(2, priority=1))
    state.remember("talk", 1, NOW)
    choice = chosen(state)
    assert (choice.account_id, choice.reason) == (1, "affinity")
    assert would_choose(choice, Strategy.PRIORITY) == 2


def test_what_happens_later_does_not_change_what_was_seen() -> None:
    state = pool(account(1), account(2))
    seen = glimpse(state, DEMAND, NOW, set(), select(state, DEMAND, NOW), REQUEST)
    before = explain(seen)
    state.cool(Cooldown(1, WHOLE_ACCOUNT, "spent", END, NOW), NOW)
    state.observe(2, (QuotaWindow("primary", 0.0, NOW, "header", resets_at=END),), NOW)
    state.put(account(1, paused=True), NOW)
    state.acquire(2, NOW)
    state.forget(2)
    assert explain(seen) == before


def test_requests_in_flight_are_those_of_the_moment() -> None:
    state = pool(account(1), account(2))
    state.acquire(1, NOW)
    choice = chosen(state)
    assert [c.candidate.in_flight for c in choice.contenders] == [1, 0]
    assert would_choose(choice, Strategy.LEAST_BUSY) == 2


def test_of_two_thousand_accounts_a_few_are_kept_and_the_chosen_one_is_among_them() -> None:
    accounts = [account(i, priority=i, paused=i % 2 == 0) for i in range(1, 2_001)]
    state = pool(*accounts)
    choice = chosen(state, replace(DEMAND, only=frozenset({1_501})), frozenset({5}))
    kept = [c.candidate.account.id for c in choice.contenders]
    assert choice.account_id == 1_501
    assert {1_501, 5, 2_000} <= set(kept)
    assert len(kept) <= 2 * SEEN + 2
    # 1,000 are not paused; the first twelve, which hold no. 5, and no. 1,501 are kept.
    assert choice.left_out == 1_000 - 12 - 1


def test_only_accounts_of_the_requests_provider_contend_whatever_a_rule_names() -> None:
    state = pool(account(1), account(2, paused=True), account(3, provider=ProviderName.COPILOT))
    assert set(bars(chosen(state, replace(DEMAND, only=frozenset({1, 3}))))) == {1, 2}


POOLS = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.sampled_from(Keeping),
        st.booleans(),
        st.one_of(st.none(), st.floats(0, 1)),
        st.integers(0, 3),
        st.integers(0, 2),
        st.booleans(),
    ),
    min_size=1,
    max_size=SEEN,
)


def drawn(rows: list[tuple[int, Keeping, bool, float | None, int, int, bool]], strategy: Strategy) -> PoolState:
    state = PoolState(strategy)
    for id_, (priority, keeping, paused, left, used, busy, cooling) in enumerate(rows, 1):
        state.put(account(id_, priority=priority, keeping=keeping, paused=paused, weight=float(priority)), NOW)
        if left is not None:
            resets_at = NOW + timedelta(hours=1 + id_ % 3)
            state.observe(id_, (QuotaWindow("primary", left, NOW, "header", resets_at=resets_at),), NOW)
        for number in range(used):
            state.use(id_, NOW - timedelta(minutes=number * id_))
        for _ in range(busy):
            state.acquire(id_, NOW)
        if cooling:
            state.cool(Cooldown(id_, WHOLE_ACCOUNT, "spent", END, NOW), NOW)
    return state


@given(POOLS, st.sampled_from(Strategy), st.sampled_from(Strategy), st.frozensets(st.integers(1, 4)), st.booleans())
def test_what_another_strategy_would_do_is_what_it_does(
    rows: list[tuple[int, Keeping, bool, float | None, int, int, bool]],
    under: Strategy,
    strategy: Strategy,
    named: frozenset[int],
    only: bool,
) -> None:
    """Read from a record made under one strategy, and asked of a pool that is under the other."""
    demand = Demand(ProviderName.CODEX, only=named) if only else Demand(ProviderName.CODEX, prefer=named)
    found = select(drawn(rows, strategy), demand, NOW)
    would = would_choose(chosen(drawn(rows, under), demand), strategy)
    assert would == (found.account.id if isinstance(found, Selection) else None)


def test_who_has_spent_what_the_request_costs_counts_as_empty_in_its_record() -> None:
    state, premium = PoolState(), ProviderName.COPILOT
    spent = (
        QuotaWindow("chat", 1.0, NOW, "usage", unlimited=True),
        QuotaWindow("premium_models", 0.0, NOW, "usage", resets_at=END),
    )
    for id_ in (1, 2):
        state.put(account(id_, provider=premium, priority=id_), NOW)
    state.observe(1, spent, NOW)
    state.observe(2, (QuotaWindow("premium_models", 0.3, NOW, "usage", resets_at=END),), NOW)
    choice = chosen(state, Demand(premium, premium=True))
    assert [(c.candidate.account.id, c.candidate.score.standing) for c in choice.contenders] == [
        (2, Standing.LIMITED),
        (1, Standing.EXHAUSTED),
    ]
    assert choice.contenders[1].candidate.score.main == "premium_models"
    assert {would_choose(choice, strategy) for strategy in Strategy} == {2}
    rest = chosen(state, Demand(premium))
    assert rest.contenders[0].candidate.score.standing is Standing.UNLIMITED
