"""The network, the fakes, the proxies, and the faults as they happen to them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.soaking import observer, world
from scripts.soaking.databases import DATABASES
from scripts.soaking.plan import KILL, Fault

from tests.harness import REPOSITORY, Lab, Mitmdump, Network
from tests.upstream import Control

OPTIONS = {
    "flow_detail": "0",
    "pool_learn": "false",
    "pool_usage_poll": "false",
    "pool_strategy": "round-robin",
}
DROPPED_PERCENT = 30
BACK_S = 3.0
"""Until every proxy has found a database that is back."""
_RULES = """
table inet soak {{
  chain incoming {{
    type filter hook input priority filter; policy accept;
    tcp dport {{ 443, {ports} }} numgen random mod 100 < {percent} drop
    tcp sport {{ 443, {ports} }} numgen random mod 100 < {percent} drop
  }}
}}
"""


@dataclass(slots=True)
class Window:
    """A fault from its beginning until everything is as before."""

    kind: str
    proxy: int | None
    begin: float
    end: float | None = None
    """None while it lasts."""

    def touches(self, begin: float, end: float, grace_s: float = 0) -> bool:
        """Whether something between two moments may have met it."""
        return self.begin <= end and begin <= (self.end or end) + grace_s


class Stage:
    """Everything that runs, and what befell it."""

    def __init__(self, lab: Lab, folder: Path, proxies: int, database: str) -> None:
        self.lab, self.folder = lab, folder
        self._upstream_folder = folder / "upstream"
        self._upstream_folder.mkdir()
        (self._upstream_folder / "world.json").write_text(json.dumps(world.script()))
        self._control = Path(os.environ.get("TMPDIR", "/tmp"), f"soak-{os.getpid()}.control")
        self._upstream: subprocess.Popen[Any] | None = None
        self.fakes = Control(self._control, self._upstream_folder / "fake-ca.pem")
        self.start_upstream()
        self.database = DATABASES[database](lab, folder)
        self.proxies = [self._proxy(number) for number in range(proxies)]
        self.windows: list[Window] = []
        self._busy = {number: asyncio.Lock() for number in [None, *range(proxies)]}
        """One fault at a time for each proxy, and for what all share."""

    # -- what runs

    def _proxy(self, number: int) -> Mitmdump:
        folder = self.folder / f"proxy-{number}"
        folder.mkdir()
        proxy = Mitmdump(
            folder,
            lab=self.lab,
            upstream_ca=self.fakes.ca,
            options={**OPTIONS, "pool_db": self.database.url},
            arguments=("-s", str(Path(observer.__file__))),
            env={"SEATPOOL_KEYRING": "off", observer.PATH: str(folder / "o"), **self.database.environment},
        )
        proxy.port = 8080 + number
        return proxy

    def start_upstream(self) -> None:
        """Or start it again: it goes on where it was."""
        argv = [sys.executable, "-m", "scripts.soaking.upstream", self._upstream_folder, self._control]
        env = {"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'addon'}"}
        self._upstream = self.lab.popen(argv, cwd=REPOSITORY, env=env, stdout=subprocess.PIPE)
        assert self._upstream.stdout is not None
        if not self._upstream.stdout.readline():
            raise RuntimeError("the fake upstreams did not start; see their message above")

    def end_upstream(self) -> None:
        """In good order."""
        if self._upstream is not None:
            self.lab.end(self._upstream)
            self._upstream = None

    @property
    def stores(self) -> bool:
        """Whether nothing ails the database, nor has of late."""
        ills = (window for window in self.windows if window.kind in self.database.faults)
        return all(window.end is not None and time.time() - window.end > BACK_S for window in ills)

    async def start(self) -> None:
        """Sign everybody in, and start all proxies."""
        await self.database.order("sign-in", str(self.folder / "logins"))
        await asyncio.gather(*(asyncio.to_thread(proxy.start, 60) for proxy in self.proxies))

    async def network(self, number: int) -> Network:
        """One new connection to a proxy, for a client of ours."""
        proxy = self.proxies[number]
        raw = await asyncio.to_thread(self.lab.connect, *proxy.address)
        return Network(proxy.ca, proxy.address, lambda *_: raw)

    def page_token(self, number: int) -> Path:
        """Where a proxy keeps what proves that a person may act on its page."""
        home = self.database.environment.get("XDG_DATA_HOME", self.proxies[number].folder / "data")
        return Path(home, "seatpool", "page-token")

    def journal(self) -> list[dict[str, Any]]:
        """Every request that the fakes have seen to its end."""
        return [json.loads(line) for line in (self._upstream_folder / "journal.jsonl").open()]

    def memory_kib(self, number: int) -> tuple[int, int] | None:
        """Process and resident memory of a proxy; None while it is away."""
        try:
            pid = self.proxies[number].pid
            status = Path(f"/proc/{pid}/status").read_text()
        except (AssertionError, OSError):
            return None
        return next(((pid, int(line.split()[1])) for line in status.splitlines() if line.startswith("VmRSS")), None)

    async def observed(self, number: int) -> dict[str, Any]:
        """What a proxy has under way: see `observer`."""
        reader, writer = await asyncio.open_unix_connection(self.proxies[number].folder / "o")
        writer.write(b"look\n")
        seen: dict[str, Any] = json.loads(await reader.readline())
        writer.close()
        await writer.wait_closed()
        return seen

    # -- what befalls it

    async def suffer(self, fault: Fault) -> None:
        """Let a fault happen, and wait until it is over."""
        async with self._busy[fault.proxy]:
            with self._window(fault):
                await self._happen(fault)

    async def _happen(self, fault: Fault) -> None:
        match fault.kind:
            case "kill" | "stop":
                assert fault.proxy is not None
                await self._strike(self.proxies[fault.proxy], fault)
            case "packets":
                await self._lose_packets(fault.lasts_s)
            case "upstream":
                await asyncio.to_thread(self.end_upstream)
                await asyncio.sleep(fault.lasts_s)
                await asyncio.to_thread(self.start_upstream)
            case kind:
                await self.database.fail(kind, fault.lasts_s)

    async def _strike(self, proxy: Mitmdump, fault: Fault) -> None:
        if fault.kind == KILL:
            await asyncio.to_thread(proxy.kill)
            await asyncio.sleep(fault.lasts_s)
            await asyncio.to_thread(proxy.start, 60)
        else:
            os.kill(proxy.pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(fault.lasts_s)
            finally:
                os.kill(proxy.pid, signal.SIGCONT)

    async def _lose_packets(self, lasts_s: float) -> None:
        ports = ", ".join(str(proxy.port) for proxy in self.proxies)
        rules = _RULES.format(ports=ports, percent=DROPPED_PERCENT)
        ran = await asyncio.to_thread(self.lab.run, ["nft", "-f", "-"], stdin=rules)
        if ran.returncode != 0:
            raise RuntimeError(f"no packets can be dropped here: {ran.stderr.strip()}")
        try:
            await asyncio.sleep(lasts_s)
        finally:
            await asyncio.to_thread(self.lab.run, ["nft", "delete", "table", "inet", "soak"])

    @contextmanager
    def _window(self, fault: Fault) -> Iterator[None]:
        window = Window(fault.kind, fault.proxy, time.time())
        self.windows.append(window)
        try:
            yield
        finally:
            window.end = time.time()

    async def stop(self) -> None:
        """All proxies, in good order; then everything that they had to say is written."""
        await asyncio.gather(*(asyncio.to_thread(proxy.stop) for proxy in self.proxies))

    def close(self) -> None:
        """What has no end of its own."""
        self.database.close()
        self._control.unlink(missing_ok=True)
