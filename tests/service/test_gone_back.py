"""A database that goes back in time, as a copy that lags or a backup does: what was renewed since is the good login."""

import asyncio
import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from seatpool.core.model import Account, Credential, CredentialKind
from seatpool.core.policy import Policy
from seatpool.providers.registry import PROVIDERS
from seatpool.providers.sidecalls import RenewalRefused, Renewed, Why
from seatpool.service.logins.refresher import Refresher
from seatpool.service.logins.safekeeping import Safekeeping
from seatpool.service.memory.vault import Vault
from seatpool.service.pool import PoolService
from seatpool.store import Store
from tests.harness import postgres
from tests.service.conftest import Issuer, sign_in
from tests.service.logins.test_safekeeping import Away

KIND = CredentialKind.CODEX_OAUTH
SOON = timedelta(minutes=3)


class Past:
    """What is stored of a login at a moment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with closing(sqlite3.connect(path)) as db:
            self._row = db.execute("SELECT secret, generation, expires_at FROM credentials").fetchone()

    def comes_back(self) -> None:
        with closing(sqlite3.connect(self._path)) as db, db:
            db.execute("UPDATE credentials SET secret = ?, generation = ?, expires_at = ?", self._row)


class Process:
    """One that renews."""

    def __init__(self, store: Store, issuer: Issuer, owner: str) -> None:
        self.vault = Vault(store)
        self.refresher = Refresher(store, self.vault, issuer, owner)

    async def held(self, account: Account) -> Credential:
        return (await self.vault.held(account.id))[KIND]

    async def renewed(self, account: Account, why: Why = Why.EARLY) -> Renewed | RenewalRefused:
        stale = await self.held(account)
        return await self.refresher.renew(PROVIDERS[account.provider], account, KIND, why=why, stale=stale)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pool.db"


@pytest.fixture
def alice(store: Store, issuer: Issuer) -> Account:
    return sign_in(store, issuer, "alice", SOON)


@pytest.fixture
def process(store: Store, issuer: Issuer) -> Process:
    return Process(store, issuer, "one")


def stored(store: Store, account: Account) -> Credential:
    return store.credentials(account.id)[KIND]


async def test_a_spent_refresh_token_is_not_sent_and_the_good_one_is_stored_again(
    store: Store, issuer: Issuer, alice: Account, process: Process, path: Path
) -> None:
    past = Past(path)
    for _ in range(2):
        assert isinstance(await process.renewed(alice), Renewed)
    good = await process.held(alice)
    past.comes_back()
    assert stored(store, alice).token != good.token
    assert isinstance(await process.renewed(alice), Renewed)
    assert issuer.refreshes == 3
    assert stored(store, alice).refresh_token in issuer.good
    assert (await process.held(alice)) == stored(store, alice)


async def test_it_is_stored_again_as_soon_as_the_store_tells_everything_anew(
    store: Store, issuer: Issuer, alice: Account, process: Process, path: Path
) -> None:
    past = Past(path)
    await process.renewed(alice)
    good = await process.held(alice)
    past.comes_back()
    await process.vault.catch_up({(alice.id, KIND): 1})
    await process.refresher.restore([alice])
    assert stored(store, alice).token == good.token == (await process.held(alice)).token
    theirs = sign_in(store, issuer, "alice")
    await process.vault.catch_up({(alice.id, KIND): stored(store, alice).generation})
    assert await process.held(theirs) == stored(store, theirs), "a new login counts as ever"


async def test_a_login_that_was_here_before_and_is_imported_again_counts(
    store: Store, issuer: Issuer, alice: Account, process: Process
) -> None:
    first = await process.held(alice)
    sign_in(store, issuer, "alice")
    await process.vault.held(alice.id, again=True)
    again = store.save_credential(alice.id, first, now=datetime.now(UTC))
    await process.vault.catch_up({(alice.id, KIND): again.generation})
    assert await process.held(alice) == again


@pytest.mark.parametrize("good", [True, False])
async def test_of_two_that_nobody_can_tell_apart_memorys_is_tried_first(
    store: Store, issuer: Issuer, alice: Account, process: Process, path: Path, good: bool
) -> None:
    """A process that was started since has never held what the store has again: it may be somebody's new login."""
    past, later = Past(path), Process(store, issuer, "two")
    for _ in range(3):
        await process.renewed(alice)
    mine = await later.held(alice)
    past.comes_back()
    sign_in(store, issuer, "alice")
    theirs = stored(store, alice)
    assert theirs.generation < mine.generation
    if not good:
        issuer.good.pop(mine.refresh_token or "")
    result = await later.renewed(alice)
    assert isinstance(result, Renewed)
    assert (result.credential.token == theirs.token) is not good
    assert mine.refresh_token not in issuer.good and theirs.refresh_token in issuer.good
    assert await later.held(alice) == stored(store, alice) == result.credential
    assert isinstance(await later.renewed(alice), Renewed)


async def test_what_is_renewed_while_the_store_goes_back_is_stored(
    store: Store, issuer: Issuer, alice: Account, process: Process, path: Path
) -> None:
    past = Past(path)
    await process.renewed(alice)
    good = await process.held(alice)
    fresh = issuer.login("alice", timedelta(days=5))  # for which `good` was exchanged
    past.comes_back()
    kept = await Safekeeping(store, process.vault).keep(alice, fresh, good.generation, None)
    assert kept == stored(store, alice) and kept.token == fresh.token


async def test_what_was_renewed_while_the_store_was_away_is_stored_in_one_that_has_gone_back(
    store: Store, issuer: Issuer, alice: Account, process: Process, path: Path
) -> None:
    past, away = Past(path), Away(store)
    for _ in range(2):
        await process.renewed(alice)
    told: Any = away
    keeping = Safekeeping(told, process.vault)
    fresh = issuer.login("alice", timedelta(days=5))
    await keeping.keep(alice, fresh, (await process.held(alice)).generation, None)
    past.comes_back()
    away.away = False
    async with asyncio.timeout(10):
        while process.vault.unstored(alice.id, KIND) is not None:
            await asyncio.sleep(0.02)
    assert stored(store, alice).token == fresh.token == (await process.held(alice)).token


@pytest.fixture
def server() -> Iterator[postgres.Server]:
    """One of our own, since its data are replaced."""
    made = postgres.started()
    yield made
    made.remove()


async def test_after_a_failover_to_a_server_that_lags_the_login_is_stored_there(
    server: postgres.Server, issuer: Issuer
) -> None:
    url, data = server.new(), server.folder / "data"
    with Store.open(url) as first:
        alice = sign_in(first, issuer, "alice", SOON)
    server.stop()
    copied(data, server.folder / "standby")
    server.start()
    with Store.open(url) as store:
        service = PoolService(store, issuer, Policy())
        service.load()
        service.start()
        held = (await service._refresher._vault.held(alice.id))[KIND]
        assert await service._credentials.keep(PROVIDERS[alice.provider], alice, held)
        good = stored(store, alice)
        server.stop(signal.SIGQUIT)
        shutil.rmtree(data)
        (server.folder / "standby").rename(data)
        server.start()
        async with asyncio.timeout(30):
            while stored(store, alice).token != good.token:
                await asyncio.sleep(0.1)
        assert service.knowledge.state.accounts[alice.id].disabled is None
        await service.stop()


def copied(source: Path, target: Path) -> None:
    """With everything's owner."""
    shutil.copytree(source, target)
    for old in (source, *source.rglob("*")):
        kept = old.stat()
        os.chown(target / old.relative_to(source), kept.st_uid, kept.st_gid)
