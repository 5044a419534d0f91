"""What a simulated world is like, and what has befallen it so far."""

import math
from dataclasses import dataclass
from random import Random
from typing import Self

from seatpool.clock import JUMP

ORDERLY_S = 0.02
"""What one process writes, others read in time where the database takes no longer than that."""


@dataclass
class Weather:
    """Of everything but upstream, which has its `Mood`."""

    slow: float
    """How long the database takes, in seconds."""
    locked: float
    """Share of the transactions that find it locked."""
    killing: float
    """Chance that a process dies at the beginning or the end of one."""
    skew_s: float
    """By how much the processes' clocks differ at most."""
    orderly: bool
    """What one process writes, others read in time."""
    quiet: bool = False
    """No faults any more."""
    away_until: float = 0.0
    """The database can be used by nobody until then."""
    complete: bool = True
    """No process has ended without writing what it had to: killed, or while the database was away or failed."""
    moved_nobody: bool = False
    """Somewhere limits move nobody, or did for a while."""
    unreached_at: float = -math.inf
    """When a connection was refused last: to try is an attempt as well."""
    ordered_at: float = -math.inf
    """When a person chose another order last."""
    set_at: float = -math.inf
    """When the clock was set last."""
    drift_s: float = 0.0
    """By how much it was set, all in all, where that was too little to be noticed."""
    crashes: int = 0

    @classmethod
    def drawn(cls, random: Random) -> Self:
        """By chance."""
        slow = random.choice((0.002, 0.002, 0.02, 0.15))
        locked = random.choice((0.0, 0.0, 0.01, 0.05))
        killing = random.choice((0.0, 0.0, 0.002, 0.006))
        skew_s = random.choice((0.0, 0.0, 0.5, 2.0))
        return cls(slow, locked, killing, skew_s, orderly=locked == 0.0 and slow <= ORDERLY_S)

    @property
    def steady(self) -> bool:
        """The database has failed nobody by now."""
        return not self.locked and not self.away_until

    def clock_set(self, by_s: float, now: float) -> None:
        """It was, just now."""
        self.set_at = now
        self.drift_s += abs(by_s) if abs(by_s) <= JUMP.total_seconds() else 0.0
