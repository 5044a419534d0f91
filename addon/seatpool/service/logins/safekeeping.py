"""Stores credentials that were just obtained; where the database is away, memory serves and goes on trying.

A rotated refresh token is worth all patience: what the store still has is of no use any more.
"""

import asyncio
import logging
from contextlib import suppress
from functools import partial

from msgspec.structs import replace

from seatpool.clock import utcnow
from seatpool.core.model import Account, Credential, CredentialKind
from seatpool.service.memory.rotations import ROTATING
from seatpool.service.memory.vault import Vault
from seatpool.service.tasks import Tasks
from seatpool.service.threads import apart, aside
from seatpool.store import Lease, Store, StoreError, StoreUnavailable, Superseded

logger = logging.getLogger(__name__)

AGAIN_S = 0.25
"""After a failure. An attempt that meets a lock waits for five seconds by itself."""
AT_THE_END_S = 10.0
"""How long the end of the process waits for what is not stored."""


class Safekeeping:
    """One per process."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self._store = store
        self._vault = vault
        self._turn = asyncio.Lock()
        self._storing = Tasks()
        self._became: dict[tuple[int, CredentialKind], tuple[int, int]] = {}
        """Of what memory alone knew for a while: its generation there, and that in the store since. A renewal may have
        begun with it between."""

    async def keep(self, account: Account, credential: Credential, generation: int, lease: Lease | None) -> Credential:
        """Hold it and store it, and give the lease back with it.

        `generation` is that of the stored one that it replaces; raises `Superseded` when another is there by now, and
        not one that was there before.
        """
        key = (account.id, credential.kind)
        before = self._vault.unstored(*key)
        if before is not None:
            credential = replace(credential, generation=before.generation)
            self._vault.keep(account.id, credential)  # whoever is at it stores this one instead
            return credential
        was, became = self._became.get(key, (generation, generation))
        generation = became if was == generation else generation
        try:
            stored = await self._save(account, credential, generation, lease)
        except StoreUnavailable as error:
            logger.warning("account=%s action=credential-not-stored reason=%s", account.name, error)
            unstored = replace(credential, generation=generation)
            self._vault.keep(account.id, unstored)  # memory alone knows it, and serves
            self._storing.begin(self._go_on(account, unstored, generation))
            return unstored
        self._vault.put(account.id, stored)
        return stored

    async def _save(self, account: Account, credential: Credential, generation: int, lease: Lease | None) -> Credential:
        save = partial(self._store.save_credential, account.id, credential)
        mine = self._vault.get(account.id, credential.kind)
        try:
            return await aside(save, now=utcnow(), expected=generation, release=lease)
        except Superseded:
            if mine is None or credential.kind not in ROTATING:
                raise
            now = (await self._vault.held(account.id, again=True)).get(credential.kind)
            if now is None or now.token != mine.token:
                raise
        return await aside(save, now=utcnow(), expected=now.generation)

    async def restore(self, account: Account) -> bool:
        """Store again what the store had of it and has no more; whether there was any."""
        lost = self._vault.lost(account.id)
        for credential in lost:
            logger.warning("account=%s action=credential-stored-again reason=the database has gone back", account.name)
            with suppress(Superseded):  # then somebody has signed in anew
                await self.keep(account, credential, credential.generation, None)
        return bool(lost)

    async def drain(self) -> None:
        """At the end of the process: the last chance for what is not stored."""
        await self._storing.end(AT_THE_END_S)

    async def _go_on(self, account: Account, credential: Credential, generation: int) -> None:
        kind = credential.kind
        while (wanted := self._vault.unstored(account.id, kind)) is not None:
            await asyncio.sleep(AGAIN_S)
            try:
                async with self._turn:  # so that one thread at most waits for the database here
                    stored = await apart(
                        self._store.save_credential,
                        account.id,
                        wanted,
                        now=utcnow(),
                        expected=generation,
                        patient=True,
                    )
            except StoreUnavailable:
                continue
            except Superseded:
                if (gone_back := await self._gone_back(account, kind, generation)) is not None:
                    generation = gone_back
                    continue
                logger.warning("account=%s action=credential-dropped reason=superseded", account.name)
            except StoreError as error:
                logger.warning("account=%s action=credential-dropped reason=%s", account.name, error)
            else:
                generation = stored.generation
                self._became[account.id, kind] = (wanted.generation, generation)
                if self._vault.unstored(account.id, kind) is not wanted:
                    continue
                self._vault.put(account.id, stored)
                logger.info("account=%s action=credential-stored", account.name)
            self._vault.stored(account.id, kind)
            if generation == wanted.generation:  # dropped: what the store has is newer
                with suppress(StoreError):
                    await self._vault.held(account.id, again=True)

    async def _gone_back(self, account: Account, kind: CredentialKind, generation: int) -> int | None:
        """The generation of what the store has, where that is an older one than it had."""
        with suppress(StoreError):
            await self._vault.held(account.id, again=True)
        unstored = self._vault.unstored(account.id, kind)
        return unstored.generation if unstored is not None and unstored.generation < generation else None
