"""A private network and mount namespace in which the fakes answer to their real names on their real port."""

import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.upstream.control import Control
from tests.upstream.hosts import FAKE_HOSTS

REPOSITORY = Path(__file__).resolve().parents[2]
_HOLDER = Path(__file__).with_name("holder.py")
_SET_UP = """
set -e
ip link set lo up
mount --bind "$1" /etc/hosts
[ ! -e /etc/resolv.conf ] || mount --bind "$2" /etc/resolv.conf
exec "$3" -I "$4" "$5"
"""
_ROOTLESS = ("-r",), ("-U", "--preserve-credentials")
_ROOT = (), ()


def namespaces_allowed() -> bool:
    """Whether a `Lab` works here."""
    return why_no_namespaces() is None


@functools.cache
def why_no_namespaces() -> str | None:
    """The reason why a `Lab` cannot be had here; None where it can."""
    missing = [tool for tool in ("unshare", "nsenter", "ip", "mount") if shutil.which(tool) is None]
    if missing:
        return f"no {', '.join(missing)} on this machine"
    return None if _flags() is not None else "this user may not make network namespaces"


@functools.cache
def _flags() -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """What unshare and nsenter need here: nothing as root, a user namespace otherwise."""
    for flags in (_ROOT, _ROOTLESS):
        tried = subprocess.run(
            ["unshare", *flags[0], "-n", "-m", "sh", "-c", "ip link set lo up && mount --bind /etc/hosts /etc/hosts"],
            capture_output=True,
            check=False,
        )
        if tried.returncode == 0:
            return flags
    return None


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without proxies and CAs, and with Python's ways of people's machines; plus `extra`."""
    unwanted = ("_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "CA_BUNDLE", "CA_CERTIFICATE", "EXTRA_CA_CERTS")
    unwanted += ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
    kept = {name: value for name, value in os.environ.items() if not name.upper().endswith(unwanted)}
    return kept | dict(extra or {})


def end_process(process: subprocess.Popen[Any], number: int = signal.SIGTERM, timeout_s: float = 5) -> int:
    """Signal a process and wait; kill it when it stays. What it leaves of its own session is killed as well."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # nothing left, or it had no session of its own
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    return code


class Lab:
    """`with Lab(tmp_path) as lab:` everything started through it lives inside, and dies with it."""

    def __init__(
        self, folder: Path, hosts: Sequence[str] = FAKE_HOSTS, elsewhere: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self._hosts = dict.fromkeys(hosts, "127.0.0.1") | dict(elsewhere or {})
        self._processes: list[subprocess.Popen[Any]] = []
        self._holder: subprocess.Popen[str] | None = None
        self._sockets = Path()

    def __enter__(self) -> Self:
        flags = _flags()
        if flags is None:
            raise RuntimeError(why_no_namespaces())
        self.folder.mkdir(parents=True, exist_ok=True)
        # A Unix socket's path must be shorter than 108 bytes, which a test's own folder need not be.
        self._sockets = Path(tempfile.mkdtemp(prefix="lab-"))
        hosts, resolver = self.folder / "hosts", self.folder / "resolv.conf"
        known = {"localhost": "127.0.0.1", **self._hosts}
        hosts.write_text("".join(f"{address} {name}\n" for name, address in known.items()))
        resolver.write_text("")
        made = [hosts, resolver, sys.executable, _HOLDER, self._sockets / "holder"]
        self._holder = subprocess.Popen(
            ["unshare", *flags[0], "-n", "-m", "sh", "-c", _SET_UP, "lab", *map(str, made)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "ready\n":
            self.close()
            raise RuntimeError("the namespaces could not be made")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def holder_pid(self) -> int:
        """A process inside: `/proc/PID/root` is how its files look to whoever lives there."""
        assert self._holder is not None, "the lab is closed"
        return self._holder.pid

    def close(self) -> None:
        """End everything that was started here, newest first."""
        for process in reversed(self._processes):
            end_process(process)
        self._processes.clear()
        if self._holder is not None:
            end_process(self._holder, signal.SIGKILL)
            self._holder = None
        shutil.rmtree(self._sockets, ignore_errors=True)

    def popen(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        **more: Any,
    ) -> subprocess.Popen[Any]:
        """Start a program inside, as a session of its own. `env` comes on top of `clean_environment`."""
        process = subprocess.Popen(
            [*self._enter(cwd or self.folder), *map(str, argv)],
            env=clean_environment(env),
            start_new_session=True,
            **more,
        )
        self._processes.append(process)
        self._tell_holder(process.pid)
        return process

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout_s: float = 60,
        stdin: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program inside to its end. `TimeoutExpired`, and nothing of it left, when that takes too long."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = self.popen(argv, env=env, cwd=cwd, **pipes)
        try:
            out, err = process.communicate(stdin, timeout=timeout_s)
        finally:
            self.end(process, signal.SIGKILL)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def end(self, process: subprocess.Popen[Any], number: int = signal.SIGTERM) -> int:
        """End one program that was started here. Returns its exit code."""
        if process in self._processes:
            self._processes.remove(process)
            self._tell_holder(-process.pid)
        return end_process(process, number)

    def connect(self, host: str, port: int) -> socket.socket:
        """A TCP connection made inside, for use by this process."""
        return self._socket("connect", host, port)

    def listen(self, host: str, port: int) -> socket.socket:
        """A socket that listens inside, for this process to be the upstream itself."""
        return self._socket("listen", host, port)

    def _socket(self, what: str, host: str, port: int) -> socket.socket:
        with socket.socket(socket.AF_UNIX) as holder:
            holder.connect(str(self._sockets / "holder"))
            holder.sendall(f"{what} {host} {port}".encode())
            message, descriptors, _, _ = socket.recv_fds(holder, 1024, 1)
        if not descriptors:
            raise ConnectionError(f"{host}:{port}: {message.decode()}")
        return socket.socket(fileno=descriptors[0])

    def upstream(
        self,
        script: Mapping[str, Any],
        *,
        port: int = 443,
        quiet: bool = False,
        doors: bool = False,
        address: str = "127.0.0.1",
    ) -> Control:
        """Start the fake upstreams (`World.from_script`) and return their control, CA included."""
        name = f"upstream-{port}"
        world, ca = self.folder / f"{name}.json", self.folder / f"{name}-ca.pem"
        control, journal = self._sockets / name, self.folder / f"{name}-journal.jsonl"
        world.write_text(json.dumps(script))
        argv = [sys.executable, "-m", "tests.upstream", "--script", world, "--port", str(port)]
        argv += ["--control", control, "--ca-out", ca, "--journal", journal, "--address", address]
        argv += [*(["--quiet"] if quiet else []), *(["--doors"] if doors else [])]
        process = self.popen(argv, cwd=REPOSITORY, stdout=subprocess.PIPE)
        assert process.stdout is not None
        if not process.stdout.readline():
            raise RuntimeError("the fake upstreams did not start; see their message above")
        return Control(control, ca)

    def _tell_holder(self, session: int) -> None:
        assert self._holder is not None and self._holder.stdin is not None, "the lab is closed"
        self._holder.stdin.write(f"{session:+d}\n")
        self._holder.stdin.flush()

    def _enter(self, cwd: Path) -> list[str]:
        flags = _flags()
        assert self._holder is not None and flags is not None, "the lab is closed"
        enter = ["nsenter", *flags[1], "-t", str(self._holder.pid), "-n", "-m", "--"]
        # The folder is entered again inside: one opened outside has no path in the new mount namespace.
        return [*enter, "sh", "-c", 'cd "$1" && shift && exec "$@"', "lab", str(cwd)]
