"""One row for each request that is over, however it ended; on a socket for each turn."""

from typing import Any

import pytest

from seatpool.core.ended import Ended
from seatpool.core.model import Account
from seatpool.core.outcome import Outcome, OutcomeKind
from seatpool.core.selection import Exhausted
from seatpool.core.tail import line
from seatpool.providers.http import Headers
from seatpool.service.memory.records import CUT, LEFT, OK, Ending
from seatpool.service.pool import PoolService
from seatpool.service.trail import Answered
from seatpool.store import Store, Wanted
from tests.service.conftest import Issuer, sign_in
from tests.service.memory.test_records import SOCKET, begin, create, turn
from tests.service.test_pool import FACTS

SPENT = Outcome(OutcomeKind.QUOTA_SPENT, "usage_limit_reached")


@pytest.fixture
def alice(store: Store, issuer: Issuer, service: PoolService) -> Account:
    account = sign_in(store, issuer, "alice")
    service.load()
    return account


async def ended(service: PoolService, store: Store) -> list[Ended]:
    await service.stop()
    return [recorded.ended for recorded in store.past.newest_ended(Wanted(), 99)[1]]


def summary(rows: list[Ended]) -> list[tuple[Any, ...]]:
    return [(row.first, row.number, row.account_id, row.first_byte_ms is not None) for row in rows]


@pytest.mark.parametrize("outcome", [OK, LEFT, CUT])
async def test_an_answer_is_told_once_when_it_is_over(
    store: Store, service: PoolService, alice: Account, outcome: str
) -> None:
    trail = await begin(service)
    for _ in range(2):
        service.ended(trail, Ending(outcome, 77.0))
    service.release(trail)
    (row,) = await ended(service, store)
    assert summary([row]) == [(1, 1, alice.id, True)]
    assert 0 <= (row.first_byte_ms or -1) <= row.total_ms


async def test_a_request_on_two_accounts_is_one_and_counts_for_the_last(
    store: Store, service: PoolService, issuer: Issuer, alice: Account
) -> None:
    bob = sign_in(store, issuer, "bob")
    service.load()
    trail = service.open("flow", FACTS, Headers())
    await service.assign(trail)
    assert trail.current is not None
    first = trail.current.account.id
    assert await service.recover(trail, SPENT, Answered(429, 9.0)) is not None
    service.served(trail, Answered(200, 5.0), Headers())
    service.ended(trail, Ending(OK, 77.0))
    last = ({alice.id, bob.id} - {first}).pop()
    assert summary(await ended(service, store)) == [(1, 2, last, True)]


async def test_a_refusal_that_is_delivered_ends_its_request_and_then_there_is_nobody(
    store: Store, service: PoolService, alice: Account
) -> None:
    trail = service.open("flow-1", FACTS, Headers())
    await service.assign(trail)
    assert await service.recover(trail, SPENT, Answered(429, 9.0)) is None
    service.ended(trail, Ending(OK, 99.0))
    assert isinstance(await service.assign(service.open("flow-2", FACTS, Headers())), Exhausted)
    await service.stop()
    _, (refused, nobody) = store.past.newest_ended(Wanted(), 99)
    assert summary([refused.ended, nobody.ended]) == [(1, 1, alice.id, False), (1, 0, None, False)]
    told = [line(each, {alice.id: alice}) for each in (refused, nobody)]
    assert [(t.account, t.outcome, t.status) for t in told] == [
        ("alice", "usage_limit_reached", 429),
        (None, "exhausted", None),
    ]
    assert told[1].why.startswith("nobody could be asked, alice cooling for ")


async def test_the_turns_of_a_socket_are_requests_and_the_first_has_the_handshake(
    store: Store, service: PoolService, alice: Account
) -> None:
    trail = await begin(service, SOCKET, 101)
    await turn(service, trail)
    service.sockets.client_frame(trail, create())  # given up by the next
    await turn(service, trail)
    await turn(service, trail, "limit")
    service.ended(trail, Ending(LEFT))
    service.release(trail)
    assert summary(await ended(service, store)) == [
        (1, 2, alice.id, True),
        (3, 3, alice.id, False),
        (4, 4, alice.id, True),
        (5, 5, alice.id, True),
    ]


async def test_a_socket_without_a_turn_is_told_when_it_is_closed(
    store: Store, service: PoolService, alice: Account
) -> None:
    trail = await begin(service, SOCKET, 101)
    service.ended(trail, Ending(LEFT))
    assert [row[:2] for row in summary(await ended(service, store))] == [(1, 1)]
