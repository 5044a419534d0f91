"""What the proxies share, and how each kind of it goes wrong."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.harness import REPOSITORY, Lab

DISK, LOCK = "disk", "lock"
SIZE = "24m"


class Sqlite:
    """A file on a small disk of its own."""

    faults = (DISK, LOCK)

    def __init__(self, lab: Lab, folder: Path) -> None:
        self._lab = lab
        self._disk = folder / "disk"
        self.url = str(self._disk / "pool.db")
        """For the proxies."""
        self._disk.mkdir(parents=True)
        made = lab.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "tmpfs", self._disk])
        if made.returncode != 0:
            raise RuntimeError(f"no small disk can be had: {made.stderr.strip()}")

    @property
    def files(self) -> Path:
        """Where all of it is, for this process, which does not see what is mounted in the lab."""
        return Path(f"/proc/{self._lab.holder_pid}/root{self._disk}")

    async def order(self, what: str, *arguments: str) -> Any:
        """Let `inside` do something. `RuntimeError` when it fails."""
        argv = [sys.executable, "-m", "scripts.soaking.inside", what, self.url, *arguments]
        path = os.pathsep.join(map(str, (REPOSITORY, REPOSITORY / "addon")))
        env = {"PYTHONPATH": path, "SEATPOOL_KEYRING": "off"}
        ran = await asyncio.to_thread(self._lab.run, argv, env=env, cwd=REPOSITORY)
        if ran.returncode != 0:
            raise RuntimeError(f"{what}: {ran.stderr.strip()}")
        return json.loads(ran.stdout)

    async def fail(self, kind: str, lasts_s: float) -> None:
        """Go wrong for so long."""
        if kind == LOCK:
            await self.order("hold", str(lasts_s))
            return
        fill = self._disk / "fill"
        try:
            await asyncio.to_thread(self._lab.run, ["sh", "-c", f"cat /dev/zero > '{fill}'"])
            await asyncio.sleep(lasts_s)
        finally:
            await asyncio.to_thread(self._lab.run, ["rm", "-f", str(fill)])

    async def wrong(self) -> str | None:
        """What the database itself finds wrong with it."""
        return None if await self.order("is-whole") else "SQLite finds the file damaged"

    def close(self) -> None:
        """Nothing runs here."""


DATABASES = {"sqlite": Sqlite}
