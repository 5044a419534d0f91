"""Who is chosen: eligible accounts in the strategy's order, equals in turn; conversations stay."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from seatpool.core.affinity import Sticking
from seatpool.core.alarms import AGED_AT_ONCE, AGED_IN_A_SECOND, AGED_S
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
from seatpool.core.policy import Policy
from seatpool.core.scoring import Score
from seatpool.core.selection import BOUND, FULL, RENEWAL, Demand, Exhausted, Selection, select, whose_limit
from seatpool.core.state import PoolState
from seatpool.core.strategy import Candidate, Dormancy, Strategy, rank

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
    assert state.score(1, NOW).room == 0.1
    assert chosen(state, now=NOW + timedelta(minutes=6)) == 1
    assert state.score(1, NOW).room == 0.5


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
    assert state.score(1, NOW).room == 0.2


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
    state.follow(Policy(affinity_ttl_s=60.0), NOW)
    state.observe(1, [window(0.1)], NOW)
    talk = Demand(ProviderName.CODEX, (), "thread")
    state.remember("thread", 1, NOW)
    assert chosen(state, talk) == 1
    assert chosen(state) == 2
    assert chosen(state, talk, now=NOW + timedelta(seconds=61)) == 2
    state.cool(cooldown(1, 10), NOW)
    assert chosen(state, talk) == 2


def test_the_oldest_conversations_are_forgotten_first() -> None:
    state = pool(account(1))
    state.follow(Policy(affinity_limit=2), NOW)
    for name in ("a", "b", "c"):
        state.remember(name, 1, NOW)
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


@pytest.mark.parametrize("after", [None, *Strategy])
@pytest.mark.parametrize("before", [None, *Strategy])
def test_an_order_gives_way_to_another(before: Strategy | None, after: Strategy | None) -> None:
    """Whatever the numbers are: those of one order may look like those of another."""
    state = PoolState(before)
    for each in (account(1, priority=0), account(0, priority=1), account(2, priority=0)):
        state.put(each, NOW)
    state.rank(after, NOW)
    fresh = PoolState(after)
    for each in state.accounts.values():
        fresh.put(each, NOW)
    assert list(state.ready(ProviderName.CODEX, NOW)) == list(fresh.ready(ProviderName.CODEX, NOW))


# -- shares


def shared(state: PoolState, requests: int, now: datetime = NOW) -> Counter[int]:
    """How many of so many requests each account gets, one after the other."""
    got: Counter[int] = Counter()
    for _ in range(requests):
        found = chosen(state, now=now)
        assert found is not None
        state.use(found, now)
        got[found] += 1
    return got


def sharing(*accounts: Account) -> PoolState:
    state = pool(*accounts)
    state.follow(Policy(strategy=Strategy.WEIGHTED), NOW)
    return state


def rest(state: PoolState) -> None:
    state.cool(cooldown(1, 10), NOW)


def pause(state: PoolState) -> None:
    state.put(account(1, paused=True), NOW)


def empty(state: PoolState) -> None:
    state.observe(1, [window(0.0)], NOW)


def preserve(state: PoolState) -> None:
    state.put(replace(account(1), keeping=Keeping.PRESERVED), NOW)


def back(state: PoolState) -> None:
    now = NOW + timedelta(hours=3)
    state.put(account(1), now)
    state.rank(Strategy.WEIGHTED, now)


@pytest.mark.parametrize("away", [rest, pause, empty, preserve])
def test_who_was_away_gets_its_share_from_then_on_and_no_more(away: Callable[[PoolState], None]) -> None:
    state = sharing(account(1), account(2), account(3))
    shared(state, 6)
    away(state)
    assert shared(state, 60) == {2: 30, 3: 30}
    back(state)
    assert shared(state, 30, NOW + timedelta(hours=3)) == pytest.approx({1: 10, 2: 10, 3: 10}, abs=1)


def test_a_newcomer_gets_its_share_whoever_rests_is_preserved_or_of_another_provider() -> None:
    state = sharing(account(1), account(2), replace(account(3), keeping=Keeping.PRESERVED))
    rest(state)
    state.put(replace(account(4), provider=ProviderName.COPILOT), NOW)
    assert shared(state, 40) == {2: 40}
    state.put(account(5), NOW)
    assert shared(state, 20) == pytest.approx({2: 10, 5: 10}, abs=1)
    state.put(replace(account(6), keeping=Keeping.PRESERVED), NOW)
    for id_ in (2, 5):
        state.cool(cooldown(id_, 10), NOW)
    assert shared(state, 20) == pytest.approx({3: 10, 6: 10}, abs=1)
    for id_ in (2, 5):
        state.lift(id_, WHOLE_ACCOUNT, NOW)
    state.put(account(7), NOW)
    assert shared(state, 30) == pytest.approx({2: 10, 5: 10, 7: 10}, abs=1)


def test_what_the_empty_have_served_is_nothing_to_one_that_comes_back_full() -> None:
    state, later = sharing(account(1), account(2)), NOW + timedelta(minutes=10)
    rest(state)
    state.observe(2, [window(0.0)], NOW)
    shared(state, 40)
    empty(state)
    state.put(account(3), NOW)
    state.observe(1, [window(0.9, at=later)], later)
    assert shared(state, 20, later) == pytest.approx({1: 10, 3: 10}, abs=1)


def test_who_comes_back_where_nobody_is_has_nothing_to_catch_up_either() -> None:
    state = sharing(account(1), account(2))
    rest(state)
    assert shared(state, 40) == {2: 40}
    state.cool(cooldown(2, 10), NOW)
    later = NOW + timedelta(minutes=10)
    state.put(account(1), later)
    state.put(account(2), later)
    assert shared(state, 20, later) == pytest.approx({1: 10, 2: 10}, abs=1)


def test_a_short_rest_costs_nothing_of_a_share() -> None:
    state = sharing(replace(account(1), weight=10.0), account(2))
    got: Counter[int] = Counter()
    for _ in range(110):
        got += shared(state, 1)
        rest(state)
        state.lift(1, WHOLE_ACCOUNT, NOW)
    assert got == {1: 100, 2: 10}


def test_who_is_ahead_of_its_share_stays_so_over_a_rest() -> None:
    state = sharing(account(1), account(2))
    for _ in range(10):
        state.use(1, NOW)
    rest(state)
    state.lift(1, WHOLE_ACCOUNT, NOW)
    assert shared(state, 10) == {2: 10}


def test_shares_count_from_when_they_are_to_decide() -> None:
    state = pool(account(1), account(2))
    for _ in range(10):
        state.use(1, NOW)
    state.rank(Strategy.WEIGHTED, NOW)
    assert shared(state, 10) == {1: 5, 2: 5}
    state.rank(Strategy.WEIGHTED, NOW)
    assert state.candidate(1, NOW).served == 5.0


def test_scores_that_have_aged_are_taken_anew_a_few_at_a_time() -> None:
    """With ten thousand accounts, one request in two minutes would wait for all of them."""
    state, later = pool(*map(account, range(100))), NOW + timedelta(seconds=AGED_S)
    for id_ in state.accounts:
        state.observe(id_, [window(1 - id_ / 200)], NOW)

    def standing() -> list[Candidate | None]:
        return [state.standing(id_) for id_ in state.accounts]

    def scores() -> list[Score]:
        return [candidate.score for candidate in standing() if candidate is not None]

    before = scores()

    def anew(now: datetime) -> int:
        state.first(ProviderName.CODEX, now, 1)
        return sum(score != was for score, was in zip(scores(), before, strict=True))

    assert anew(later - timedelta(milliseconds=1)) == 0
    assert [anew(later) for _ in range(3)] == [AGED_AT_ONCE, AGED_AT_ONCE + 1, AGED_AT_ONCE + 1]
    for second in (1, 2):
        moments = [later + timedelta(seconds=second)] * 3
        assert [anew(moment) for moment in moments][-1] == AGED_AT_ONCE + 1 + AGED_IN_A_SECOND * second
    while anew(later + timedelta(seconds=9)) < 100:
        pass
    fresh = standing()
    anew(later + timedelta(seconds=AGED_S - 1))
    assert standing() == fresh


def test_scores_that_have_aged_while_nobody_asked_are_all_taken_anew_by_the_next_requests() -> None:
    state, later = pool(*map(account, range(100))), NOW + timedelta(hours=1)
    for id_ in state.accounts:
        state.observe(id_, [window(1 - id_ / 200)], NOW)
    state.first(ProviderName.CODEX, NOW, 1)
    before = [state.score(id_, NOW) for id_ in state.accounts]
    for asked in range(1, 8):
        state.first(ProviderName.CODEX, later, 1)
        anew = sum(state.score(id_, later) != was for id_, was in zip(state.accounts, before, strict=True))
        assert anew == min(asked * AGED_AT_ONCE, 100)


def test_an_empty_window_whose_reset_nobody_tells_is_asked_again_after_its_length() -> None:
    state = pool(account(1, priority=1), account(2, priority=2))
    state.observe(1, [QuotaWindow("primary", 0.0, NOW, "frame", length_s=5 * 3600)], NOW)
    for hours, expected in ((1, 2), (4, 2), (6, 1)):
        now = NOW + timedelta(hours=hours)
        state.observe(2, [QuotaWindow("primary", 0.5, now, "frame", length_s=5 * 3600)], now)
        assert chosen(state, now=now) == expected


@pytest.mark.parametrize(
    ("before", "seen", "later", "scored"),
    [
        pytest.param(0.5, 0.5, timedelta(minutes=1), False, id="the same again"),
        pytest.param(0.5, 0.4999, timedelta(minutes=1), True, id="a little less"),
        pytest.param(0.5, 0.5, timedelta(hours=1, seconds=1), True, id="the same, when what was known had become old"),
        pytest.param(1.0, 1.0, timedelta(minutes=1), True, id="a window that waits to be begun"),
    ],
)
def test_what_is_seen_again_as_it_was_is_news_by_its_age_and_scores_alike(
    before: float, seen: float, later: timedelta, scored: bool
) -> None:
    state, again = pool(account(1)), NOW + later
    state.observe(1, [QuotaWindow("secondary", before, NOW, "header", resets_at=NOW + timedelta(days=7))], NOW)
    state.age(again, lambda moment: moment)
    standing = state.standing(1)
    assert standing is not None and standing.score.stale is (later > timedelta(hours=1))
    news = QuotaWindow("secondary", seen, again, "header", resets_at=NOW + timedelta(days=7))
    assert state.observe(1, [news], again) == [news]
    assert state.windows[1]["secondary"] == news
    after = state.standing(1)
    assert (after is not standing) is scored
    assert after is not None and not after.score.stale


# -- what a warm cache counts

WEEK_S = 7 * 24 * 3600


def weekly(left: float, *, at: datetime = NOW) -> QuotaWindow:
    return QuotaWindow("secondary", left, at, "header", length_s=WEEK_S, resets_at=NOW + timedelta(days=3.5))


def talking(left: float, other: float, *, policy: Policy | None = None, tokens: int = 50_000, **more: Any) -> PoolState:
    """A conversation on account 1, which has `left`; account 2 has `other`."""
    state = pool(account(1), account(2))
    state.follow(policy or Policy(), NOW)
    state.put(replace(account(1), **more), NOW)
    state.observe(1, [weekly(left)], NOW)
    state.observe(2, [weekly(other)], NOW)
    state.remember("talk", 1, NOW, cached_tokens=tokens)
    return state


TALK = Demand(ProviderName.CODEX, conversation="talk")
SOON, LATE = NOW + timedelta(seconds=60), NOW + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("left", "policy", "now", "expected"),
    [
        (0.30, Policy(), SOON, 1),  # a third of the quota is no reason to read 50,000 tokens again
        (0.30, Policy(), LATE, 2),  # the cache is gone: as free as a new one
        (0.30, Policy(affinity=Sticking.ALWAYS), SOON, 1),
        (0.30, Policy(affinity=Sticking.ALWAYS), LATE, 2),
        (0.01, Policy(affinity_strength=0.01), SOON, 2),
        (0.01, Policy(affinity=Sticking.ALWAYS, affinity_strength=0.01), SOON, 1),  # whatever that is worth
        (0.30, Policy(affinity=Sticking.DISABLED), SOON, 2),
        (0.30, Policy(affinity_strength=0.0), SOON, 2),
        (0.00, Policy(), SOON, 2),  # known to be empty
        (0.00, Policy(affinity=Sticking.ALWAYS), SOON, 2),
        (0.30, Policy(strategy=Strategy.ROUND_ROBIN), SOON, 1),
        (0.00, Policy(rotate_on_limit=False), SOON, 1),  # a limit moves nobody
    ],
)
def test_a_conversation_stays_while_that_is_cheaper(left: float, policy: Policy, now: datetime, expected: int) -> None:
    assert chosen(talking(left, 0.9, policy=policy), TALK, now) == expected


def test_who_begins_before_the_first_answer_is_not_sent_where_all_others_are() -> None:
    """An account that has just come, or come back, is filled step by step."""
    state = pool(*(account(id_) for id_ in (1, 2, 3)))
    for id_, left in ((1, 0.9), (2, 0.6), (3, 0.6)):
        state.observe(id_, [weekly(left)], NOW)
    went = []
    for number in range(30):
        found = select(state, Demand(ProviderName.CODEX, (), f"talk-{number}"), NOW)
        assert isinstance(found, Selection)
        state.use(found.account.id, NOW, f"talk-{number}")
        went.append(found.account.id)
    assert went[0] == 1
    assert 10 < went.count(1) < 24 and went.count(2) > 2 and went.count(3) > 2


def test_few_tokens_are_read_again_where_the_owner_has_next_to_nothing_left() -> None:
    assert chosen(talking(0.01, 0.9, tokens=100), TALK, SOON) == 2
    assert chosen(talking(0.01, 0.9, tokens=100_000), TALK, SOON) == 1


def test_nobody_is_glued_to_a_preserved_account() -> None:
    assert chosen(talking(0.9, 0.1, keeping=Keeping.PRESERVED), TALK, SOON) == 2


def test_what_only_its_owner_can_read_stays_while_the_owner_is_available() -> None:
    bound = replace(TALK, bound=True)
    for state in (talking(0.0, 0.9), talking(0.3, 0.9, policy=Policy(affinity=Sticking.DISABLED))):
        assert chosen(state, bound, SOON) == chosen(state, bound, NOW + timedelta(hours=23)) == 1
        state.cool(cooldown(1, 10), SOON)
        assert chosen(state, bound, SOON) == 2


def test_what_only_its_owner_can_read_waits_for_a_place_there() -> None:
    state = talking(0.9, 0.9)
    state.caps.most = 1
    state.acquire(1, NOW)
    assert select(state, replace(TALK, bound=True), SOON) == Exhausted(limited=True, reason=FULL, full=True)
    assert chosen(state, TALK, SOON) == 2
    state.release(1, NOW)
    assert select(state, replace(TALK, bound=True), SOON) == Selection(state.accounts[1], BOUND)


def test_a_rule_is_stronger_than_what_its_owner_alone_can_read() -> None:
    bound = replace(TALK, bound=True)
    state = talking(0.9, 0.9)
    assert chosen(state, replace(bound, only=frozenset({2})), SOON) == 2
    assert chosen(state, replace(bound, prefer=frozenset({2})), SOON) == 1


def test_new_conversations_go_where_less_is_going_on() -> None:
    state = pool(account(1), account(2))
    for id_ in (1, 2):
        state.observe(id_, [weekly(0.5)], NOW)
    first = chosen(state)
    assert first is not None
    state.remember("talk", first, NOW, cached_tokens=50_000)
    assert chosen(state) == 3 - first


def test_a_heavy_conversation_goes_where_there_is_room_and_a_light_one_where_quota_lasts_longest() -> None:
    state = pool(account(1), account(2))
    state.put(replace(account(2), plan="pro"), NOW)
    state.observe(1, [weekly(1.0)], NOW)
    state.observe(2, [weekly(0.4)], NOW)
    state.remember("heavy", 3, NOW - timedelta(hours=1), cached_tokens=150_000)
    state.remember("light", 3, NOW - timedelta(hours=1), cached_tokens=1_000)
    assert chosen(state, Demand(ProviderName.CODEX, conversation="heavy")) == 2
    assert chosen(state, Demand(ProviderName.CODEX, conversation="light")) == 1


def untouched(at: datetime) -> QuotaWindow:
    return QuotaWindow("primary", 1.0, at, "usage", length_s=5 * 3600, resets_at=at + timedelta(hours=5))


@pytest.mark.parametrize(
    ("dormancy", "new", "warm"),
    [(Dormancy.NEW_SESSION_ONLY, 2, 1), (Dormancy.ALWAYS, 2, 2), (Dormancy.DISABLED, 1, 1)],
)
def test_a_window_that_begins_with_its_first_use_is_begun_once(dormancy: Dormancy, new: int, warm: int) -> None:
    state = talking(0.5, 0.4, policy=Policy(dormancy=dormancy), tokens=1_000)
    state.observe(1, [replace(untouched(NOW), left=0.9, resets_at=NOW + timedelta(hours=4.5))], NOW)
    state.observe(2, [untouched(NOW)], NOW)
    assert (chosen(state), chosen(state, TALK)) == (new, warm)
    state.use(2, NOW)
    assert chosen(state, now=SOON) == 1, "asked for already; the answer will tell"


# -- properties

KNOWN = st.tuples(
    st.floats(0, 1),  # left of the week
    st.floats(0, 1),  # left of five hours
    st.sampled_from(["plus", "pro", None]),
    st.sampled_from(["free", "cooling", "paused", "forbidden", "tried"]),
    st.integers(0, 3),  # conversations that are going on
)


def state_of(accounts: list[tuple[int, tuple[float, float, str | None, str, int]]]) -> PoolState:
    state = PoolState()
    for id_, (week, short, plan, fate, talks) in accounts:
        state.put(replace(account(id_, paused=fate == "paused"), plan=plan), NOW)
        hours = QuotaWindow("primary", short, NOW, "header", length_s=5 * 3600, resets_at=NOW + timedelta(hours=2))
        state.observe(id_, [weekly(week), hours], NOW)
        if fate == "cooling":
            state.cool(cooldown(id_, 10), NOW)
        for number in range(talks):
            state.remember(f"{id_}-{number}", id_, NOW, cached_tokens=20_000)
    return state


@given(st.lists(KNOWN, min_size=1, max_size=6), st.randoms(), st.sampled_from([None, "1-0", "2-0"]))
def test_the_chosen_account_is_free_and_the_same_in_whatever_order_accounts_came(
    known: list[tuple[float, float, str | None, str, int]], random: Random, conversation: str | None
) -> None:
    accounts = list(enumerate(known, 1))
    fates = {id_: each[3] for id_, each in accounts}
    allowed = frozenset(id_ for id_, fate in fates.items() if fate != "forbidden")
    tried = frozenset(id_ for id_, fate in fates.items() if fate == "tried")
    demand = Demand(ProviderName.CODEX, conversation=conversation, only=allowed)
    found = chosen(state_of(accounts), demand, NOW, tried)
    assert (found is None) is ("free" not in fates.values())
    assert found is None or fates[found] == "free"
    random.shuffle(accounts)
    assert chosen(state_of(accounts), demand, NOW, tried) == found


@given(st.lists(KNOWN, min_size=2, max_size=5), st.integers(0, 4), st.floats(0, 1), st.floats(0, 1))
def test_more_quota_never_ranks_lower(
    known: list[tuple[float, float, str | None, str, int]], which: int, more: float, more_short: float
) -> None:
    accounts = list(enumerate(known, 1))
    id_, (week, short, *rest) = accounts[which % len(accounts)]
    better = list(accounts)
    better[id_ - 1] = (id_, (week + (1 - week) * more, short + (1 - short) * more_short, *rest))

    def place(state: PoolState) -> int:
        ids = [a.id for a in state.ready(ProviderName.CODEX, NOW)]
        return ids.index(id_) if id_ in ids else 99

    assert place(state_of(better)) <= place(state_of(accounts))


# -- premium requests


COPILOT = Demand(ProviderName.COPILOT, model="gpt-premium", premium=True)
MONTH = timedelta(days=30)


def seats(**left: float | None) -> PoolState:
    """Copilot seats by name, with what is left of their premium requests; None: a free seat, with half of its chat."""
    state = PoolState()
    for number, (name, share) in enumerate(left.items(), start=1):
        state.put(Account(number, ProviderName.COPILOT, name, name, "github.com"), NOW)
        chat = QuotaWindow("chat", 1.0, NOW, "usage", unlimited=True)
        if share is None:
            seen = [QuotaWindow("chat", 0.5, NOW, "usage", resets_at=NOW + MONTH / 2)]
        else:
            seen = [chat, QuotaWindow("premium_interactions", share, NOW, "usage", resets_at=NOW + MONTH / 2)]
        state.observe(number, seen, NOW)
    models = frozenset({"gpt-premium", "gpt-included"})
    state.models.put(len(left), ProviderName.COPILOT, models, NOW, frozenset({"gpt-included"}))
    return state


INCLUDED = replace(COPILOT, model="gpt-included")


@pytest.mark.parametrize(
    ("demand", "first", "second"),
    [
        (COPILOT, 2, 1),  # the plan does not include it: upstream refuses it, or has it paid for
        (INCLUDED, 1, 2),
        (replace(COPILOT, model=None), 2, 1),
        (replace(COPILOT, model="gpt-unheard-of"), 2, 1),
        (replace(COPILOT, premium=False), 1, 2),  # completions
        (replace(COPILOT, prefer={1}), 1, 2),  # a rule says so
        (replace(COPILOT, prefer={2}), 2, 1),
        (replace(COPILOT, prefer={3}), 2, 1),
    ],
)
def test_who_has_spent_the_premium_requests_goes_last_for_them_and_in_order_for_the_rest(
    demand: Demand, first: int, second: int
) -> None:
    state = seats(spent=0.0, free=None)
    assert [chosen(state, demand), chosen(state, demand, tried=frozenset({first}))] == [first, second]


def test_who_has_nothing_left_at_all_goes_behind_who_has_chat() -> None:
    state = seats(spent=0.0, free=None)
    state.observe(2, [QuotaWindow("chat", 0.0, NOW + timedelta(seconds=1), "usage", resets_at=NOW + MONTH)], NOW)
    assert chosen(state, COPILOT) == 1
    assert chosen(state, INCLUDED) == 1


def test_where_a_limit_is_to_move_nobody_premium_requests_do_not_either() -> None:
    state = seats(spent=0.0, full=0.9)
    assert chosen(state, COPILOT) == 2
    state.follow(Policy(rotate_on_limit=False), NOW)
    assert chosen(state, COPILOT) == 1


@pytest.mark.parametrize("sticking", [Sticking.AUTO, Sticking.ALWAYS])
def test_a_conversation_leaves_a_seat_that_has_nothing_left_of_what_it_costs(sticking: Sticking) -> None:
    state = seats(spent=0.0, full=0.5)
    state.follow(Policy(affinity=sticking), NOW)
    state.remember("talk", 1, NOW, cached_tokens=50_000)
    assert chosen(state, replace(COPILOT, conversation="talk"), SOON) == 2
    assert chosen(state, replace(INCLUDED, conversation="talk"), SOON) == 1


def test_by_the_seats_own_list_a_model_can_cost_what_it_does_not_elsewhere() -> None:
    state = seats(spent=0.0, full=0.1)
    assert chosen(state, INCLUDED) == 1
    state.models.put(1, ProviderName.COPILOT, frozenset({"gpt-included"}), NOW)
    assert chosen(state, INCLUDED) == 2
    state.models.forget(1)
    state.models.forget(2)
    assert chosen(state, INCLUDED) == 2, "nobody has told"


# -- whose limit it is


def test_an_account_may_serve_when_the_last_of_what_keeps_it_from_a_request_is_over() -> None:
    model, bucket = Scope(ScopeKind.MODEL, "gpt-x"), Scope(ScopeKind.BUCKET, "chat")
    state = pool(account(1))
    for minutes, scope in ((10, WHOLE_ACCOUNT), (60, model), (90, bucket)):
        state.cool(cooldown(1, minutes, scope), NOW)
    for scopes, minutes in (((), 10), ((model,), 60), ((model, bucket), 90)):
        found = select(state, replace(CODEX, scopes=scopes), NOW)
        assert found == Exhausted(limited=True, soonest=NOW + timedelta(minutes=minutes), reason="spent")


CAPTIVE = replace(CODEX, bound=True, captive=True, owner=1)
"""Nobody but the first account can read it."""


@pytest.mark.parametrize(
    ("owner", "minutes", "expected"),
    [
        (account(1), 0, Selection(account(1), BOUND)),
        (account(1), 30, Exhausted(limited=True, soonest=NOW + timedelta(minutes=30), reason="spent")),
        (account(1, paused=True), 30, Exhausted(limited=False, reason=BOUND)),
        (account(1, disabled="revoked-x"), 0, Exhausted(limited=False, reason=BOUND)),
        (account(3), 0, Exhausted(limited=False, reason=BOUND)),  # it has been removed
    ],
)
def test_what_one_account_alone_can_read_waits_for_its_limit_and_for_nobody_elses(
    owner: Account, minutes: float, expected: Selection | Exhausted
) -> None:
    state = pool(owner, account(2))
    state.cool(cooldown(2, 10), NOW)
    if minutes:
        state.cool(cooldown(1, minutes), NOW)
    assert select(state, CAPTIVE, NOW) == expected
    assert select(state, replace(CAPTIVE, only=frozenset({2})), NOW) == Exhausted(limited=False, reason=BOUND)


@pytest.mark.parametrize(
    ("demand", "told", "expected"),
    [
        (CODEX, Exhausted(limited=True, soonest=NOW + timedelta(minutes=10)), 2),
        (CODEX, Exhausted(limited=True, soonest=NOW + timedelta(minutes=30)), 1),
        (CODEX, Exhausted(limited=True, soonest=NOW + timedelta(minutes=20)), None),  # a window's end, not a cooldown's
        (
            replace(CODEX, provider=ProviderName.COPILOT),
            Exhausted(limited=True, soonest=NOW + timedelta(minutes=10)),
            3,
        ),
        (CAPTIVE, Exhausted(limited=True, soonest=NOW + timedelta(minutes=10)), 1),
        (replace(CODEX, owner=1), Exhausted(limited=False, reason=BOUND), 1),
        (CODEX, Exhausted(limited=False, reason=BOUND), None),
    ],
)
def test_it_is_told_whom_a_refusal_of_ours_is_about(demand: Demand, told: Exhausted, expected: int | None) -> None:
    state = pool(replace(account(3), provider=ProviderName.COPILOT), account(1), account(2))
    for number, minutes in ((3, 10), (1, 30), (2, 10)):
        state.cool(cooldown(number, minutes), NOW)
        state.cool(cooldown(number, 5, Scope(ScopeKind.MODEL, "gpt-x")), NOW)
    found = whose_limit(state, demand, told)
    assert (found.id if found is not None else None) == expected
