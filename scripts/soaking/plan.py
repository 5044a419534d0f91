"""Which fault comes when, out of a seed: the same seed gives the same plan."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

KILL, STOP, PACKETS, UPSTREAM = "kill", "stop", "packets", "upstream"
OF_A_PROXY = (KILL, STOP)
"""These befall one proxy; the others befall everybody."""
LASTS_S = {KILL: (0.2, 2.0), STOP: (0.5, 6.0), PACKETS: (0.5, 3.0), UPSTREAM: (0.2, 2.0)}
"""From its beginning until it is mended; what was killed or ended takes longer to be back."""
OF_THE_DATABASE_S = (1.5, 5.0)
MEAN_GAP_S = 3.5
"""From one beginning to the next: sometimes the next one comes before the last one is over."""
FIRST_S, LAST_S = 3.0, 8.0
"""Calm at the beginning, and at the end."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong."""

    at: float
    """Seconds from the start."""
    kind: str
    proxy: int | None
    lasts_s: float


def plan(seed: int, seconds: float, proxies: int, of_the_database: Sequence[str]) -> list[Fault]:
    """All faults in their order. Each kind comes once before any comes twice."""
    drawn = random.Random(seed)
    at, faults = FIRST_S, []
    waiting: list[str] = []
    while True:
        if not waiting:
            waiting = [*LASTS_S, *of_the_database]
            drawn.shuffle(waiting)
        kind = waiting.pop()
        lasts = drawn.uniform(*LASTS_S.get(kind, OF_THE_DATABASE_S))
        if at + lasts > seconds - LAST_S:
            return faults
        proxy = drawn.randrange(proxies) if kind in OF_A_PROXY else None
        faults.append(Fault(round(at, 2), kind, proxy, round(lasts, 2)))
        at += min(drawn.expovariate(1 / MEAN_GAP_S), 3 * MEAN_GAP_S)
