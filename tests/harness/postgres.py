"""A real PostgreSQL server of the tests' own, from whatever is installed: `server()` starts it once for all of them.

On a free port of loopback and a Unix socket, without waiting for the disk. As root it runs as another user, since
PostgreSQL refuses root.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path

import pytest

USER = "seatpool"
SUPERUSER = "boss"
LOCALE = ("-E", "UTF8", "--locale=C.UTF-8")
LIMIT_S = 60
PROGRAMS = ("initdb", "postgres", "psql")


class Server:
    """One cluster; `stop` and `start` as often as one likes, always on the same port."""

    def __init__(self, bin_dir: Path, *, fsync: bool = False) -> None:
        self._bin = bin_dir
        self._user = _unprivileged()
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self._data = self.folder / "data"
        self._fsync = fsync
        self._numbers = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self._data.mkdir(mode=0o700)
        if self._user is not None:
            for path in (self.folder, self._data):
                shutil.chown(path, self._user)
        init = ["initdb", "-D", self._data, "-U", SUPERUSER, "-A", "trust", "--no-sync", *LOCALE]
        subprocess.run(self._command(*init), check=True, capture_output=True, user=self._user, timeout=LIMIT_S)

    def start(self) -> None:
        """Returns when it takes connections."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
            "fsync": "on" if self._fsync else "off",
            "shared_buffers": "16MB",
            "max_connections": 60,
            "autovacuum": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            command = self._command("postgres", "-D", self._data, *options)
            self._process = subprocess.Popen(command, user=self._user, stdout=log, stderr=log, cwd=self.folder)
        deadline = time.monotonic() + LIMIT_S
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: at once, and in order. SIGQUIT: `immediate`, as a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=LIMIT_S)
            self._process = None

    def freeze(self, *, thaw: bool = False) -> None:
        """Nothing of it moves any more, as if its machine hung; or all of it again."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGCONT if thaw else signal.SIGSTOP)

    def remove(self) -> None:
        """End it, and take away what it kept."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def new(self, template: str = "template1") -> str:
        """The URL of a new database of `USER`, made like another one."""
        name = f"pool{next(self._numbers)}"
        self.say(f"CREATE DATABASE {name} OWNER {USER} TEMPLATE {template}")
        return self.url(name)

    def url(self, name: str) -> str:
        """As a person gives it."""
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{name}"

    def socket_url(self, name: str) -> str:
        """By its Unix socket, which is reached from every network namespace."""
        return f"postgresql+psycopg://{USER}@/{name}?host={self.folder}&port={self.port}"

    def say(self, sql: str, database: str = "postgres") -> str:
        """What `psql` answers to its superuser."""
        where = ["-h", self.folder, "-p", str(self.port), "-U", SUPERUSER, "-d", database]
        found = subprocess.run(
            self._command("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *where, "-c", sql),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
        assert found.returncode == 0, found.stderr
        return found.stdout.strip()

    def _is_ready(self) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        assert self._process is not None
        return len(lines) > 7 and lines[0] == str(self._process.pid) and lines[7].strip() == "ready"

    def _command(self, program: str, *arguments: object) -> list[str]:
        return [str(self._bin / program), *map(str, arguments)]


def started(*, fsync: bool = False) -> Server:
    """One of one's own, to be removed by who asked. Skips the test where there is no PostgreSQL."""
    bin_dir = binaries()
    if bin_dir is None:
        pytest.skip("no PostgreSQL server is installed (apt-get install postgresql)")
    server = Server(bin_dir, fsync=fsync)
    try:
        server.start()
        server.say(f"CREATE ROLE {USER} LOGIN")
    except BaseException:
        server.remove()
        raise
    return server


@cache
def shared() -> Server:
    """The one that all tests of a run share, until its end."""
    return started()


def end_shared() -> None:
    """At the end of a run."""
    if shared.cache_info().currsize:
        shared().remove()
        shared.cache_clear()


@cache
def binaries() -> Path | None:
    """Where `initdb` and `postgres` are: in PATH, where `pg_config` says, or where Debian puts them; the newest."""
    found = [Path(path).resolve().parent for path in (shutil.which("initdb"),) if path is not None]
    config = shutil.which("pg_config")
    if config is not None:
        asked = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False, timeout=LIMIT_S)
        found.append(Path(asked.stdout.strip()))
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    found += sorted(versions, key=lambda path: int("0" + path.parent.name.partition(".")[0]), reverse=True)
    return next((path for path in found if all((path / name).exists() for name in PROGRAMS)), None)


def _unprivileged() -> str | None:
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
