"""Real clients in one lab, behind one mitmdump with the pool, in front of the fakes; and what holds for every test."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.npm import NoClients, install, path_with_clients
from tests.e2e.conftest import ACCOUNTS, ALONE, Scene
from tests.harness import REPOSITORY, Lab, Mitmdump
from tests.harness.namespace import why_no_namespaces
from tests.upstream.tokens import MARKER

OWN = {name for name in ACCOUNTS if name in ("editor", "emma")}
"""Whom the clients are signed in as: nobody of them is in the pool."""

MOVING = re.compile(r"/backend-api/codex/responses|/(?:chat/completions|responses|v1/messages|v1/engines/.*)")


@dataclass
class Desk(Scene):
    """A lab with a person's machine in it: homes, programs, and a proxy that they are told of."""

    flows: Path

    def environment(self, home: Path, **more: str) -> dict[str, str]:
        """What a person sets: the proxy, and the authorities to trust (the fakes' own stands for the public ones)."""
        trusted = self.folder / "trusted.pem"
        trusted.write_text(self.proxy.ca.read_text() + self.fakes.ca.read_text())
        return {
            "HOME": str(home),
            **{f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("CONFIG", "DATA", "STATE", "CACHE")},
            "PATH": path_with_clients(),
            "HTTPS_PROXY": self.proxy.url,
            "CODEX_CA_CERTIFICATE": str(trusted),
            "NODE_EXTRA_CA_CERTS": str(trusted),
            **more,
        }

    def leaks(self) -> dict[str, int]:
        """How often a secret can be seen, by place."""
        shown = {"log": "\n".join(self.proxy.log), "status": self._status()}
        files = [*self.proxy.folder.glob("pool.db*"), self.flows]
        shown |= {file.name: file.read_bytes().decode("latin-1") for file in files if file.exists()}
        return {place: count for place, text in shown.items() if (count := text.count(MARKER))}

    def _status(self) -> str:
        environment = {"PYTHONPATH": str(REPOSITORY / "addon"), "SEATPOOL_DB": str(self.proxy.database)}
        ran = self.lab.run([sys.executable, "-m", "seatpool.cli", "status", "--json"], env=environment)
        assert ran.returncode == 0 and ran.stdout.startswith("{"), ran.stderr
        return ran.stdout + ran.stderr

    def strays(self) -> list[tuple[str, str]]:
        """Moving requests that the editor's own token went along with."""
        entries = self.fakes.journal()
        return [(e["host"], e["path"]) for e in entries if e["account"] in OWN and MOVING.fullmatch(e["path"])]


@contextmanager
def furnished(folder: Path, options: Mapping[str, str], *arguments: str) -> Iterator[Desk]:
    """A desk in a namespace of its own, with a proxy that has these options; a skipped test where none can be had."""
    reason = why_no_namespaces()
    if reason is not None:
        pytest.skip(f"real clients need a namespace of their own: {reason}")
    try:
        install()
    except NoClients as error:
        pytest.skip(f"no real clients: {error}")
    with pytest.MonkeyPatch.context() as patch, Lab(folder) as lab:
        patch.setenv("SEATPOOL_KEYRING", "off")
        fakes = lab.upstream({"accounts": ACCOUNTS})
        with Mitmdump(folder / "proxy", lab=lab, upstream_ca=fakes.ca, arguments=arguments, options=options) as proxy:
            yield Desk(lab, fakes, proxy, folder, folder / "flows")


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("clients")
    with furnished(folder, ALONE, "-w", str(folder / "flows")) as desk:
        yield desk
        desk.proxy.stop()
        assert desk.flows.stat().st_size > 0, "nothing was dumped, so nothing was looked at"
        assert desk.leaks() == {}, "after the end, when everything is written"


@pytest.fixture
def desk(office: Desk) -> Iterator[Desk]:
    """The office with nobody limited and nobody in the pool; afterwards no secret lies about."""
    office.reset()
    yield office
    assert office.strays() == []
    assert office.leaks() == {}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home for one program, with a folder `work` in it."""
    (tmp_path / "work").mkdir()
    return tmp_path


Started = Callable[[list[str], dict[str, str], Path], "subprocess.Popen[bytes]"]
"""Arguments, environment, folder."""


@pytest.fixture
def started(desk: Desk) -> Iterator[Started]:
    """Starts programs that are talked to over pipes, and ends them with the test."""
    processes = []

    def start(argv: list[str], env: dict[str, str], cwd: Path) -> "subprocess.Popen[bytes]":
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        processes.append(desk.lab.popen(argv, env=env, cwd=cwd, **pipes))
        return processes[-1]

    yield start
    for process in processes:
        desk.lab.end(process)
        for pipe in (process.stdin, process.stdout):
            pipe.close()
