"""Asking issuers about accounts in use, over a real store: whom, when, how often, and what a refusal then means."""

import asyncio
import itertools
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from freezegun import freeze_time
from msgspec.structs import replace

from seatpool.core.model import WHOLE_ACCOUNT, Account, Credential, CredentialKind, ProviderName, QuotaWindow
from seatpool.core.policy import Policy
from seatpool.core.scoring import Standing
from seatpool.core.selection import Exhausted
from seatpool.providers.http import Headers, HttpReply, HttpRequest
from seatpool.providers.registry import PROVIDERS
from seatpool.service.asking.errands import MODELS_FOR, OF_RESTING, REVALIDATE, ModelsErrand, UsageErrand
from seatpool.service.asking.poller import ACTIVE, FIRST_PAUSE, JITTER_S, LONGEST_PAUSE, Poller
from seatpool.service.logins.credentials import Credentials
from seatpool.service.logins.primaries import Primaries
from seatpool.service.logins.refresher import Refresher
from seatpool.service.memory.knowledge import Knowledge
from seatpool.service.memory.vault import Vault
from seatpool.service.pool import Answered, PoolService
from seatpool.service.trail import Assignment
from seatpool.store import Store
from tests.harness.elapsing import elapse
from tests.service.conftest import Issuer, sign_in
from tests.service.test_pool import FACTS, begin

CODEX, COPILOT = ProviderName.CODEX, ProviderName.COPILOT
KIND = CredentialKind.CODEX_OAUTH
START = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
JITTER = timedelta(seconds=JITTER_S)


class Told(Issuer):
    """An issuer that tells quota and models of whoever asks."""

    def __init__(self) -> None:
        super().__init__()
        self.used = 40
        self.models: dict[str, list[str]] = {}
        self.status = 200
        self.retry_after: str | None = None
        self.more: dict[str, object] = {}
        self.asked: list[tuple[str, str]] = []
        """Path's last part and account id."""

    async def send(self, request: HttpRequest) -> HttpReply:
        """Answer usage and models here, the rest as before."""
        fields = Headers(request.headers)
        path = request.url.partition("?")[0].rpartition("/")[2]
        if path not in ("usage", "models"):
            return await super().send(request)
        account_id = fields.get("chatgpt-account-id") or ""
        self.asked.append((path, account_id))
        if self.down:
            return await super().send(request)
        headers = Headers([("retry-after", self.retry_after)] if self.retry_after else [])
        body = self._usage() if path == "usage" else {"models": [{"slug": m} for m in self.models.get(account_id, [])]}
        return HttpReply(self.status, headers, json.dumps(body).encode())

    def _usage(self) -> dict[str, object]:
        window = {"used_percent": self.used, "limit_window_seconds": 18000, "reset_after_seconds": 9000}
        return {"plan_type": "pro", "rate_limit": {"primary_window": window}, **self.more}

    def times(self, path: str) -> int:
        return sum(asked == path for asked, _ in self.asked)


class Bench:
    """A poller with everything below it."""

    def __init__(self, store: Store, issuer: Told, owner: str = "one", policy: Policy | None = None) -> None:
        policy = policy or Policy()
        self.store, self.issuer = store, issuer
        self.vault = Vault(store)
        self.knowledge = Knowledge(store, self.vault, policy, "me")
        credentials = Credentials(
            self.vault,
            Refresher(store, self.vault, issuer, owner),
            self.knowledge,
            Primaries(store, self.vault, self.knowledge),
            policy,
        )
        self.usage = UsageErrand(store, self.vault, self.knowledge, policy)
        self.models = ModelsErrand(self.knowledge, policy)
        errands = (self.usage, self.models)
        self.poller = Poller(store, self.vault, self.knowledge, credentials, issuer, PROVIDERS, owner, errands)
        self.knowledge.load()

    async def look(self, *accounts: Account, used_ago: timedelta = timedelta()) -> None:
        now = datetime.now(UTC)
        for account in accounts:
            await self.vault.held(account.id)
            self.poller.used(account.id, now - used_ago)
        self.poller.look(now)
        await self.poller.drain()

    def seen(self, account: Account, ago: timedelta) -> None:
        """What an answer told of it some time ago."""
        window = QuotaWindow("primary", 0.9, datetime.now(UTC) - ago, "header", length_s=18000)
        self.knowledge.observe(account.id, (window,))

    async def left(self, account: Account) -> float:
        """What the database says, once everything was written."""
        await self.knowledge.stop()
        return {w.bucket: w.left for w in self.store.windows(account.id)}["primary"]


@pytest.fixture
def issuer() -> Told:
    return Told()


@contextmanager
def clock() -> Iterator[object]:
    """A clock that stands still until a test moves it."""
    with freeze_time(START, real_asyncio=True) as frozen:
        yield frozen


def pass_by(store: Store, frozen: Any, span: timedelta) -> None:
    """For everybody, and for leases."""
    frozen.tick(span)
    elapse(store.url, span)


# -- whom, and when


@pytest.mark.parametrize(
    ("seen_ago", "used_ago", "asked"),
    [
        (None, timedelta(), 1),  # nothing is known of it
        (REVALIDATE + JITTER, timedelta(), 1),
        (REVALIDATE - SECOND, timedelta(), 0),  # its own answers have told
        (-SECOND, timedelta(), 0),  # by a clock that is a little ahead
        (-timedelta(hours=1), timedelta(), 1),  # that was before the clock was set back
        (REVALIDATE + JITTER, ACTIVE - SECOND, 1),
        (REVALIDATE + JITTER, ACTIVE + SECOND, 0),  # it serves nobody
    ],
)
async def test_an_account_in_use_is_asked_about_when_nothing_was_seen_for_three_minutes(
    store: Store, issuer: Told, seen_ago: timedelta | None, used_ago: timedelta, asked: int
) -> None:
    with clock():
        account = sign_in(store, issuer, "alice")
        bench = Bench(store, issuer)
        if seen_ago is not None:
            bench.seen(account, seen_ago)
        await bench.look(account, used_ago=used_ago)
        assert issuer.times("usage") == asked
        if asked:
            assert await bench.left(account) == 0.6
            assert store.account("alice").plan == "pro"


async def test_an_account_that_never_served_is_never_asked_about(store: Store, issuer: Told) -> None:
    sign_in(store, issuer, "alice")
    await Bench(store, issuer).look()
    assert issuer.asked == []


@pytest.mark.parametrize("change", ["paused", "disabled", "learnt", "expired", "off"])
async def test_whom_nobody_may_ask_about(store: Store, issuer: Told, change: str) -> None:
    account = sign_in(store, issuer, "alice", timedelta(seconds=-1 if change == "expired" else 3600))
    bench = Bench(store, issuer, policy=Policy(poll_usage=change != "off"))
    now = datetime.now(UTC)
    changed = {
        "paused": replace(account, paused=True),
        "disabled": replace(account, disabled="x"),
        "learnt": replace(account, learnt=True),
    }
    bench.knowledge.state.put(changed.get(change, account), now)
    await bench.look(account)
    assert issuer.asked == []


async def test_one_account_is_never_asked_about_more_often_than_each_three_minutes(store: Store, issuer: Told) -> None:
    with clock() as frozen:
        account = sign_in(store, issuer, "alice")
        bench = Bench(store, issuer)
        times = []
        for _ in range(6 * 20):  # twenty minutes of looks, ten seconds apart
            before = issuer.times("usage")
            await bench.look(account)
            if issuer.times("usage") > before:
                times.append(datetime.now(UTC))
            frozen.tick(10)  # type: ignore[attr-defined]
        pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert len(pauses) >= 5
        assert all(REVALIDATE <= pause <= REVALIDATE + JITTER + 10 * SECOND for pause in pauses), pauses


async def test_an_answer_is_no_newer_than_its_question(store: Store, issuer: Told) -> None:
    """A limit that was met while the issuer was being asked stands: what it said may be of before."""
    account = sign_in(store, issuer, "alice")
    asked, told = asyncio.Event(), asyncio.Event()

    class Slow(Told):
        async def send(self, request: HttpRequest) -> HttpReply:
            asked.set()
            await told.wait()
            return await issuer.send(request)

    bench = Bench(store, Slow())
    looking = asyncio.create_task(bench.look(account))
    await asked.wait()
    until = datetime.now(UTC) + timedelta(hours=1)
    await bench.knowledge.cool(account, WHOLE_ACCOUNT, "usage_limit_reached", until)
    told.set()
    await looking
    await bench.knowledge.drain_probes()
    assert await bench.left(account) == 0.6
    now = datetime.now(UTC)
    assert bench.knowledge.state.blocked(account.id, (), now) is not None
    bench.knowledge.observe(account.id, (QuotaWindow("primary", 0.6, now, "usage"),))
    await bench.knowledge.drain_probes()
    assert bench.knowledge.state.blocked(account.id, (), now) is None, "one that was asked for since is"


# -- several processes


async def test_two_processes_ask_once(store: Store, issuer: Told) -> None:
    account = sign_in(store, issuer, "alice")
    with Store.open(store.url) as other:
        one, two = Bench(store, issuer), Bench(other, issuer, "two")
        await asyncio.gather(one.look(account), two.look(account))
        assert issuer.times("usage") == 1


async def test_what_another_process_has_seen_meanwhile_is_taken_over_unasked(store: Store, issuer: Told) -> None:
    account = sign_in(store, issuer, "alice")
    bench = Bench(store, issuer)
    seen = QuotaWindow("primary", 0.3, datetime.now(UTC) - MINUTE, "header", length_s=18000)
    store.record(windows=[(account.id, seen)])  # and the feed has not brought it yet
    await bench.look(account)
    assert issuer.asked == []
    assert bench.knowledge.state.windows[account.id]["primary"] == seen


async def test_the_lease_of_a_process_that_died_is_over_after_three_minutes(store: Store, issuer: Told) -> None:
    with clock() as frozen:
        account = sign_in(store, issuer, "alice")
        assert store.acquire(f"usage:{account.id}", "dead", REVALIDATE)
        bench = Bench(store, issuer)
        for _ in range(5):
            await bench.look(account)
            pass_by(store, frozen, timedelta(seconds=30))
        assert issuer.asked == []
        for _ in range(2):
            pass_by(store, frozen, timedelta(seconds=30))
            await bench.look(account)
        assert issuer.times("usage") == 1


# -- refusals


@pytest.mark.parametrize(
    ("status", "retry_after", "pause"),
    [
        (429, None, FIRST_PAUSE),
        (500, None, FIRST_PAUSE),
        (429, "60", FIRST_PAUSE),
        (503, "2400", timedelta(seconds=2400)),
        (429, "90000", timedelta(seconds=90000)),  # in full, however long
    ],
)
async def test_a_refusal_is_left_alone_for_as_long_as_it_says_by_every_process(
    store: Store, issuer: Told, status: int, retry_after: str | None, pause: timedelta
) -> None:
    issuer.status, issuer.retry_after = status, retry_after
    with clock() as frozen, Store.open(store.url) as other:
        account = sign_in(store, issuer, "alice", timedelta(days=10))
        one, two = Bench(store, issuer), Bench(other, issuer, "two")
        await one.look(account)
        pass_by(store, frozen, pause - MINUTE)
        await one.look(account)
        await two.look(account)
        assert issuer.times("usage") == 1
        pass_by(store, frozen, 2 * MINUTE)
        await one.look(account)
        assert issuer.times("usage") == 2
        assert store.account("alice").usable, "quota that cannot be read disables nobody"
        assert store.cooldowns(datetime.now(UTC)) == ()


async def test_pauses_double_up_to_an_hour_and_one_line_says_so_until_it_works_again(
    store: Store, issuer: Told, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    issuer.down = True
    with clock() as frozen:
        account = sign_in(store, issuer, "alice")
        bench = Bench(store, issuer)
        pauses, asked_at = [], None
        while len(pauses) < 7:
            before = issuer.times("usage")
            await bench.look(account)
            if issuer.times("usage") > before:
                now = datetime.now(UTC)
                pauses += [now - asked_at] if asked_at is not None else []
                asked_at = now
            frozen.tick(MINUTE)  # type: ignore[attr-defined]
        expected = [min(FIRST_PAUSE * 2**n, LONGEST_PAUSE) for n in range(7)]
        assert pauses == expected  # 3, 6, 12, 24, 48, 60, 60 min
        lines = [r.getMessage() for r in caplog.records if "usage" in r.getMessage()]
        assert lines == ["account=alice action=usage-not-read reason=SideCallFailed: auth.openai.com: ConnectError"]
        issuer.down = False
        frozen.tick(LONGEST_PAUSE)  # type: ignore[attr-defined]
        await bench.look(account)
        assert caplog.records[-1].getMessage() == "account=alice action=usage-read-again"
        assert "FAKESECRET" not in caplog.text


async def test_an_account_that_the_issuer_flags_is_disabled(store: Store, issuer: Told) -> None:
    class Flagging(Told):
        async def send(self, request: HttpRequest) -> HttpReply:
            body = {"error_details": {"notification_id": "spammy_user", "message": "x"}}
            return HttpReply(403, Headers(), json.dumps(body).encode())

    account, _ = store.save_login(
        provider=COPILOT,
        identity="github.com/1",
        name="octo",
        issuer="github.com",
        credentials=[Credential(CredentialKind.GITHUB_OAUTH, "gho_FAKESECRET")],
        now=datetime.now(UTC),
    )
    await Bench(store, Flagging()).look(account)
    assert store.account("octo").disabled == "revoked-spammy_user"


async def test_an_unknown_workspace_is_stored_once_it_is_told(store: Store, issuer: Told) -> None:
    account = sign_in(store, issuer, "alice")
    held = store.credentials(account.id)[KIND]
    bare = replace(held, token="opaque-FAKESECRET", attributes={"user_id": "user-alice"})
    store.save_credential(account.id, bare, now=datetime.now(UTC))
    issuer.more = {"account_id": "ws-told"}
    bench = Bench(store, issuer)
    await bench.look(account)
    assert issuer.asked == [("usage", "")], "nothing stands in the header that nobody knows"
    stored = store.credentials(account.id)[KIND]
    assert stored.attributes == {"user_id": "user-alice", "account_id": "ws-told"}
    assert stored.token == bare.token
    assert bench.vault.get(account.id, KIND) == stored


# -- lists of models


async def test_lists_are_asked_for_where_there_is_somebody_else_to_choose(store: Store, issuer: Told) -> None:
    issuer.models = {"ws-alice": ["a"], "ws-bob": ["a", "b"]}
    alice = sign_in(store, issuer, "alice")
    alone = Bench(store, issuer, policy=Policy(poll_usage=False))
    await alone.look(alice)
    assert issuer.asked == []
    bob = sign_in(store, issuer, "bob")
    bench = Bench(store, issuer, policy=Policy(poll_usage=False))
    await bench.look(alice)
    assert issuer.asked == [("models", "ws-alice")], "bob serves nobody"
    await bench.look(alice, bob)
    models = bench.knowledge.state.models
    assert (models.of(alice.id), models.of(bob.id)) == ({"a"}, {"a", "b"})
    assert models.lacks(alice.id, "b", datetime.now(UTC))


async def test_a_list_holds_for_six_hours(store: Store, issuer: Told) -> None:
    issuer.models = {"ws-alice": ["a"]}
    with clock() as frozen:
        alice, _ = sign_in(store, issuer, "alice"), sign_in(store, issuer, "bob")
        bench = Bench(store, issuer, policy=Policy(poll_usage=False))
        await bench.look(alice)
        frozen.tick(MODELS_FOR - SECOND)  # type: ignore[attr-defined]
        await bench.look(alice)
        assert issuer.times("models") == 1
        issuer.models = {"ws-alice": ["a", "new"]}
        frozen.tick(JITTER + SECOND)  # type: ignore[attr-defined]
        await bench.look(alice)
        assert issuer.times("models") == 2
        assert bench.knowledge.state.models.of(alice.id) == {"a", "new"}


@pytest.mark.parametrize("trouble", ["refused", "empty"])
async def test_a_list_that_cannot_be_had_leaves_the_one_that_is_known(store: Store, issuer: Told, trouble: str) -> None:
    issuer.models = {"ws-alice": ["a"]}
    with clock() as frozen:
        alice, _ = sign_in(store, issuer, "alice"), sign_in(store, issuer, "bob")
        bench = Bench(store, issuer, policy=Policy(poll_usage=False))
        await bench.look(alice)
        issuer.models, issuer.status = ({}, 200) if trouble == "empty" else (issuer.models, 404)
        frozen.tick(MODELS_FOR + JITTER)  # type: ignore[attr-defined]
        await bench.look(alice)
        assert issuer.times("models") == 2
        assert bench.knowledge.state.models.of(alice.id) == {"a"}


async def test_the_union_is_of_usable_accounts_and_the_first_to_be_asked_words_it(store: Store, issuer: Told) -> None:
    issuer.models = {"ws-alice": ["a"], "ws-bob": ["a", "b"], "ws-carol": ["c"]}
    accounts = [sign_in(store, issuer, name) for name in ("alice", "bob", "carol")]
    bench = Bench(store, issuer, policy=Policy(poll_usage=False, union_models=True))
    await bench.look(*accounts)
    assert issuer.times("models") == 2, "two at a time, however many are in use"
    await bench.look(*accounts)
    assert set(bench.models.union(CODEX)) == {"a", "b", "c"}
    assert bench.models.union(COPILOT) == {}
    bench.knowledge.state.put(replace(accounts[2], paused=True), datetime.now(UTC))
    assert set(bench.models.union(CODEX)) == {"a", "b"}


async def test_who_had_no_such_model_last_week_is_asked_for_it_today(store: Store, issuer: Told) -> None:
    """It serves nobody, so its list is not read anew; and it serves nobody for as long as the other has the model."""
    issuer.models = {"ws-alice": ["gpt-6"], "ws-bob": ["gpt-6"]}
    with clock() as frozen:
        alice, bob = (sign_in(store, issuer, name, timedelta(days=60)) for name in ("alice", "bob"))
        service = PoolService(store, issuer, Policy(poll_usage=False))
        service.load()
        poller, state = service._poller, service.knowledge.state

        async def look(*accounts: Account) -> None:
            for account in accounts:
                await poller._vault.held(account.id)
                poller.used(account.id, datetime.now(UTC))
            poller.look(datetime.now(UTC))
            await poller.drain()

        await look(alice, bob)
        pass_by(store, frozen, timedelta(days=7))
        issuer.models = {"ws-alice": ["gpt-6", "gpt-x"], "ws-bob": ["gpt-6", "gpt-x"]}
        await look(alice)
        assert issuer.times("models") == 3
        assert state.models.of(alice.id) == {"gpt-6", "gpt-x"}
        until = datetime.now(UTC) + timedelta(days=4)
        await service.knowledge.cool(alice, WHOLE_ACCOUNT, "usage_limit_reached", until)
        trail, assignment = await begin(service)
        assert trail.facts.model == "gpt-x"
        assert assignment.account.name == "bob"
        await look()
        assert state.models.of(bob.id) == {"gpt-6", "gpt-x"}, "it is in use now"
        service.release(trail)
        await service.stop()


# -- the service


async def test_a_request_goes_to_the_account_that_has_the_model(store: Store, issuer: Told) -> None:
    for person in ("alice", "bob"):
        sign_in(store, issuer, person)
    service = PoolService(store, issuer, Policy())
    service.load()
    service.knowledge.state.models.put(1, CODEX, frozenset({"gpt-y"}), datetime.now(UTC))
    service.knowledge.state.models.put(2, CODEX, frozenset({"gpt-x"}), datetime.now(UTC))
    for number in range(3):
        _, assignment = await begin(service, f"flow-{number}")
        assert assignment.account.name == "bob"
    await service.stop()


class Buying:
    """A service whose accounts meet the week's limit, and whose owner may buy more."""

    def __init__(self, store: Store, issuer: Told, frozen: Any, policy: Policy, *names: str) -> None:
        self.store, self.issuer, self.frozen = store, issuer, frozen
        self.accounts = [sign_in(store, issuer, name, timedelta(days=60)) for name in names]
        issuer.used = 100
        self.service = PoolService(store, issuer, policy)
        self.service.load()

    async def rest(self, *accounts: Account) -> None:
        until = datetime.now(UTC) + timedelta(days=5)
        for account in accounts:
            await self.service._poller._vault.held(account.id)
            await self.service.knowledge.cool(account, WHOLE_ACCOUNT, "usage_limit_reached", until)

    async def ask(self) -> str | None:
        """Whoever serves a request; the answer tells no quota."""
        trail = self.service.open("flow", replace(FACTS, conversation=None), Headers())
        got = await self.service.assign(trail)
        if isinstance(got, Assignment):
            self.service.served(trail, Answered(200, 1.0), Headers())
        self.service.release(trail)
        return got.account.name if isinstance(got, Assignment) else None

    async def look(self) -> None:
        poller = self.service._poller
        poller.look(datetime.now(UTC))
        await poller.drain()
        await self.service.knowledge.drain_probes()

    async def wait(self, span: timedelta, *, asking: bool) -> list[str | None]:
        """Looks ten seconds apart, and a request every minute; whoever served those."""
        found = []
        for second in range(0, int(span.total_seconds()), 10):
            if asking and not second % 60:
                found.append(await self.ask())
            await self.look()
            pass_by(self.store, self.frozen, 10 * SECOND)
        return found


async def test_what_a_resting_account_has_left_is_asked_for_on_behalf_of_whom_it_cannot_serve(
    store: Store, issuer: Told
) -> None:
    with clock() as frozen:
        person = Buying(store, issuer, frozen, Policy(), "alice")
        await person.rest(*person.accounts)
        await person.wait(timedelta(hours=1), asking=False)
        assert issuer.asked == [], "nobody asks for anything"
        assert await person.ask() is None
        await person.look()
        assert (issuer.times("usage"), await person.ask()) == (1, None)
        issuer.used = 0  # bought more
        assert set(await person.wait(OF_RESTING, asking=True)) == {None}
        found = await person.wait(JITTER + MINUTE, asking=True)
        assert issuer.times("usage") == 2
        assert found[-1] == "alice"
        assert set(await person.wait(timedelta(hours=1), asking=True)) == {"alice"}
        await person.service.stop()


async def test_a_resting_account_that_is_shut_out_is_taken_out_before_an_editor_meets_it(
    store: Store, issuer: Told
) -> None:
    issuer.status, issuer.more = 401, {"error": {"code": "account_deactivated"}}
    with clock() as frozen:
        person = Buying(store, issuer, frozen, Policy(), "alice")
        await person.rest(*person.accounts)
        await person.wait(MINUTE, asking=True)
        assert store.account("alice").disabled == "revoked-account_deactivated"
        await person.service.stop()


CREDITS = {"credits": {"has_credits": True, "unlimited": False, "balance": "489.25"}}


async def test_credits_that_are_bought_serve_though_the_plans_windows_stay_empty(store: Store, issuer: Told) -> None:
    with clock() as frozen:
        person = Buying(store, issuer, frozen, Policy(), "alice")
        await person.rest(*person.accounts)
        assert set(await person.wait(OF_RESTING, asking=True)) == {None}
        issuer.more = CREDITS
        await person.wait(OF_RESTING + JITTER + MINUTE, asking=True)
        assert set(await person.wait(timedelta(hours=1), asking=True)) == {"alice"}
        await person.service.stop()


async def test_credits_that_serve_nothing_are_tried_once(store: Store, issuer: Told) -> None:
    issuer.more = CREDITS
    with clock() as frozen:
        person = Buying(store, issuer, frozen, Policy(), "alice")
        await person.rest(*person.accounts)
        asked = 0
        for number in range(60):
            trail = person.service.open(f"flow-{number}", replace(FACTS, conversation=None), Headers())
            if isinstance(await person.service.assign(trail), Assignment):
                asked += 1
                await person.rest(*person.accounts)
            person.service.release(trail)
            await person.wait(MINUTE, asking=False)
        assert (asked, issuer.times("usage")) == (1, 4)
        await person.service.stop()


async def test_a_resting_account_is_asked_about_each_quarter_of_an_hour_while_others_serve(
    store: Store, issuer: Told
) -> None:
    with clock() as frozen:
        person = Buying(store, issuer, frozen, Policy(), "alice", "bob")
        await person.rest(person.accounts[0])
        assert set(await person.wait(timedelta(hours=1), asking=True)) == {"bob"}
        assert issuer.asked.count(("usage", "ws-alice")) == 4
        before = len(issuer.asked)
        await person.wait(timedelta(hours=2), asking=False)
        told = issuer.asked[before:]
        assert told.count(("usage", "ws-alice")) <= 1, "nobody misses it any more"
        await person.service.stop()


async def test_an_answer_without_windows_brings_no_more_questions_about_who_rests(store: Store, issuer: Told) -> None:
    issuer.more = {"rate_limit": None}
    with clock() as frozen:
        person = Buying(store, issuer, frozen, Policy(), "alice")
        await person.rest(*person.accounts)
        await person.wait(OF_RESTING, asking=True)
        assert issuer.times("usage") == 1
        await person.service.stop()


@pytest.mark.parametrize("later", [False, True])
async def test_nobody_is_asked_about_who_rests_where_the_person_wants_no_asking(
    store: Store, issuer: Told, later: bool
) -> None:
    with clock() as frozen:
        person = Buying(store, issuer, frozen, Policy(poll_usage=later), "alice")
        if later:
            person.service.set_policy(Policy(poll_usage=False))
        await person.rest(*person.accounts)
        await person.wait(2 * MINUTE, asking=True)
        assert issuer.asked == []
        await person.service.stop()


async def test_an_issuer_that_refuses_is_left_alone_about_who_rests_as_well(store: Store, issuer: Told) -> None:
    issuer.status, issuer.retry_after = 429, "7200"
    with clock() as frozen:
        person = Buying(store, issuer, frozen, Policy(), "alice")
        await person.rest(*person.accounts)
        await person.wait(timedelta(hours=2) - MINUTE, asking=True)
        assert issuer.times("usage") == 1
        await person.wait(2 * MINUTE, asking=True)
        assert issuer.times("usage") == 2
        await person.service.stop()


@pytest.mark.parametrize("down", [False, True])
async def test_a_login_that_ran_out_while_its_account_rests_is_renewed_to_ask(
    store: Store, issuer: Told, down: bool
) -> None:
    with clock() as frozen:
        person = Buying(store, issuer, frozen, Policy(), "alice")
        await person.rest(*person.accounts)
        pass_by(store, frozen, timedelta(days=60))
        await person.rest(*person.accounts)
        issuer.down = down
        await person.wait(2 * MINUTE, asking=False)
        assert (issuer.calls, issuer.asked) == ([], [])
        await person.wait(OF_RESTING, asking=True)
        assert (issuer.refreshes, issuer.times("usage")) == (1, 0 if down else 1)
        assert store.account("alice").usable
        await person.service.stop()


async def test_the_limit_that_an_answer_names_counts_for_every_account(store: Store, issuer: Told) -> None:
    for person in ("alice", "bob"):
        sign_in(store, issuer, person)
    service = PoolService(store, issuer, Policy())
    service.load()
    now = datetime.now(UTC)
    spent = QuotaWindow("codex_spark/primary", 0.0, now, "usage", resets_at=now + timedelta(hours=2))
    trail, first = await begin(service)
    other = 3 - first.account.id
    service.knowledge.observe(other, (spent,))
    service.served(trail, Answered(200, 1.0), Headers([("x-codex-active-limit", "codex_spark")]))
    service.release(trail)
    for number in range(3):
        _, assignment = await begin(service, f"again-{number}")
        assert assignment.account.id == first.account.id
    service.knowledge.observe(first.account.id, (spent,))
    found = await service.assign(service.open("last", FACTS, Headers()))
    assert found == Exhausted(limited=True, soonest=spent.resets_at, reason="usage_limit_reached")
    assert store.cooldowns(now) == (), "no cooldown stands in the way, and none is to be lifted"
    await service.stop()


async def test_stopping_waits_for_no_answer(store: Store, issuer: Told) -> None:
    alice = sign_in(store, issuer, "alice")
    asked = asyncio.Event()

    class Silent(Told):
        async def send(self, request: HttpRequest) -> HttpReply:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

    bench = Bench(store, Silent())
    await bench.vault.held(alice.id)
    bench.poller.used(alice.id, datetime.now(UTC))
    bench.poller.look(datetime.now(UTC))
    async with asyncio.timeout(5):
        await asked.wait()
        await bench.poller.stop()


async def test_an_answer_without_windows_is_an_answer(store: Store, issuer: Told) -> None:
    issuer.more = {"rate_limit": None}  # business and credit plans (codex.md 3.4)
    with clock() as frozen:
        alice = sign_in(store, issuer, "alice")
        bench = Bench(store, issuer)
        for _ in range(17):
            await bench.look(alice)
            frozen.tick(10)  # type: ignore[attr-defined]
        assert issuer.times("usage") == 1


async def test_windows_that_another_plan_does_not_have_are_forgotten_by_everybody(store: Store, issuer: Told) -> None:
    week = {"used_percent": 100, "limit_window_seconds": 604800, "reset_after_seconds": 500000}
    issuer.more = {"rate_limit": {"primary_window": None, "secondary_window": week}}
    with clock() as frozen, Store.open(store.url) as following:
        alice, _ = sign_in(store, issuer, "alice"), sign_in(store, issuer, "bob")
        one, other = Bench(store, issuer), Bench(following, issuer, "two").knowledge
        long_ago = datetime.now(UTC) - timedelta(hours=1)
        fox = QuotaWindow("codex_bengalfox/primary", 0.5, long_ago, "header", length_s=18000)
        one.knowledge.observe(alice.id, (fox,))

        async def known() -> list[set[str]]:
            await one.look(alice)
            one.knowledge.flush(5)
            other.take(following.changes(other.revision))
            stored = {window.bucket for window in store.windows(alice.id)}
            return [set(one.knowledge.state.windows[alice.id]), set(other.state.windows[alice.id]), stored]

        assert await known() == [{"secondary", fox.bucket}] * 3
        assert other.state.score(alice.id, datetime.now(UTC)).standing is Standing.EXHAUSTED
        for partial in ({"rate_limit": {}}, {"rate_limit": 7}, {"plan_type": None, "rate_limit": None}):
            issuer.more = partial
            pass_by(store, frozen, REVALIDATE + JITTER)
            assert await known() == [{"secondary", fox.bucket}] * 3
        issuer.more = {"rate_limit": None, "credits": {"has_credits": True, "unlimited": True}}
        pass_by(store, frozen, REVALIDATE + JITTER)
        assert await known() == [{"credits", fox.bucket}] * 3
        assert other.state.score(alice.id, datetime.now(UTC)).standing is Standing.UNLIMITED
        with Store.open(store.url) as begun:
            assert set(Bench(begun, issuer, "three").knowledge.state.windows[alice.id]) == {"credits", fox.bucket}
        await one.knowledge.stop()


async def test_who_rests_for_a_window_that_is_gone_is_tried(store: Store, issuer: Told) -> None:
    with clock() as frozen:
        person = Buying(store, issuer, frozen, Policy(), "alice")
        now = datetime.now(UTC)
        spent = QuotaWindow("primary", 0.0, now, "header", length_s=604800, resets_at=now + timedelta(days=5))
        person.service.knowledge.observe(1, (spent,))
        await person.rest(*person.accounts)
        issuer.more = {"rate_limit": None, "credits": {"has_credits": True, "unlimited": True}}
        found = await person.wait(OF_RESTING + JITTER + 2 * MINUTE, asking=True)
        assert (found[0], found[-1]) == (None, "alice")
        await person.service.stop()


async def test_processes_do_not_ask_in_step(store: Store, issuer: Told) -> None:
    with clock():
        alice = sign_in(store, issuer, "alice")
        asking = 0
        for number in range(8):
            issuer.asked.clear()
            bench = Bench(store, issuer, f"process-{number}")
            bench.seen(alice, REVALIDATE + JITTER / 2)
            await bench.look(alice)
            asking += issuer.times("usage")
            store.free(["usage:1"])  # as the next one is to find it
        assert 0 < asking < 8


async def test_each_process_asks_for_its_own_lists_one_after_the_other(store: Store, issuer: Told) -> None:
    issuer.models = {"ws-alice": ["a"]}
    alice, _ = sign_in(store, issuer, "alice"), sign_in(store, issuer, "bob")
    with Store.open(store.url) as other:
        one, two = (Bench(s, issuer, name, Policy(poll_usage=False)) for s, name in ((store, "one"), (other, "two")))
        await one.look(alice)
        await two.look(alice)
        assert one.knowledge.state.models.of(alice.id) == two.knowledge.state.models.of(alice.id) == {"a"}


async def test_a_host_that_is_not_the_issuers_is_sent_nothing(store: Store, issuer: Told) -> None:
    for name in ("octo", "mona"):
        login = Credential(
            CredentialKind.GITHUB_OAUTH, f"gho_FAKESECRET{name}", endpoints={"api": "https://evil.example"}
        )
        account, _ = store.save_login(
            provider=COPILOT,
            identity=f"github.com/{name}",
            name=name,
            issuer="github.com",
            credentials=[login],
            now=datetime.now(UTC),
        )
    await Bench(store, issuer, policy=Policy(poll_usage=False)).look(account)
    assert (issuer.asked, issuer.calls) == ([], [])


async def test_no_account_waits_for_the_end_of_a_pause_that_was_meant_by_another_time(
    store: Store, issuer: Told
) -> None:
    with clock() as frozen:
        account = sign_in(store, issuer, "alice")
        service = PoolService(store, issuer, Policy())
        service.load()
        for by in (timedelta(), -timedelta(hours=1)):
            frozen.tick(by)  # type: ignore[attr-defined]
            elapse(store.url, FIRST_PAUSE)
            now = datetime.now(UTC)
            await service.follower._look(now)
            await service._poller._vault.held(account.id)
            service._poller.used(account.id, now)
            service._poller.look(now)
            await service._poller.drain()
        assert issuer.times("usage") == 2
        await service.stop()


@pytest.mark.parametrize(("whose", "asked_s", "ready"), [("alice", 2, True), ("alice", 0, False), ("carol", 2, False)])
async def test_an_editors_own_look_speaks_against_a_limit_that_was_there_when_it_asked(
    store: Store, issuer: Told, whose: str, asked_s: float, ready: bool
) -> None:
    with clock() as frozen:
        account = sign_in(store, issuer, "alice")
        service = PoolService(store, issuer, Policy())
        service.load()
        frozen.tick(SECOND)  # type: ignore[attr-defined]
        until = START + 7 * timedelta(days=1)
        await service.knowledge.cool(account, WHOLE_ACCOUNT, "usage_limit_reached", until)
        frozen.tick(MINUTE)  # type: ignore[attr-defined]
        answer = HttpReply(200, Headers(()), json.dumps(issuer._usage()).encode())
        service.looked_up(PROVIDERS[CODEX], f"user-{whose}/ws-{whose}", answer, START + asked_s * SECOND)
        await service.knowledge.drain_probes()
        trail = service.open("flow", FACTS, Headers())
        assert isinstance(await service.assign(trail), Assignment) is ready
        service.release(trail)
        assert issuer.asked == [], "the pool itself has asked nobody"
        await service.stop()
