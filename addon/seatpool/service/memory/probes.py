"""Lets one request try an account whose cooldown newer news speaks against.

Once until that cooldown's end, over all processes, unless it has served: where upstream's numbers and its refusals
contradict each other, nobody is to be asked again and again. With a file, once more when the machine was started anew.
"""

import logging
import os
import secrets
from contextlib import suppress
from datetime import datetime

from seatpool.clock import utcnow
from seatpool.core.evidence import refuted
from seatpool.core.model import Cooldown, Scope
from seatpool.core.state import PoolState
from seatpool.service.tasks import Tasks
from seatpool.service.threads import aside
from seatpool.store import Store, StoreError

logger = logging.getLogger(__name__)

Key = tuple[int, Scope]


class Probes:
    """Decides in which process, if in any, a cooldown is tried out."""

    def __init__(self, store: Store, state: PoolState) -> None:
        self._store = store
        self._state = state
        self._owner = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._tried: dict[Key, datetime] = {}
        """What this process has asked for the right to try, and until when not again."""
        self._asking = Tasks()

    def look(self, account_id: int, funded_at: datetime | None = None) -> None:
        """There is news of an account's quota: ask for the right to try it where that speaks against a cooldown.

        `funded_at`: when it was seen that something else pays for what its windows lack.
        """
        cooldowns = self._state.cooldowns.get(account_id)
        if not cooldowns:
            return
        now = utcnow()
        for cooldown in cooldowns.values():
            key = (account_id, cooldown.scope)
            if (
                cooldown.until > now
                and key not in self._tried
                and refuted(cooldown, self._state.windows.get(account_id, {}), funded_at)
            ):
                self._tried = {k: until for k, until in self._tried.items() if until > now} | {key: cooldown.until}
                self._asking.begin(self._open(cooldown))

    def lifted(self, account_id: int, scope: Scope) -> None:
        """A cooldown has ended before its time: the next one may be tried as well, until whenever the last one was."""
        if self._tried.pop((account_id, scope), None) is not None:
            self._asking.begin(self._give_back(_lease(account_id, scope)))

    async def drain(self) -> None:
        """Wait for what is under way (at shutdown)."""
        await self._asking.drain()

    async def _give_back(self, key: str) -> None:
        with suppress(StoreError):  # then it is over when that cooldown would have been
            await aside(self._store.release, key, self._owner)

    async def _open(self, cooldown: Cooldown) -> None:
        key = _lease(cooldown.account_id, cooldown.scope)
        try:
            ours = await aside(self._store.acquire, key, self._owner, cooldown.until - utcnow())
        except StoreError as error:  # another process may be trying it: then nobody does
            logger.warning("action=no-probe reason=%s: %s", type(error).__name__, error)
            return
        if ours and self._state.open_probe(cooldown, utcnow()):
            name = self._state.accounts[cooldown.account_id].name
            logger.info("account=%s action=probe reason=%s", name, cooldown.reason)


def _lease(account_id: int, scope: Scope) -> str:
    return f"probe:{account_id}:{scope.kind}:{scope.value}"
