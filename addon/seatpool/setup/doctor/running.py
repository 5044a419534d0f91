"""Runs checks beside each other: one that hangs or crashes is a finding, and keeps no other one from its own."""

import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from seatpool.setup.doctor.check import Check
from seatpool.setup.doctor.finding import Finding, problem, theirs
from seatpool.setup.doctor.situation import Situation

STEP_S = 0.2
"""How often whoever waits is told."""


class Result(msgspec.Struct, frozen=True):
    """What one check has found."""

    check: str
    findings: tuple[Finding, ...]


class _Run:
    def __init__(self, check: Check, situation: Situation) -> None:
        self.check = check
        self.findings: tuple[Finding, ...] | None = None
        self.again = theirs(f"seatpool doctor --only {check.name}")
        self._situation = situation
        self.thread = threading.Thread(target=self._look, name=f"check {check.name}", daemon=True)
        self.thread.start()

    def _look(self) -> None:
        try:
            self.findings = tuple(self.check.look(self._situation))
        except PermissionError as error:
            self.findings = (problem(f"{error.filename}: {error.strerror}; is HOME another user's?", self.again),)
        except Exception as error:  # noqa: BLE001 # whatever it is, the others count as well
            self.findings = (problem(f"this check failed itself: {_in_words(error)}; please report it", self.again),)


def run(
    checks: Iterable[Check], situation: Situation, waiting: Callable[[Sequence[str], float], None]
) -> Iterator[Result]:
    """In the order of the table. `waiting` hears the names of what is not done, and for how long already."""
    runs = [_Run(check, situation) for check in checks]
    steps = 0  # of time: no clock that somebody may have set
    for each in runs:
        while each.thread.is_alive() and steps * STEP_S < each.check.limit_s:
            each.thread.join(STEP_S)
            if each.thread.is_alive():
                steps += 1
                waiting([run.check.name for run in runs if run.thread.is_alive()], steps * STEP_S)
        late = problem(f"this check is not done after {each.check.limit_s} s, and was left alone", each.again)
        yield Result(each.check.name, each.findings if each.findings is not None else (late,))


def _in_words(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno}"
