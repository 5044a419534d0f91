"""Asks issuers about the accounts that this process uses: for quota that answers have not told lately, and for models.

And, more slowly, about those that it would use had they any quota left: whether there is some again.

One process asks at a time, by a lease; an issuer that refuses is left alone for as long as it says, and longer each
time.
"""

import asyncio
import logging
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from seatpool.clock import utcnow
from seatpool.core.model import Account, ProviderName
from seatpool.core.selection import REVOKED, Demand
from seatpool.providers.base import Provider
from seatpool.providers.sidecalls import Held, NotTold
from seatpool.service.asking.errands import Errand
from seatpool.service.asking.resting import Resting
from seatpool.service.logins.credentials import Credentials
from seatpool.service.logins.refresher import MEMORY_ONLY, Sender
from seatpool.service.memory.inuse import InUse
from seatpool.service.memory.knowledge import Knowledge
from seatpool.service.memory.vault import Vault
from seatpool.service.network.transport import SideCallFailed
from seatpool.service.threads import apart
from seatpool.store import Store, StoreError

logger = logging.getLogger(__name__)

ACTIVE = timedelta(minutes=5)
"""An account that has served within this time is in use (codex.md 8); one that was passed over in it is missed."""
AT_ONCE = 2
"""Questions under way. With a look every ten seconds that is a dozen in a minute, however many accounts there are."""
JITTER_S = 30
"""Up to so much later than it could be, so that processes and accounts do not ask all at once."""
LOOK_AGAIN = timedelta(seconds=30)
"""While another process asks; what it is told comes here by itself."""
FIRST_PAUSE = timedelta(minutes=3)
LONGEST_PAUSE = timedelta(hours=1)
"""After refusals in a row; each pause is twice the one before."""

Key = tuple[str, int]
"""Name of the errand, id of the account."""


class Poller:
    """Looks after what is known of the accounts in use."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        knowledge: Knowledge,
        credentials: Credentials,
        transport: Sender,
        providers: Mapping[ProviderName, Provider],
        owner: str,
        errands: Sequence[Errand],
        of_resting: Sequence[Errand] = (),
    ) -> None:
        self._store = store
        self._vault = vault
        self._knowledge = knowledge
        self._credentials = credentials
        self._transport = transport
        self._providers = providers
        self._owner = owner
        self._errands = errands
        self._of_resting = of_resting
        self._in_use = InUse(knowledge.state, ACTIVE)
        self._resting = Resting(knowledge.state, ACTIVE)
        self._waits: dict[Key, datetime] = {}
        self._trouble: dict[Key, int] = {}
        """How often in a row an issuer has not told."""
        self._running: dict[Key, asyncio.Task[None]] = {}

    def used(self, account_id: int, now: datetime) -> None:
        """Note that an account serves."""
        self._in_use.note(account_id, now)

    def wanted(self, demand: Demand, now: datetime) -> None:
        """Note that a request looks for an account: whoever rests for want of quota may be passed over by it."""
        self._resting.note(demand, now)

    def look(self, now: datetime) -> None:
        """Begin what is due; what is asked about accounts in use comes first."""
        for some, errands in ((self._in_use.some, self._errands), (self._resting.some, self._of_resting)):
            for account in some(now):
                for errand in errands:
                    self._look_after(errand, account, now)

    def clock_set(self) -> None:
        """Pauses were meant by the old time. Whom an issuer refused is kept away by the lease, all the same."""
        self._waits.clear()

    async def stop(self) -> None:
        """Leave what is under way: nothing is lost with it."""
        running = tuple(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def drain(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._running.values())

    def _look_after(self, errand: Errand, account: Account, now: datetime) -> None:
        key = (errand.name, account.id)
        if (
            len(self._running) >= AT_ONCE
            or key in self._running
            or self._waits.get(key, now) > now
            or not errand.due(account, now, self._jitter(key))
        ):
            return
        task = asyncio.create_task(self._go(errand, account, now), name=f"seatpool {errand.name}")
        self._running[key] = task
        task.add_done_callback(lambda _: self._running.pop(key, None))

    def _jitter(self, key: Key) -> timedelta:
        return timedelta(seconds=zlib.crc32(f"{self._owner}/{key}".encode()) % JITTER_S)

    async def _go(self, errand: Errand, account: Account, now: datetime) -> None:
        key = (errand.name, account.id)
        try:
            result = await self._ask(errand, account, now)
        except (SideCallFailed, StoreError) as error:
            result = NotTold(f"{type(error).__name__}: {error}")
        except Exception as error:
            if key not in self._trouble:
                logger.exception("account=%s action=%s-not-read", account.name, errand.name)
            result = NotTold(type(error).__name__)
        if isinstance(result, NotTold):
            await self._back_off(errand, account, result)
        elif result and self._trouble.pop(key, 0):
            logger.info("account=%s action=%s-read-again", account.name, errand.name)

    async def _ask(self, errand: Errand, account: Account, now: datetime) -> NotTold | bool:
        """Whether the issuer was asked, and told; or why it did not."""
        provider, key = self._providers[account.provider], (errand.name, account.id)
        client = self._credentials.client_headers(provider.name)
        held = self._held(account)
        request = errand.request(provider, account, held, client, now)
        if request is None and errand.renews:
            self._waits[key] = now + errand.every
            await self._renew(account, now)
            held = self._held(account)
            request = errand.request(provider, account, held, client, now)
        if request is None:
            return False
        if not await self._lease(key, errand.lease):
            self._waits[key] = now + LOOK_AGAIN
            return False
        self._waits[key] = now + errand.every
        if await errand.told_already(account, now):
            return False
        parts = urlsplit(request.url)
        if not provider.may_receive(account, f"{parts.scheme}://{parts.netloc}"):
            return NotTold("foreign-host")
        asked_at = utcnow()
        problem = await errand.take(provider, account, held, await self._transport.send(request), asked_at)
        if problem is None and not errand.shared:
            await apart(self._store.release, _lease(key), self._owner)
        return problem or True

    def _held(self, account: Account) -> Held:
        return {credential.kind: credential for credential in self._vault.known(account.id)}

    async def _renew(self, account: Account, now: datetime) -> None:
        for credential in self._vault.known(account.id):
            over = credential.expires_at is not None and credential.expires_at <= now
            if over and credential.kind not in MEMORY_ONLY:
                await self._credentials.keep(self._providers[account.provider], account, credential)

    async def _back_off(self, errand: Errand, account: Account, problem: NotTold) -> None:
        """Leave the issuer alone for a while, in every process; say so once."""
        key, now = (errand.name, account.id), utcnow()
        times = self._trouble[key] = self._trouble.get(key, 0) + 1
        until = now + min(FIRST_PAUSE * 2 ** min(times - 1, 10), LONGEST_PAUSE)
        until = self._waits[key] = max(until, problem.retry_at or until)
        if times == 1:
            logger.warning("account=%s action=%s-not-read reason=%s", account.name, errand.name, problem.code)
        if problem.revoked:
            await self._knowledge.disable(account, REVOKED + problem.code)
        with suppress(StoreError):
            await self._lease(key, until - now)

    async def _lease(self, key: Key, length: timedelta) -> bool:
        return bool(await apart(self._store.acquire, _lease(key), self._owner, length))


def _lease(key: Key) -> str:
    return f"{key[0]}:{key[1]}"
