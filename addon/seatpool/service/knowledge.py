"""What this process knows of the pool, and the store that others read it from.

Whatever changes who may be asked is durable before anything follows from it: other processes and the next start see it.
What merely informs (attempts, quota, last use) goes to the writer. While the database is away, memory goes on alone.
"""

import asyncio
import gc
import logging
from dataclasses import replace
from datetime import datetime, timedelta

from seatpool.clock import utcnow
from seatpool.core.model import Account, Attempt, Cooldown, ProviderName, QuotaWindow, Scope
from seatpool.core.policy import Policy
from seatpool.core.state import PoolState
from seatpool.service.vault import Vault
from seatpool.service.writer import Writer
from seatpool.store import Changes, Store, StoreError

logger = logging.getLogger(__name__)

FOLLOW_EVERY_S = 0.25
"""How often the store is asked whether another process has written: the promise is 250 ms."""
KEPT = timedelta(days=30)
"""How long attempts and ended cooldowns are kept."""


class Knowledge:
    """The pool's state in memory, written through to the store and fed by what other processes write there."""

    def __init__(self, store: Store, vault: Vault, policy: Policy) -> None:
        self.state = PoolState(policy.order)
        self._store = store
        self._vault = vault
        self._writer = Writer(store)
        self._revision = -1
        """Of the last change that is known; before the first look there is none."""
        self._follower: asyncio.Task[None] | None = None

    def load(self) -> None:
        """Read everything from the store (blocking; at start)."""
        self._take(self._store.changes(None))

    def start(self) -> None:
        """Begin to follow what other processes write."""
        self._follower = asyncio.create_task(self._follow(), name="seatpool follower")

    async def stop(self) -> None:
        """Stop following, and write what is queued."""
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)
        await asyncio.to_thread(self._writer.close)

    @property
    def roster(self) -> dict[ProviderName, int]:
        """How many accounts there are that a person has not taken out."""
        return {name: self.state.usable[name] for name in ProviderName}

    def observe(self, account_id: int, windows: tuple[QuotaWindow, ...]) -> None:
        """Take in quota windows that some answer told."""
        if windows:
            for window in self.state.observe(account_id, windows, windows[0].observed_at):
                self._writer.put((account_id, window))

    def record(self, attempt: Attempt) -> None:
        """Note an attempt and its outcome; returns at once."""
        self._writer.put(attempt)

    async def cool(self, account: Account, scope: Scope, reason: str, until: datetime) -> None:
        """Take an account, or a part of it, out of the choice until then."""
        now = utcnow()
        cooldown = Cooldown(account.id, scope, reason, until, now)
        self.state.cool(cooldown, now)
        part = f" {scope.kind}={scope.value}" if scope.value else ""
        logger.warning(
            "account=%s action=cooldown%s until=%s reason=%s",
            account.name,
            part,
            until.isoformat("T", "seconds"),
            reason,
        )
        try:
            await asyncio.to_thread(self._store.cool, cooldown)
        except StoreError as error:  # memory knows; a database that is away must not cost the request
            logger.warning(
                "account=%s action=cooldown-not-stored reason=%s: %s", account.name, type(error).__name__, error
            )

    async def disable(self, account: Account, reason: str) -> None:
        """Take an account out of the choice until a person acts."""
        self.state.put(replace(self.state.accounts.get(account.id, account), disabled=reason), utcnow())
        logger.warning("account=%s action=disabled reason=%s", account.name, reason)
        try:
            await asyncio.to_thread(self._store.disable, account.id, reason, utcnow())
        except StoreError as error:
            logger.warning(
                "account=%s action=disable-not-stored reason=%s: %s", account.name, type(error).__name__, error
            )

    async def learn_plan(self, account: Account, plan: str | None) -> None:
        """Note the plan that the issuer named."""
        if plan is None or plan == self.state.accounts.get(account.id, account).plan:
            return
        try:
            self.state.put(await asyncio.to_thread(self._store.set_plan, account.id, plan), utcnow())
        except StoreError as error:
            logger.warning("account=%s action=plan-not-stored reason=%s", account.name, type(error).__name__)

    async def _follow(self) -> None:
        await self._settle_in()
        failing = False
        while True:
            await asyncio.sleep(FOLLOW_EVERY_S)
            try:
                changes = await asyncio.to_thread(self._store.news, self._revision)
                if changes.revision != self._revision:
                    self._take(changes)
                    await self._vault.catch_up(changes.generations)
                failing = False
            except StoreError as error:  # the pool goes on from memory while the database is away
                if not failing:
                    logger.warning("action=follow-failed reason=%s: %s", type(error).__name__, error)
                failing = True

    async def _settle_in(self) -> None:
        try:
            await self._vault.warm()
            # What is in memory by now stays: with many accounts, looking through it again and again is what costs.
            gc.freeze()
            await asyncio.to_thread(self._store.prune, before=utcnow() - KEPT)
        except StoreError as error:
            logger.warning("action=settling-in-failed reason=%s: %s", type(error).__name__, error)

    def _take(self, changes: Changes) -> None:
        now = utcnow()
        before = self.roster
        if changes.full:
            names = {a.id for a in changes.accounts}
            self.state.forget_all_but(names)
            self._vault.forget_all_but(names)
        for account in changes.accounts:
            self.state.put(account, now)
        for account_id, scope in changes.cleared:
            self.state.lift(account_id, scope, now)
        for cooldown in changes.cooldowns:
            self.state.cool(cooldown, now)
        for account_id, window in changes.windows:
            self.state.observe(account_id, (window,), now)
        if self.roster != before and self._revision >= 0:
            logger.info("action=pool %s", " ".join(f"{name}={count}" for name, count in self.roster.items()))
        self._revision = changes.revision
