"""What `seatpool run` does before it is mitmdump."""

import errno
import os
import platform
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from seatpool.cli.main import main
from seatpool.cli.run import LONGEST_LOG
from tests.store.made import ADDON


def started(home: Path, log: Path) -> None:
    """As launchd does it: what is said is appended."""
    env = {**os.environ, "XDG_DATA_HOME": str(home), "SEATPOOL_KEYRING": "off", "PYTHONPATH": str(ADDON)}
    with log.open("ab") as said:
        command = [sys.executable, "-m", "seatpool.cli", "run", "--", "--version"]
        subprocess.run(command, stdout=said, env=env, check=True, timeout=60)


@pytest.mark.parametrize("name", ["seatpool/service.log", "mine.log"])
def test_a_log_that_was_appended_to_for_too_long_is_begun_anew_and_no_other_file(tmp_path: Path, name: str) -> None:
    log = tmp_path / name
    log.parent.mkdir(exist_ok=True)
    log.write_bytes(b"-" * (LONGEST_LOG + 1))
    started(tmp_path, log)
    assert (log.stat().st_size < LONGEST_LOG) == (log.name == "service.log")
    told = log.read_bytes()
    assert b"seatpool listens on" in told
    started(tmp_path, log)
    assert log.read_bytes().startswith(told), "until then it is kept"


def test_a_bare_number_is_taken_for_the_port_that_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("it has started"))
    result = CliRunner().invoke(main, ["run", "8081"])
    assert result.exit_code == 2
    assert result.output.endswith("8081 is not understood; to listen on that port: seatpool run --port 8081\n")


def test_a_port_that_windows_keeps_is_told_as_that(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Kept(socket.socket):
        def bind(self, address: object) -> None:
            raise PermissionError(errno.EACCES, f"forbidden by its access permissions: {address}")

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("it has started"))
    monkeypatch.setattr(socket, "socket", Kept)
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    result = CliRunner().invoke(main, ["run"])
    assert result.exit_code == 1
    assert result.output.startswith("Error: Windows keeps port 8080 to itself")
    assert result.output.endswith("seatpool run --port PORT\n")
