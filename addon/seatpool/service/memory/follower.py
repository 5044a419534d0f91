"""Keeps what this process knows up to date: with what others write, with the clock, and rid of what is old.

A request never waits for any of it. While the database is away this goes on trying, and says so once.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from seatpool.clock import Jump, Watch, utcnow
from seatpool.core import clockwork
from seatpool.core.model import Account, Cooling
from seatpool.core.policy import Policy
from seatpool.service.memory.garbage import spare_what_stays
from seatpool.service.memory.health import Health
from seatpool.service.memory.knowledge import Knowledge
from seatpool.service.memory.vault import Vault
from seatpool.service.threads import apart
from seatpool.store import Ear, Store, StoreError

logger = logging.getLogger(__name__)

FOLLOW_EVERY_S = 0.2
"""How often the store is asked whether another process has written: the promise is 250 ms, the reading included."""
HEARD_EVERY_S = 5.0
"""The same where it tells by itself; asked all the same, for what it might have failed to tell."""
KEPT = timedelta(days=30)
"""How long choices, observations and ended cooldowns are kept; attempts as their person says."""
PRUNE_EVERY = timedelta(days=1)
SETTLED_S = 1.0
"""After the start, in which the first requests have come already: what can wait for them does."""


def _call(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    """From another thread; nothing where the loop is over."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(callback)


class Follower:
    """One per process."""

    def __init__(self, store: Store, vault: Vault, knowledge: Knowledge, policy: Policy) -> None:
        self._store = store
        self._vault = vault
        self._knowledge = knowledge
        self.ledger_days = policy.ledger_days
        self.health = Health()
        self._clock = Watch()
        self._pruned_at = utcnow()
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._ear: Ear | None = None
        self._stirred = asyncio.Event()
        """The store has told that there may be news."""
        self._looked_at = -math.inf
        self._ahead = False
        """There may be rows of the future, since the clock was set back."""
        self.clock_set: Callable[[], object] = lambda: None
        """To be called when the clock was set: others than the state remember times as well."""
        self.restore: Callable[[Iterable[Account]], Awaitable[None]] = _nothing
        """To be called when credentials were read again: the store may have lost what memory has."""

    def start(self) -> None:
        """Begin."""
        self._store.hurry()
        self._ear = self._store.listen(partial(_call, asyncio.get_running_loop(), self._stirred.set))
        self._tasks = (
            asyncio.create_task(self._follow(), name="seatpool follower"),
            asyncio.create_task(self._settle_in(), name="seatpool settling"),
        )

    async def stop(self) -> None:
        """End, with what is under way."""
        for task in self._tasks:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._ear is not None:
            await apart(self._ear.close)

    async def _follow(self) -> None:
        with suppress(StoreError):
            await self._vault.warm(self._knowledge.state.accounts)
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stirred.wait(), FOLLOW_EVERY_S)
            try:
                problem = None
                await self._look(utcnow())
            except StoreError as error:  # the pool goes on from memory while the database is away
                problem = str(error)
            except Exception as error:
                problem = f"{type(error).__name__} while the database was read"
                if self.health.problem is None:
                    logger.exception("action=follow-failed")
            self._see(problem)

    def _see(self, problem: str | None) -> None:
        """What came of a look at the database."""
        writer = self._knowledge.writer
        if self._store.trouble is not None:
            problem = self._store.trouble
            writer.look()
        self.health.see(problem, writer.waiting, writer.dropped)
        if problem is None:
            writer.dropped = 0

    async def _look(self, now: datetime) -> None:
        """Take in what others wrote, and tell them what is under way here."""
        known = self._knowledge
        jump = self._clock.jumped(now)
        if jump is not None:
            self._set_clock(jump, now)
        known.beats.look(now)
        if not self._is_due(looked_at := time.monotonic()):
            return
        self._looked_at = -math.inf  # unless it succeeds
        changes = await apart(self._store.news, known.revision)
        opened = (a for a in changes.accounts if a.id in known.state.foreign and a.open_to(known.state.person))
        if not changes.full and any(opened):
            changes = await apart(self._store.changes, None)  # nothing was kept of it so far
        self._looked_at = looked_at
        if changes.full or changes.revision != known.revision:
            known.take(changes)
            await self._vault.catch_up(changes.generations)
            await self.restore(tuple(known.state.accounts.values()))
        if self._store.trouble is None:
            await self._tidy(now)

    async def _tidy(self, now: datetime) -> None:
        """What has to be written for it comes last: to read goes on where that fails."""
        if self._ahead:
            await apart(self._store.call_back, now)
            self._ahead = False
        if now - self._pruned_at > PRUNE_EVERY:
            await self._prune()

    def _is_due(self, now: float) -> bool:
        """Whether there may be news in the store."""
        heard = self._stirred.is_set()
        self._stirred.clear()
        return heard or self._ear is None or not self._ear.hearing or now - self._looked_at >= HEARD_EVERY_S

    def _set_clock(self, jump: Jump, now: datetime) -> None:
        """Put right what is remembered by the old time, as `clockwork` has it."""
        logger.warning("action=clock-jump by_s=%.0f: limits are put right", jump.by.total_seconds())
        self._pruned_at = now
        self._ahead = self._ahead or jump.by < timedelta()
        for cooldown in clockwork.shift(self._knowledge.state, jump.by, now, jump.within):
            self._knowledge.writer.put(Cooling(cooldown))
        self.clock_set()

    async def _settle_in(self) -> None:
        await asyncio.sleep(SETTLED_S)
        spare_what_stays()
        with suppress(StoreError):
            await self._prune()

    async def _prune(self) -> None:
        self._pruned_at = utcnow()
        made = self._pruned_at - timedelta(days=self.ledger_days)
        await apart(self._store.prune, before=self._pruned_at - KEPT, attempts=made)


async def _nothing(*_accounts: object) -> None:
    """Nobody has anything to store."""
