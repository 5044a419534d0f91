"""Gets a credential that can be sent: once per process, once across processes, and never twice with one refresh token.

The journey: join the renewal that runs in this process; take the lease across processes; read the store again, since
another process may have been there meanwhile; only then ask the issuer. A rotated refresh token is stored before
anything else is done with the answer.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from msgspec.structs import replace

from seatpool.clock import elapsed, utcnow
from seatpool.core.model import WHOLE_ACCOUNT, Account, Credential, CredentialKind, Scope, ScopeKind
from seatpool.core.selection import RENEWAL, REVOKED
from seatpool.providers.base import Provider
from seatpool.providers.http import HttpReply, HttpRequest
from seatpool.providers.logins import NotALogin
from seatpool.providers.sidecalls import Keep, RenewalNeed, RenewalRefused, Renewed, Reread, Why
from seatpool.service.logins import theirs
from seatpool.service.logins.safekeeping import Safekeeping
from seatpool.service.memory.rotations import ROTATING
from seatpool.service.memory.vault import Vault
from seatpool.service.network.transport import SideCallFailed, Unreached
from seatpool.service.threads import aside
from seatpool.store import Grant, Lease, Store, StoreUnavailable, Superseded

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=8)
"""How long the lease of a process that was killed keeps the others waiting."""
HEARTBEAT = timedelta(seconds=2.5)
"""How often a living owner extends its lease: three beats may be late before it ends under its owner."""
LATE_S = 2.0
"""How long to wait first where the lease was not given back: its owner may have been cut off from the store with a new
token, and puts it there as soon as it can."""
LOSER_LOOKS_EVERY_S = 0.25
"""How often one who waits for another process's renewal reads the store."""

MEMORY_ONLY = frozenset({CredentialKind.COPILOT_SESSION})
"""Kinds that are not worth a row: cheap to get, bound to this editor's session."""


class Sender(Protocol):
    """The transport's part that is used here."""

    async def send(self, request: HttpRequest) -> HttpReply:
        """Send one side call; raises `SideCallFailed`."""


Consequences = Callable[[Account, CredentialKind, Why, RenewalRefused], Awaitable[None]]
"""What follows from a refused renewal; called once for each, while nobody else may ask the issuer."""


class Refresher:
    """Renewals of every account, one at a time each."""

    def __init__(self, store: Store, vault: Vault, transport: Sender, owner: str) -> None:
        self._store = store
        self._vault = vault
        self._safekeeping = Safekeeping(store, vault)
        self._transport = transport
        self._owner = owner
        self.consequences: Consequences = _none
        self.counted: Callable[[int, CredentialKind, str], None] = _not_counted
        self._running: dict[tuple[int, CredentialKind], asyncio.Task[Renewed | RenewalRefused]] = {}
        self._ending = False

    async def renew(
        self,
        provider: Provider,
        account: Account,
        kind: CredentialKind,
        *,
        why: Why = Why.MISSING,
        stale: Credential | None = None,
        client_headers: tuple[tuple[str, str], ...] = (),
    ) -> Renewed | RenewalRefused:
        """A credential of `kind` other than `stale`: the one that upstream refused, or that is about to expire.

        A newer one that somebody else has stored meanwhile is used as it is. The renewal goes on when the caller is
        cancelled: its answer may hold a rotated refresh token.
        """
        key = (account.id, kind)
        task = self._running.get(key)
        if task is None:
            if self._ending:
                return RenewalRefused("ending", durable=False)
            task = asyncio.create_task(self._renew(provider, account, kind, why, stale, client_headers))
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return await asyncio.shield(task)

    async def restore(self, accounts: Iterable[Account]) -> None:
        """Store again what the store had and has no more: it has gone back in time."""
        for account in accounts:
            await self._safekeeping.restore(account)

    async def stop(self) -> None:
        """Wait for the renewals that are under way. None begins any more: nobody would wait for its answer."""
        self._ending = True
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        await self._safekeeping.drain()

    async def _renew(
        self,
        provider: Provider,
        account: Account,
        kind: CredentialKind,
        why: Why,
        stale: Credential | None,
        client_headers: tuple[tuple[str, str], ...],
    ) -> Renewed | RenewalRefused:
        if kind in MEMORY_ONLY:
            return await self._without_lease(provider, account, kind, why, client_headers)
        lease = Lease(f"renew:{account.id}:{kind}", self._owner)
        while True:
            asked = elapsed()  # a clock that nobody sets, as the lease's own is
            try:
                taken = await aside(self._store.acquire, lease.key, lease.owner, LEASE)
            except StoreUnavailable:
                if kind in ROTATING:
                    raise
                return await self._without_lease(provider, account, kind, why, client_headers)
            if taken is Grant.LAPSED and kind in ROTATING:
                await asyncio.sleep(LATE_S)
            held = await self._vault.held(account.id, again=True)
            found = held.get(kind)
            if found is not None and not _same(found, stale) and provider.ready(found, utcnow()):
                if taken:
                    await self._give_back(lease, account, kind)
                return Renewed(found)
            if taken and elapsed() - asked < LEASE - HEARTBEAT:
                break
            if not taken:  # else it took so long that the lease is nearly over: take it again
                await asyncio.sleep(LOSER_LOOKS_EVERY_S)
        over = asyncio.Event()
        beating = asyncio.create_task(self._beat(lease, over))
        try:
            barred = await aside(self._barred, account, kind)
            if barred is not None:
                return barred
            if await self._safekeeping.restore(account):
                held = await self._vault.held(account.id)
            result = await self._drive(provider, RenewalNeed(account, kind, held, client_headers, why), lease)
            if isinstance(result, RenewalRefused):
                result = await self._second_look(account, found, result)
            if isinstance(result, RenewalRefused):
                await self.consequences(account, kind, why, result)
            return result
        finally:
            over.set()
            await beating  # one that is under way would take the lease again, behind our back
            with suppress(StoreUnavailable):  # it ends by itself
                await self._give_back(lease, account, kind)

    async def _give_back(self, lease: Lease, account: Account, kind: CredentialKind) -> None:
        """Unless what was got is not stored yet: whoever had the right then would send the token that was spent for it.

        So others wait until it is, which they see in the store, or the lease is over.
        """
        if self._vault.unstored(account.id, kind) is None:
            await aside(self._store.release, lease.key, lease.owner)

    async def _without_lease(
        self,
        provider: Provider,
        account: Account,
        kind: CredentialKind,
        why: Why,
        client_headers: tuple[tuple[str, str], ...],
    ) -> Renewed | RenewalRefused:
        """What can be had twice needs no lease, nor, once it was read, a database."""
        need = RenewalNeed(account, kind, await self._vault.held(account.id), client_headers, why)
        result = await self._drive(provider, need, lease=None)
        if isinstance(result, RenewalRefused):
            await self.consequences(account, kind, why, result)
        return result

    def _barred(self, account: Account, kind: CredentialKind) -> RenewalRefused | None:
        """What whoever had the lease before was told: it counts for everybody, as long as it counts."""
        for held in self._store.cooldowns(utcnow()):
            mine = held.account_id == account.id and held.reason.startswith(RENEWAL)
            if mine and held.scope in (WHOLE_ACCOUNT, Scope(ScopeKind.BUCKET, str(kind))):
                return RenewalRefused(held.reason.removeprefix(RENEWAL), durable=False, retry_at=held.until)
        disabled = self._store.disabled(account.id)
        if disabled is None:
            return None
        revoked = disabled.startswith(REVOKED)
        return RenewalRefused(disabled.removeprefix(REVOKED if revoked else RENEWAL), durable=True, revoked=revoked)

    async def _beat(self, lease: Lease, over: asyncio.Event) -> None:
        while True:
            try:
                await asyncio.wait_for(over.wait(), HEARTBEAT.total_seconds())
                return
            except TimeoutError:
                pass
            try:
                await aside(self._store.acquire, lease.key, lease.owner, LEASE)
            except StoreUnavailable as error:
                logger.warning("action=heartbeat-failed lease=%s: %s", lease.key, error)

    async def _second_look(
        self, account: Account, sent: Credential | None, refusal: RenewalRefused
    ) -> Renewed | RenewalRefused:
        """A refused renewal counts only if nobody has stored another login meanwhile (a person, a stalled process)."""
        if sent is None or not refusal.durable:
            return refusal
        self._vault.give_way(account.id, sent.kind)
        stored = (await self._vault.held(account.id, again=True)).get(sent.kind)
        return refusal if stored is None or stored.token == sent.token else Renewed(stored)

    async def _drive(self, provider: Provider, need: RenewalNeed, lease: Lease | None) -> Renewed | RenewalRefused:
        account, renewal = need.account, provider.renew(need, utcnow)
        of, held = (account.id, need.kind), need.held.get(need.kind)
        generation = held.generation if held is not None else 0
        said: HttpReply | bytes | None = None
        unreached = False
        try:
            while True:
                try:
                    step = renewal.send(said)
                except StopIteration as stop:
                    if not isinstance(stop.value, RenewalRefused):
                        self.counted(account.id, need.kind, "ok")
                        return await self._finish(account, stop.value, generation, lease)
                    self.counted(account.id, need.kind, stop.value.code)
                    return replace(stop.value, unreached=unreached)
                said, unreached = None, False
                match step:
                    case Keep() if step.credential.refresh_token is None and self._vault.give_way(*of):
                        raise Superseded(*of)  # what was refused is not to be put in its place
                    case Keep() if step.credential.kind is not need.kind:
                        with suppress(Superseded):  # then another process has found it as well
                            await self._keep(account, step.credential, step.credential.generation, None)
                    case Keep():
                        generation = (await self._keep(account, step.credential, generation, None)).generation
                    case Reread():
                        said = await aside(_read_file, step.path)
                    case HttpRequest():
                        asked = await self._ask(provider, account, step)
                        unreached = isinstance(asked, Unreached)
                        said = asked if isinstance(asked, HttpReply) else None
        except Superseded:
            # Somebody signed in anew, while this was under way or before: theirs stands, and it is the one to use.
            stored = (await self._vault.held(account.id, again=True)).get(need.kind)
            return Renewed(stored) if stored is not None else RenewalRefused("superseded", durable=False)

    async def _ask(self, provider: Provider, account: Account, request: HttpRequest) -> HttpReply | SideCallFailed:
        parts = urlsplit(request.url)
        origin = f"{parts.scheme}://{parts.netloc}"
        try:
            if not provider.may_receive(account, origin):
                raise SideCallFailed(f"{parts.hostname}: not a host of {account.issuer}")
            return await self._transport.send(request)
        except SideCallFailed as failure:
            logger.warning("account=%s action=side-call-failed reason=%s", account.name, failure)
            return failure

    async def _finish(self, account: Account, result: Renewed, generation: int, lease: Lease | None) -> Renewed:
        return replace(result, credential=await self._keep(account, result.credential, generation, lease))

    async def _keep(self, account: Account, credential: Credential, generation: int, lease: Lease | None) -> Credential:
        if credential.kind not in MEMORY_ONLY:
            return await self._safekeeping.keep(account, credential, generation, lease)
        self._vault.put(account.id, credential)
        return credential


async def _none(*_refused: object) -> None:
    """No consequences."""


def _not_counted(*_renewal: object) -> None:
    """Nobody counts."""


def _read_file(path: str) -> bytes | None:
    try:
        return theirs.content_of(Path(path))
    except (OSError, NotALogin, RuntimeError):  # the last: there is no home to name it by
        return None


def _same(found: Credential, refused: Credential | None) -> bool:
    return refused is not None and found.token == refused.token and found.endpoints == refused.endpoints
