"""Renews the credentials in use before they run out, so that no request has to wait for it."""

import logging
import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta

from seatpool.core.model import Account, Credential, ProviderName
from seatpool.providers.base import Provider
from seatpool.service.logins.credentials import Credentials
from seatpool.service.logins.refresher import MEMORY_ONLY
from seatpool.service.memory.inuse import InUse
from seatpool.service.memory.knowledge import Knowledge
from seatpool.service.memory.vault import Vault
from seatpool.service.tasks import Tasks

logger = logging.getLogger(__name__)

EARLY = timedelta(minutes=5)
"""Before its end, as the clients do themselves (copilot.md 2.3, codex.md 4)."""
JITTER_S = 60
"""Up to so much earlier still, so that processes and accounts do not ask all at once."""
IN_USE = timedelta(minutes=30)
"""An account that has served within this time will be asked again, most likely."""
AGAIN = timedelta(minutes=1)
"""After a renewal that did not come off; there is time for several."""


class Keeper:
    """Looks after the credentials of the accounts that this process uses."""

    def __init__(
        self,
        knowledge: Knowledge,
        vault: Vault,
        credentials: Credentials,
        providers: Mapping[ProviderName, Provider],
        owner: str,
    ) -> None:
        self._vault = vault
        self._credentials = credentials
        self._providers = providers
        self._owner = owner
        self._in_use = InUse(knowledge.state, IN_USE)
        self._waits: dict[int, datetime] = {}
        self._renewing = Tasks()

    def used(self, account_id: int, now: datetime) -> None:
        """Note that an account serves a request."""
        self._in_use.note(account_id, now)

    def look(self, now: datetime) -> None:
        """Begin the renewals that are due."""
        for account in self._in_use.some(now):
            if self._waits.get(account.id, now) <= now:
                self._waits.pop(account.id, None)
                self._look_after(account, now)

    def clock_set(self) -> None:
        """Pauses were meant by the old time."""
        self._waits.clear()

    async def drain(self) -> None:
        """Wait for the renewals that are under way (at shutdown)."""
        await self._renewing.drain()

    def _look_after(self, account: Account, now: datetime) -> None:
        for credential in self._vault.known(account.id):
            if credential.kind not in MEMORY_ONLY and self._due(account.id, credential, now):
                self._waits[account.id] = now + AGAIN
                self._renewing.begin(self._renew(account, credential))

    def _due(self, account_id: int, credential: Credential, now: datetime) -> bool:
        if credential.expires_at is None or credential.expires_at <= now:  # then a request asks for it, if one comes
            return False
        seed = f"{self._owner}/{account_id}/{credential.generation}".encode()
        return credential.expires_at - now <= EARLY + timedelta(seconds=zlib.crc32(seed) % JITTER_S)

    async def _renew(self, account: Account, credential: Credential) -> None:
        try:
            await self._credentials.keep(self._providers[account.provider], account, credential)
        except Exception:
            logger.exception("account=%s action=not-renewed-early", account.name)
