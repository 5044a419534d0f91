"""Renewals before the end, over a real store: what is in use, when, and what a refusal then means."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from freezegun import freeze_time

from seatpool.core.model import Account, Credential, CredentialKind, ProviderName
from seatpool.core.policy import Policy
from seatpool.core.selection import Exhausted
from seatpool.providers.http import Headers, HttpReply, HttpRequest
from seatpool.providers.registry import PROVIDERS
from seatpool.providers.sidecalls import OWNER, RenewalRefused, Renewed, Why
from seatpool.service.logins.credentials import Credentials
from seatpool.service.logins.keeper import EARLY, IN_USE, JITTER_S, Keeper
from seatpool.service.logins.primaries import Primaries
from seatpool.service.logins.refresher import Refresher
from seatpool.service.logins.theirs import content_of
from seatpool.service.memory.knowledge import Knowledge
from seatpool.service.memory.vault import Vault
from seatpool.service.pool import PoolService
from seatpool.store import Store
from tests.fixtures import LOGINS
from tests.service.conftest import Issuer, sign_in
from tests.service.test_pool import FACTS

KIND = CredentialKind.CODEX_OAUTH
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Bench:
    """A keeper with everything below it."""

    def __init__(self, store: Store, issuer: Issuer, owner: str = "one") -> None:
        self.vault = Vault(store)
        self.knowledge = Knowledge(store, self.vault, Policy(), "me")
        primaries = Primaries(store, self.vault, self.knowledge)
        self.refresher = Refresher(store, self.vault, issuer, owner)
        credentials = Credentials(self.vault, self.refresher, self.knowledge, primaries, Policy())
        self.keeper = Keeper(self.knowledge, self.vault, credentials, PROVIDERS, owner)
        self.knowledge.load()

    async def look(self, account: Account, *, used_ago: timedelta = timedelta()) -> None:
        now = datetime.now(UTC)
        await self.vault.held(account.id)
        self.keeper.used(account.id, now - used_ago)
        self.keeper.look(now)
        await self.keeper.drain()


@pytest.mark.parametrize(
    ("left", "used_ago", "renewals"),
    [
        (EARLY - timedelta(seconds=1), timedelta(), 1),
        (EARLY + timedelta(seconds=JITTER_S + 1), timedelta(), 0),  # not yet
        (EARLY - timedelta(seconds=1), IN_USE + timedelta(seconds=1), 0),  # it serves nobody
        (timedelta(seconds=-1), timedelta(), 0),  # over: the next request asks for it, if one comes
    ],
)
async def test_what_is_in_use_is_renewed_five_minutes_before_its_end(
    store: Store, issuer: Issuer, left: timedelta, used_ago: timedelta, renewals: int
) -> None:
    account = sign_in(store, issuer, "alice", left)
    await Bench(store, issuer).look(account, used_ago=used_ago)
    assert issuer.refreshes == renewals


async def test_an_early_renewal_is_made_once_by_two_processes(store: Store, issuer: Issuer) -> None:
    account = sign_in(store, issuer, "alice", timedelta(minutes=4))
    with Store.open(store.url) as other:
        one, two = Bench(store, issuer), Bench(other, issuer, "two")
        await asyncio.gather(one.look(account), two.look(account))
        assert issuer.refreshes == 1
        held = [bench.vault.get(account.id, KIND) for bench in (one, two)]
    assert held[0] is not None and held[0].generation == 3  # the login, the rotated token, its place
    assert held[0] == held[1] == store.credentials(account.id)[KIND]


async def test_a_token_endpoint_in_trouble_costs_nothing_while_the_token_is_good(store: Store, issuer: Issuer) -> None:
    account = sign_in(store, issuer, "alice", timedelta(minutes=4))
    issuer.down = True
    bench = Bench(store, issuer)
    await bench.look(account)
    await bench.look(account)
    assert issuer.refreshes == 1, "it is left in peace for a minute"
    assert store.cooldowns(datetime.now(UTC)) == ()
    assert store.account("alice").usable


async def test_a_dead_refresh_token_disables_and_is_never_sent_again(store: Store, issuer: Issuer) -> None:
    account = sign_in(store, issuer, "alice", timedelta(minutes=4))
    issuer.refused = "refresh_token_invalidated"
    await Bench(store, issuer).look(account)
    assert store.account("alice").disabled == "renewal-refresh_token_invalidated"
    assert store.credentials(account.id)[KIND].refresh_token is None
    store.set_paused("alice", False, datetime.now(UTC))  # a person resumes it, without a new login
    await Bench(store, issuer).look(account)
    assert issuer.refreshes == 1


async def test_github_is_believed_that_a_login_is_over_once_it_goes_on_saying_so(store: Store) -> None:
    login = Credential(
        CredentialKind.GITHUB_OAUTH, "gho_FAKESECRET", endpoints={"api": "https://api.githubcopilot.com"}
    )
    account, _ = store.save_login(
        provider=ProviderName.COPILOT, identity="github.com/7", name="ann", issuer="github.com", plan=None,
        credentials=[login], now=NOW,
    )  # fmt: skip
    github = GitHub("another")
    bench = Bench(store, github)

    async def refused(after: timedelta) -> str | None:
        """Upstream does not take the token, so much later than at first; what has become of the account."""
        with freeze_time(NOW + after, real_asyncio=True):
            held = (await bench.vault.held(account.id))[login.kind]
            await bench.refresher.renew(PROVIDERS[account.provider], account, login.kind, why=Why.REFUSED, stale=held)
            return store.account("ann").disabled

    assert await refused(timedelta()) is None
    assert await refused(timedelta(minutes=4)) is None and len(github.calls) == 1, "it rests meanwhile"
    assert await refused(timedelta(minutes=6)) is None and len(github.calls) == 2
    assert await refused(timedelta(minutes=12)) == "renewal-github-token-invalid"
    assert len(github.calls) == 3


async def test_a_new_login_during_a_renewal_is_not_overwritten(store: Store, issuer: Issuer) -> None:
    account = sign_in(store, issuer, "alice", timedelta(minutes=4))
    bench = Bench(store, issuer)
    await bench.vault.held(account.id)
    fresh: list[Credential] = []

    class Slow(Issuer):
        async def send(self, request):  # type: ignore[no-untyped-def]
            if request.url.endswith("/oauth/token") and not fresh:
                sign_in(store, issuer, "alice", timedelta(days=10))  # a person was faster
                fresh.append(store.credentials(account.id)[KIND])
            return await issuer.send(request)

    slow = Bench(store, Slow())
    await slow.look(account)
    stored = store.credentials(account.id)[KIND]
    assert stored.refresh_token == fresh[0].refresh_token
    assert slow.vault.get(account.id, KIND) == stored


# -- a login that another program renews


def shared(store: Store, issuer: Issuer, file: Path, expires_in: timedelta) -> Account:
    """An account whose login is Codex's own."""
    account = sign_in(store, issuer, "alice", expires_in)
    held = store.credentials(account.id)[KIND]
    followed = Credential(KIND, held.token, None, held.expires_at, attributes={**held.attributes, OWNER: str(file)})
    store.save_credential(account.id, followed, now=datetime.now(UTC))
    return account


async def test_a_shared_login_follows_its_file_and_asks_nobody(store: Store, issuer: Issuer, tmp_path: Path) -> None:
    file = tmp_path / "auth.json"
    account = shared(store, issuer, file, timedelta(minutes=4))
    renewed = issuer.login("alice", timedelta(days=10))
    tokens = {"access_token": renewed.token, "refresh_token": renewed.refresh_token, "account_id": "ws-alice"}
    file.write_text(json.dumps({"auth_mode": "chatgpt", "tokens": tokens}))
    await Bench(store, issuer).look(account)
    held = store.credentials(account.id)[KIND]
    assert (held.token, held.refresh_token) == (renewed.token, None)
    assert issuer.refreshes == 0


async def test_a_shared_login_whose_owner_sleeps_rests_and_comes_back(
    store: Store, issuer: Issuer, service: PoolService, tmp_path: Path
) -> None:
    file = tmp_path / "auth.json"
    account = shared(store, issuer, file, timedelta(seconds=-1))
    service.load()
    choice = await service.assign(service.open("flow", FACTS, Headers()))
    assert isinstance(choice, Exhausted) and not choice.limited
    (resting,) = store.cooldowns(datetime.now(UTC))
    assert (resting.account_id, resting.reason) == (account.id, "renewal-owner-signed-out")
    assert resting.until <= datetime.now(UTC) + timedelta(minutes=1)
    assert issuer.refreshes == 0
    assert store.account("alice").usable


async def test_a_shared_login_that_its_program_has_revoked_has_to_be_signed_in_again(
    store: Store, issuer: Issuer, tmp_path: Path
) -> None:
    with freeze_time(NOW, real_asyncio=True):
        account = shared(store, issuer, tmp_path / "auth.json", timedelta(days=9))
    bench = Bench(store, issuer)
    disabled = []
    for minute in (0, 5, 11):
        with freeze_time(NOW + timedelta(minutes=minute), real_asyncio=True):
            held = (await bench.vault.held(account.id))[KIND]
            await bench.refresher.renew(PROVIDERS[account.provider], account, KIND, why=Why.REFUSED, stale=held)
            disabled.append(store.account("alice").disabled)
    assert disabled == [None, None, "renewal-owner-signed-out"]


# -- a GitHub login whose program has signed in anew


class GitHub(Issuer):
    """api.github.com, which takes one token and no other."""

    def __init__(self, takes: str) -> None:
        super().__init__()
        self.takes = takes

    async def send(self, request: HttpRequest) -> HttpReply:
        self.calls.append(request.url)
        if Headers(request.headers).get("authorization", "").partition(" ")[2] != self.takes:
            return HttpReply(401, Headers(), b'{"message": "Bad credentials"}')
        told = {"token": "tid=FAKESECRET;exp=1", "refresh_in": 1500} if "token" in request.url else {"login": "emma"}
        return HttpReply(200, Headers(), json.dumps(told).encode())


def of_a_file(store: Store, file: Path, handle: str = "github.com/emma") -> Account:
    """An account with a login that stood in `file` once."""
    login = Credential(CredentialKind.GITHUB_OAUTH, "ghu_FAKESECRETold", attributes={OWNER: str(file)})
    account, _ = store.save_login(
        provider=ProviderName.COPILOT, identity="github.com/7", handle=handle, name="emma", issuer="github.com",
        plan=None, credentials=[login], now=datetime.now(UTC),
    )  # fmt: skip
    return account


@pytest.mark.parametrize("kind", [CredentialKind.COPILOT_TOKEN, CredentialKind.GITHUB_OAUTH])
@pytest.mark.parametrize("file", ["language-server/auth.db", "language-server-1.400/apps.json"])
async def test_a_login_that_is_over_is_looked_up_where_it_was_found(
    store: Store, kind: CredentialKind, file: str
) -> None:
    (found,) = PROVIDERS[ProviderName.COPILOT].read_login("x", content_of(LOGINS / file)) or ()
    account, github = of_a_file(store, LOGINS / file), GitHub(found.credentials[0].token)
    bench = Bench(store, github)
    result = await bench.refresher.renew(PROVIDERS[account.provider], account, kind, why=Why.REFUSED)
    assert isinstance(result, Renewed) and result.credential.kind is kind
    held = store.credentials(account.id)
    assert held[CredentialKind.GITHUB_OAUTH].token == github.takes
    assert held[CredentialKind.GITHUB_OAUTH].attributes == {"app": "Iv1.b507a08c87ecfe98", OWNER: str(LOGINS / file)}
    assert held[kind] == bench.vault.get(account.id, kind) == result.credential
    assert store.cooldowns(datetime.now(UTC)) == () and len(github.calls) == 2


@pytest.mark.parametrize(
    ("handle", "file"), [("github.com/ann", "language-server/auth.db"), ("github.com/emma", "nowhere/apps.json")]
)
async def test_another_persons_login_in_its_file_is_left_there(store: Store, handle: str, file: str) -> None:
    account, github = of_a_file(store, LOGINS / file, handle), GitHub("ghu_FAKESECRETnone")
    kind = CredentialKind.COPILOT_TOKEN
    result = await Bench(store, github).refresher.renew(PROVIDERS[account.provider], account, kind)
    assert isinstance(result, RenewalRefused) and result.code == "github-token-invalid"
    assert store.credentials(account.id)[CredentialKind.GITHUB_OAUTH].token == "ghu_FAKESECRETold"
    assert len(github.calls) == 1


async def test_two_processes_find_the_new_login_together(store: Store) -> None:
    file = LOGINS / "language-server-1.400/apps.json"
    (found,) = PROVIDERS[ProviderName.COPILOT].read_login("x", content_of(file)) or ()
    account, github = of_a_file(store, file), GitHub(found.credentials[0].token)
    provider, kinds = PROVIDERS[account.provider], (CredentialKind.COPILOT_TOKEN, CredentialKind.GITHUB_OAUTH)
    with Store.open(store.url) as other:
        one, two = Bench(store, github), Bench(other, github, "two")
        results = await asyncio.gather(
            *(bench.refresher.renew(provider, account, kind, why=Why.REFUSED) for bench in (one, two) for kind in kinds)
        )
    assert all(isinstance(result, Renewed) for result in results)
    assert store.credentials(account.id)[CredentialKind.GITHUB_OAUTH].token == github.takes
