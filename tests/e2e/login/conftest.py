"""A person at a terminal, on a machine on which the issuers are fakes."""

import os
import re
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pexpect
import pytest
from pexpect.fdpexpect import fdspawn

from seatpool.core.model import Account, Credential
from seatpool.store import Store
from tests.harness import REPOSITORY, Lab
from tests.harness.namespace import why_no_namespaces
from tests.upstream import Control

ACCOUNTS: dict[str, dict[str, Any]] = {
    "alice": {"provider": "codex", "plan": "plus"},
    "bob": {"provider": "codex", "plan": "pro"},
    "carol": {"provider": "copilot", "plan": "individual"},
    "dave": {"provider": "copilot", "plan": "ghe"},
    "emma": {"provider": "copilot", "plan": "business"},
    "octo": {"provider": "copilot", "plan": "ghe"},
}
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")


@dataclass
class Desk:
    """A lab with fakes, and a fresh home with an empty pool."""

    lab: Lab
    fakes: Control
    home: Path
    env: dict[str, str] = field(default_factory=dict)
    """On top of what every program here gets."""
    terminals: list["Terminal"] = field(default_factory=list)

    @property
    def database(self) -> Path:
        """Where the pool is."""
        return self.home / "pool.db"

    def accounts(self) -> tuple[Account, ...]:
        """Who is in the pool."""
        with Store.open(str(self.database)) as store:
            return store.accounts()

    def credentials(self, name: str) -> tuple[Credential, ...]:
        """What an account was signed in with."""
        with Store.open(str(self.database)) as store:
            return tuple(store.credentials(store.account(name).id).values())

    def argv(self, *arguments: str) -> list[str]:
        """`seatpool ...`, without the desktop and the colours of whoever runs the tests; a sign-in trusts the fakes."""
        trusting = ("--ca", str(self.fakes.ca)) if arguments[0] == "login" else ()
        without = [part for name in _DESKTOP if name not in self.env for part in ("-u", name)]
        return ["env", *without, sys.executable, "-m", "seatpool.cli", *arguments, *trusting]

    @property
    def environment(self) -> dict[str, str]:
        """For programs that are started at this desk."""
        own = {"HOME": str(self.home), "PYTHONPATH": str(REPOSITORY / "addon"), "TERM": "xterm-256color"}
        own |= {"SEATPOOL_DB": str(self.database), "SEATPOOL_KEYRING": "off", "PYTHONDONTWRITEBYTECODE": "1"}
        return own | self.env

    def type(self, *arguments: str) -> "Terminal":
        """Type `seatpool ...` into a terminal."""
        self.terminals.append(Terminal(self, self.argv(*arguments)))
        return self.terminals[-1]


_DESKTOP = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE")
_TAKE_TERMINAL = 'tty=$1; shift; exec "$@" <"$tty"'
"""The leader of a session gets the first terminal that it opens as its own: so Ctrl-C reaches it."""


class Terminal:
    """A pseudo-terminal with a program in it."""

    def __init__(self, desk: Desk, argv: list[str]) -> None:
        self.seen = ""
        """All that was on the screen so far, without what only moves the cursor."""
        ours, theirs = os.openpty()
        termios.tcsetwinsize(theirs, (30, 120))
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
        command = ["sh", "-c", _TAKE_TERMINAL, "terminal", os.ttyname(theirs), *argv]
        self._lab = desk.lab
        self._program = desk.lab.popen(command, env=desk.environment, cwd=desk.home, **streams)
        os.close(theirs)
        self._screen = fdspawn(ours, encoding="utf-8", timeout=20)

    def see(self, pattern: str) -> str:
        """Wait for a text on the screen; its first group, or the whole."""
        self._screen.expect(pattern)
        self.seen += _plain(self._screen.before + self._screen.after)
        return str(self._screen.match[self._screen.match.re.groups and 1])

    def answer(self, line: str) -> None:
        """As a person does, with the return key behind it."""
        self._screen.send(f"{line}\r")

    def press_ctrl_c(self) -> None:
        """As a person does: once more where nothing happens. Python can miss one that comes as it begins to read."""
        for _ in range(2):
            self._screen.send("\x03")
            with suppress(subprocess.TimeoutExpired):
                self._program.wait(timeout=10)
                return

    def end(self) -> int:
        """Wait for the end; the exit code."""
        self._screen.expect(pexpect.EOF)
        self.seen += _plain(self._screen.before)
        return int(self._program.wait(timeout=20))

    def close(self) -> None:
        """Whatever it does."""
        self._lab.end(self._program)
        self._screen.close()


def _plain(raw: str) -> str:
    return _CONTROL.sub("", raw)


@pytest.fixture(scope="package")
def issuers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Control]]:
    reason = why_no_namespaces()
    if reason is not None:
        pytest.skip(f"end-to-end tests need a namespace of their own: {reason}")
    with Lab(tmp_path_factory.mktemp("login")) as lab:
        yield lab, lab.upstream({"accounts": ACCOUNTS})


@pytest.fixture
def desk(issuers: tuple[Lab, Control], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")
    lab, fakes = issuers
    desk = Desk(lab, fakes, tmp_path)
    yield desk
    for terminal in desk.terminals:
        terminal.close()
    fakes.behave()
    fakes.clear()
