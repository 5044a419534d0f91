"""A person's own systemd, in namespaces of its own: what is started there is seen nowhere else, and dies with it."""

import functools
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.harness.namespace import clean_environment, end_process

MANAGER = Path("/usr/lib/systemd/systemd")
_RUNTIME = "/run/user/seatpool"
_NAMESPACES = ("-m", "-n", "-C", "-p", "-f", "--kill-child", "--mount-proc")
_PREPARE = f"""
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system {_RUNTIME}
chmod 700 {_RUNTIME}
mount -t cgroup2 none /sys/fs/cgroup
ip link set lo up
"""
_BEGIN = f"""
{MANAGER} --user --log-target=console --log-level=info >"$1" 2>&1 &
echo ready
wait
"""
PATIENCE_S = 20


@functools.cache
def why_no_session() -> str | None:
    """The reason why a `Session` cannot be had here; None where it can."""
    missing = [tool for tool in ("unshare", "nsenter", "ip", "mount", "systemctl") if shutil.which(tool) is None]
    if missing or not MANAGER.exists():
        return f"no {', '.join(missing) or MANAGER} on this machine"
    tried = subprocess.run(["unshare", *_NAMESPACES, "sh", "-c", _PREPARE], capture_output=True, check=False)
    return None if tried.returncode == 0 else "this user may not make the namespaces that systemd needs"


class Session:
    """`with Session(home) as session:` the manager answers when the block begins."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.log = home.with_name(f"{home.name}-session.log")
        """What the manager and everything that it starts have said."""
        self._process: subprocess.Popen[str] | None = None
        self._inside = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            ["unshare", *_NAMESPACES, "sh", "-c", _PREPARE + _BEGIN, "session", str(self.log)],
            env=self._environment(),
            cwd=self.home,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        (self._inside,) = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        deadline = time.monotonic() + PATIENCE_S
        while self.run("systemctl", "--user", "is-system-running").stdout.strip() not in ("running", "degraded"):
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            end_process(self._process, signal.SIGKILL)

    def run(self, *argv: str | Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program in there to its end."""
        return subprocess.run(
            [*self._enter(), *map(str, argv)],
            env=self._environment(env),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def wait_log(self, text: str, timeout_s: float = PATIENCE_S) -> None:
        """Until somebody has said it; `AssertionError`, with what was said, when nobody does."""
        deadline = time.monotonic() + timeout_s
        while text not in self.log.read_text():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def _enter(self) -> Sequence[str]:
        return "nsenter", "-t", self._inside, "-m", "-n", "-C", "-p", "--"

    def _environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {name: value for name, value in clean_environment().items() if not name.startswith(("XDG_", "DBUS_"))}
        return {**kept, "HOME": str(self.home), "XDG_RUNTIME_DIR": _RUNTIME, **(extra or {})}
