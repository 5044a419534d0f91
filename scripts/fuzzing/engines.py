"""Where inputs come from. Both engines end by themselves, and are told nothing but what to try."""

import random
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from scripts.fuzzing.coverage import Coverage
from scripts.fuzzing.mutation import mutated
from scripts.fuzzing.trial import Trial

Tick = Callable[[], None]
"""Called about once a second."""


def available() -> list[str]:
    """Names of the engines that can be had here, the best first."""
    return ["atheris", "own"] if find_spec("atheris") is not None else ["own"]


def own(trial: Trial, folder: Path, seconds: float, seed: int, tick: Tick) -> None:
    """A loop: what reaches code that nothing before it has reached is changed further, and added to the folder."""
    chance = random.Random(seed)
    seeds = [path.read_bytes() for path in folder.iterdir()]
    kept: list[bytes] = []
    until = time.monotonic() + seconds
    ticked = time.monotonic()
    with Coverage() as coverage:

        def attempt(data: bytes) -> None:
            before = len(coverage.reached)
            if trial(data) and len(coverage.reached) > before:
                kept.append(data)

        for data in seeds:
            attempt(data)
        kept.extend(set(seeds) - set(kept))
        begun = len(kept)
        while time.monotonic() < until:
            for _ in range(64):
                # Late finds are what the present reach of the code is made of: half of the tries are about them.
                recent = kept[-12:] if chance.randrange(2) else kept
                attempt(mutated(chance.choice(recent) if recent else b"", kept, chance))
                if time.monotonic() - ticked > 1:
                    ticked = time.monotonic()
                    tick()
    for data in kept[begun:]:
        (folder / sha256(data).hexdigest()).write_bytes(data)


def atheris(trial: Trial, folder: Path, seconds: float, seed: int, tick: Tick) -> None:
    """libFuzzer, guided by what instrumented code compares. Never returns: it ends this process."""
    import atheris as engine  # in no lock: there are no wheels for every platform

    chance = random.Random(seed)
    ticked = time.monotonic()

    def attempt(data: bytes) -> None:
        nonlocal ticked
        trial(data)
        if time.monotonic() - ticked > 1:
            ticked = time.monotonic()
            tick()

    recent: list[bytes] = []

    def mutate(data: bytes, largest: int, _: int) -> bytes:
        if chance.randrange(2):
            changed: bytes = engine.Mutate(data, largest)
            return changed
        if len(recent) < 200:
            recent.append(data)
        else:
            recent[chance.randrange(200)] = data
        return mutated(data, recent, chance)[:largest]

    options: list[Any] = [f"-max_total_time={max(1, round(seconds))}", "-max_len=1000000", "-len_control=100"]
    options += ["-timeout=120", "-rss_limit_mb=4096", "-verbosity=0", "-print_final_stats=0", f"-seed={seed}"]
    engine.Setup([sys.argv[0], *options, str(folder)], attempt, custom_mutator=mutate)
    engine.Fuzz()
