"""Programs of the system that are run for a person: what their exit codes mean, and what they may say."""

from pathlib import Path

import click
import pytest

from seatpool.cli import commands
from seatpool.setup.staying.launchd import LEEWAY

EIO, EALREADY, GONE, UNDER_WAY = 5, 37, 3, 36
"""What launchctl ends with."""


@pytest.fixture
def launchctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ends with each line of a file in turn, and with 0 where there is none left."""
    codes = tmp_path / "codes"
    program = tmp_path / "launchctl"
    program.write_text(
        f"#!/bin/sh\ncode=$(head -n 1 {codes})\nsed -i 1d {codes}\n"
        "[ -z \"$code\" ] && exit 0\nprintf 'Fehler \\201\\n' >&2\nexit $code\n"
    )
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(commands, "_PAUSE_S", 0.0)
    return codes


def run(command: str) -> None:
    argv = ("launchctl", command, "gui/501/local.seatpool")
    commands.carry_out(argv, see="seatpool service status", quietly=True, leeway=LEEWAY[command])


def test_launchd_that_has_not_let_go_of_the_former_service_is_asked_again(launchctl: Path) -> None:
    launchctl.write_text(f"{EIO}\n{EALREADY}\n{EIO}\n")
    run("bootstrap")
    assert launchctl.read_text() == ""


def test_launchd_that_goes_on_refusing_is_told_with_its_words(launchctl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "PATIENCE_S", 0.0)
    launchctl.write_text(f"{EIO}\n" * 3)
    with pytest.raises(click.ClickException, match=r"^exit code 5 of launchctl bootstrap \S+ \(Fehler \ufffd\); "):
        run("bootstrap")


def test_another_refusal_of_launchds_is_final(launchctl: Path) -> None:
    launchctl.write_text("125\n0\n")
    with pytest.raises(click.ClickException, match="exit code 125"):
        run("bootstrap")
    assert launchctl.read_text() == "0\n"


@pytest.mark.parametrize("code", [GONE, UNDER_WAY])
def test_a_service_that_is_gone_or_going_was_ended(launchctl: Path, code: int) -> None:
    launchctl.write_text(f"{code}\n")
    run("bootout")
    assert launchctl.read_text() == ""
