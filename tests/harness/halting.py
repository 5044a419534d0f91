"""Runs tests while their processes are halted for moments: `./scripts/test --halting [PYTEST ARGUMENTS]`.

As on a machine that has other things to do. What rests on two things being near each other in time shows then, be it in
a test or in the product. Linux.
"""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from scripts.benchmark.processes import family

AT_ONCE = 2
"""Processes that stand still at the same time."""
HALT_S = (0.05, 0.6)
"""How long, at least and at most."""
APART_S = (0.0, 0.5)
"""Between two halts."""


def main() -> int:
    """Until they are over; what pytest says is what is said."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever stands still is to go on
    with subprocess.Popen([sys.executable, "-m", "pytest", *sys.argv[1:]]) as pytest:
        try:
            while pytest.poll() is None:
                _halt_some(pytest.pid)
                time.sleep(random.uniform(*APART_S))
        except KeyboardInterrupt:
            pass  # of Ctrl-C pytest has heard as well; else it goes on to its end, and nobody stands still any more
    return pytest.returncode


def _halt_some(root: int) -> None:
    there = [pid for pid in family(root) if _is_ours(pid)]
    halted = [pid for pid in random.sample(there, min(AT_ONCE, len(there))) if _tell(pid, signal.SIGSTOP)]
    try:
        time.sleep(random.uniform(*HALT_S))
    finally:
        for pid in halted:
            _tell(pid, signal.SIGCONT)


def _is_ours(pid: int) -> bool:
    """Whether Python runs there, and was not halted by a test."""
    with suppress(OSError):
        runs = b"python" in Path(f"/proc/{pid}/cmdline").read_bytes()
        return runs and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T"
    return False


def _tell(pid: int, what: signal.Signals) -> bool:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, what)
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
