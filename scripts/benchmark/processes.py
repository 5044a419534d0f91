"""What a process has used, out of /proc: nanoseconds of CPU by the scheduler's own count, and memory."""

import os
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Meter:
    """CPU of a process and of those it has started; threads that have ended keep what they had at the last look."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._seen: dict[Path, float] = {}

    def cpu_s(self) -> float:
        """User and system, since it began."""
        for pid in family(self._pid):
            for task in Path(f"/proc/{pid}/task").glob("*"):
                try:
                    self._seen[task] = _ran_s(task)
                except OSError:
                    pass  # it ended between two looks
        return sum(self._seen.values())


def memory_kb(pid: int) -> int:
    """Resident memory of a process and of those it has started."""
    return sum(map(_resident_kb, family(pid)))


def family(pid: int) -> list[int]:
    """A process and all that it has started."""
    found = [pid]
    for one in found:  # grows while it is walked
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found += map(int, children.read_text().split())
            except OSError:
                pass  # it ended between two looks
    return found


def _ran_s(task: Path) -> float:
    """Of one thread. Kernels without the scheduler's count have clock ticks."""
    try:
        return int((task / "schedstat").read_text().split()[0]) / 1e9
    except FileNotFoundError:
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def _resident_kb(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")), 0)
