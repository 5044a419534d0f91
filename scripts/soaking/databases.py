"""What the proxies share, and how each kind of it goes wrong."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from tests.harness import REPOSITORY, Lab, postgres

DISK, LOCK = "disk", "lock"
RESTART, CRASH, FREEZE = "server-restart", "server-crash", "server-freeze"
SIZE = "96m"
"""Of the small disk: ten minutes of records fit into it, and it is filled in a moment all the same."""


class _Shared:
    """What is common to all kinds."""

    url: str
    """For the proxies."""
    files: Path
    """Where what it keeps is, for this process, which does not see what is mounted in the lab."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    async def order(self, what: str, *arguments: str) -> Any:
        """Let `inside` do something. `RuntimeError` when it fails."""
        argv = [sys.executable, "-m", "scripts.soaking.inside", what, self.url, *arguments]
        path = os.pathsep.join(map(str, (REPOSITORY, REPOSITORY / "addon")))
        env = {"PYTHONPATH": path, "SEATPOOL_KEYRING": "off", **self.environment}
        ran = await asyncio.to_thread(self._lab.run, argv, env=env, cwd=REPOSITORY)
        if ran.returncode != 0:
            raise RuntimeError(f"{what}: {ran.stderr.strip()}")
        return json.loads(ran.stdout)

    @property
    def environment(self) -> dict[str, str]:
        """Of every process that opens it."""
        return {}

    def close(self) -> None:
        """End what it started."""


class Sqlite(_Shared):
    """A file on a small disk of its own."""

    faults = (DISK, LOCK)

    def __init__(self, lab: Lab, folder: Path) -> None:
        super().__init__(lab)
        self._disk = folder / "disk"
        self._disk.mkdir(parents=True)
        self.url = str(self._disk / "pool.db")
        self.files = Path(f"/proc/{lab.holder_pid}/root{self._disk}")
        made = lab.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "tmpfs", self._disk])
        if made.returncode != 0:
            raise RuntimeError(f"no small disk can be had: {made.stderr.strip()}")

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


class Postgres(_Shared):
    """A server of its own, reached by its Unix socket, as real as the one on another machine."""

    faults = (RESTART, CRASH, FREEZE)

    def __init__(self, lab: Lab, folder: Path) -> None:
        super().__init__(lab)
        bin_dir = postgres.binaries()
        if bin_dir is None:
            raise RuntimeError("no PostgreSQL server is installed (apt-get install postgresql)")
        self._home = folder / "people"
        self._server = postgres.Server(bin_dir, fsync=True)
        try:
            self._server.start()
            self._server.say(f"CREATE ROLE {postgres.USER} LOGIN")
            self.url = self._server.socket_url(self._server.new().rpartition("/")[2])
        except BaseException:
            self.close()
            raise
        self.files = self._server.folder

    @property
    def environment(self) -> dict[str, str]:
        """The key that encrypts what is stored is a file of the person's, the same for all of them."""
        return {"XDG_DATA_HOME": str(self._home)}

    async def fail(self, kind: str, lasts_s: float) -> None:
        """Go wrong for so long."""
        if kind == FREEZE:
            self._server.freeze()
            try:
                await asyncio.sleep(lasts_s)
            finally:
                self._server.freeze(thaw=True)
            return
        await asyncio.to_thread(self._server.stop, signal.SIGQUIT if kind == CRASH else signal.SIGINT)
        await asyncio.sleep(lasts_s)
        await asyncio.to_thread(self._server.start)

    async def wrong(self) -> str | None:
        """It looks after itself: reading everything was the test."""
        return None

    def close(self) -> None:
        """End it, and take away what it kept."""
        self._server.remove()


DATABASES = {"sqlite": Sqlite, "postgres": Postgres}
