"""`seatpool uninstall` and `seatpool service`: what they ask before, what they refuse. A made-up systemctl answers."""

import json
import os
import socket
import sys
from pathlib import Path

import pexpect
import pytest
from click.testing import CliRunner, Result

from seatpool.cli.main import main
from seatpool.setup.authority import default_folder
from seatpool.store import Store
from tests.harness.terminal import interrupt

SYSTEMCTL = """#!/bin/sh
# It is there, knows of no unit, and remembers what it was told.
shift
case $1 in
  show) echo ActiveState=inactive; exit $(cat "$HOME/refuses" 2>/dev/null || echo 0) ;;
  *) echo "$*" >>"$HOME/told"; [ ! -e "$HOME/fails" ] || { echo "no room" >&2; exit 1; } ;;
esac
"""
UNIT = ".config/systemd/user/seatpool.service"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(SYSTEMCTL)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("SEATPOOL_DB", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "CODEX_HOME", "SHELL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def seatpool(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def told(home: Path) -> list[str]:
    return (home / "told").read_text().splitlines() if (home / "told").exists() else []


def test_install_shows_what_it_would_do_and_does_nothing(home: Path) -> None:
    result = seatpool("service", "install", "--dry-run", "--port", "8099")
    assert (result.exit_code, told(home)) == (0, [])
    assert f"would write {home / UNIT}" in result.output
    assert '"run" "--port" "8099"' in result.output
    assert "systemctl --user enable --quiet seatpool.service" in result.output
    assert {path.name for path in home.iterdir()} == {"bin"}


def test_install_refuses_in_one_line_and_leaves_nothing(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = seatpool("service", "install", "--port", port)
        assert (result.exit_code, result.output.count("\n")) == (1, 1)
        assert f"something listens on http://127.0.0.1:{port} already" in result.output
    refused = seatpool("service", "install", "--", "--set", "proxyauth=me:FAKESECRET")
    assert (refused.exit_code, "FAKESECRET" in refused.output) == (1, False)
    (home / "refuses").write_text("1")
    assert "your systemd does not answer" in seatpool("service", "install").output
    (home / "refuses").unlink()
    (home / "fails").touch()
    failed = seatpool("service", "install", "--port", port)
    assert (failed.exit_code, "exit code 1 of systemctl --user daemon-reload (no room)" in failed.output) == (1, True)
    assert not (home / ".config").exists()
    assert seatpool("service", "status").exit_code == 3
    assert "there is no service" in seatpool("service", "remove").output


def test_uninstall_asks_and_without_a_terminal_does_nothing(home: Path) -> None:
    assert seatpool("ca", "create").exit_code == 0
    result = seatpool("uninstall")
    assert result.exit_code == 2
    assert f"delete {default_folder()}" in result.output
    assert "add --yes to do this" in result.output
    assert default_folder().exists()


@pytest.mark.parametrize(
    ("keys", "code", "authority", "accounts"),
    [
        (("n",), 0, True, True),
        (("y", "n"), 0, False, True),
        (("y", "y"), 0, False, False),
        (("y", "\x03"), 130, True, True),
    ],
    ids=["no", "not the accounts", "all", "Ctrl-C"],
)
def test_at_a_terminal_accounts_are_a_question_of_their_own(
    home: Path, keys: tuple[str, ...], code: int, authority: bool, accounts: bool
) -> None:
    assert seatpool("ca", "create").exit_code == 0
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    program = pexpect.spawn(sys.executable, ["-m", "seatpool.cli", "uninstall"], env=environ, timeout=20)  # type: ignore[arg-type]
    for key, question in zip(keys, ("Do this?", "Delete them?"), strict=False):
        program.expect_exact(question)
        if key == "\x03":
            interrupt(program)
        else:
            program.sendline(key)
    program.expect(pexpect.EOF)
    program.close()
    assert program.exitstatus == code
    data = home / ".local/share/seatpool"
    assert ((data / "ca").exists(), (data / "pool.db").exists()) == (authority, accounts)
    assert (home / ".local").exists() == (authority or accounts), "a folder that was made for it, too"


def test_a_proxy_that_runs_keeps_its_files(home: Path) -> None:
    assert seatpool("ca", "create").exit_code == 0
    with Store.open():
        result = seatpool("uninstall", "--yes", "--data")
        assert (result.exit_code, "a seatpool is running on" in result.output) == (1, True)
        assert default_folder().exists()
    assert seatpool("uninstall", "--yes", "--data").exit_code == 0
    assert not (home / ".local").exists()


def test_a_named_database_and_rules_are_data_and_nothing_of_anybody_else_goes(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEATPOOL_DB", str(home / "mine" / "pool.db"))
    (home / ".local/share/other").mkdir(parents=True)
    (home / ".config/seatpool").mkdir(parents=True)
    (home / ".config/seatpool/rules.toml").write_text("")
    assert seatpool("ca", "create").exit_code == 0
    steps = {step["name"]: step for step in json.loads(seatpool("uninstall", "--yes", "--json").output)["steps"]}
    assert (steps["files"]["result"], steps["accounts"]["result"], steps["service"]["result"]) == (
        "done",
        "kept",
        "nothing",
    )
    assert (home / ".config/seatpool/rules.toml").exists()
    assert (home / "mine/pool.db").exists()
    assert seatpool("uninstall", "--yes", "--data").exit_code == 0
    assert not (home / ".config/seatpool").exists()
    assert [path.name for path in (home / "mine").iterdir()] == []
    assert [path.name for path in (home / ".local/share").iterdir()] == ["other"]
    assert "nothing of seatpool's is here" in seatpool("uninstall", "--yes", "--data").output
