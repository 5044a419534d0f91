"""A real `mitmdump`, with the pool or with next to nothing."""

import os
import re
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from seatpool.providers.registry import certified_names
from seatpool.setup.authority import IN_USE, Authority
from tests.harness.namespace import REPOSITORY, Lab, clean_environment, end_process
from tests.upstream.hosts import TENANT

POOL_ADDON = REPOSITORY / "addon" / "pool.py"
_BARE_ADDON = """\
def responseheaders(flow):
    if flow.response.headers.get("content-type", "text/event-stream").startswith("text/event-stream"):
        flow.response.stream = True
"""
_ANNOUNCER = Path(__file__).with_name("announce_start.py")
_STARTED = "^start-up is over$"
_LISTENING = r"proxy.* listening at \S*:(\d+)"


class Mitmdump:
    """`with Mitmdump(tmp_path, lab=lab, upstream_ca=fake.ca) as proxy:` listens when the block begins.

    With a `lab` on its port 8080, else on a free port. Its home, configuration and database are in `folder`, so that a
    second start after `kill` finds what the first one left. `bare`: no pool, only streaming. `program`: or mitmweb.
    """

    def __init__(
        self,
        folder: Path,
        *,
        lab: Lab | None = None,
        upstream_ca: Path | None = None,
        bare: bool = False,
        addon: Path = POOL_ADDON,
        options: Mapping[str, str] | None = None,
        arguments: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
        program: str = "mitmdump",
    ) -> None:
        self._program = program
        self.folder = folder
        self.port = 8080 if lab else 0
        self.database: Path | str = folder / "pool.db"
        self.ca = folder / "confdir" / "mitmproxy-ca-cert.pem"
        """What its clients have to trust."""
        self._log: list[str] = []
        self._lab = lab
        places = {f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("CONFIG", "DATA", "STATE", "CACHE")}
        places["XDG_RUNTIME_DIR"] = str(folder / "runtime")
        self._env = {"HOME": str(folder), "PYTHONUNBUFFERED": "1", **places, **(env or {})}
        self._addon = folder / "bare_addon.py" if bare else addon
        self._bare = bare
        self._options = {
            "listen_host": "127.0.0.1",
            "confdir": str(folder / "confdir"),
            "pool_db": str(self.database),
            **(options or {}),
        }
        if upstream_ca is not None:
            self._options["ssl_verify_upstream_trusted_ca"] = str(upstream_ca)
        if bare:
            del self._options["pool_db"]
        self._arguments = arguments
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._pipe: int | None = None
        """What it writes, for as long as it may write more."""
        self._rest = b""
        self._news = threading.Condition()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def log(self) -> list[str]:
        """Every line that it has written by now, over all starts."""
        with self._news:
            self._take()
        return self._log

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return "127.0.0.1", self.port

    @property
    def url(self) -> str:
        """For proxy variables and curl."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None, "it is not running"
        return self._process.pid

    def start(self, timeout_s: float = 30) -> None:
        """Start and wait until it listens; `RuntimeError` with its log when it ends instead."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "runtime").mkdir(exist_ok=True)
        if self._bare:
            self._addon.write_text(_BARE_ADDON)
        elif self._options["confdir"] == str(self.ca.parent) and not (self.ca.parent / IN_USE).exists():
            # As `seatpool run` does it: whatever is tested with the pool is tested with an authority that has bounds.
            Authority(self.ca.parent).keep(certified_names([TENANT]), datetime.now(UTC))
        since = len(self.log)
        self._process = self._spawn(self._command())
        assert self._process.stdout is not None
        self._pipe = os.dup(self._process.stdout.fileno())
        self._reader = threading.Thread(target=self._read, args=(self._pipe,), daemon=True)
        self._reader.start()
        try:
            self.wait_log(_STARTED, timeout_s, since=since)
            found = self.wait_log(_LISTENING, timeout_s, since=since)
        except AssertionError as error:
            self.stop()
            raise RuntimeError(f"mitmdump did not start:\n{error}") from None
        self.port = int(found[1])

    def stop(self, number: int = signal.SIGINT) -> int:
        """End it as Ctrl-C does, or by another signal. Returns the exit code; 0 when it was not running."""
        return self._end(number)

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._end(signal.SIGKILL)

    def wait_log(self, pattern: str, timeout_s: float = 10, *, since: int = 0) -> re.Match[str]:
        """Wait for a line that has `pattern` in it; `AssertionError`, with the log, when none comes."""

        def found() -> re.Match[str] | None:
            return next((match for line in self.log[since:] if (match := re.search(pattern, line))), None)

        with self._news:
            self._news.wait_for(lambda: found() or self._pipe is None, timeout_s)
            if match := found():
                return match
        raise AssertionError(f"no line with {pattern!r} in:\n" + "\n".join(self.log[since:]))

    @property
    def running(self) -> bool:
        """Whether it was started and not ended."""
        return self._process is not None

    def wait_last_log(self, kind: str, pattern: str, timeout_s: float = 10) -> None:
        """Wait until the last line of a kind matches `pattern`; `AssertionError`, with that line, when it does not."""

        def last() -> str:
            return next((line for line in reversed(self.log) if re.search(kind, line)), "")

        with self._news:
            if not self._news.wait_for(lambda: re.search(pattern, last()), timeout_s):
                raise AssertionError(f"no {pattern!r} in {last()!r}")

    def _command(self) -> list[str]:
        mitmdump = Path(sys.executable).with_name(self._program)
        options = [part for name, value in self._options.items() for part in ("--set", f"{name}={value}")]
        return [
            str(mitmdump),
            "--listen-port",
            str(self.port),
            "-s",
            str(self._addon),
            "-s",
            str(_ANNOUNCER),
            *options,
            *self._arguments,
        ]

    def _spawn(self, argv: list[str]) -> subprocess.Popen[str]:
        pipes: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "text": True,
        }
        if self._lab is not None:
            return self._lab.popen(argv, env=self._env, cwd=self.folder, **pipes)
        environment = clean_environment(self._env)
        return subprocess.Popen(argv, env=environment, cwd=self.folder, start_new_session=True, **pipes)

    def _read(self, pipe: int) -> None:
        waiting = select.poll()
        waiting.register(pipe, select.POLLIN)
        while self._pipe == pipe:
            waiting.poll(1000)
            with self._news:
                self._take()
        os.close(pipe)

    def _take(self) -> None:
        """Read what is there, for a test that looks before the thread has come to it. With the lock held."""
        ready = select.poll()
        if self._pipe is not None:
            ready.register(self._pipe, select.POLLIN)
        while self._pipe is not None and ready.poll(0):
            data = os.read(self._pipe, 1 << 16)
            if not data:
                self._pipe = None
                data = b"\n" if self._rest else b""
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._log += [line.decode(errors="replace") for line in lines]
            self._news.notify_all()

    def _end(self, number: int) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        if self._reader is not None:
            self._reader.join(timeout=10)
            self._pipe = None
        return self._lab.end(process, number) if self._lab else end_process(process, number)
