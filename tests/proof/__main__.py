"""Plays seeds: `python -m tests.proof FIRST COUNT`."""

import faulthandler
import sys
import tempfile
import time
from pathlib import Path

real = time.process_time
from tests.proof import world  # noqa: E402

faulthandler.dump_traceback_later(100, exit=True)
if "-m" in sys.argv:
    from tests.proof.mutations import MUTATIONS, Mutating

    Mutating(MUTATIONS[sys.argv[sys.argv.index("-m") + 1]]).install()
world.enter()
from tests.proof.scene import STAGE  # noqa: E402

first, count = int(sys.argv[1]), int(sys.argv[2])
with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
    STAGE.set_up(Path(folder))
    began = real()
    steps = 0
    for seed in range(first, first + count):
        found = STAGE.play(seed)
        steps += found.steps
        if "-v" in sys.argv or found.verdict is not None:
            print(seed, found.steps, found.digest, found.requests, found.served, found.crashes, found.rotations, f"{found.simulated_s:.0f}", found.verdict)
        if found.verdict is not None:
            for line in found.told:
                print(f"  {line[0]:9.4f} {line[1]:10} {line[2]}")
            if "-k" not in sys.argv:
                break
    took = real() - began
    print(f"{seed - first + 1} seeds, {steps} steps, {took:.1f} s: {took / (seed - first + 1) * 1000:.1f} ms each")
