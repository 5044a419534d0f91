"""Tells a person what happens while nobody looks: each thing once, whichever of several processes sees it.

Off a request's way: what is told is found in a dictionary, and the rest happens in the background. Among processes a
claim on the notice decides, which lasts as long as it is not to be told again.
"""

import logging
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from seatpool.clock import utcnow
from seatpool.core import notices
from seatpool.core.model import Account
from seatpool.core.notices import Expiry, Kind, Notice
from seatpool.core.outcome import Outcome
from seatpool.core.policy import Policy
from seatpool.core.recovery import RULES, Decision
from seatpool.core.selection import BOUND, Exhausted, able_otherwise
from seatpool.core.state import PoolState
from seatpool.service.logins.refresher import Sender
from seatpool.service.memory.meters import Meters
from seatpool.service.tasks import Tasks
from seatpool.service.telling.desktop import Desktop, NotDelivered
from seatpool.service.telling.webhook import Webhook
from seatpool.service.threads import apart
from seatpool.service.trail import Trail
from seatpool.store import Store, StoreError, StoreUnavailable

logger = logging.getLogger(__name__)

AGAIN = timedelta(minutes=5)
"""After one that reached nobody."""
LAST_S = 2.0
"""For what is being sent when the proxy ends."""
REMEMBERED = 500
"""Notices; those that may be told again are forgotten then, and the oldest."""


class Way(Protocol):
    """How a notice gets to a person."""

    name: str

    async def deliver(self, notice: Notice) -> None:
        """Raises `NotDelivered`."""


def _unknown() -> Expiry | None:
    return None


class Notices:
    """One per process."""

    def __init__(self, store: Store, state: PoolState, meters: Meters, transport: Sender) -> None:
        self._store = store
        self._state = state
        self._meters = meters
        self._transport = transport
        self._ways: tuple[Way, ...] = ()
        self._told: dict[str, datetime] = {}
        self._out: set[int] | None = None
        """Accounts that were out of use at the last look; None before the first."""
        self._sending = Tasks()
        self.expiry: Callable[[], Expiry | None] = _unknown
        """The end of the certificate authority in use, where that is known."""

    def follow(self, policy: Policy) -> None:
        """Tell in the ways that the person wants."""
        ways: list[Way] = []
        if policy.notify_desktop:
            ways.append(Desktop())
        if policy.webhook:
            ways.append(Webhook(policy.webhook, self._transport))
        self._ways = tuple(ways)

    async def stop(self, within_s: float = LAST_S) -> None:
        """Wait for what is being sent; not for somebody who takes long to hear it."""
        await self._sending.end(within_s)

    # -- what happens

    def switched(self, account: Account, outcome: Outcome, decision: Decision, to: Account | None) -> None:
        """An account refused, and another one serves; `to`: None where that is not known yet."""
        if self._ways and RULES[outcome.kind].limit and to != account:
            name = to.name if to is not None else None
            self.tell(notices.switched(account, outcome.scope, outcome.code, decision.until, name, utcnow()))

    def exhausted(self, trail: Trail, found: Exhausted) -> None:
        """Nobody could be asked."""
        if self._ways and found.limited and not found.full and found.soonest is not None and found.reason != BOUND:
            now, asked = utcnow(), trail.asked or trail.facts
            model = asked.model if able_otherwise(self._state, trail.demand, now) else None
            self.tell(notices.exhausted(asked.route.provider, found.soonest, now, model))

    def look(self) -> None:
        """Tell of accounts that are out of use, and of the certificate's end."""
        if not self._ways:
            return
        now, out = utcnow(), set()
        for account in tuple(self._state.accounts.values()):
            if account.disabled is not None:
                out.add(account.id)
                self.tell(notices.taken_out(account, account.disabled, now))
        back = [i for i in self._state.accounts if i not in out and (self._out is None or i in self._out)]
        self._out = out
        if back:
            self._take_back([f"notice:{Kind.DISABLED}:{account_id}" for account_id in back])
        expiry = self.expiry()
        notice = notices.expiring(expiry, now) if expiry is not None else None
        if notice is not None:
            self.tell(notice)

    def tell(self, notice: Notice) -> None:
        """Send it, unless that has been done; returns at once."""
        now, key = utcnow(), notice.key
        told = self._told.get(key)
        if told is not None and told > now:
            return
        if len(self._told) >= REMEMBERED:
            self._told = {key: until for key, until in self._told.items() if until > now}
            for old in tuple(self._told)[: max(0, len(self._told) + 1 - REMEMBERED)]:
                del self._told[old]  # the claim knows it all the same
        self._told[key] = notice.again_at
        self._sending.begin(self._send(notice, self._ways))

    # -- inside

    async def _send(self, notice: Notice, ways: tuple[Way, ...]) -> None:
        owner = secrets.token_hex(8)
        try:
            if not await apart(self._store.claim, notice.key, owner, notice.again_at):
                return
        except StoreUnavailable:
            pass  # nobody else can be asked; in this process it is told once all the same
        reached = [await self._deliver(way, notice) for way in ways]
        if any(reached):
            return
        self._told[notice.key] = utcnow() + AGAIN
        try:
            await apart(self._store.release, notice.key, owner)
        except StoreError:
            pass  # then it counts as told

    async def _deliver(self, way: Way, notice: Notice) -> bool:
        try:
            await way.deliver(notice)
        except NotDelivered as failure:
            logger.warning("action=notice-failed kind=%s way=%s reason=%s", notice.kind, way.name, failure)
            self._meters.noticed(notice.kind, "failed")
            return False
        logger.info("action=notice kind=%s way=%s", notice.kind, way.name)
        self._meters.noticed(notice.kind, "sent")
        return True

    def _take_back(self, keys: list[str]) -> None:
        for key in keys:
            self._told.pop(key, None)
        self._sending.begin(self._free(keys))

    async def _free(self, keys: list[str]) -> None:
        try:
            await apart(self._store.free, keys)
        except StoreError as error:
            logger.info("action=notice-not-taken-back reason=%s", type(error).__name__)
