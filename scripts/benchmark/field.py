"""Where it all runs: a private network where that is allowed, the upstream, the proxies and their databases."""

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from scripts.benchmark import wire
from scripts.benchmark.client import Broken, Target
from scripts.benchmark.processes import memory_kb

from seatpool.core.model import Credential, CredentialKind, ProviderName
from seatpool.store import Store
from tests.harness import REPOSITORY, Lab, Mitmdump, namespaces_allowed
from tests.harness.namespace import clean_environment, end_process
from tests.upstream import tokens

OPTIONS = {"flow_detail": "0", "connection_strategy": "lazy", "upstream_cert": "false"}
"""The same for every proxy: the pool's own defaults, and no line per flow."""
ENDPOINT_TIMEOUT_S = 180.0

_REDIRECT = """\
import socket
_resolve = socket.getaddrinfo
def _redirected(host, port, *more, **named):
    return _resolve(*(("127.0.0.1", {port}) if host in ("{host}", b"{host}") else (host, port)), *more, **named)
socket.getaddrinfo = _redirected
"""
"""Loaded into every proxy where there is no private network: the upstream's name leads to the upstream."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running proxy."""

    name: str
    program: Mitmdump
    target: Target

    def memory_kb(self) -> int:
        """Resident memory."""
        return memory_kb(self.program.pid)


class Field:
    """`with Field(folder) as field:` has an upstream; proxies are added to it, and end with it."""

    def __init__(self, folder: Path, *, private: bool | None = None) -> None:
        self._folder = folder
        self._private = namespaces_allowed() if private is None else private
        self._ends = contextlib.ExitStack()
        self._programs: list[Mitmdump] = []
        self._lab: Lab | None = None
        self._arguments: tuple[str, ...] = ("--listen-port", "0")
        self.direct: Target

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as ends:
            if self._private:
                with _deaf():
                    self._lab = ends.enter_context(Lab(self._folder, hosts=(wire.HOST,)))
            port = self._start_upstream(ends)
            if not self._private:
                redirect = self._folder / "redirect.py"
                redirect.write_text(_REDIRECT.format(host=wire.HOST, port=port))
                self._arguments += ("-s", str(redirect))
            self.direct = self._target("direct", ("127.0.0.1", port), self._folder / "fake-ca.pem", proxy=False)
            self._ends = ends.pop_all()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._ends.close()
        if isinstance(error, Broken):
            for program in self._programs:
                error.add_note("\n".join((f"-- last lines of {program.folder.name}", *program.log[-12:])))

    def check(self) -> None:
        """Figures of a proxy that stumbled are worth nothing. Raises `Broken`."""
        for program in self._programs:
            stumbled = next((number for number, line in enumerate(program.log) if "hook=" in line), None)
            if stumbled is not None:
                said = program.log[stumbled : stumbled + 12]
                raise Broken("\n".join((f"{program.folder.name} logged an error:", *said)))

    def proxy(self, name: str, *, bare: bool = False, accounts: int = 0, database: Path | str | None = None) -> Proxy:
        """Make a proxy, not yet started, with so many accounts in its database, or with a database that is there."""
        folder = self._folder / name
        program = Mitmdump(
            folder,
            lab=self._lab,
            upstream_ca=self._folder / "fake-ca.pem",
            bare=bare,
            options=OPTIONS | ({"pool_db": str(database)} if database else {}),
            arguments=self._arguments,
            env={"SEATPOOL_KEYRING": "off"},
        )
        folder.mkdir()
        if (shared := self._folder / "confdir").exists():
            shutil.copytree(shared, folder / "confdir")
        if database is not None:
            program.database = database
        elif not bare:
            fill(program.database, accounts)
        self._ends.callback(program.stop)
        self._programs.append(program)
        return Proxy(name, program, self._target(name, program.address, program.ca, proxy=True))

    def start(self, proxy: Proxy) -> Proxy:
        """Start it, or start it again; returned with the address it has now. Every proxy shares the first one's CA."""
        try:
            proxy.program.start()
        except RuntimeError as error:
            raise Broken(str(error)) from None
        if not (shared := self._folder / "confdir").exists():
            shutil.copytree(proxy.program.ca.parent, shared)
        return Proxy(
            proxy.name, proxy.program, self._target(proxy.name, proxy.program.address, proxy.program.ca, proxy=True)
        )

    def endpoint(self, argv: Sequence[str], env: Mapping[str, str], log: Path, port: int) -> subprocess.Popen[Any]:
        """Start a program that listens on `port` in the private network, and wait for it. Raises `Broken`."""
        if self._lab is None:
            raise Broken("peers are pointed at a fake chatgpt.com, which takes a private network (Linux, unshare)")
        with log.open("wb") as out:
            process = self._lab.popen(argv, env={"HOME": str(log.parent), **env}, stdout=out, stderr=out)
        self._ends.callback(self._lab.end, process)
        deadline = time.monotonic() + ENDPOINT_TIMEOUT_S
        while process.poll() is None and time.monotonic() < deadline:
            try:
                self._lab.connect("127.0.0.1", port).close()
            except OSError:
                time.sleep(0.05)
            else:
                return process
        said = "\n".join(log.read_text(errors="replace").splitlines()[-12:])
        raise Broken(f"{log.stem} did not start:\n{said}")

    def endpoint_target(self, name: str, port: int, first: bytes) -> Target:
        """An endpoint that was started."""
        made = self._target(name, ("127.0.0.1", port), self.upstream_ca, proxy=False)
        return replace(made, plain=True, first=first)

    @property
    def upstream_ca(self) -> Path:
        """What clients of the upstream have to trust."""
        return self._folder / "fake-ca.pem"

    def run(self, argv: Sequence[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, in a home of its own."""
        env = {"HOME": str(self._folder), **env}
        if self._lab is not None:
            return self._lab.run(argv, env=env, timeout_s=300)
        made = clean_environment(env)
        return subprocess.run(
            argv, env=made, cwd=self._folder, capture_output=True, text=True, check=False, timeout=300
        )

    def _target(self, name: str, address: tuple[str, int], ca: Path, *, proxy: bool) -> Target:
        connect = self._lab.connect if self._lab is not None else _connect
        return Target(name, address, proxy, ca, connect)

    def _start_upstream(self, ends: contextlib.ExitStack) -> int:
        port = 443 if self._private else 0
        argv = [sys.executable, "-m", "scripts.benchmark.upstream", "--folder", str(self._folder), "--port", str(port)]
        pipes: Mapping[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        if self._lab is not None:
            process = self._lab.popen(argv, cwd=REPOSITORY, **pipes)
        else:
            process = subprocess.Popen(argv, cwd=REPOSITORY, env=clean_environment(), start_new_session=True, **pipes)
            ends.callback(end_process, process)
        assert process.stdout is not None
        if not (said := process.stdout.readline()):
            raise Broken("the upstream did not start; see its message above")
        return int(said)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """What is started meanwhile hears no Ctrl-C of the terminal: the lab is to outlive what runs inside."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _connect(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port), timeout=10)


def fill(database: Path | str, accounts: int) -> None:
    """Put Codex accounts into a database that need no side call for weeks."""
    now = datetime.now(UTC)
    with Store.open(str(database)) as store:
        for number in range(accounts):
            name = f"seat{number}"
            account_id = tokens.codex_account_id(name)
            credential = Credential(
                CredentialKind.CODEX_OAUTH,
                tokens.codex_access_token(name, expires_at=(now + timedelta(days=20)).timestamp()),
                tokens.codex_refresh_token(name),
                now + timedelta(days=20),
                {"api": f"https://{wire.HOST}"},
                {"account_id": account_id, "user_id": f"user-{name}"},
            )
            store.save_login(
                provider=ProviderName.CODEX,
                identity=f"user-{name}/{account_id}",
                name=name,
                explicit_name=True,
                issuer=wire.HOST,
                credentials=(credential,),
                now=now,
            )


def forgive(database: Path | str) -> None:
    """End every cooldown; a running proxy hears of it within a quarter of a second."""
    with Store.open(str(database)) as store:
        store.clear_cooldowns()
