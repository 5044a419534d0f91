"""The inputs that are kept: as few as reach what all of them reach."""

from hashlib import sha256
from pathlib import Path

from scripts.fuzzing.coverage import Coverage

from tests.fuzz.targets import TARGETS

FOUND = "found-"
"""Begins the name of an input that a mistake of ours was found with; it is kept for good."""
LARGEST = 8_192
"""Bytes of a kept input."""


def read(folder: Path) -> dict[str, bytes]:
    """Inputs by file name."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*"))} if folder.is_dir() else {}


def keep(folder: Path, name: str, inputs: list[bytes], most: int) -> int:
    """Have a folder hold at most so many inputs of a target, beside those that begin with `found-`. Returns how many.

    Those that reach most that no other has reached are taken first, and of equal ones the shortest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    reached = _reached(name, sorted({data for data in inputs if len(data) <= LARGEST}, key=lambda d: (len(d), d)))
    wanted: dict[str, bytes] = {}
    seen: set[object] = set()
    while reached and len(wanted) < most:
        best = max(reached, key=lambda data: len(reached[data] - seen))  # the first of several is the shortest
        new = reached.pop(best) - seen
        if not new:
            break
        seen |= new
        wanted[sha256(best).hexdigest()[:12]] = best
    for path in folder.iterdir():
        if path.name not in wanted and not path.name.startswith(FOUND):
            path.unlink()
    for file, data in wanted.items():
        (folder / file).write_bytes(data)
    return len(wanted)


def _reached(name: str, inputs: list[bytes]) -> dict[bytes, set[tuple[str, int, int]]]:
    found = {}
    with Coverage() as coverage:
        for data in inputs:
            coverage.afresh()
            try:
                TARGETS[name].check(data)
            except Exception:  # noqa: BLE001 # told elsewhere
                continue
            found[data] = set(coverage.reached)
    return found
