"""Conversations stay where they are: over a restart, and in another process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from freezegun import freeze_time
from msgspec.structs import replace

from seatpool.clock import utcnow
from seatpool.core.model import WHOLE_ACCOUNT, Affinity, Tokens
from seatpool.core.policy import Policy
from seatpool.core.state import PoolState
from seatpool.providers.http import Headers
from seatpool.service.memory.affinities import Affinities
from seatpool.service.pool import Answered, PoolService
from seatpool.service.trail import Assignment
from seatpool.store import Store
from tests.service.conftest import Issuer, sign_in
from tests.service.test_pool import FACTS

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
POLICY = Policy(affinity_limit=100)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.fixture
def written() -> list[Affinity]:
    return []


@pytest.fixture
def state() -> PoolState:
    made = PoolState()
    made.follow(POLICY, NOON)
    return made


@pytest.fixture
def affinities(state: PoolState, written: list[Affinity]) -> Affinities:
    return Affinities(state, written.append)


def test_a_conversation_is_written_at_once_then_every_minute_and_whenever_it_moves(
    affinities: Affinities, written: list[Affinity]
) -> None:
    for second, account_id in [(0, 1), (1, 1), (59, 1), (60, 1), (61, 2), (62, 2), (63, 1)]:
        affinities.note("talk", account_id, at(second))
    affinities.note(None, 1, at(99))
    assert written == [Affinity("talk", account_id, at(s)) for s, account_id in [(0, 1), (60, 1), (61, 2), (63, 1)]]


def test_what_was_heard_is_not_written_again_within_the_minute(affinities: Affinities, written: list[Affinity]) -> None:
    affinities.hear([Affinity("talk", 1, at(0))], at(0))
    affinities.note("talk", 1, at(59))
    assert written == []
    affinities.note("talk", 1, at(60))
    assert len(written) == 1


def test_what_was_heard_counts_where_nothing_newer_is_known(state: PoolState, affinities: Affinities) -> None:
    affinities.note("talk", 1, at(10))
    affinities.hear(
        [Affinity("talk", 2, at(9)), Affinity("new", 3, at(5)), Affinity("over", 3, at(-POLICY.affinity_ttl_s))],
        at(10),
    )
    assert [state.owner(name, at(10)) for name in ("talk", "new", "over")] == [1, 3, None]
    affinities.hear([Affinity("talk", 2, at(11))], at(11))
    assert state.owner("talk", at(11)) == 2


def test_what_was_written_before_the_clock_was_set_back_is_as_of_now(state: PoolState, affinities: Affinities) -> None:
    affinities.hear([Affinity("talk", 2, at(3600))], at(0))
    held = state.affinity.held("talk", at(0).timestamp())
    assert held is not None and held.at == at(0).timestamp()
    affinities.hear([Affinity("talk", 1, at(1))], at(1))
    assert state.owner("talk", at(1)) == 1


def test_what_was_written_is_remembered_of_the_latest_alone(affinities: Affinities, written: list[Affinity]) -> None:
    for number in range(300):
        affinities.note(f"talk-{number}", 1, at(0))
    affinities.note("talk-299", 1, at(1))
    assert len(written) == 300
    affinities.note("talk-0", 1, at(1))
    assert len(written) == 301


def told(affinities: Affinities, second: float, sent: int | None, cached: int | None, account_id: int = 1) -> None:
    """An answer, which took a second."""
    affinities.note("talk", account_id, at(second - 1))
    affinities.told("talk", account_id, at(second), Tokens(sent, cached, 7))


def test_what_a_cache_holds_is_written_once_known_and_then_every_minute(
    affinities: Affinities, written: list[Affinity]
) -> None:
    for second, sent in [(1, None), (3, 20_000), (5, 21_000), (63, 22_000), (65, 23_000)]:
        told(affinities, second, sent, sent)
    assert written == [
        Affinity("talk", 1, at(0)),
        Affinity("talk", 1, at(3), 20_000),
        Affinity("talk", 1, at(63), 22_000),
    ]


def test_an_account_that_takes_over_is_written_with_its_own_count(
    affinities: Affinities, written: list[Affinity]
) -> None:
    told(affinities, 1, 20_000, 0)
    told(affinities, 3, 21_000, 0, account_id=2)
    assert [(a.account_id, a.cached_tokens) for a in written] == [(1, None), (1, 20_000), (2, None), (2, 21_000)]


def test_an_answer_that_ends_after_its_conversation_has_moved_changes_nothing(
    affinities: Affinities, written: list[Affinity]
) -> None:
    affinities.note("talk", 2, at(0))
    affinities.told("talk", 1, at(1), Tokens(20_000, 0, 7))
    affinities.told(None, 1, at(1), Tokens(20_000, 0, 7))
    assert written == [Affinity("talk", 2, at(0))]


@asynccontextmanager
async def pool(store: Store, issuer: Issuer) -> AsyncIterator[PoolService]:
    service = PoolService(store, issuer, Policy())
    service.load()
    try:
        yield service
    finally:
        await service.stop()


async def ask(service: PoolService, conversation: str) -> int:
    trail = service.open("flow", replace(FACTS, conversation=conversation), Headers())
    found = await service.assign(trail)
    assert isinstance(found, Assignment)
    service.served(trail, Answered(200, 1.0), Headers())
    service.release(trail)
    return found.account.id


async def test_conversations_are_where_they_were_after_a_restart(store: Store, issuer: Issuer) -> None:
    for number in range(5):
        sign_in(store, issuer, f"person-{number}")
    names = [f"talk-{n}" for n in range(15)]
    async with pool(store, issuer) as first:
        before = [await ask(first, name) for name in names]
    assert len(set(before)) == 5
    async with pool(store, issuer) as second:
        assert [await ask(second, name) for name in reversed(names)] == before[::-1]


async def test_another_process_hears_of_a_move(store: Store, issuer: Issuer) -> None:
    people = [sign_in(store, issuer, f"person-{number}") for number in range(3)]
    async with pool(store, issuer) as here:
        here.start()
        before = await ask(here, "talk")
        moved = next(person.id for person in people if person.id != before)
        with Store.open(store.url) as elsewhere:
            later = datetime.now(UTC) + timedelta(seconds=1)
            elsewhere.record(affinities=[Affinity("talk", moved, later)])
        async with asyncio.timeout(5):
            while here.knowledge.state.owner("talk", later) != moved:
                await asyncio.sleep(0.02)
        assert await ask(here, "talk") == moved


async def test_a_move_is_heard_of_by_whoever_comes_after_the_clock_was_set_back(store: Store, issuer: Issuer) -> None:
    people = [sign_in(store, issuer, f"person-{number}") for number in range(3)]
    with freeze_time(NOON, real_asyncio=True) as frozen:
        async with pool(store, issuer) as first:
            await first.follower._look(utcnow())
            before = await ask(first, "talk")
            assert await asyncio.to_thread(first.knowledge.flush, 10.0)
            frozen.tick(-timedelta(hours=1))
            await first.follower._look(utcnow())
            until = utcnow() + timedelta(minutes=10)
            account = next(person for person in people if person.id == before)
            await first.knowledge.cool(account, WHOLE_ACCOUNT, "usage_limit_reached", until)
            moved = await ask(first, "talk")
        assert moved != before
        store.clear_cooldowns()
        async with pool(store, issuer) as second:
            assert await ask(second, "talk") == moved
