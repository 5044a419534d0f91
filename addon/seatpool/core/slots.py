"""Places at an account: who holds one, and how many there are.

A flow holds one place at most, from the choice of an account until every way out. How many requests an account serves
at a time nobody tells, so it is learnt as a network learns its rate: halved at a refusal for being too many at once,
one more after some successes at the limit. No limit is assumed before the first such refusal.

Upstream counts what all processes ask of an account, so each tells the others how many requests it has under way.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from seatpool.core.model import UnderWay

BEAT = timedelta(seconds=3)
"""A process that has requests under way says so at least so often."""
EXPIRES = 3 * BEAT
"""Who was not heard for so long was killed, or cannot write: its requests count no more."""


class Ledger(Protocol):
    """Counts the requests in flight of each account."""

    def acquire(self, account_id: int, now: datetime) -> None:
        """One more."""

    def release(self, account_id: int, now: datetime) -> None:
        """One less."""


class Slot(msgspec.Struct):
    """The place of one flow. Every method may be called at any time and any number of times."""

    account_id: int | None = None
    busy: bool = False
    """False where the flow holds no place, and between the turns of a WebSocket, which then keeps nobody waiting."""

    def take(self, ledger: Ledger, account_id: int, now: datetime) -> None:
        """Hold a place at this account, and none at another."""
        if account_id != self.account_id:
            self.rest(ledger, now)
            self.account_id = account_id
        self.resume(ledger, now)

    def resume(self, ledger: Ledger, now: datetime) -> None:
        """A turn begins."""
        if self.account_id is not None and not self.busy:
            self.busy = True
            ledger.acquire(self.account_id, now)

    def rest(self, ledger: Ledger, now: datetime) -> bool:
        """A turn is over. Whether that has freed a place."""
        if self.account_id is None or not self.busy:
            return False
        self.busy = False
        ledger.release(self.account_id, now)
        return True

    def free(self, ledger: Ledger, now: datetime) -> bool:
        """The flow is over. Whether that has freed a place."""
        freed = self.rest(ledger, now)
        self.account_id = None
        return freed


def is_heard(told: UnderWay, now: datetime) -> bool:
    """Whether who told it still has it under way. What is of the future was told before the clock was set back."""
    return abs(now - told.beat_at) < EXPIRES


class Elsewhere:
    """What other processes have under way. Mutable, yet pure."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        """By account id."""
        self._told: tuple[UnderWay, ...] = ()

    def hear(self, told: Iterable[UnderWay], now: datetime) -> set[int]:
        """Take these for all there are. Returns the ids of the accounts whose number is another one now."""
        self._told = tuple(each for each in told if is_heard(each, now))
        before, self.counts = self.counts, Counter()
        for each in self._told:
            self.counts.update(each.counts)
        return {i for i in before.keys() | self.counts.keys() if before[i] != self.counts[i]}

    def fade(self, now: datetime) -> set[int]:
        """Forget those that are heard no longer. Returns as `hear`."""
        return set() if all(is_heard(each, now) for each in self._told) else self.hear(self._told, now)


class _Cap(msgspec.Struct):
    limit: int
    since: datetime
    """When it was lowered last."""
    successes: int = 0
    """At the limit, since it was changed."""


class Caps:
    """How many places each account has. Mutable, yet pure."""

    def __init__(self, most: int = 0) -> None:
        self.most = most
        """What a person allows each account; 0: no bound."""
        self._learnt: dict[int, _Cap] = {}

    def limit(self, account_id: int) -> int | None:
        """Places of an account; None where no bound is known."""
        cap = self._learnt.get(account_id)
        if cap is None:
            return self.most or None
        return min(cap.limit, self.most) if self.most else cap.limit

    @property
    def unbounded(self) -> bool:
        """No account has a bound."""
        return not self.most and not self._learnt

    def refuse(self, account_id: int, in_flight: int, asked_at: datetime, now: datetime) -> bool:
        """The account refused one of `in_flight` requests, sent at `asked_at`, for being too many. Whether that is new.

        Those that were under way together and are refused one after the other lower the limit once.
        """
        cap = self._learnt.get(account_id)
        if cap is not None and asked_at <= cap.since:
            return False
        self._learnt[account_id] = _Cap(max(1, in_flight // 2), now)
        return True

    def succeed(self, account_id: int, in_flight: int, needed: int) -> bool:
        """One of `in_flight` requests was served; after `needed` at the limit there is one place more. Whether so."""
        cap = self._learnt.get(account_id)
        if cap is None or in_flight < cap.limit:
            return False
        cap.successes += 1
        if cap.successes < needed:
            return False
        cap.limit, cap.successes = cap.limit + 1, 0
        return True

    def age(self, righted: Callable[[datetime], datetime]) -> None:
        """The clock was set; `righted`: what a moment of before is called now."""
        for cap in self._learnt.values():
            cap.since = righted(cap.since)

    def forget(self, account_id: int) -> None:
        """The account is gone."""
        self._learnt.pop(account_id, None)
