"""`seatpool uninstall` and `seatpool service`: what they ask before, what they refuse. A made-up systemctl answers."""

import json
import os
import socket
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pexpect
import pytest
from click.testing import CliRunner, Result

from seatpool.cli.main import main
from seatpool.clock import utcnow
from seatpool.setup import recording, strangers
from seatpool.setup.authority import default_folder
from seatpool.store import Store
from tests.harness.terminal import interrupt

SYSTEMCTL = """#!/bin/sh
# It is there, knows of no unit, and remembers what it was told.
shift
case $1 in
  show) echo ActiveState=inactive; exit $(cat "$HOME/refuses" 2>/dev/null || echo 0) ;;
  *) echo "$*" >>"$HOME/told"
    ls -l "$HOME/.config/systemd/user" >"$HOME/seen"
    [ ! -e "$HOME/fails" ] || { echo "no room" >&2; exit 1; } ;;
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
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "no runtime"))
    for name in ("SEATPOOL_DB", "SEATPOOL_KEY_FILE", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "CODEX_HOME", "SHELL"):
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


@pytest.mark.parametrize(
    ("handed_on", "told"),
    [
        (("-p", "8100"), ("--port", "8100", "--")),
        (("--mode", "regular@8100"), ("--port", "8100", "--")),
        (("--listen-host", "::1"), ("--port", "8099", "--", "--listen-host", "::1")),
    ],
)
def test_what_is_handed_on_says_where_it_is_waited_for(
    home: Path, handed_on: tuple[str, ...], told: tuple[str, ...]
) -> None:
    result = seatpool("service", "install", "--dry-run", "--port", "8099", "--", *handed_on)
    assert " ".join(f'"{word}"' for word in ("run", *told)) in result.output, result.output
    contrary = seatpool("service", "install", "--dry-run", "--proxy", "http://127.0.0.1:8099", "--", "-p", "8100")
    assert contrary.exit_code == 1
    assert contrary.output.endswith("--proxy says port 8099, and what is handed on to mitmdump 8100; say one of them\n")


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
    assert "-rw------- " in (home / "seen").read_text(), "for nobody else's eyes"
    assert not (home / ".config").exists()
    assert seatpool("service", "status").exit_code == 3
    assert "there is no service" in seatpool("service", "remove").output


@pytest.mark.parametrize("url", ["postgresql://me@h/n?password=FAKESECRET", "postgresql://me:FAKE@CRET@h/n"])
def test_a_database_that_run_refuses_is_refused_before_anything_is_written(home: Path, url: str) -> None:
    present = home / UNIT
    present.parent.mkdir(parents=True)
    present.write_text("what works")
    refused = seatpool("service", "install", "--db", url)
    assert (refused.exit_code, refused.output.count("\n"), "CRET" in refused.output) == (1, 1, False)
    assert "the database's URL has a password in it (postgresql://me@h/n)" in refused.output
    assert (present.read_text(), told(home)) == ("what works", [])
    assert seatpool("service", "install", "--db", "redis://h/n").exit_code == 1
    assert present.read_text() == "what works"


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


def test_every_database_key_and_what_the_person_wrote_is_asked_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = home / ".local/share/seatpool"
    monkeypatch.setenv("SEATPOOL_KEY_FILE", str(data / "mine"))
    assert seatpool("ca", "create").exit_code == 0
    Store.open(str(data / "work.db")).close()
    monkeypatch.setenv("SEATPOOL_KEY_FILE", str(data / "my.key"))
    Store.open(str(data / "others.sqlite")).close()
    monkeypatch.setenv("SEATPOOL_KEY_FILE", str(data / "mine"))
    (data / "ca/config.yaml").write_text("proxyauth: me:FAKESECRET\n")
    for path in (data / f"{'0a' * 16}.key", home / ".local/state/seatpool/trouble-1.json", data / "page-token"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    kept = {"pool.db", "work.db", "others.sqlite", "mine", "my.key", f"{'0a' * 16}.key", "ca"}
    steps = {step["name"]: step for step in json.loads(seatpool("uninstall", "--yes", "--json").output)["steps"]}
    assert (steps["files"]["result"], steps["accounts"]["result"]) == ("done", "kept")
    assert {path.name for path in data.iterdir()} == {*kept, "made.json"}
    assert [path.name for path in (data / "ca").iterdir()] == ["config.yaml"]
    assert not (home / ".local/state/seatpool").exists()
    Store.open(str(data / "work.db")).close()  # with the key that it was made with
    last = seatpool("uninstall", "--yes", "--data")
    assert (last.exit_code, (home / ".local").exists()) == (0, False), last.output
    assert f"delete {data / 'ca/config.yaml'}" in last.output
    assert f"delete {data / ('0a' * 16)}.key, the key of a database on a server, which stays" in last.output


def test_what_seatpool_has_not_made_is_left_and_told(home: Path) -> None:
    data = home / ".local/share/seatpool"
    assert seatpool("ca", "create").exit_code == 0
    with closing(sqlite3.connect(data / "theirs.db")) as theirs:
        theirs.execute("CREATE TABLE t (x)")
    foreign = {data / "theirs.db", data / "notes", data / "ca/passwords"}
    for path in foreign - {data / "theirs.db"}:
        path.touch()
    shown = json.loads(seatpool("uninstall", "--dry-run", "--json").output)
    assert set(shown["left"]) == {str(path) for path in foreign}
    last = seatpool("uninstall", "--yes", "--data")
    assert last.output.count("left alone, it is not seatpool's: ") == len(foreign)
    assert {path for path in data.rglob("*") if path.is_file()} == {*foreign, data / "made.json"}
    for path in foreign:
        path.unlink()
    assert seatpool("uninstall", "--yes").exit_code == 0
    assert not (home / ".local").exists()


def test_every_file_that_is_made_is_known_by_its_name(home: Path) -> None:
    """By commands that leave each kind of them, and as drafts of writers that were killed."""
    data = home / ".local/share/seatpool"
    (home / ".codex").mkdir()
    assert seatpool("ca", "create").exit_code == 0
    assert seatpool("setup", "codex", "--yes").exit_code == 0
    assert seatpool("page").exit_code == 0
    strangers.add(strangers.default_file(), Counter({"api.new.githubcopilot.com": 1}), utcnow())
    recording.put(recording.wish_file(), recording.Wish("x", b"", (), 0))
    for path in [*data.glob("*-*.json"), data / "page-token", *(data / "ca").iterdir()]:
        path.with_name(f".{path.name}.123").touch()
    assert json.loads(seatpool("uninstall", "--dry-run", "--json").output)["left"] == []
    assert seatpool("uninstall", "--yes", "--data").exit_code == 0
    assert not (home / ".local").exists()
