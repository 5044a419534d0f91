"""Which accounts are left out for a model: what their own lists say, and quota of the model's own."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from seatpool.core.catalogue import LISTED_FOR, MODELS_LIMIT, Catalogue, Draws
from seatpool.core.model import WHOLE_ACCOUNT, Account, Cooldown, ProviderName, QuotaWindow
from seatpool.core.quotas import FRESH
from seatpool.core.report import report
from seatpool.core.seen import Seen
from seatpool.core.selection import LACKING, RENEWAL, SPENT, Demand, Exhausted, Selection, select
from seatpool.core.state import PoolState

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CODEX, COPILOT = ProviderName.CODEX, ProviderName.COPILOT
SPARK = ("codex_spark/primary", "codex_spark/secondary")
HOUR = timedelta(hours=1)


def pool(*ids: int) -> PoolState:
    state = PoolState()
    for id_ in ids:
        state.put(Account(id_, CODEX, f"a{id_}", f"i{id_}", "chatgpt.com"), NOW)
    return state


def chosen(state: PoolState, demand: Demand, now: datetime = NOW) -> int | Exhausted:
    found = select(state, demand, now)
    return found.account.id if isinstance(found, Selection) else found


def wants(model: str | None, *buckets: str, conversation: str | None = None) -> Demand:
    return Demand(CODEX, conversation=conversation, model=model, buckets=buckets)


# -- lists


@pytest.mark.parametrize(
    ("lists", "model", "lacking"),
    [
        ({1: {"a"}, 2: {"a", "b"}}, "b", {1}),
        ({1: {"a"}, 2: {"a", "b"}}, "a", set()),
        ({1: {"a"}}, "b", set()),  # nobody's list names it: it may be one that lists are silent about
        ({1: {"a"}, 2: {"a"}}, "engine", set()),
        ({2: {"b"}}, "b", set()),  # what 1 has is not known
        ({1: {"a"}, 2: {"b"}}, None, set()),  # a request that names no model
    ],
)
def test_an_account_lacks_what_only_others_lists_name(
    lists: dict[int, set[str]], model: str | None, lacking: set[int]
) -> None:
    catalogue = Catalogue()
    for id_, models in lists.items():
        catalogue.put(id_, CODEX, frozenset(models), NOW)
    assert {id_ for id_ in (1, 2, 3) if catalogue.lacks(id_, model, NOW)} == lacking


def test_lists_of_another_provider_prove_nothing() -> None:
    catalogue = Catalogue()
    catalogue.put(1, CODEX, frozenset({"a"}), NOW)
    catalogue.put(2, COPILOT, frozenset({"b"}), NOW)
    assert not catalogue.lacks(1, "b", NOW)


@given(st.lists(st.tuples(st.integers(1, 3), st.none() | st.frozensets(st.sampled_from("abc"), min_size=1))))
def test_only_the_latest_lists_count_whatever_came_before(events: list[tuple[int, frozenset[str] | None]]) -> None:
    catalogue, latest = Catalogue(), dict[int, frozenset[str]]()
    for id_, models in events:
        if models is None:
            catalogue.forget(id_)
            latest.pop(id_, None)
        else:
            catalogue.put(id_, CODEX, models, NOW)
            latest[id_] = models
    for id_ in (1, 2, 3):
        assert catalogue.of(id_) == latest.get(id_)
        for model in "abc":
            named = any(model in models for models in latest.values())
            assert catalogue.lacks(id_, model, NOW) == (id_ in latest and model not in latest[id_] and named)


def test_what_is_included_is_told_by_the_accounts_own_list_else_by_any_of_the_provider() -> None:
    catalogue = Catalogue()
    catalogue.put(1, COPILOT, frozenset({"a", "b"}), NOW, frozenset({"a"}))
    catalogue.put(2, COPILOT, frozenset({"a"}), NOW)

    def included(provider: ProviderName, model: str | None) -> set[int]:
        return {id_ for id_ in (1, 2, 3) if catalogue.includes(id_, provider, model)}

    assert (included(COPILOT, "a"), included(COPILOT, "b")) == ({1, 3}, set())
    assert 3 not in included(CODEX, "a")
    assert included(COPILOT, None) == set()
    catalogue.put(1, COPILOT, frozenset({"a", "b"}), NOW, frozenset({"b"}))
    assert (included(COPILOT, "a"), included(COPILOT, "b")) == (set(), {1, 2, 3})
    catalogue.forget(1)
    assert included(COPILOT, "b") == set()


def test_who_lacks_the_model_is_not_asked_even_where_the_conversation_was_his() -> None:
    state = pool(1, 2)
    state.models.put(1, CODEX, frozenset({"a"}), NOW)
    state.models.put(2, CODEX, frozenset({"a", "b"}), NOW)
    state.remember("talk", 1, NOW)
    assert chosen(state, wants("a", conversation="talk")) == 1
    assert chosen(state, wants("b", conversation="talk")) == 2


def test_where_only_accounts_without_the_model_are_left_nobody_is_waited_for() -> None:
    state = pool(1, 2)
    state.models.put(1, CODEX, frozenset({"a"}), NOW)
    state.models.put(2, CODEX, frozenset({"b"}), NOW)
    state.cool(Cooldown(1, WHOLE_ACCOUNT, "spent", NOW + HOUR, NOW), NOW)
    assert chosen(state, wants("a")) == Exhausted(limited=True, soonest=NOW + HOUR, reason="spent")
    state.put(Account(1, CODEX, "a1", "i1", "chatgpt.com", paused=True), NOW)
    assert chosen(state, wants("a")) == Exhausted(limited=False, reason=LACKING)
    state.forget(1)
    assert chosen(state, wants("a")) == 2, "with the account its list is gone, and nothing speaks against trying"


@pytest.mark.parametrize("older", [1, 2])
def test_a_list_that_is_too_old_proves_nothing(older: int) -> None:
    """Neither that its account lacks a model, nor that lists name it."""
    catalogue, second = Catalogue(), timedelta(seconds=1)
    lists = {1: frozenset({"a"}), 2: frozenset({"a", "new"})}
    catalogue.put(older, CODEX, lists[older], NOW)
    catalogue.put(3 - older, CODEX, lists[3 - older], NOW + HOUR)
    assert catalogue.lacks(1, "new", NOW + LISTED_FOR - second)
    assert not catalogue.lacks(1, "new", NOW + LISTED_FOR)
    assert (catalogue.of(older), catalogue.of(3 - older)) == (None, lists[3 - older])


def test_a_list_of_before_the_clock_was_set_back_proves_nothing() -> None:
    catalogue = Catalogue()
    catalogue.put(1, CODEX, frozenset({"a"}), NOW)
    catalogue.put(2, CODEX, frozenset({"b"}), NOW - 2 * HOUR)
    assert not catalogue.lacks(1, "b", NOW - 2 * HOUR)


def test_who_lacked_the_model_days_ago_is_asked_for_it_when_nobody_else_is_left() -> None:
    state, later = pool(1, 2), NOW + timedelta(days=3)
    for account_id in (1, 2):
        state.models.put(account_id, CODEX, frozenset({"a"}), NOW)
    state.models.put(2, CODEX, frozenset({"a", "new"}), later)
    state.cool(Cooldown(2, WHOLE_ACCOUNT, "spent", later + HOUR, later), later)
    assert chosen(state, wants("new"), later) == 1


# -- a model's own quota


def window(bucket: str, left: float, *, resets_in: timedelta | None = HOUR, length_s: int | None = None) -> QuotaWindow:
    return QuotaWindow(bucket, left, NOW, "usage", False, length_s, NOW + resets_in if resets_in else None)


def test_a_spent_window_of_the_model_excludes_until_it_resets_and_only_for_that_model() -> None:
    state = pool(1, 2)
    state.observe(1, [window("primary", 0.9), window(SPARK[0], 0.0)], NOW)
    state.observe(2, [window("primary", 0.1), window(SPARK[0], 0.2)], NOW)
    assert chosen(state, wants("spark", *SPARK)) == 2
    assert chosen(state, wants("other")) == 1
    assert chosen(state, wants("spark", *SPARK), NOW + HOUR) == 1


@pytest.mark.parametrize(
    ("seen", "until"),
    [
        ([], None),
        ([window(SPARK[0], 0.01)], None),
        ([window("primary", 0.0)], None),  # not one that was asked about
        ([window(SPARK[0], 0.0)], NOW + HOUR),
        ([window(SPARK[0], 0.0), window(SPARK[1], 0.0, resets_in=3 * HOUR)], NOW + 3 * HOUR),
        ([window(SPARK[0], 0.0, resets_in=-HOUR)], None),  # it has reset since
        ([window(SPARK[0], 0.0, resets_in=None, length_s=7200)], NOW + 2 * HOUR),  # its length after it was seen
        ([window(SPARK[0], 0.0, resets_in=None)], None),  # nobody knows until when: trying will tell
    ],
)
def test_spent_tells_when_the_last_of_the_buckets_resets(seen: list[QuotaWindow], until: datetime | None) -> None:
    state = pool(1)
    state.observe(1, seen, NOW)
    assert state.spent(1, SPARK, NOW) == until


def test_when_all_are_spent_for_the_model_the_soonest_reset_is_waited_for() -> None:
    state = pool(1, 2, 3)
    state.observe(1, [window(SPARK[0], 0.0, resets_in=3 * HOUR)], NOW)
    state.observe(2, [window(SPARK[0], 0.0, resets_in=1 * HOUR)], NOW)
    state.cool(Cooldown(2, WHOLE_ACCOUNT, "throttled", NOW + 2 * HOUR, NOW), NOW)  # and then its own cooldown
    state.cool(Cooldown(3, WHOLE_ACCOUNT, RENEWAL + "x", NOW + timedelta(minutes=1), NOW), NOW)
    assert chosen(state, wants("spark", *SPARK)) == Exhausted(limited=True, soonest=NOW + 2 * HOUR, reason="throttled")
    state.lift(2, WHOLE_ACCOUNT, NOW)
    assert chosen(state, wants("spark", *SPARK)) == Exhausted(limited=True, soonest=NOW + HOUR, reason=SPENT)


def test_what_a_model_draws_on_is_learnt_and_told_as_news_once() -> None:
    draws = Draws()
    assert draws.of("spark") == ()
    assert not draws.learn("spark", None), "the answer was silent"
    assert not draws.learn(None, SPARK)
    assert draws.learn("spark", SPARK)
    assert not draws.learn("spark", SPARK)
    assert draws.of("spark") == SPARK
    assert draws.learn("spark", ()), "it draws on the general quota now"
    assert draws.of("spark") == ()


def test_a_client_that_makes_up_models_costs_no_memory() -> None:
    draws = Draws()
    for number in range(MODELS_LIMIT + 10):
        draws.learn(f"m{number}", SPARK)
    assert draws.of("m9") == ()
    assert draws.of("m10") == SPARK


# -- how old what is known is


def test_the_same_value_is_news_again_when_it_is_no_longer_fresh() -> None:
    state = pool(1)
    first = window("primary", 0.5)

    def again(after: timedelta, left: float = 0.5) -> bool:
        seen = QuotaWindow("primary", left, NOW + after, "header", resets_at=NOW + HOUR)
        return bool(state.observe(1, [seen], NOW + after))

    assert state.observe(1, [first], NOW) == [first]
    assert not again(FRESH - timedelta(seconds=1))
    assert state.observed_at(1) == NOW
    assert again(FRESH)
    assert state.observed_at(1) == NOW + FRESH
    assert again(FRESH + timedelta(seconds=1), left=0.4), "another value is news at once"


def test_an_account_of_which_nothing_was_seen_has_no_age() -> None:
    assert pool(1).observed_at(1) is None


# -- windows that are gone


def test_a_window_that_is_gone_with_another_plan_keeps_nobody_out() -> None:
    state = pool(1, 2)
    state.observe(1, [window("secondary", 0.0), window(SPARK[0], 0.0)], NOW)
    state.observe(2, [window("secondary", 0.1)], NOW)
    assert chosen(state, wants("a")) == 2
    gone = [QuotaWindow.none(bucket, NOW + FRESH, "usage") for bucket in ("secondary", SPARK[0])]
    assert state.observe(1, gone, NOW + FRESH) == gone
    assert state.windows[1] == {}
    assert chosen(state, wants("a"), NOW + FRESH) == 1
    assert state.spent(1, SPARK, NOW + FRESH) is None


def test_only_newer_news_bring_a_window_back() -> None:
    state, late = pool(1), timedelta(seconds=1)
    gone = QuotaWindow.none("secondary", NOW + late, "usage")
    assert state.observe(1, [gone], NOW + late) == [], "nobody has known it"
    assert state.observe(1, [window("secondary", 0.0)], NOW + late) == []
    assert state.windows[1] == {}
    back = replace(window("secondary", 0.0), observed_at=NOW + 2 * late)
    assert state.observe(1, [back], NOW + 2 * late) == [back]
    assert state.observe(1, [gone], NOW + 2 * late) == [], "that was before"
    assert state.windows[1] == {"secondary": back}


def test_what_was_said_before_the_clock_was_set_back_hides_nothing() -> None:
    state, seen = pool(1), window("secondary", 0.5)
    state.observe(1, [QuotaWindow.none("secondary", NOW + HOUR, "usage")], NOW + HOUR)
    assert state.observe(1, [seen], NOW) == [seen]


def test_with_its_account_the_news_of_a_window_is_forgotten() -> None:
    state, seen = pool(1), window("secondary", 0.5)
    state.observe(1, [QuotaWindow.none("secondary", NOW + FRESH, "usage")], NOW + FRESH)
    state.forget(1)
    assert state.observe(1, [seen], NOW + FRESH) == [seen]


def test_what_was_seen_more_than_an_hour_ago_is_shown_and_marked() -> None:
    account = Account(1, CODEX, "work", "i", "chatgpt.com")
    old = window("primary", 0.5)
    new = QuotaWindow("secondary", 0.5, NOW + HOUR, "header")
    (row,) = report(Seen((account,), ((1, old), (1, new))), NOW + HOUR + timedelta(seconds=1), NOW).accounts
    assert [(w.bucket, w.stale) for w in row.windows] == [("primary", True), ("secondary", False)]
