"""Who is chosen: eligible accounts in the strategy's order, equals in turn; conversations stay."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from seatpool.core.model import (
    WHOLE_ACCOUNT,
    Account,
    Cooldown,
    ProviderName,
    QuotaWindow,
    Scope,
    ScopeKind,
)
from seatpool.core.selection import RENEWAL, Demand, Exhausted, Selection, select
from seatpool.core.state import PoolState
from seatpool.core.strategy import Strategy, rank

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CODEX = Demand(ProviderName.CODEX)


def account(id_: int, *, priority: int = 100, paused: bool = False, disabled: str | None = None) -> Account:
    return Account(id_, ProviderName.CODEX, f"a{id_}", f"i{id_}", "chatgpt.com", priority, paused, disabled)


def pool(*accounts: Account) -> PoolState:
    state = PoolState()
    for each in accounts:
        state.put(each, NOW)
    return state


def window(left: float, *, resets_in: timedelta | None = timedelta(hours=3), at: datetime = NOW) -> QuotaWindow:
    return QuotaWindow("primary", left, at, "header", resets_at=NOW + resets_in if resets_in else None)


def cooldown(id_: int, minutes: float, scope: Scope = WHOLE_ACCOUNT, reason: str = "spent") -> Cooldown:
    return Cooldown(id_, scope, reason, NOW + timedelta(minutes=minutes), NOW)


def chosen(
    state: PoolState, demand: Demand = CODEX, now: datetime = NOW, tried: frozenset[int] = frozenset()
) -> int | None:
    found = select(state, demand, now, tried)
    return found.account.id if isinstance(found, Selection) else None


def test_the_lower_priority_number_goes_first() -> None:
    assert chosen(pool(account(1, priority=200), account(2, priority=50))) == 2


def test_among_equals_the_most_quota_left_wins() -> None:
    state = pool(account(1), account(2))
    state.observe(1, [window(0.40)], NOW)
    state.observe(2, [window(0.60)], NOW)
    assert chosen(state) == 2


def test_among_equals_with_equal_quota_the_least_recently_used_wins() -> None:
    state = pool(account(1), account(2))
    state.use(1, NOW)
    assert chosen(state) == 2
    state.use(2, NOW + timedelta(seconds=1))
    assert chosen(state) == 1


def test_the_tightest_window_counts_and_a_reset_one_no_more() -> None:
    state = pool(account(1))
    state.observe(1, [window(0.1, resets_in=timedelta(minutes=5))], NOW)
    state.observe(1, [QuotaWindow("secondary", 0.5, NOW, "header", resets_at=NOW + timedelta(days=3))], NOW)
    assert state.left(1, NOW) == 0.1
    assert state.left(1, NOW + timedelta(minutes=6)) == 0.5


def test_an_account_known_to_be_empty_is_asked_last_whatever_its_priority() -> None:
    state = pool(account(1, priority=1), account(2, priority=2))
    state.observe(1, [window(0.0)], NOW)
    state.observe(2, [window(0.2)], NOW)
    assert chosen(state) == 2
    assert chosen(state, now=NOW + timedelta(hours=4)) == 1  # both were reset at +3 h: priority decides


def test_a_newer_observation_is_not_undone_by_an_older_one() -> None:
    state = pool(account(1))
    state.observe(1, [window(0.2, at=NOW)], NOW)
    assert not state.observe(1, [window(0.9, at=NOW - timedelta(seconds=1))], NOW)
    assert state.left(1, NOW) == 0.2


def test_a_cooling_account_comes_back_when_its_time_is_over() -> None:
    state = pool(account(1))
    state.cool(cooldown(1, 10), NOW)
    assert chosen(state) is None
    assert chosen(state, now=NOW + timedelta(minutes=9, seconds=59)) is None
    assert chosen(state, now=NOW + timedelta(minutes=10)) == 1


def test_a_cooldown_is_never_shortened() -> None:
    state = pool(account(1))
    state.cool(cooldown(1, 10), NOW)
    state.cool(cooldown(1, 1), NOW)
    assert chosen(state, now=NOW + timedelta(minutes=5)) is None


def test_a_cooldown_of_a_model_excludes_only_requests_for_it() -> None:
    state = pool(account(1))
    model = Scope(ScopeKind.MODEL, "gpt-x")
    state.cool(cooldown(1, 10, model), NOW)
    assert chosen(state, Demand(ProviderName.CODEX, (model,))) is None
    assert chosen(state, Demand(ProviderName.CODEX, (Scope(ScopeKind.MODEL, "gpt-y"),))) == 1


def test_paused_disabled_and_tried_accounts_are_never_chosen() -> None:
    assert chosen(pool(account(1, paused=True), account(2, disabled="revoked"))) is None
    assert chosen(pool(account(1), account(2)), tried=frozenset({1})) == 2


def test_a_conversation_stays_where_it_is_until_that_account_is_gone() -> None:
    state = pool(account(1), account(2))
    state.observe(1, [window(0.1)], NOW)
    talk = Demand(ProviderName.CODEX, (), "thread")
    state.remember("thread", 1, NOW, ttl_s=60, limit=10)
    assert chosen(state, talk) == 1
    assert chosen(state) == 2
    assert chosen(state, talk, now=NOW + timedelta(seconds=61)) == 2
    state.cool(cooldown(1, 10), NOW)
    assert chosen(state, talk) == 2


def test_the_oldest_conversations_are_forgotten_first() -> None:
    state = pool(account(1))
    for name in ("a", "b", "c"):
        state.remember(name, 1, NOW, ttl_s=60, limit=2)
    assert [state.owner(name, NOW) for name in ("a", "b", "c")] == [None, 1, 1]


def test_exhausted_names_the_soonest_end_of_a_limit() -> None:
    state = pool(account(1), account(2), account(3, paused=True))
    state.cool(cooldown(1, 30), NOW)
    state.cool(cooldown(2, 10), NOW)
    assert select(state, CODEX, NOW) == Exhausted(limited=True, soonest=NOW + timedelta(minutes=10), reason="spent")


def test_troubles_of_our_own_side_calls_are_not_a_limit_to_wait_for() -> None:
    state = pool(account(1))
    state.cool(cooldown(1, 1, reason=RENEWAL + "unreachable"), NOW)
    assert select(state, CODEX, NOW) == Exhausted(limited=False)


def test_an_account_that_is_put_again_is_not_chosen_twice_over() -> None:
    state = pool(account(1))
    state.put(account(1, paused=True), NOW)
    assert chosen(state) is None
    state.put(account(1), NOW)
    assert [a.id for a in state.ready(ProviderName.CODEX, NOW)] == [1]
    state.forget_all_but(())
    assert chosen(state) is None


def test_without_regard_to_quota_priority_alone_decides() -> None:
    state = pool(account(1, priority=1), account(2, priority=2))
    state.rank(None, NOW)
    state.observe(1, [window(0.0)], NOW)
    state.use(1, NOW)
    assert chosen(state) == 1
    state.rank(Strategy.QUOTA, NOW)
    assert chosen(state) == 2


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(1, 4), st.booleans()),
        st.tuples(st.just("observe"), st.integers(1, 4), st.floats(0, 1)),
        st.tuples(st.just("cool"), st.integers(1, 4), st.floats(0.1, 30)),
        st.tuples(st.just("use"), st.integers(1, 4), st.none()),
        st.tuples(st.just("lift"), st.integers(1, 4), st.none()),
        st.tuples(st.just("pass"), st.integers(1, 4), st.floats(0, 20)),
    ),
    max_size=40,
)


@given(EVENTS)
def test_whatever_happens_the_index_agrees_with_the_accounts(happenings: list[tuple[str, int, float]]) -> None:
    """The sorted list and the heap of moments say what a scan of everything would say."""
    state, now = pool(account(1), account(2)), NOW
    for what, id_, value in happenings:
        match what:
            case "put":
                state.put(account(id_, paused=bool(value)), now)
            case "observe":
                seen = QuotaWindow("primary", value, now, "header", resets_at=now + timedelta(minutes=7))
                state.observe(id_, [seen], now)
            case "cool":
                state.cool(Cooldown(id_, WHOLE_ACCOUNT, "x", now + timedelta(minutes=value), now), now)
            case "use" if id_ in state.accounts:
                state.use(id_, now)
            case "lift":
                state.lift(id_, WHOLE_ACCOUNT, now)
            case "pass":
                now += timedelta(minutes=value)
        expected = {i for i, a in state.accounts.items() if a.usable and state.blocked(i, (), now) is None}
        ready = [a.id for a in state.ready(ProviderName.CODEX, now)]
        assert set(ready) == expected
        assert state.usable[ProviderName.CODEX] == sum(a.usable for a in state.accounts.values())
        assert len(ready) == len(expected)
        ranks = [rank(Strategy.QUOTA, state.candidate(i, now)) for i in ready]
        assert ranks == sorted(ranks)
