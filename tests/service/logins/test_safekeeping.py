"""A token that was exchanged is kept, whatever the database is doing when it comes. Over a real store."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from seatpool.core.model import Account, Credential, CredentialKind
from seatpool.service.logins.safekeeping import Safekeeping
from seatpool.service.memory.vault import Vault
from seatpool.store import Store, StoreUnavailable, Superseded
from tests.service.conftest import Issuer, sign_in

KIND = CredentialKind.CODEX_OAUTH


class Away:
    """A store whose database takes no credentials for a while."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.away = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def save_credential(self, *args: Any, **more: Any) -> Credential:
        if self.away:
            raise StoreUnavailable("it is locked")
        return self._store.save_credential(*args, **more)


@pytest.fixture
def away(store: Store) -> Away:
    return Away(store)


@pytest.fixture
def alice(store: Store, issuer: Issuer) -> Account:
    return sign_in(store, issuer, "alice")


async def stored(store: Store, account: Account, wanted: str) -> None:
    async with asyncio.timeout(10):
        while store.credentials(account.id)[KIND].token != wanted:
            await asyncio.sleep(0.02)


async def renewed_while_away(
    store: Store, away: Away, issuer: Issuer, account: Account
) -> tuple[Vault, Safekeeping, Credential]:
    """And the credential that came of it, which memory alone has."""
    told: Any = away
    vault = Vault(store)
    keeping = Safekeeping(told, vault)
    first = (await vault.held(account.id))[KIND]
    return vault, keeping, await keeping.keep(account, issuer.login("alice", timedelta(days=5)), first.generation, None)


@pytest.mark.parametrize("meanwhile", ["stored before the next one came", "still not stored"])
async def test_what_a_renewal_brings_that_began_with_a_token_which_was_not_stored_yet_is_kept(
    store: Store, issuer: Issuer, away: Away, alice: Account, meanwhile: str
) -> None:
    vault, keeping, second = await renewed_while_away(store, away, issuer, alice)
    assert vault.unstored(alice.id, KIND) == second
    third = issuer.login("alice", timedelta(days=6))  # for which `second` was exchanged
    if meanwhile == "still not stored":
        third = await keeping.keep(alice, third, second.generation, None)
        away.away = False
    else:
        away.away = False
        await stored(store, alice, second.token)
        await keeping.drain()
        third = await keeping.keep(alice, third, second.generation, None)
    await stored(store, alice, third.token)
    await keeping.drain()
    fourth = issuer.login("alice", timedelta(days=7))
    await keeping.keep(alice, fourth, third.generation, None)
    await stored(store, alice, fourth.token)
    assert vault.unstored(alice.id, KIND) is None


async def test_a_login_that_somebody_else_has_stored_meanwhile_stands(
    store: Store, issuer: Issuer, away: Away, alice: Account
) -> None:
    _, keeping, second = await renewed_while_away(store, away, issuer, alice)
    away.away = False
    await stored(store, alice, second.token)
    await keeping.drain()
    theirs = sign_in(store, issuer, "alice", timedelta(days=9))
    with pytest.raises(Superseded):
        await keeping.keep(theirs, replace(second, token="late"), second.generation, None)
    assert store.credentials(alice.id)[KIND].token not in (second.token, "late")
