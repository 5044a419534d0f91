"""Importing at a real terminal, with issuers that can be asked whose a login is."""

import shutil
import subprocess
from pathlib import Path

import pytest

from seatpool.store import Store
from tests.e2e.login.conftest import Desk
from tests.fixtures import LOGINS
from tests.upstream.tokens import MARKER, github_token

UNSET = dict.fromkeys(("CODEX_HOME", "COPILOT_HOME", "GH_CONFIG_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), "")


@pytest.fixture
def furnished(desk: Desk) -> Desk:
    """A home with opencode, Codex and the language server, as they were left."""
    desk.env = UNSET
    for fixture, place in (
        ("codex", ".codex"),
        ("opencode", ".local/share/opencode"),
        ("language-server", ".config/github-copilot"),
    ):
        shutil.copytree(LOGINS / fixture, desk.home / place)
    return desk


def trusting(desk: Desk) -> tuple[str, str]:
    return "--ca", str(desk.fakes.ca)


def run(desk: Desk, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Without a terminal."""
    argv = desk.argv("account", "import", *arguments, *trusting(desk))
    return desk.lab.run(argv, env=desk.environment, cwd=desk.home, stdin=text, timeout_s=30)


def test_a_person_is_asked_for_each_login_and_gets_those_they_want(furnished: Desk) -> None:
    terminal = furnished.type("account", "import", *trusting(furnished))
    terminal.see(r"github-copilot/auth\.db")
    terminal.see(r"import alice \(codex, plus\) from Codex\? \[Y/n\]")
    terminal.answer("n")
    terminal.see(r"import somebody at github\.com \(copilot\) from opencode; it serves .*\? \[Y/n\]")
    terminal.answer("")
    terminal.see(r"import github\.com/emma \(copilot\) from the editor\? \[Y/n\]")
    terminal.answer("y")
    assert terminal.end() == 0
    assert "asking github.com whose these logins are" in terminal.seen
    # opencode's login turned out to be emma's as well, and the editor's serves more
    assert "skipped ~/.local/share/opencode/auth.json" in terminal.seen
    assert "added emma (copilot" in terminal.seen
    assert [account.name for account in furnished.accounts()] == ["emma"]
    assert MARKER not in terminal.seen


def test_ctrl_c_at_a_question_leaves_nothing_behind(furnished: Desk) -> None:
    terminal = furnished.type("account", "import")
    terminal.see(r"import alice .*\[Y/n\]")
    terminal.press_ctrl_c()
    assert terminal.end() == 130
    assert "Ended; nothing was changed." in terminal.seen and "Traceback" not in terminal.seen
    assert furnished.accounts() == ()


def test_a_login_that_does_not_say_whose_it_is_gets_its_owner_plan_and_quota(desk: Desk) -> None:
    done = run(desk, str(LOGINS / "gh-2.23"))
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "added emma (copilot, business)"), done.stderr
    accounts = {account.name: (account.handle, account.identity) for account in desk.accounts()}
    assert accounts["emma"][0] == "github.com/emma" and accounts["emma"][1] != accounts["emma"][0]
    assert accounts["octo-octo"][0] == "octo.ghe.com/octo"
    with Store.open(str(desk.database)) as store:
        assert {window.bucket for _, window in store.changes(None).windows} >= {"premium_interactions"}
    assert MARKER not in done.stdout + done.stderr


def test_what_is_asked_later_joins_the_account_that_was_known_by_its_handle(desk: Desk) -> None:
    assert run(desk, str(LOGINS / "copilot-cli")).stdout.startswith("added emma (copilot)")
    done = run(desk, "-", text=github_token("emma", "ghu"))
    assert done.stdout.startswith("renewed emma (copilot, business)"), done.stderr
    assert len(desk.accounts()) == 1


def test_gh_hands_a_token_over_on_standard_input(desk: Desk) -> None:
    done = run(desk, "-", "--host", "octo.ghe.com", text=f"{github_token('octo')}\n")
    assert done.stdout.startswith("added octo-octo (copilot"), done.stderr
    assert "serves the Copilot CLI's kind of traffic, and editors only if" in done.stdout
    assert [account.issuer for account in desk.accounts()] == ["octo.ghe.com"]


def test_a_token_that_its_issuer_does_not_take_is_one_line(desk: Desk) -> None:
    done = run(desk, "-", text="gho_FAKESECRETnobody")
    assert done.returncode == 1 and done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("Error: standard input: github.com does not take this login any more") and MARKER not in last
    assert last.endswith(": sign in again; nothing was changed")
    assert desk.accounts() == ()


def test_a_passphrase_is_asked_twice_and_never_shown(furnished: Desk) -> None:
    run(furnished, str(LOGINS / "copilot-cli"))
    file = furnished.home / "pool.seatpool"
    terminal = furnished.type("account", "export", str(file))
    terminal.see("passphrase: ")
    terminal.answer("correct horse")
    terminal.see("once more: ")
    terminal.answer("correct cow")
    terminal.see("do not match")
    terminal.see("passphrase: ")
    terminal.answer("correct horse")
    terminal.see("once more: ")
    terminal.answer("correct horse")
    assert terminal.end() == 0
    assert "horse" not in terminal.seen and file.name in terminal.seen
    terminal = furnished.type("--db", str(furnished.home / "other.db"), "account", "import", str(file))
    terminal.see("passphrase: ")
    terminal.answer("correct horse")
    assert terminal.end() == 0
    assert "added emma (copilot)" in terminal.seen


def test_ctrl_c_at_the_passphrase_leaves_no_file(furnished: Desk, tmp_path: Path) -> None:
    run(furnished, str(LOGINS / "copilot-cli"))
    terminal = furnished.type("account", "export", str(tmp_path / "x"))
    terminal.see("passphrase: ")
    terminal.press_ctrl_c()
    assert terminal.end() == 130
    assert not list(tmp_path.glob("x*"))
