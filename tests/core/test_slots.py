"""Places at an account: freed exactly once on every way out, and as many as upstream was seen to take."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from seatpool.core.model import Account, ProviderName, UnderWay
from seatpool.core.selection import FULL, Demand, Exhausted, Selection, select
from seatpool.core.slots import EXPIRES, Caps, Elsewhere, Slot
from seatpool.core.state import PoolState
from seatpool.core.strategy import Strategy

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CODEX = Demand(ProviderName.CODEX)
SEQUENCES = 1_000_000


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def pool(*ids: int) -> PoolState:
    state = PoolState()
    for id_ in ids:
        state.put(Account(id_, ProviderName.CODEX, f"a{id_}", f"i{id_}", "chatgpt.com"), NOW)
    return state


def chosen(state: PoolState, demand: Demand = CODEX, tried: frozenset[int] = frozenset()) -> int | Exhausted:
    found = select(state, demand, NOW, tried)
    return found.account.id if isinstance(found, Selection) else found


# -- conservation


def test_over_a_million_random_lives_of_flows_every_place_comes_back() -> None:
    """Choosing, sending again, moving on, a socket's turns, aborts, errors, ends told twice, all at the same time."""
    random = Random(20261121)
    state = PoolState()
    flows = [Slot() for _ in range(16)]
    ended = 0
    while ended < SEQUENCES:
        for step in random.choices(range(14 * 16), k=4096):
            event, number = divmod(step, 16)
            flow = flows[number]
            if event < 5:  # a choice, a resending, or a replay on another account
                flow.take(state, event, NOW)
            elif event < 7:
                flow.rest(state, NOW)  # a turn's end, perhaps of a flow that has no place
            elif event < 9:
                flow.resume(state, NOW)
            elif event < 13:  # done, aborted, timed out: told once or more, before or after a place was taken
                flow.free(state, NOW)
                if event > 10:
                    flow.free(state, NOW)
                    flow.resume(state, NOW)  # a message that comes too late
                flows[number] = Slot()
                ended += 1
            elif event == 13 and flow.free(state, NOW):
                flow.rest(state, NOW)  # the client went while a replay was being prepared, which then takes a place
        assert state.in_flight == Counter(f.account_id for f in flows if f.busy)
    for flow in flows:
        flow.free(state, NOW)
    assert state.in_flight == {}


def test_a_flow_holds_one_place_at_most() -> None:
    state, flow = PoolState(), Slot()
    flow.take(state, 1, NOW)
    flow.take(state, 1, NOW)
    flow.take(state, 2, NOW)
    assert state.in_flight == {2: 1}
    assert flow.free(state, NOW) is True
    assert flow.free(state, NOW) is False
    assert state.in_flight == {}


def test_a_socket_keeps_its_account_but_no_place_between_its_turns() -> None:
    state, flow = PoolState(), Slot()
    flow.take(state, 1, NOW)
    assert flow.rest(state, NOW) is True
    assert flow.rest(state, NOW) is False
    assert (state.in_flight, flow.account_id) == ({}, 1)
    flow.resume(state, NOW)
    flow.resume(state, NOW)
    assert state.in_flight == {1: 1}


# -- how many there are


@pytest.mark.parametrize(("under_way", "limit"), [(1, 1), (2, 1), (3, 1), (4, 2), (10, 5), (11, 5)])
def test_a_refusal_for_being_too_many_halves_them(under_way: int, limit: int) -> None:
    caps = Caps()
    assert caps.limit(1) is None
    assert caps.refuse(1, under_way, at(0), at(1))
    assert caps.limit(1) == limit
    assert caps.limit(2) is None, "another account"


def test_requests_that_were_under_way_together_halve_once() -> None:
    caps = Caps()
    caps.refuse(1, 16, at(0), at(1))
    assert not caps.refuse(1, 15, at(0.5), at(1.1))
    assert caps.limit(1) == 8
    assert caps.refuse(1, 8, at(2), at(3))
    assert caps.limit(1) == 4


def test_successes_at_the_limit_raise_it_one_by_one() -> None:
    caps = Caps()
    assert not caps.succeed(1, 3, 2), "nothing is known, so there is nothing to raise"
    caps.refuse(1, 4, at(0), at(1))
    assert [caps.succeed(1, under_way, 2) for under_way in (1, 2, 1, 1, 2, 3, 3)] == [
        False,  # below the limit: it tells nothing
        False,
        False,
        False,
        True,
        False,
        True,
    ]
    assert caps.limit(1) == 4


def test_a_person_s_bound_holds_whatever_is_learnt() -> None:
    caps = Caps(most=3)
    assert caps.limit(1) == 3
    caps.refuse(1, 20, at(0), at(1))
    assert caps.limit(1) == 3
    caps.refuse(1, 3, at(2), at(3))
    assert caps.limit(1) == 1
    caps.forget(1)
    assert caps.limit(1) == 3


# -- and the choice


def test_a_full_account_is_passed_over_until_a_place_is_free() -> None:
    state = pool(1, 2)
    state.caps.most = 1
    state.acquire(1, NOW)
    assert chosen(state) == 2
    state.acquire(2, NOW)
    assert chosen(state) == Exhausted(limited=True, reason=FULL, full=True)
    state.release(1, NOW)
    assert chosen(state) == 1


def test_a_conversations_own_account_is_passed_over_as_well() -> None:
    state = pool(1, 2)
    state.remember("talk", 1, NOW)
    state.caps.refuse(1, 2, at(0), at(1))
    state.acquire(1, NOW)
    assert chosen(state, Demand(ProviderName.CODEX, conversation="talk")) == 2


def test_there_is_nobody_to_wait_for_where_who_is_full_may_not_serve_anyway() -> None:
    state = pool(1, 2)
    state.caps.most = 1
    state.acquire(1, NOW)
    assert chosen(state, Demand(ProviderName.CODEX, only={1})) == Exhausted(limited=True, reason=FULL, full=True)
    assert chosen(state, tried=frozenset({1, 2})) == Exhausted(limited=False)


def test_what_was_learnt_of_an_account_goes_with_it() -> None:
    state = pool(1)
    state.caps.refuse(1, 2, at(0), at(1))
    state.acquire(1, NOW)
    assert state.full(1)
    state.forget(1)
    assert not state.full(1)


# -- other processes


def beat(owner: str, seconds: float, **counts: int) -> UnderWay:
    return UnderWay(owner, at(seconds), {int(name[1:]): count for name, count in counts.items()})


def test_other_processes_are_added_up_and_each_expires_by_itself() -> None:
    elsewhere = Elsewhere()
    assert elsewhere.hear([beat("x", 0, a1=2), beat("y", 5, a1=1, a2=4)], at(5)) == {1, 2}
    assert elsewhere.counts == {1: 3, 2: 4}
    last = EXPIRES.total_seconds()
    assert elsewhere.fade(at(last - 0.001)) == set()
    assert elsewhere.fade(at(last)) == {1}
    assert elsewhere.counts == {1: 1, 2: 4}
    assert elsewhere.fade(at(last + 5)) == {1, 2}
    assert elsewhere.fade(at(last + 6)) == set()


def test_what_is_told_replaces_what_was_and_the_dead_are_not_counted() -> None:
    elsewhere = Elsewhere()
    elsewhere.hear([beat("x", 0, a1=2)], at(0))
    assert elsewhere.hear([beat("x", 1, a1=2)], at(1)) == set(), "as many as before"
    assert elsewhere.hear([beat("dead", -EXPIRES.total_seconds(), a1=9)], at(2)) == {1}
    assert +elsewhere.counts == {}


@pytest.mark.parametrize("back_s", [EXPIRES.total_seconds() + 1, 3600.0])
def test_what_the_killed_told_before_the_clock_was_set_back_does_not_last_until_it_has_caught_up(back_s: float) -> None:
    elsewhere = Elsewhere()
    elsewhere.hear([beat("killed", 0, a1=2)], at(0))
    assert elsewhere.fade(at(-back_s)) == {1}
    assert elsewhere.hear([beat("killed", 0, a1=2), beat("alive", 1 - back_s, a1=1)], at(1 - back_s)) == {1}
    assert elsewhere.counts == {1: 1}


def hear(state: PoolState, *told: UnderWay) -> None:
    state.recount(state.elsewhere.hear(told, NOW), NOW)


def test_an_account_is_full_by_the_requests_of_all_processes() -> None:
    state = pool(1)
    state.caps.most = 2
    state.acquire(1, NOW)
    assert chosen(state) == 1
    hear(state, beat("other", 0, a1=1))
    assert chosen(state) == Exhausted(limited=True, reason=FULL, full=True)
    hear(state)
    assert chosen(state) == 1


def test_least_busy_counts_the_requests_of_all_processes() -> None:
    state = pool(1, 2)
    state.rank(Strategy.LEAST_BUSY, NOW)
    state.acquire(1, NOW)
    assert chosen(state) == 2
    hear(state, beat("other", 0, a2=3))
    assert chosen(state) == 1
    hear(state)
    assert chosen(state) == 2
