"""One target, for so long, in a process of its own: an input that brings the interpreter down ends only that.

    python -m scripts.fuzzing.child fuzz TARGET ENGINE SECONDS SEED WORK
    python -m scripts.fuzzing.child keep TARGET MOST WORK FOLDER

`WORK` has a file `running` and a folder `inputs`, which grows. What there is to say comes as lines of JSON.
"""

import json
import signal
import sys
from pathlib import Path
from typing import Any

OURS = "seatpool"
INSTRUMENTED = 6.0
"""So much longer may everything take whose comparisons are watched."""


def fuzz(name: str, engine: str, seconds: float, seed: int, work: Path) -> None:
    """Try inputs; those that reach something new are added to the folder."""
    if engine == "atheris":
        import atheris

        with atheris.instrument_imports(include=[OURS]):
            import tests.fuzz.targets  # noqa: F401 # and whatever it imports of ours
    from scripts.fuzzing import engines
    from scripts.fuzzing.trial import Trial

    from tests.fuzz.targets import TARGETS

    slower = INSTRUMENTED if engine == "atheris" else 2.0
    trial = Trial(name, TARGETS[name], lambda f: _say(finding=f.shown), work / "running", slower=slower)
    run = engines.atheris if engine == "atheris" else engines.own
    run(trial, work / "inputs", seconds, seed, lambda: _say(executions=trial.executions))
    _say(executions=trial.executions)


def keep(name: str, most: int, work: Path, folder: Path) -> None:
    """Put the best of what was found into the corpus."""
    from scripts.fuzzing import corpus

    inputs = [*corpus.read(work / "inputs").values(), *corpus.read(folder).values()]
    _say(kept=corpus.keep(folder, name, inputs, most))


def _say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(argv: list[str]) -> None:
    """As the docstring above says."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started us ends us
    doing, name, *more = argv
    if doing == "fuzz":
        engine, seconds, seed, work = more
        fuzz(name, engine, float(seconds), int(seed), Path(work))
    else:
        most, work, folder = more
        keep(name, int(most), Path(work), Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
