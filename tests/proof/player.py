"""Plays seeds one after the other, and tells of each in a line of JSON: `python -m tests.proof.player FIRST COUNT`.

A process of its own, since in it the clock, the chances and the threads are those of the simulated world.
"""

import argparse
import ast
import hashlib
import json
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import override

from tests.proof import world
from tests.proof.mutations import MUTATIONS, Mutating

MEMORY = Path("/dev/shm")
"""Where there is one, a file there costs no disk."""


def main() -> None:
    """Until all are played, or one has failed and that is to be the end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--mutation", choices=list(MUTATIONS), help="with this fault in the product")
    parser.add_argument("--steps", action="store_true", help="tell every step that was noted, not only the last ones")
    arguments = parser.parse_args()
    spent = time.process_time
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # who listened has heard enough
    warnings.filterwarnings("ignore", "coroutine .* was never awaited")  # what the killed were about to do
    if arguments.mutation is not None:
        Mutating(MUTATIONS[arguments.mutation]).install()
    world.enter()
    from tests.proof.scene import STAGE  # after that, since it loads the product

    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        STAGE.set_up(Path(folder))
        code = code_played()
        for seed in range(arguments.first, arguments.first + arguments.count):
            began = spent()
            found = STAGE.play(seed, everything=arguments.steps)
            broken = found.verdict
            told = {
                "seed": seed,
                "code": code,
                "steps": found.steps,
                "digest": found.digest,
                "requests": found.requests,
                "served": found.served,
                "crashes": found.crashes,
                "rotations": found.rotations,
                "simulated_s": round(found.simulated_s, 3),
                "spent_s": round(spent() - began, 4),
                "broken": None if broken is None else broken.name,
                "why": None if broken is None else broken.why.replace(folder, "POOL"),
                "told": found.told if broken is not None or arguments.steps else [],
            }
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()


def code_played() -> str:
    """Of what worlds run of the product: the same for commits that change only the rest, or words about it."""
    found = hashlib.sha256()
    for name, module in sorted(sys.modules.items()):
        if name.partition(".")[0] == "seatpool" and module.__file__ is not None:
            tree = Wordless().visit(ast.parse(Path(module.__file__).read_bytes()))
            found.update(name.encode() + b"\0" + ast.unparse(tree).encode())
    return found.hexdigest()[:12]


class Wordless(ast.NodeTransformer):
    """Takes out what stands in code to be read only: comments are gone when it is parsed, this is for docstrings."""

    @override
    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) else node


if __name__ == "__main__":
    main()
