"""A limit of the address: no further account is asked, none rests, and the log says so once a minute."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from freezegun import freeze_time

from seatpool.core.outcome import Outcome, OutcomeKind
from seatpool.core.policy import Policy
from seatpool.providers.http import Headers
from seatpool.service.pool import Answered, PoolService
from seatpool.service.trail import Assignment, Trail
from seatpool.store import Store
from tests.service.conftest import Issuer, sign_in
from tests.service.test_pool import FACTS, GOT_429, begin

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NAMELESS = Outcome(OutcomeKind.RATE_LIMITED, "rate-limited", anonymous=True)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if "egress-limited" in r.getMessage()]


async def test_the_second_accounts_nameless_throttle_is_delivered_and_nobody_rests(
    store: Store, issuer: Issuer, service: PoolService, caplog: pytest.LogCaptureFixture
) -> None:
    for person in ("alice", "bob", "carol"):
        sign_in(store, issuer, person)
    service.load()
    trail, first = await begin(service)
    second = await service.recover(trail, NAMELESS, GOT_429)
    assert second is not None and second.account.id != first.account.id
    assert [c.account_id for c in store.cooldowns(datetime.now(UTC))] == [first.account.id], "one alone may be its own"
    assert await service.recover(trail, NAMELESS, GOT_429) is None
    assert trail.soonest is None, "the editor gets the second answer, not a time that we have guessed"
    now = datetime.now(UTC)
    assert not [a for a in service.knowledge.state.accounts if service.knowledge.state.blocked(a, (), now)]
    assert service.knowledge.state.in_flight == {}
    (said,) = warnings(caplog)
    assert "provider=codex accounts=2 reason=rate-limited" in said
    await service.stop()
    assert store.cooldowns(datetime.now(UTC)) == ()


async def test_while_it_lasts_each_request_is_sent_once_and_it_is_told_once_a_minute(
    store: Store, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    for person in ("alice", "bob", "carol"):
        sign_in(store, issuer, person, expires_in=timedelta(days=99999))
    with freeze_time(NOON, real_asyncio=True) as clock:
        service = PoolService(store, issuer, Policy())
        service.load()
        sent = [await _meet(service, clock) for _ in range(40)]
        await service.stop()
    assert sent == [2, *[1] * 39]
    assert len(warnings(caplog)) == 2, "80 seconds"


async def _meet(service: PoolService, clock: Any) -> int:
    """How often a request was sent, everybody being throttled namelessly a second after."""
    trail = service.open("flow", FACTS, Headers())
    following: Assignment | None = await _assigned(service, trail)
    while following is not None:
        clock.tick(1)
        following = await service.recover(trail, NAMELESS, GOT_429)
    clock.tick(1)
    return trail.number


async def _assigned(service: PoolService, trail: Trail) -> Assignment:
    found = await service.assign(trail)
    assert isinstance(found, Assignment)
    return found


async def _two_accounts_asked(
    store: Store, issuer: Issuer, service: PoolService
) -> tuple[Trail, Trail, Trail, Assignment]:
    """One request with one account, one with the other, and another with the first, whose assignment comes last."""
    for person in ("alice", "bob"):
        sign_in(store, issuer, person)
    service.load()
    (one, first), (two, _) = await begin(service), await begin(service, "flow-2")
    other = service.open("flow-3", FACTS, Headers())
    while (await _assigned(service, other)).account.id != first.account.id:
        pass
    return one, two, other, first


async def test_a_time_that_upstream_named_is_not_taken_back(store: Store, issuer: Issuer, service: PoolService) -> None:
    one, two, other, first = await _two_accounts_asked(store, issuer, service)
    until = datetime.now(UTC) + timedelta(hours=1)
    await service.recover(one, NAMELESS, GOT_429)
    await service.recover(other, Outcome(OutcomeKind.QUOTA_SPENT, "usage_limit_reached", until=until), GOT_429)
    await service.recover(two, NAMELESS, GOT_429)
    for trail in (one, other, two):
        await trail.remedied()
    assert [(c.account_id, c.until) for c in store.cooldowns(datetime.now(UTC))] == [(first.account.id, until)]


async def test_one_account_alone_rests_for_its_own_nameless_throttles(
    store: Store, issuer: Issuer, service: PoolService, caplog: pytest.LogCaptureFixture
) -> None:
    sign_in(store, issuer, "alice")
    service.load()
    trails = [(await begin(service, f"flow-{n}"))[0] for n in range(3)]
    for trail in trails:
        assert await service.recover(trail, NAMELESS, Answered(429, 1.0)) is None
    assert len(store.cooldowns(datetime.now(UTC))) == 1
    assert warnings(caplog) == []


async def test_a_time_that_upstream_named_holds_on_behind_a_guess_that_is_taken_back(
    store: Store, issuer: Issuer, service: PoolService
) -> None:
    one, two, other, first = await _two_accounts_asked(store, issuer, service)
    until = datetime.now(UTC) + timedelta(seconds=20)
    await service.recover(one, Outcome(OutcomeKind.RATE_LIMITED, "rate_limit_exceeded", until=until), GOT_429)
    await service.recover(other, NAMELESS, GOT_429)
    held = service.knowledge.state.blocked(first.account.id, (), datetime.now(UTC))
    assert held is not None and held.until > until, "the guess ends later"
    await service.recover(two, NAMELESS, GOT_429)
    held = service.knowledge.state.blocked(first.account.id, (), datetime.now(UTC))
    assert held is not None and held.until == until
    await service.stop()
    assert [(c.account_id, c.until) for c in store.cooldowns(datetime.now(UTC))] == [(first.account.id, until)]
