"""One input: what is wrong with it, and how long it took."""

import os
import sys
import time
import traceback
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.targets import Target

ALLOWED_S = 0.25
SHOWN = 12
"""Lines of a traceback."""
SHRINKING_S = 5.0


class Finding(NamedTuple):
    """An input that a target does not survive."""

    target: str
    what: str
    """One line."""
    trace: str
    data: bytes

    @property
    def shown(self) -> dict[str, str]:
        """As JSON."""
        return {**self._asdict(), "data": b64encode(self.data).decode()}


class Trial:
    """Tries inputs on one target; of several that fail at the same place the first is told."""

    def __init__(
        self, name: str, target: Target, told: Callable[[Finding], None], running: Path, *, slower: float = 1.0
    ) -> None:
        """`running` holds the input under way, for who finds this process dead."""
        self.name = name
        self.executions = 0
        self._running = os.open(running, os.O_RDWR | os.O_CREAT)
        self._target = target
        self._told = told
        self._slower = slower
        self._known: set[object] = set()

    def __call__(self, data: bytes) -> bool:
        """Whether it is survived."""
        self.executions += 1
        os.pwrite(self._running, len(data).to_bytes(4) + data, 0)
        began = time.thread_time()
        try:
            self._target.check(data)
        except Exception as error:  # noqa: BLE001 # whatever it is, it is a finding
            self._failed(data, error)
            return False
        took_s = time.thread_time() - began
        allowed_s = self._slower * (ALLOWED_S + len(data) * self._target.slow_us / 1e6)
        if took_s > allowed_s:
            if "slow" not in self._known:
                self._known.add("slow")
                what = f"{took_s:.2f} s for {len(data)} bytes, {allowed_s:.2f} s allowed"
                self._told(Finding(self.name, what, "", data))
            return False
        return True

    def _failed(self, data: bytes, error: Exception) -> None:
        key = _place(error)
        if key in self._known:
            return
        self._known.add(key)
        data, error = self._smaller(data, error)
        _, file, line = key
        lines = "".join(traceback.format_exception(error)).splitlines()
        what = f"{type(error).__name__} at {Path(file).name}:{line}: {str(error)[:200]}"
        self._told(Finding(self.name, what, "\n".join(lines[-SHOWN:]), data))

    def _smaller(self, data: bytes, error: Exception) -> tuple[bytes, Exception]:
        """As little of the input as fails at the same place, within some seconds."""
        until, size = time.monotonic() + SHRINKING_S, len(data) // 2
        while size and time.monotonic() < until:
            at = 0
            while at < len(data) and time.monotonic() < until:
                shorter = data[:at] + data[at + size :]
                try:
                    self._target.check(shorter)
                except Exception as same:  # noqa: BLE001 # all of them are of interest
                    if _place(same) == _place(error):
                        data, error = shorter, same
                        continue
                at += size
            size //= 2
        return data, error


def _place(error: Exception) -> tuple[type[Exception], str, int]:
    """By what two failures are the same: kind, file and line, of our code where they came through it."""
    frames = traceback.extract_tb(error.__traceback__)
    place = next((f for f in reversed(frames) if "/seatpool/" in f.filename), frames[-1])
    return type(error), place.filename, place.lineno or 0


def under_way(running: Path) -> bytes:
    """The input that was tried last."""
    content = running.read_bytes() if running.exists() else b""
    return content[4 : 4 + int.from_bytes(content[:4])]


def replay(target: Target, data: bytes) -> int:
    """Try one input again, with all that is known of its failure. Returns the exit code."""
    began = time.thread_time()
    try:
        target.check(data)
    except Exception:  # noqa: BLE001 # whatever it is, it is a finding
        traceback.print_exc()
        return 1
    print(f"survived: {len(data)} bytes in {time.thread_time() - began:.3f} s", file=sys.stderr)
    return 0
