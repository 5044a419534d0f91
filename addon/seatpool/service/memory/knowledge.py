"""What this process knows of the pool, written to the store that others read it from.

Whatever changes who may be asked is durable before a client sees what follows from it: other processes and the next
start know it as well.
What merely informs (attempts, quota, last use) goes to the writer. While the database is away, memory goes on alone.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial

from msgspec.structs import replace

from seatpool.clock import utcnow
from seatpool.core import clockwork, strikes
from seatpool.core.ended import Ended
from seatpool.core.explain import Glimpse
from seatpool.core.guesses import Guesses
from seatpool.core.locks import Lock
from seatpool.core.model import Account, Attempt, Carried, Cooldown, Cooling, ProviderName, QuotaWindow, Scope
from seatpool.core.policy import Policy
from seatpool.core.provenance import Provenance
from seatpool.core.state import PoolState
from seatpool.service.afterwards import say
from seatpool.service.memory.affinities import Affinities
from seatpool.service.memory.beats import Beats
from seatpool.service.memory.durable import Durable
from seatpool.service.memory.meters import Meters
from seatpool.service.memory.probes import Probes
from seatpool.service.memory.vault import Vault
from seatpool.service.memory.writer import Disabled, Writer
from seatpool.service.threads import aside
from seatpool.store import Changes, Store, StoreError

logger = logging.getLogger(__name__)


def _nobody_minds() -> None:
    """Nothing follows."""


class Knowledge:
    """The pool's state in memory, written through to the store; a `Follower` feeds it with what others write there."""

    def __init__(
        self, store: Store, vault: Vault, policy: Policy, owner: str, writer: Callable[[Store], Writer] = Writer
    ) -> None:
        """`owner` names this process, and no other one."""
        self.state = PoolState()
        self.state.person = store.team.person
        self.state.follow(policy, utcnow())
        self.state.caps.most = policy.max_in_flight
        self._store = store
        self._vault = vault
        self.writer = writer(store)
        self._durable = Durable(self.writer)
        self._probes = Probes(store, self.state)
        self._guesses = Guesses()
        self._ended: dict[tuple[int, Scope], Cooldown] = {}
        """Which cooldown of an account's part was ended here last: that may not have been written yet."""
        self.affinities = Affinities(self.state, self.writer.put)
        self.provenance = Provenance()
        self.beats = Beats(self.state, self.writer.put, owner)
        self.locks: dict[str, Lock] = {}
        """What has one value in every proxy on this database."""
        self.relocked: Callable[[], None] = _nobody_minds
        """To be called when `locks` has changed."""
        self.meters = Meters()
        self.revision = -1
        """Of the last change that is known; before the first look there is none."""
        self.changed: Callable[[], None] = _nobody_minds
        """To be called when an account may be asked no longer."""

    def load(self) -> None:
        """Read everything from the store (blocking; at start), and begin to write there."""
        self.take(self._store.changes(None))
        self.writer.start()  # not before: a proxy tries again and again to open a database that cannot be read

    async def stop(self) -> None:
        """Write what is queued, and what is being written beside the queue."""
        await self.drain_probes()
        await self._durable.drain()
        self.beats.end(utcnow())
        await aside(self.writer.close)

    async def drain_probes(self) -> None:
        """Wait until the rights to try cooldowns that are being asked for were given or not."""
        await self._probes.drain()

    @property
    def roster(self) -> dict[ProviderName, int]:
        """How many accounts there are that a person has not taken out."""
        return {name: self.state.usable[name] for name in ProviderName}

    def observe(self, account_id: int, windows: tuple[QuotaWindow, ...]) -> None:
        """Take in quota windows that some answer told."""
        if windows:
            for window in self.state.observe(account_id, windows, windows[0].observed_at):
                self.writer.put((account_id, window))
            self._probes.look(account_id)

    def funded(self, account_id: int, seen_at: datetime) -> None:
        """Take in that something else pays for what the account's windows lack."""
        self._probes.look(account_id, seen_at)

    def record(self, attempt: Attempt) -> None:
        """Note an attempt and its outcome; returns at once."""
        self.meters.attempt(attempt)
        self.writer.put(attempt)

    def flush(self, timeout_s: float) -> bool:
        """Blocking: have written what was noted so far. Whether it was in time."""
        return self.writer.flush(timeout_s)

    def ended(self, over: Ended) -> None:
        """Note a request that is over; returns at once."""
        self.meters.ended(over)
        self.writer.put(over)

    def note(self, seen: Glimpse) -> None:
        """Note a choice, for `seatpool why`; returns at once."""
        self.writer.put(seen)

    def gave(self, account_id: int, keys: Iterable[int], now: datetime) -> None:
        """Note what an account gave out that nobody else can read; returns at once."""
        news = self.provenance.learn(keys, account_id, now.timestamp())
        if news:
            self.writer.put(Carried(account_id, news, now))

    def strikes(self, account_id: int, scope: Scope, asked_at: datetime) -> int:
        """Which limit without a time in a row it is that met a request sent at `asked_at`."""
        return strikes.count(self.state.cooldowns.get(account_id, {}).get(scope), asked_at)

    def succeeded(
        self, account_id: int, scopes: Iterable[Scope], asked_at: datetime, probe: Cooldown | None = None
    ) -> None:
        """A request for these scopes, sent at `asked_at`, was served; `probe` is the cooldown that it was to try."""
        known = self.state.cooldowns.get(account_id)
        if not known:
            return
        now = utcnow()
        over = strikes.settled(known, scopes, asked_at, now)
        if probe is not None and known.get(probe.scope) == probe:
            over = (probe, *(c for c in over if c != probe))
        for cooldown in over:
            self.state.lift(account_id, cooldown.scope, now)
            self._probes.lifted(account_id, cooldown.scope)
            self._end(cooldown)

    def absolve(self, account_id: int, scope: Scope, reason: str, since: datetime) -> None:
        """Take back our guess, made after `since`, at how long a limit holds: it was not this account's.

        A limit with a time of its own that the guess has hidden holds on.
        """
        held = self.state.cooldowns.get(account_id, {}).get(scope)
        if held is None or held.reason != reason or held.created_at < since:
            return
        now = utcnow()
        guessed, told = self._guesses.take_back(held)
        if guessed:
            told = told if told is not None and told.until > now else None
            self.state.lift(account_id, scope, now)
            if told is not None:
                self.state.cool(told, now)
            self._end(held, told)

    def _end(self, cooldown: Cooldown, follower: Cooldown | None = None) -> None:
        """Write that it is over, and what holds from then on; returns at once."""
        self._ended[cooldown.account_id, cooldown.scope] = cooldown
        self.writer.put(Cooling(follower, cooldown))

    async def cool(self, account: Account, scope: Scope, reason: str, until: datetime, struck: int = 0) -> None:
        """Take an account, or a part of it, out of the choice until then.

        `struck`: strikes with this one, 0 where it is none; those of before are remembered all the same.
        """
        now = utcnow()
        held = self.state.cooldowns.get(account.id, {}).get(scope)
        remembered = struck or (held.strikes if held is not None else 0)
        cooldown = Cooldown(account.id, scope, reason, until, now, remembered)
        self._guesses.note(cooldown, held, guessed=struck > 0)
        self.state.cool(cooldown, now)
        self.meters.cooled(account.id, scope.kind.value, reason)
        self.changed()
        part = f" {scope.kind}={scope.value}" if scope.value else ""
        say(
            logger.warning,
            "account=%s action=cooldown%s until=%s reason=%s",
            account.name,
            part,
            until.isoformat("T", "seconds"),
            reason,
        )
        # Where that which was ended still stands, this one would be nothing new, and would go with it.
        change = Cooling(cooldown, self._ended.get((account.id, scope)))
        write = partial(self._store.cool, cooldown, instead_of=change.ends)
        await self._durable.make(write, change, "account=%s action=cooldown-not-stored reason=%s", account.name)

    async def disable(self, account: Account, reason: str) -> None:
        """Take an account out of the choice until a person acts."""
        held = self.state.accounts.get(account.id)
        if held is not None:  # else it has gone meanwhile, or is not this person's any more
            self.state.put(replace(held, disabled=reason), utcnow())
        self.changed()
        logger.warning("account=%s action=disabled reason=%s", account.name, reason)
        row = Disabled(account.id, reason, utcnow())
        write = partial(self._store.disable, account.id, reason, row.at)
        await self._durable.make(write, row, "account=%s action=disable-not-stored reason=%s", account.name)

    async def learn_plan(self, account: Account, plan: str | None) -> None:
        """Note the plan that the issuer named."""
        if plan is None or plan == self.state.accounts.get(account.id, account).plan:
            return
        try:
            self.state.put(await aside(self._store.set_plan, account.id, plan), utcnow())
        except StoreError as error:
            logger.warning("account=%s action=plan-not-stored reason=%s", account.name, type(error).__name__)

    def take(self, changes: Changes) -> None:
        """What the store has now, as far as it was changed."""
        now = utcnow()
        before, shut = self.roster, len(self.state.foreign)
        others = {a.id for a in changes.accounts if self._is_another(a)} if changes.full else set()
        if changes.full:
            names = {a.id for a in changes.accounts} - others
            self.meters.forget([i for i in self.state.accounts if i not in names])
            self.state.forget_all_but(names)
        for account in changes.accounts:
            self.state.put(account, now)
        known = self.state.accounts
        if changes.full or len(self.state.foreign) > shut:
            self._vault.forget_all_but(known.keys() - others)
            self.provenance.forget_all_but(known.keys() - others)
        for account_id, scope in changes.cleared:
            self.state.lift(account_id, scope, now)
            self._probes.lifted(account_id, scope)
        for cooldown in changes.cooldowns:
            if cooldown.account_id in known:
                self.state.cool(clockwork.sensible(cooldown, now), now)
        for account_id, window in changes.windows:
            if account_id in known:
                self.state.observe(account_id, (window,), now)
        self.affinities.hear((held for held in changes.affinities if held.account_id in known), now)
        for given in changes.carriers:
            if given.account_id in known:
                self.provenance.learn(given.keys, given.account_id, given.learnt_at.timestamp())
        self._relock(changes)
        self.beats.hear(changes, now)
        if self.revision >= 0:  # at the start nobody was refused yet
            for account_id in {account_id for account_id, _ in changes.windows if account_id in known}:
                self._probes.look(account_id)
        if self.roster != before and self.revision >= 0:
            logger.info("action=pool %s", " ".join(f"{name}={count}" for name, count in self.roster.items()))
        self.revision = changes.revision
        self.changed()

    def _is_another(self, account: Account) -> bool:
        """Whether one of that number is known that is somebody else, as where another database is in ours' place."""
        known = self.state.accounts.get(account.id)
        return known is not None and (known.provider, known.identity) != (account.provider, account.identity)

    def _relock(self, changes: Changes) -> None:
        before = dict(self.locks)
        if changes.full:
            self.locks.clear()
        for lock in changes.locks:
            if lock.value is not None:
                self.locks[lock.name] = lock
            else:
                self.locks.pop(lock.name, None)
        if self.locks != before:
            self.relocked()
