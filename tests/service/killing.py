"""Kills of processes at seeded moments."""

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]


def seeds(count: int) -> Sequence[int]:
    """All of them, or the one that `SEATPOOL_SEED` names."""
    wanted = os.environ.get("SEATPOOL_SEED")
    return range(count) if wanted is None else [int(wanted)]


class Victim:
    """One process that will be killed."""

    def __init__(self, lines: asyncio.StreamReader, pid: int) -> None:
        self.pid = pid
        self.ended = False
        self.said: list[list[Any]] = []
        self._lines = lines

    def kill(self, after_s: float = 0.0) -> None:
        """`kill -9`, now or from a thread of its own: the event loop's own clock counts whole milliseconds."""
        threading.Timer(after_s, os.kill, (self.pid, signal.SIGKILL)).start()

    async def next(self) -> list[Any]:
        """The next thing that it says."""
        self.said.append(json.loads(await self._lines.readline()))
        return self.said[-1]

    async def end(self) -> int:
        """Hear it out. Returns its exit code, -9 when it was killed."""
        while (await self.next())[0] != "ended":
            pass
        self.ended = True
        return int(self.said.pop()[1])


class Executioner:
    """Starts victims, one at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._orders, self._lines = process.stdin, process.stdout
        self._victim: Victim | None = None

    async def start(self, name: str, *arguments: object) -> Victim:
        """A new process that does what `victims` calls by this name."""
        self._orders.write(json.dumps([name, *arguments]).encode() + b"\n")
        _, pid = json.loads(await self._lines.readline())
        self._victim = Victim(self._lines, pid)
        return self._victim

    def close(self) -> None:
        """No more victims; kills the last one where it is still alive."""
        self._orders.close()
        if self._victim is not None and not self._victim.ended:
            self._victim.kill()


@asynccontextmanager
async def executioner() -> AsyncIterator[Executioner]:
    """For the length of the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "tests.service.victims"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY / 'addon'}:{REPOSITORY}"},
    )
    hangman = Executioner(process)
    try:
        yield hangman
    finally:
        hangman.close()
        await process.wait()
