"""`seatpool service` with a real systemd, and `seatpool uninstall` of all that was set up: nothing is left."""

import json
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_ca import CERTUTIL
from tests.harness.namespace import REPOSITORY
from tests.harness.session import Session, why_no_session
from tests.upstream import codex_login

PORT = 8123
ODD = 'stickycookie=~u "%h $HOME"'
"""What units give a meaning of its own to."""
_BIND = "import socket, sys; s = socket.socket(); s.setsockopt(1, 2, 1); s.bind(('127.0.0.1', int(sys.argv[1])))"
"""As servers do it: with SO_REUSEADDR."""
_THROUGH = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as proxy:
    proxy.sendall(b"GET http://mitm.it/ HTTP/1.1\\r\\nHost: mitm.it\\r\\nConnection: close\\r\\n\\r\\n")
    print(proxy.recv(99).split(b"\\r\\n")[0].decode())
"""


class Person:
    """Somebody with a session, who types."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.environ = {
            "SEATPOOL_KEYRING": "off",
            "PYTHONPATH": str(REPOSITORY / "addon"),
            "PATH": f"{session.home / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }

    def types(self, *arguments: str, code: int = 0) -> str:
        ran = self.session.run(sys.executable, "-m", "seatpool.cli", *arguments, env=self.environ)
        assert ran.returncode == code, ran.stdout + ran.stderr + self.session.log.read_text()
        return ran.stdout + ran.stderr

    def status(self, code: int = 0) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.types("service", "status", "--json", code=code))
        return told

    def is_free(self, port: int = PORT) -> bool:
        return self.session.run(sys.executable, "-c", _BIND, str(port)).returncode == 0

    def systemctl(self, *arguments: str) -> str:
        return self.session.run("systemctl", "--user", *arguments).stdout.strip()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Of somebody who has used Codex, a shell, Chromium and systemd before."""
    reason = why_no_session()
    if reason is not None:
        pytest.skip(f"a real systemd needs namespaces of its own: {reason}")
    home = tmp_path / "home"
    for folder in (".codex", ".pki/nssdb", "bin", ".config/systemd"):
        (home / folder).mkdir(parents=True)
    (home / ".codex/config.toml").write_text('model = "gpt-x"\n')
    (home / ".bashrc").write_text("# mine\nalias ll='ls -l'\n")
    (home / ".bashrc").chmod(0o640)
    (home / ".pki/nssdb/cert9.db").touch()
    (home / "bin/certutil").write_text(CERTUTIL)
    (home / "bin/certutil").chmod(0o755)
    # Without a journal, what programs say goes where the manager's own words go.
    (home / ".config/systemd/user.conf").write_text("[Manager]\nDefaultStandardOutput=inherit\n")
    return home


@pytest.fixture
def person(home: Path) -> Iterator[Person]:
    with Session(home) as session:
        yield Person(session)


def tree(home: Path) -> dict[str, tuple[str, bytes]]:
    """Every file and folder, with mode and content."""
    found = {}
    for path in sorted(home.rglob("*")):
        mode = stat.filemode(path.lstat().st_mode)
        content = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(home))] = (mode, content)
    return found


def test_systemd_keeps_the_proxy_running_and_gives_its_port_back_and_nothing_is_left_of_it(
    person: Person, tmp_path: Path
) -> None:
    before = tree(person.session.home)
    login = codex_login(tmp_path / "login", "alice")
    person.types("account", "import", str(login), "--own", "--yes")
    key = person.session.home / ".local/share/seatpool/pool.db.key"
    hidden = key.rename(tmp_path / "key")

    # Installed, while what holds the key is locked: it runs, and serves once that is open.
    install = ("service", "install", "--port", str(PORT), "--", "--set", "pool_strategy=drain", "--set", ODD)
    said = person.types(*install)
    assert f"keeps seatpool running: http://127.0.0.1:{PORT}" in said
    assert "loginctl enable-linger" in said
    person.session.wait_log("action=passthrough reason=")
    hidden.rename(key)
    told = person.status()
    assert (told["running"], told["starts"], told["listening"]) == (True, True, True)
    assert told["command"][-3:] == ["pool_strategy=drain", "--set", ODD]
    program = Path(f"/proc/{told['pid']}/cmdline")
    argv = person.session.run("cat", program).stdout.split("\0")
    assert any(Path(word).name == "mitmdump" for word in argv), argv
    assert {"pool_strategy=drain", ODD} <= set(argv)
    unit = Path(told["file"])
    verified = person.session.run("systemd-analyze", "verify", "--user", unit)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    assert "FAKESECRET" not in unit.read_text()
    assert stat.S_IMODE(unit.stat().st_mode) == 0o600
    assert key.read_text().strip() not in unit.read_text()
    kernel = person.session.run("cat", f"/proc/{told['pid']}/status").stdout
    assert all(line in kernel for line in ("NoNewPrivs:\t1", "Seccomp:\t2", "Umask:\t0077")), kernel

    # The same again changes nothing; what is in the way is told.
    assert "already" in person.types(*install)
    assert person.systemctl("show", "seatpool", "--property=MainPID", "--value") == str(told["pid"])
    person.session.wait_log("codex=1")

    # It has closed connections that clients left open: the port is free all the same, and taken again at once.
    assert person.session.run(sys.executable, "-c", _THROUGH, str(PORT)).stdout.startswith("HTTP/1.1 200")
    person.systemctl("stop", "seatpool")
    assert person.is_free()
    ended = person.systemctl("show", "seatpool", "--property=Result,ExecMainStatus").split()
    assert ended == ["Result=success", "ExecMainStatus=0"]
    person.systemctl("start", "seatpool")
    wait(lambda: not person.is_free())

    # What kills it does not end it.
    killed = person.systemctl("show", "seatpool", "--property=MainPID", "--value")
    person.session.run("kill", "-9", killed)
    wait(lambda: person.systemctl("show", "seatpool", "--property=MainPID", "--value") not in ("0", killed))
    wait(lambda: not person.is_free())

    person.types("service", "remove")
    assert person.is_free()
    assert person.systemctl("list-unit-files", "seatpool.service", "--no-legend") == ""
    assert not unit.parent.exists()

    # All that seatpool does to a machine, and all of it taken back.
    person.types("service", "install", "--proxy", f"http://127.0.0.1:{PORT + 1}")
    person.types("setup", "codex", "shell", "--yes")
    person.types("ca", "trust", "nss", "--yes")
    changed = tree(person.session.home)
    steps = {step["name"]: step for step in json.loads(person.types("uninstall", "--dry-run", "--json"))["steps"]}
    assert {name for name, step in steps.items() if step["actions"]} == set(steps) - {"transparent"}
    assert tree(person.session.home) == changed
    said = person.types("uninstall", "--yes")
    assert "kept: accounts" in said
    assert person.is_free(PORT + 1)
    left = {name for name, was in tree(person.session.home).items() if before.get(name) != was}
    assert {Path(name).name for name in left} == {".local", "share", "seatpool", "made.json", "pool.db", "pool.db.key"}
    person.types("uninstall", "--yes", "--data")
    assert tree(person.session.home) == before


def wait(true: Any) -> None:
    deadline = time.monotonic() + 15
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
