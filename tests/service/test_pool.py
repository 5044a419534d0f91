"""Assigning and recovering, over a real store: what is durable, what is counted, who is asked next."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from freezegun import freeze_time
from msgspec.structs import replace

from seatpool.core.explain import BarKind
from seatpool.core.model import WHOLE_ACCOUNT, Cooldown, CredentialKind, ProviderName, Scope, ScopeKind, Tokens
from seatpool.core.outcome import Outcome, OutcomeKind
from seatpool.core.policy import Policy
from seatpool.core.selection import Exhausted
from seatpool.core.strategy import Strategy
from seatpool.providers.base import RequestFacts, Route
from seatpool.providers.codex import CODEX
from seatpool.providers.http import Headers, HttpReply, HttpRequest
from seatpool.service.logins.refresher import LOSER_LOOKS_EVERY_S
from seatpool.service.memory.records import OK, Ending
from seatpool.service.pool import PoolService
from seatpool.service.trail import Answered, Assignment, Trail
from seatpool.store import Grant, Store
from tests.providers.codex.codex_material import access_token
from tests.service.conftest import Issuer, sign_in

FACTS = RequestFacts(Route(ProviderName.CODEX, "responses", "api"), (CredentialKind.CODEX_OAUTH,), "gpt-x", "talk")
NO_ANSWER = Answered(None, None)
GOT_429 = Answered(429, 12.0)


async def begin(service: PoolService, flow: str = "flow-1") -> tuple[Trail, Assignment]:
    trail = service.open(flow, FACTS, Headers())
    assignment = await service.assign(trail)
    assert isinstance(assignment, Assignment)
    return trail, assignment


class Overheard:
    """A store that tells, in the thread that asked, what came of each asking for a right."""

    def __init__(self, store: Store, heard: Callable[[str, Grant], None]) -> None:
        self._store = store
        self._heard = heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def acquire(self, key: str, owner: str, length: timedelta) -> Grant:
        grant = self._store.acquire(key, owner, length)
        self._heard(key, grant)
        return grant


class Held:
    """An issuer that takes its time with a renewal."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self.sent = asyncio.Event()
        """It was asked."""
        self.may_answer = asyncio.Event()

    async def send(self, request: HttpRequest) -> HttpReply:
        """Answer a side call, when it may."""
        reply = await self._issuer.send(request)
        if request.url.endswith("/oauth/token"):
            self.sent.set()
            await self.may_answer.wait()
        return reply


def spent(hours: float = 5) -> Outcome:
    return Outcome(OutcomeKind.QUOTA_SPENT, "usage_limit_reached", until=datetime.now(UTC) + timedelta(hours=hours))


async def test_a_request_goes_out_with_the_accounts_own_token_and_id(
    store: Store, issuer: Issuer, service: PoolService
) -> None:
    sign_in(store, issuer, "alice")
    service.load()
    _, assignment = await begin(service)
    headers = dict(assignment.edits.set_headers)
    assert headers["Authorization"] == f"Bearer {store.credentials(1)[CredentialKind.CODEX_OAUTH].token}"
    assert headers["ChatGPT-Account-Id"] == "ws-alice"
    assert assignment.edits.origin == "https://chatgpt.com"


async def test_spent_quota_is_stored_before_anything_of_the_next_answer_is_shown(
    store: Store, issuer: Issuer, service: PoolService
) -> None:
    for person in ("alice", "bob"):
        sign_in(store, issuer, person)
    service.load()
    trail, first = await begin(service)
    outcome = spent()
    second = await service.recover(trail, outcome, GOT_429)
    assert second is not None
    assert second.account.id != first.account.id
    assert first.account.id in service.knowledge.state.cooldowns, "known at once"
    await trail.remedied()
    assert [(c.account_id, c.reason, c.until) for c in store.cooldowns(datetime.now(UTC))] == [
        (first.account.id, "usage_limit_reached", outcome.until)
    ]
    assert second.number == 2
    assert service.knowledge.state.in_flight == {second.account.id: 1}


@pytest.mark.parametrize(
    "outcome",
    [Outcome(OutcomeKind.SERVER_ERROR, "server-error"), Outcome(OutcomeKind.UNAUTHORIZED, "token_expired")],
    ids=["sent again", "with a renewed token"],
)
async def test_whom_another_request_found_limited_meanwhile_is_not_asked_again(
    store: Store, issuer: Issuer, service: PoolService, outcome: Outcome
) -> None:
    for person in ("alice", "bob"):
        sign_in(store, issuer, person)
    service.load()
    trail, first = await begin(service)
    await service.knowledge.cool(first.account, WHOLE_ACCOUNT, "limited", datetime.now(UTC) + timedelta(hours=1))
    following = await service.recover(trail, outcome, NO_ANSWER)
    assert following is not None and following.account != first.account
    assert issuer.refreshes == 0


@pytest.mark.parametrize("refused", [False, True], ids=["about to begin", "refused with 401"])
async def test_whose_limit_becomes_known_while_its_login_is_renewed_is_not_asked(
    store: Store, issuer: Issuer, refused: bool
) -> None:
    held, soon = Held(issuer), timedelta(days=10 if refused else -2)
    for person, expires_in in (("alice", soon), ("bob", timedelta(days=10))):
        sign_in(store, issuer, person, expires_in=expires_in)
    service = PoolService(store, held, Policy())
    service.load()
    trail = service.open("flow-1", FACTS, Headers())
    if refused:
        await service.assign(trail)
        unauthorized = Outcome(OutcomeKind.UNAUTHORIZED, "token_expired")
        asked: asyncio.Task[Any] = asyncio.create_task(service.recover(trail, unauthorized, NO_ANSWER))
    else:
        asked = asyncio.create_task(service.assign(trail))
    await held.sent.wait()
    alice = next(a for a in service.knowledge.state.accounts.values() if a.name == "alice")
    await service.knowledge.cool(alice, WHOLE_ACCOUNT, "limited", datetime.now(UTC) + timedelta(hours=1))
    held.may_answer.set()
    found = await asked
    assert isinstance(found, Assignment) and found.account.name == "bob"
    assert issuer.refreshes == 1, "what was renewed is kept"
    service.release(trail)
    assert service.knowledge.state.in_flight == {}
    await service.stop()


async def test_after_a_pause_nobody_returns_to_an_account_that_another_request_found_limited(
    store: Store, issuer: Issuer
) -> None:
    for person in ("alice", "bob"):
        sign_in(store, issuer, person)
    service = PoolService(store, issuer, Policy(brief_pause_s=0.2))
    service.load()
    trail, first = await begin(service)
    hiccup = Outcome(OutcomeKind.OVERLOADED, "service_unavailable", brief=True)
    asked = asyncio.create_task(service.recover(trail, hiccup, NO_ANSWER))
    await asyncio.sleep(0)
    await service.knowledge.cool(first.account, WHOLE_ACCOUNT, "limited", datetime.now(UTC) + timedelta(hours=1))
    following = await asked
    assert following is not None and following.account != first.account
    service.release(trail)
    assert service.knowledge.state.in_flight == {}
    await service.stop()


async def test_who_leaves_while_a_login_is_renewed_does_not_begin_to_wait(store: Store, issuer: Issuer) -> None:
    held = Held(issuer)
    sign_in(store, issuer, "alice", expires_in=timedelta(days=-2))
    service = PoolService(store, held, Policy(max_wait_s=30))
    service.load()
    trail = service.open("flow-1", FACTS, Headers())
    asked = asyncio.create_task(service.assign(trail))
    await held.sent.wait()
    (alice,) = service.knowledge.state.accounts.values()
    await service.knowledge.cool(alice, WHOLE_ACCOUNT, "limited", datetime.now(UTC) + timedelta(seconds=20))
    service.abandon(trail)
    held.may_answer.set()
    async with asyncio.timeout(5):
        assert isinstance(await asked, Exhausted)
    assert service.waiting == 0 and service.knowledge.state.in_flight == {}
    await service.stop()


async def test_no_renewal_begins_whose_answer_the_end_would_not_wait_for(store: Store, issuer: Issuer) -> None:
    held = Held(issuer)
    for person in ("alice", "bob"):
        sign_in(store, issuer, person, expires_in=timedelta(days=-2))
    service = PoolService(store, held, Policy(strategy=Strategy.ROUND_ROBIN))
    service.load()
    first = asyncio.create_task(service.assign(service.open("flow-1", FACTS, Headers())))
    await held.sent.wait()
    stopping = asyncio.create_task(service.stop())
    await asyncio.sleep(0.1)
    other = replace(FACTS, conversation="another")
    second = asyncio.create_task(service.assign(service.open("flow-2", other, Headers())))
    await asyncio.sleep(0.1)
    held.may_answer.set()
    await asyncio.gather(stopping, first, second)
    assert issuer.refreshes == 1
    for account in store.accounts():
        assert store.credentials(account.id)[CredentialKind.CODEX_OAUTH].refresh_token in issuer.good, account.name


async def test_when_all_are_spent_the_walk_ends_and_remembers_the_soonest_end(store: Store, issuer: Issuer) -> None:
    for person in ("alice", "bob", "carol", "dan"):
        sign_in(store, issuer, person)
    service = PoolService(store, issuer, Policy(max_attempts=2))
    service.load()
    trail, _ = await begin(service)
    hours = [5.0, 2.0, 7.0, 3.0]
    answers = [await service.recover(trail, spent(h), GOT_429) for h in hours]
    assert [a is not None for a in answers] == [True, True, True, False], "once per account, beyond max_attempts"
    assert trail.soonest is not None
    assert trail.soonest[1] == 2, "the second attempt's refusal ends first"
    assert service.knowledge.state.in_flight == {}, "every slot is free again"
    after = await service.assign(service.open("flow-2", FACTS, Headers()))
    assert isinstance(after, Exhausted)
    assert after.limited
    await service.stop()


async def test_a_limited_account_is_asked_again_when_its_window_resets(store: Store, issuer: Issuer) -> None:
    sign_in(store, issuer, "alice", expires_in=timedelta(days=30))
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    with freeze_time(noon, real_asyncio=True) as clock:
        service = PoolService(store, issuer, Policy())
        service.load()
        trail, _ = await begin(service)
        await service.recover(trail, spent(hours=5), GOT_429)
        clock.move_to(noon + timedelta(hours=4, minutes=59))
        waiting = await service.assign(service.open("flow-2", FACTS, Headers()))
        assert waiting == Exhausted(True, noon + timedelta(hours=5), "usage_limit_reached")
        clock.move_to(noon + timedelta(hours=5))
        assert isinstance(await service.assign(service.open("flow-3", FACTS, Headers())), Assignment)
        await service.stop()


async def test_a_slot_is_freed_exactly_once(store: Store, issuer: Issuer, service: PoolService) -> None:
    sign_in(store, issuer, "alice")
    service.load()
    trail, assignment = await begin(service)
    assert service.knowledge.state.in_flight[assignment.account.id] == 1
    service.release(trail)
    service.release(trail)
    assert service.knowledge.state.in_flight[assignment.account.id] == 0


async def test_a_401_renews_once_and_stays_on_the_account_then_moves_on(
    store: Store, issuer: Issuer, service: PoolService
) -> None:
    for person in ("alice", "bob"):
        sign_in(store, issuer, person)
    service.load()
    trail, first = await begin(service)
    stale = Outcome(OutcomeKind.UNAUTHORIZED, "token_expired")
    renewed = await service.recover(trail, stale, Answered(401, 5.0))
    assert renewed is not None
    assert renewed.account.id == first.account.id
    assert renewed.credential.token != first.credential.token
    assert issuer.refreshes == 1
    moved = await service.recover(trail, stale, Answered(401, 5.0))
    assert moved is not None
    assert moved.account.id != first.account.id
    assert issuer.refreshes == 1, "a token that was just renewed is not renewed again"


async def test_a_burst_of_401s_refreshes_once(store: Store, issuer: Issuer, service: PoolService) -> None:
    sign_in(store, issuer, "alice")
    service.load()
    pairs = [await begin(service, f"flow-{n}") for n in range(10)]
    stale = Outcome(OutcomeKind.UNAUTHORIZED, "token_expired")
    renewed = await asyncio.gather(*(service.recover(trail, stale, Answered(401, 1.0)) for trail, _ in pairs))
    assert issuer.refreshes == 1
    assert len({r.credential.token for r in renewed if r is not None}) == 1


async def test_two_processes_refresh_an_expired_login_once(store: Store, issuer: Issuer, tmp_path: Path) -> None:
    sign_in(store, issuer, "alice", expires_in=timedelta(minutes=-1))
    other_store = Store.open(str(tmp_path / "pool.db"))
    services = [PoolService(s, issuer, Policy()) for s in (store, other_store)]
    for each in services:
        each.load()
    begun = await asyncio.gather(*(begin(s, f"flow-{n}") for n, s in enumerate(services * 5)))
    assert issuer.refreshes == 1
    assert len({assignment.credential.token for _, assignment in begun}) == 1
    for each in services:
        await each.stop()
    other_store.close()


@pytest.mark.parametrize("by", [timedelta(days=1), timedelta(days=-1)])
async def test_while_one_process_renews_no_other_begins_whatever_the_clock_is_set_to(
    store: Store, issuer: Issuer, by: timedelta
) -> None:
    held, wanted = Held(issuer), asyncio.Event()
    loop, got = asyncio.get_running_loop(), list[Grant]()

    def heard(_key: str, grant: Grant) -> None:
        got.append(grant)
        loop.call_soon_threadsafe(wanted.set)

    sign_in(store, issuer, "alice", expires_in=timedelta(days=-2))
    with Store.open(store.url) as other:
        told: Any = Overheard(other, heard)
        first, second = PoolService(store, held, Policy()), PoolService(told, issuer, Policy())
        for each in (first, second):
            each.load()
        renewing = asyncio.create_task(begin(first))
        await held.sent.wait()
        with freeze_time(datetime.now(UTC) + by, tick=True, real_asyncio=True):
            waiting = asyncio.create_task(begin(second))
            await wanted.wait()
            held.may_answer.set()
            (_, one), (_, two) = await asyncio.gather(renewing, waiting)
        assert got[0] is Grant.REFUSED
        assert one.credential.token == two.credential.token
        assert issuer.refreshes == 1
        for each in (first, second):
            await each.stop()


async def test_whoever_waits_for_anothers_renewal_looks_now_and_then_and_not_all_the_time(
    store: Store, issuer: Issuer
) -> None:
    held, looked = Held(issuer), asyncio.Event()
    loop, looks = asyncio.get_running_loop(), list[float]()

    def heard(_key: str, grant: Grant) -> None:
        if grant is Grant.REFUSED:
            looks.append(time.monotonic())
        if len(looks) == 3:
            loop.call_soon_threadsafe(looked.set)

    sign_in(store, issuer, "alice", expires_in=timedelta(days=-2))
    told: Any = Overheard(store, heard)
    first, second = PoolService(store, held, Policy()), PoolService(told, issuer, Policy())
    for each in (first, second):
        each.load()
    renewing = asyncio.create_task(begin(first))
    await held.sent.wait()
    waiting = asyncio.create_task(begin(second))
    await looked.wait()
    held.may_answer.set()
    await asyncio.gather(renewing, waiting)
    assert looks[2] - looks[0] > LOSER_LOOKS_EVERY_S
    for each in (first, second):
        await each.stop()


async def test_whoever_was_cut_off_with_a_new_token_has_time_to_store_it_before_the_next_one_asks(
    store: Store, issuer: Issuer
) -> None:
    """Its lease is over, since the database was away for longer. The token that is stored is spent."""
    asked = asyncio.Event()
    sign_in(store, issuer, "alice", expires_in=timedelta(minutes=-1))
    account = store.account("alice")
    held = store.credentials(account.id)[CredentialKind.CODEX_OAUTH]
    key = f"renew:{account.id}:{CredentialKind.CODEX_OAUTH}"
    assert store.acquire(key, "cut off", timedelta(0))

    loop = asyncio.get_running_loop()
    told: Any = Overheard(store, lambda *_: loop.call_soon_threadsafe(asked.set))
    service = PoolService(told, issuer, Policy())
    service.load()
    waiting = asyncio.create_task(begin(service))
    await asked.wait()
    await asyncio.sleep(0.5)  # whoever does not wait has asked by now
    fresh = replace(held, token="FAKESECRET.of.another", expires_at=datetime.now(UTC) + timedelta(days=1))
    store.save_credential(account.id, fresh, now=datetime.now(UTC))
    _, assignment = await waiting
    assert assignment.credential.token == fresh.token
    assert issuer.refreshes == 0
    await service.stop()


async def test_a_right_to_renew_that_took_long_to_get_is_taken_again_before_it_is_used(
    store: Store, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    refreshes: list[int] = []
    late_s, up_s = 0.0, time.clock_gettime
    monkeypatch.setattr(time, "clock_gettime", lambda clock: up_s(clock) + late_s)

    def slowly(key: str, _grant: Grant) -> None:
        """Six of a lease's eight seconds, once."""
        nonlocal late_s
        if key.startswith("renew:"):
            refreshes.append(issuer.refreshes)
            late_s = 6.0

    sign_in(store, issuer, "alice", expires_in=timedelta(minutes=-1))
    slow: Any = Overheard(store, slowly)
    service = PoolService(slow, issuer, Policy())
    service.load()
    await begin(service)
    await service.stop()
    assert refreshes[:2] == [0, 0]
    assert issuer.refreshes == 1


async def test_a_dead_refresh_token_disables_the_account_and_is_not_sent_again(
    store: Store, issuer: Issuer, service: PoolService
) -> None:
    sign_in(store, issuer, "alice", expires_in=timedelta(minutes=-1))
    service.load()
    issuer.refused = "refresh_token_invalidated"
    for _ in range(3):
        assert await service.assign(service.open("flow", FACTS, Headers())) == Exhausted(limited=False)
    assert issuer.refreshes == 1
    assert store.account("alice").disabled == "renewal-refresh_token_invalidated"


async def test_an_issuer_out_of_reach_rests_the_account_without_calling_it_limited(
    store: Store, issuer: Issuer, service: PoolService
) -> None:
    sign_in(store, issuer, "alice", expires_in=timedelta(minutes=-1))
    service.load()
    issuer.down = True
    assert await service.assign(service.open("flow", FACTS, Headers())) == Exhausted(limited=False)
    assert store.account("alice").disabled is None
    assert [c.reason for c in store.cooldowns(datetime.now(UTC))] == ["renewal-no-answer"]


async def test_a_network_that_comes_up_a_moment_later_finds_nobody_at_rest(
    store: Store, issuer: Issuer, service: PoolService
) -> None:
    """Two seconds, then twice as long each time; thirty in the end, and two again once somebody was there."""
    sign_in(store, issuer, "alice", expires_in=timedelta(minutes=-1))
    service.load()
    issuer.down = issuer.unreached = True
    with freeze_time(datetime.now(UTC), real_asyncio=True) as clock:
        for rest_s in (2, 4, 8, 16, 30, 30):
            assert await service.assign(service.open("flow", FACTS, Headers())) == Exhausted(limited=False)
            (cooldown,) = store.cooldowns(datetime.now(UTC))
            assert cooldown.until - datetime.now(UTC) == timedelta(seconds=rest_s)
            clock.tick(rest_s + 0.1)
        issuer.down = False
        assert isinstance(await service.assign(service.open("flow", FACTS, Headers())), Assignment)


async def test_a_revoked_seat_is_disabled_and_never_leads_to_the_next_account(
    store: Store, issuer: Issuer, service: PoolService
) -> None:
    for person in ("alice", "bob"):
        sign_in(store, issuer, person)
    service.load()
    trail, first = await begin(service)
    assert (
        await service.recover(trail, Outcome(OutcomeKind.REVOKED, "deactivated_workspace"), Answered(402, 1.0)) is None
    )
    assert store.account(first.account.name).disabled == "deactivated_workspace"


async def test_what_another_process_writes_is_heard_of(store: Store, issuer: Issuer, service: PoolService) -> None:
    account = sign_in(store, issuer, "alice")
    service.load()
    service.start()
    now = datetime.now(UTC)
    with Store.open(store.url) as elsewhere:
        elsewhere.cool(Cooldown(account.id, WHOLE_ACCOUNT, "elsewhere", now + timedelta(hours=1), now))
        async with asyncio.timeout(5):
            while service.knowledge.state.blocked(account.id, (), now) is None:
                await asyncio.sleep(0.02)
        elsewhere.clear_cooldowns()
    async with asyncio.timeout(5):
        while service.knowledge.state.blocked(account.id, (), now) is not None:
            await asyncio.sleep(0.02)


async def test_attempts_are_recorded_with_their_outcome(store: Store, issuer: Issuer) -> None:
    for person in ("alice", "bob"):
        sign_in(store, issuer, person)
    service = PoolService(store, issuer, Policy())
    service.load()
    trail, _ = await begin(service)
    await service.recover(trail, spent(), GOT_429)
    service.served(trail, Answered(200, 34.0), Headers())
    for _ in range(2):
        service.ended(trail, Ending(OK, 2345.0, Tokens(900, 800, 70)))
    service.release(trail)
    await service.stop()
    recorded = sorted(store.past.attempts(limit=9), key=lambda a: a.number)
    assert [(a.number, a.outcome, a.status, a.first_byte_ms, a.total_ms, a.tokens) for a in recorded] == [
        (1, "usage_limit_reached", 429, 12.0, 12.0, None),
        (2, "ok", 200, 34.0, 2345.0, Tokens(900, 800, 70)),
    ]


async def test_every_choice_is_recorded_with_what_kept_others_out(
    store: Store, issuer: Issuer, service: PoolService
) -> None:
    for person in ("alice", "bob", "carol"):
        sign_in(store, issuer, person)
    store.set_paused("carol", True, datetime.now(UTC))
    service.load()
    trail, first = await begin(service)
    second = await service.recover(trail, spent(), GOT_429)
    assert second is not None
    service.served(trail, Answered(200, 3.0), Headers())
    service.ended(trail, Ending())
    await service.stop()
    choices, attempts = store.past.request("flow-1")
    assert [(c.number, c.account_id, c.reason) for c in choices] == [
        (1, first.account.id, "best"),
        (2, second.account.id, "best"),
    ]
    assert [(a.number, a.account_id, a.outcome, a.reason) for a in attempts] == [
        (1, first.account.id, "usage_limit_reached", "best"),
        (2, second.account.id, "ok", "best"),
    ]
    barred = {c.candidate.account.id: [b.kind for b in c.bars] for c in choices[1].contenders}
    assert barred == {
        first.account.id: [BarKind.COOLING, BarKind.TRIED],
        second.account.id: [],
        store.account("carol").id: [BarKind.PAUSED],
    }


async def test_a_request_that_stays_with_its_conversation_names_the_one_that_told_the_candidates(
    store: Store, issuer: Issuer, service: PoolService
) -> None:
    for person in ("alice", "bob"):
        sign_in(store, issuer, person)
    service.load()
    with freeze_time(datetime.now(UTC)) as clock:
        for number in range(1, 5):
            trail, _ = await begin(service, f"flow-{number}")
            if number == 2:
                assert await service.recover(trail, spent(), GOT_429) is not None
            service.served(trail, Answered(200, 3.0), Headers())
            service.ended(trail, Ending())
            clock.tick(25)
        await service.stop()
    recorded = {number: store.past.request(f"flow-{number}") for number in range(1, 5)}
    told_in = {n: [(c.flow_id, c.number, c.reason) for c in choices] for n, (choices, _) in recorded.items()}
    assert told_in == {
        1: [("flow-1", 1, "best")],
        2: [("flow-1", 1, "best"), ("flow-2", 2, "best")],
        3: [("flow-2", 2, "best")],
        4: [("flow-2", 2, "best")],
    }
    assert [a.chosen_in for _, attempts in recorded.values() for a in attempts] == [
        None,
        "flow-1",
        None,
        *["flow-2"] * 2,
    ]
    assert store.past.requests(limit=3) == ("flow-4", "flow-3", "flow-2")


@pytest.mark.parametrize(("seconds", "other"), [(61, {}), (1, {"model": "gpt-y"}), (1, {"conversation": "another"})])
async def test_candidates_are_told_again_after_a_minute_and_where_the_request_differs(
    store: Store, issuer: Issuer, service: PoolService, seconds: int, other: dict[str, str]
) -> None:
    for person in ("alice", "bob"):
        sign_in(store, issuer, person)
    service.load()
    with freeze_time(datetime.now(UTC)) as clock:
        for flow_id, facts in (("flow-1", FACTS), ("flow-2", replace(FACTS, **other))):
            trail = service.open(flow_id, facts, Headers())
            assert isinstance(await service.assign(trail), Assignment)
            service.served(trail, Answered(200, 3.0), Headers())
            service.ended(trail, Ending())
            clock.tick(seconds)
        await service.stop()
    ((choice,), (attempt,)) = store.past.request("flow-2")
    assert (choice.flow_id, attempt.chosen_in) == ("flow-2", None)


async def test_a_request_that_nobody_can_serve_is_recorded(
    store: Store, issuer: Issuer, service: PoolService, caplog: pytest.LogCaptureFixture
) -> None:
    account = sign_in(store, issuer, "alice")
    service.load()
    trail, _ = await begin(service, "0123456789")
    with caplog.at_level("INFO"):
        assert await service.recover(trail, spent(), GOT_429) is None
    told = "account=alice action=deliver attempt=1 reason=usage_limit_reached whose=account request=01234567"
    assert caplog.messages[-1] == told
    assert isinstance(await service.assign(service.open("flow-2", FACTS, Headers())), Exhausted)
    await service.stop()
    ((choice,), attempts) = store.past.request("flow-2")
    assert (choice.account_id, choice.reason, attempts) == (None, "exhausted", ())
    assert [(c.candidate.account.id, c.bars[0].code) for c in choice.contenders] == [
        (account.id, "usage_limit_reached")
    ]


async def test_a_conversation_returns_to_the_account_that_served_it(
    store: Store, issuer: Issuer, service: PoolService
) -> None:
    for person in ("alice", "bob"):
        sign_in(store, issuer, person)
    service.load()
    trail, first = await begin(service)
    service.served(trail, Answered(200, 1.0), Headers())
    again = [(await begin(service, f"flow-{n}"))[1] for n in range(4)]
    assert {a.account.id for a in again} == {first.account.id}


async def test_a_foreign_turn_state_is_not_sent_to_another_account(
    store: Store, issuer: Issuer, service: PoolService
) -> None:
    for person in ("alice", "bob"):
        sign_in(store, issuer, person)
    service.load()
    trail, first = await begin(service)
    service.served(trail, Answered(200, 1.0), Headers([("x-codex-turn-state", "of-the-first")]))
    facts = RequestFacts(FACTS.route, FACTS.needs, FACTS.model, FACTS.conversation, turn_state="of-the-first")
    follow = service.open("flow-2", facts, Headers())
    same = await service.assign(follow)
    assert isinstance(same, Assignment)
    assert same.account.id == first.account.id
    assert dict(same.edits.set_headers)["x-codex-turn-state"] == "of-the-first"
    moved = await service.recover(follow, spent(), GOT_429)
    assert moved is not None
    assert "x-codex-turn-state" in moved.edits.remove_headers


@pytest.mark.parametrize("scope", [Scope(ScopeKind.MODEL, "gpt-x")])
async def test_a_model_limit_leaves_the_account_to_other_models(
    store: Store, issuer: Issuer, service: PoolService, scope: Scope
) -> None:
    sign_in(store, issuer, "alice")
    service.load()
    trail, _ = await begin(service)
    limited = Outcome(OutcomeKind.RATE_LIMITED, "model", scope, datetime.now(UTC) + timedelta(hours=1))
    assert await service.recover(trail, limited, GOT_429) is None
    other = RequestFacts(FACTS.route, FACTS.needs, "gpt-y", "talk-2")
    assert isinstance(await service.assign(service.open("flow-2", other, Headers())), Assignment)


async def test_pictures_that_are_limited_leave_the_account_to_every_turn(
    store: Store, issuer: Issuer, service: PoolService
) -> None:
    sign_in(store, issuer, "alice")
    service.load()
    told = Headers([("authorization", f"Bearer {access_token()}"), ("session-id", "talk")])
    route = Route(ProviderName.CODEX, "images", "api")
    facts = CODEX.facts(route, "/backend-api/codex/images/generations", told, lambda: b'{"model":"gpt-image-2"}')
    assert facts is not None
    trail = service.open("picture", facts, Headers())
    assert isinstance(await service.assign(trail), Assignment)
    refused = HttpReply(429, Headers(), b'{"detail":"image generation request was rate limited"}')
    assert await service.recover(trail, CODEX.classify(facts, refused, datetime.now(UTC)), GOT_429) is None
    service.release(trail)
    await begin(service)
    assert isinstance(await service.assign(service.open("picture-2", facts, Headers())), Exhausted)
