"""Gets a credential that can be sent: once per process, once across processes, and never twice with one refresh token.

The journey: join the renewal that runs in this process; take the lease across processes; read the store again, since
another process may have been there meanwhile; only then ask the issuer. A rotated refresh token is stored before
anything else is done with the answer.
"""

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta
from typing import Protocol
from urllib.parse import urlsplit

from seatpool.clock import utcnow
from seatpool.core.model import Account, Credential, CredentialKind
from seatpool.providers.base import (
    HttpReply,
    HttpRequest,
    Keep,
    Provider,
    Renewal,
    RenewalNeed,
    RenewalRefused,
    Renewed,
)
from seatpool.service.transport import SideCallFailed
from seatpool.service.vault import Vault
from seatpool.store import Lease, Store, StoreUnavailable

logger = logging.getLogger(__name__)

LEASE_S = 8.0
"""How long the lease of a process that was killed keeps the others waiting."""
HEARTBEAT_S = 2.5
"""How often a living owner extends its lease: three beats may be late before it ends under its owner."""
LOSER_LOOKS_EVERY_S = 0.25
"""How often one who waits for another process's renewal reads the store."""

STORE_ATTEMPTS = 4
"""Each waits for the database's own time-out of 5 s; after them memory alone knows the credential."""

MEMORY_ONLY = frozenset({CredentialKind.COPILOT_SESSION})
"""Kinds that are not worth a row: cheap to get, bound to this editor's session."""


class Sender(Protocol):
    """The transport's part that is used here."""

    async def send(self, request: HttpRequest) -> HttpReply:
        """Send one side call; raises `SideCallFailed`."""


class Refresher:
    """Renewals of every account, one at a time each."""

    def __init__(self, store: Store, vault: Vault, transport: Sender, owner: str) -> None:
        self._store = store
        self._vault = vault
        self._transport = transport
        self._owner = owner
        self._running: dict[tuple[int, CredentialKind], asyncio.Task[Renewed | RenewalRefused]] = {}

    async def renew(
        self,
        provider: Provider,
        account: Account,
        kind: CredentialKind,
        *,
        refused: Credential | None = None,
        client_headers: tuple[tuple[str, str], ...] = (),
    ) -> Renewed | RenewalRefused:
        """A credential of `kind` that upstream has not refused yet.

        `refused` is the one that it just refused; a newer one that somebody else has stored meanwhile is used as it
        is. The renewal goes on when the caller is cancelled: its answer may hold a rotated refresh token.
        """
        key = (account.id, kind)
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(self._renew(provider, account, kind, refused, client_headers))
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Wait for the renewals that are under way (at shutdown)."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _renew(
        self,
        provider: Provider,
        account: Account,
        kind: CredentialKind,
        refused: Credential | None,
        client_headers: tuple[tuple[str, str], ...],
    ) -> Renewed | RenewalRefused:
        if kind in MEMORY_ONLY:
            held = await self._vault.held(account.id)
            need = RenewalNeed(account, kind, held, client_headers, refused=refused is not None)
            return await self._drive(provider, account, provider.renew(need, utcnow), lease=None)
        lease = Lease(f"renew:{account.id}:{kind}", self._owner)
        while True:
            now = utcnow()
            taken = await asyncio.to_thread(
                self._store.acquire, lease.key, lease.owner, now=now, until=now + timedelta(seconds=LEASE_S)
            )
            held = await self._vault.held(account.id, again=True)
            found = held.get(kind)
            if found is not None and not _same(found, refused) and provider.ready(found, utcnow()):
                if taken:
                    await asyncio.to_thread(self._store.release, lease.key, lease.owner)
                return Renewed(found)
            if taken:
                break
            await asyncio.sleep(LOSER_LOOKS_EVERY_S)
        beating = asyncio.create_task(self._beat(lease))
        try:
            need = RenewalNeed(account, kind, held, client_headers, refused=refused is not None)
            result = await self._drive(provider, account, provider.renew(need, utcnow), lease)
            return await self._second_look(account, found, result) if isinstance(result, RenewalRefused) else result
        finally:
            beating.cancel()
            await asyncio.to_thread(self._store.release, lease.key, lease.owner)

    async def _beat(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            now = utcnow()
            try:
                await asyncio.to_thread(
                    self._store.acquire, lease.key, lease.owner, now=now, until=now + timedelta(seconds=LEASE_S)
                )
            except StoreUnavailable as error:
                logger.warning("action=heartbeat-failed lease=%s: %s", lease.key, error)

    async def _second_look(
        self, account: Account, sent: Credential | None, refusal: RenewalRefused
    ) -> Renewed | RenewalRefused:
        """A refused renewal counts only if nobody has stored another login meanwhile (a person, a stalled process)."""
        if sent is None or not refusal.durable:
            return refusal
        stored = (await self._vault.held(account.id, again=True)).get(sent.kind)
        return refusal if stored is None or stored.generation == sent.generation else Renewed(stored)

    async def _drive(
        self, provider: Provider, account: Account, renewal: Renewal, lease: Lease | None
    ) -> Renewed | RenewalRefused:
        reply: HttpReply | None = None
        while True:
            try:
                step = renewal.send(reply)
            except StopIteration as stop:
                return await self._finish(account, stop.value, lease)
            if isinstance(step, Keep):
                await self._keep(account, step.credential, None)
                reply = None
                continue
            try:
                reply = await self._send(provider, account, step)
            except SideCallFailed as failure:
                logger.warning("account=%s action=side-call-failed reason=%s", account.name, failure)
                reply = None

    async def _send(self, provider: Provider, account: Account, request: HttpRequest) -> HttpReply:
        parts = urlsplit(request.url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if not provider.may_receive(account, origin):
            raise SideCallFailed(f"{parts.hostname}: not a host of {account.issuer}")
        return await self._transport.send(request)

    async def _finish(
        self, account: Account, result: Renewed | RenewalRefused, lease: Lease | None
    ) -> Renewed | RenewalRefused:
        if isinstance(result, RenewalRefused):
            return result
        return replace(result, credential=await self._keep(account, result.credential, lease))

    async def _keep(self, account: Account, credential: Credential, lease: Lease | None) -> Credential:
        """Hold it and store it. A refresh token that was rotated is worth some patience with a busy database."""
        self._vault.put(account.id, credential)
        if credential.kind in MEMORY_ONLY:
            return credential
        for attempt in range(STORE_ATTEMPTS):
            try:
                credential = await asyncio.to_thread(
                    self._store.save_credential, account.id, credential, now=utcnow(), release=lease
                )
            except StoreUnavailable as error:
                logger.warning(
                    "account=%s action=credential-not-stored attempt=%d: %s", account.name, attempt + 1, error
                )
                await asyncio.sleep(LOSER_LOOKS_EVERY_S)
            else:
                break
        self._vault.put(account.id, credential)
        return credential


def _same(found: Credential, refused: Credential | None) -> bool:
    return refused is not None and found.token == refused.token and found.endpoints == refused.endpoints
