"""Signing in with a code, at a real terminal and without one."""

import json

import pytest

from tests.e2e.login.conftest import Desk

XCLIP = """#!/bin/sh
case "$*" in *-o*) cat "$HOME/clipboard" ;; *) cat > "$HOME/clipboard" ;; esac
"""
CODE = r"FAKE-\d{4}"


def test_codex_shows_a_code_counts_down_and_shows_the_account(desk: Desk) -> None:
    (desk.home / "bin").mkdir()
    xclip = desk.home / "bin" / "xclip"
    xclip.write_text(XCLIP)
    xclip.chmod(0o755)
    desk.env = {"DISPLAY": ":0", "PATH": f"{xclip.parent}:/usr/bin:/bin"}
    desk.fakes.sign_in("alice", pending=2)
    terminal = desk.type("login", "codex", "--device", "--name", "work")
    code = terminal.see(rf"Open https://auth\.openai\.com/codex/device .* code: ({CODE})")
    terminal.see("ChatGPT takes it where device codes for Codex are allowed")
    terminal.see(" ".join(code))
    terminal.see("copied to the clipboard")
    assert (desk.home / "clipboard").read_text() == code
    first = terminal.see(r"(1[45]:\d\d) left")
    terminal.see(rf"(?!{first})14:\d\d left")
    assert terminal.end() == 0
    assert "added work (codex, plus)" in terminal.seen
    row = terminal.seen.partition("quota left")[2]
    assert "work" in row and "ready" in row and "primary (5 h) 80%" in row and "secondary (7 d) 95%" in row
    assert [(a.name, a.plan) for a in desk.accounts()] == [("work", "plus")]
    assert "FAKESECRET" not in terminal.seen
    assert b"FAKESECRET" not in desk.database.read_bytes()


def test_copilot_goes_on_through_an_outage_and_renews_on_the_next_sign_in(desk: Desk) -> None:
    desk.fakes.sign_in("carol", pending=1)
    desk.fakes.behave("*", {"kind": "close", "route": "device-look", "first": 1})
    terminal = desk.type("login", "copilot")
    terminal.see(rf"Open https://github\.com/login/device in any browser, on any machine, and type this code: {CODE}")
    terminal.see(r"issuer does not answer \(github\.com: \w+\); still trying")
    assert terminal.end() == 0
    assert "added carol (copilot, individual_pro)" in terminal.seen
    assert "premium_interactions 80%" in terminal.seen
    desk.fakes.sign_in("carol")
    again = desk.type("login", "copilot", "--name", "mine")
    assert again.end() == 0
    assert "renewed mine (copilot, individual_pro)" in again.seen
    assert [(a.name, a.identity.partition("/")[0]) for a in desk.accounts()] == [("mine", "github.com")]


def test_a_tenant_of_ghe_com_has_its_own_page_and_its_own_account(desk: Desk) -> None:
    desk.fakes.sign_in("dave")
    terminal = desk.type("login", "copilot", "--host", "https://Octo.ghe.com/", "--app", "cli")
    terminal.see(r"Open https://octo\.ghe\.com/login/device ")
    assert terminal.end() == 0
    assert [(a.name, a.issuer) for a in desk.accounts()] == [("dave-octo", "octo.ghe.com")]
    desk.fakes.sign_in("dave")
    again = desk.type("login", "copilot", "--name", "dave-octo")
    again.see(r"Open https://octo\.ghe\.com/login/device ")
    assert again.end() == 0
    (login,) = desk.credentials("dave-octo")
    assert login.token.startswith("gho_"), "for the Copilot CLI, as before"


ENDINGS = [
    ("carol", {"decision": "deny"}, ("copilot",), "The sign-in was declined"),
    ("carol", {"decision": "expire"}, ("copilot",), "Time is up"),
    ("carol", {"disabled": True}, ("copilot",), "no device codes"),
    ("alice", {"disabled": True}, ("codex", "--device"), "sign in with a browser"),
    ("dave", {}, ("copilot", "--host", "offline.ghe.com"), r"offline.ghe.com cannot be reached"),
]


@pytest.mark.parametrize(("who", "decides", "arguments", "said"), ENDINGS, ids=[ending[3] for ending in ENDINGS])
def test_each_bad_end_is_one_line_and_stores_nothing(
    desk: Desk, who: str, decides: dict[str, object], arguments: tuple[str, ...], said: str
) -> None:
    desk.fakes.sign_in(who, **decides)
    terminal = desk.type("login", *arguments)
    assert terminal.end() == 1
    last = terminal.seen.strip().splitlines()[-1]
    assert last.startswith("Error: ") and said in last
    assert "Traceback" not in terminal.seen
    assert desk.accounts() == ()


def test_a_database_that_cannot_be_written_is_found_before_the_issuer_is_asked(desk: Desk) -> None:
    assert desk.accounts() == ()
    home = str(desk.home)
    read_only = f'mount --bind "{home}" "{home}" && mount -o remount,bind,ro "{home}"'
    assert desk.lab.run(["sh", "-c", read_only]).returncode == 0
    terminal = desk.type("login", "codex", "--device")
    assert terminal.end() == 1
    last = terminal.seen.strip().splitlines()[-1]
    assert last.startswith("Error: ") and str(desk.database) in last
    assert desk.fakes.journal() == []


def test_slow_down_goes_on_and_ctrl_c_leaves_nothing_behind(desk: Desk) -> None:
    desk.fakes.sign_in("carol", slow_down=1, decision="never")
    terminal = desk.type("login", "copilot")
    terminal.see("The issuer asks for patience: looking again every 6 s")
    terminal.see(r"14:5\d left")
    terminal.press_ctrl_c()
    assert terminal.end() == 130
    assert terminal.seen.strip().splitlines()[-1] == "Ended; nobody was signed in, nothing was stored."
    assert desk.accounts() == ()


def test_without_a_terminal_there_are_plain_lines_and_the_output_is_the_account(desk: Desk) -> None:
    desk.fakes.sign_in("bob", pending=1)
    done = desk.lab.run(
        desk.argv("login", "codex", "--device", "--json"), env=desk.environment, cwd=desk.home, stdin=""
    )
    assert done.returncode == 0
    row = json.loads(done.stdout)
    assert (row["name"], row["plan"], row["state"]) == ("bob", "pro", "ready")
    assert {window["bucket"] for window in row["windows"]} >= {"primary", "secondary"}
    opened, needs, waiting, added = done.stderr.splitlines()
    assert opened.startswith("Open https://auth.openai.com/codex/device in any browser")
    assert needs.startswith("ChatGPT takes it where ")
    assert waiting == "waiting for you to confirm: 15 min left"
    assert added == "added bob (codex, pro)"
    assert "\x1b" not in done.stderr + done.stdout
