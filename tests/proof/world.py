"""Puts the simulated world in the place of the real one, before anything of the product is loaded.

Nothing of the product is replaced: only what it asks of Python and of the machine. So a process that has called `enter`
is good for simulations and for nothing else.
"""

import gc
import os
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.proof.loop import Loop

PID = 4242


class Here:
    """Where the simulated world is; it has a new loop and new chances with every seed."""

    def __init__(self) -> None:
        self.loop = Loop(0)
        self.chance = random.Random(0)

    def begin(self, seed: int) -> Loop:
        """Everything from the beginning."""
        self.loop = Loop(seed)
        self.chance = random.Random(~seed)
        return self.loop


HERE = Here()


class Moment(datetime):
    """`datetime`, by the clock of whoever asks."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
        return datetime.fromtimestamp(HERE.loop.wall(), tz)


def moment() -> datetime:
    """What the clock of whoever asks says."""
    return datetime.fromtimestamp(HERE.loop.wall(), UTC)


def tidy(*, settle: bool, collect: Callable[[], int] = gc.collect, freeze: Callable[[], None] = gc.freeze) -> None:
    """Let go of what is left of worlds that are over.

    Between two worlds alone: what the killed had under way ends with it, and that is to be in nobody's world. What
    processes see to by themselves, as ours do at their start, would be too much for so many of them. `settle`: what is
    there now stays for good, and is not looked at again.
    """
    collect()
    if settle:
        freeze()


def enter() -> None:
    """From now on."""
    os.environ["SEATPOOL_KEYRING"] = "off"
    clock: Callable[..., float] = lambda *_: HERE.loop.up()  # noqa: E731 # no method: it is called without an instance
    time.monotonic = time.perf_counter = time.clock_gettime = clock
    time.time = lambda: HERE.loop.wall()
    os.urandom = random._urandom = lambda size: HERE.chance.randbytes(size)  # type: ignore[attr-defined]
    os.getpid = lambda: PID
    from seatpool import clock as asked

    asked.datetime = Moment  # type: ignore[misc] # it looks the name up whenever it is asked
    gc.disable()
    gc.collect, gc.freeze = lambda generation=2: 0, lambda: None
