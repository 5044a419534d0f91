"""A person at a terminal, on a machine on which the issuers are fakes."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pexpect
import pytest

from seatpool.core.model import Account
from seatpool.store import Store
from tests.harness import REPOSITORY, Lab
from tests.harness.namespace import clean_environment, why_no_namespaces
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

    def argv(self, *arguments: str) -> list[str]:
        """`seatpool ...`, inside; a sign-in trusts the fakes."""
        trusting = ("--ca", str(self.fakes.ca)) if arguments[0] == "login" else ()
        return self.lab.command([sys.executable, "-m", "seatpool.cli", *arguments, *trusting], self.home)

    @property
    def environment(self) -> dict[str, str]:
        """For programs that are started at this desk."""
        own = {"HOME": str(self.home), "PYTHONPATH": str(REPOSITORY / "addon"), "TERM": "xterm-256color"}
        own |= {"SEATPOOL_DB": str(self.database), "SEATPOOL_KEYRING": "off", "PYTHONDONTWRITEBYTECODE": "1"}
        kept = clean_environment({**own, **self.env})
        return {name: value for name, value in kept.items() if name not in _DESKTOP or name in self.env}

    def type(self, *arguments: str) -> "Terminal":
        """Type `seatpool ...` into a terminal."""
        self.terminals.append(Terminal(self.argv(*arguments), self.environment))
        return self.terminals[-1]


_DESKTOP = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE")


class Terminal:
    """A pseudo-terminal with a program in it."""

    def __init__(self, argv: list[str], environment: dict[str, str]) -> None:
        self.seen = ""
        """All that was on the screen so far, without what only moves the cursor."""
        self._program: pexpect.spawn[str] = pexpect.spawn(
            argv[0], argv[1:], env=environment, encoding="utf-8", timeout=20, dimensions=(30, 120)
        )

    def see(self, pattern: str) -> str:
        """Wait for a text on the screen; its first group, or the whole."""
        self._program.expect(pattern)
        self.seen += _plain(self._program.before + self._program.after)
        assert self._program.match is not None
        return str(self._program.match[self._program.match.re.groups and 1])

    def answer(self, line: str) -> None:
        """As a person does, with the return key behind it."""
        self._program.sendline(line)

    def press_ctrl_c(self) -> None:
        """As a person does."""
        self._program.sendintr()

    def end(self) -> int:
        """Wait for the end; the exit code."""
        self._program.expect(pexpect.EOF)
        self.seen += _plain(self._program.before)
        self._program.close()
        return int(self._program.exitstatus if self._program.exitstatus is not None else -1)

    def close(self) -> None:
        """Whatever it does."""
        self._program.close(force=True)


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
