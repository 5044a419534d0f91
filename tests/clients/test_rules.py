"""The real clients under rules: Codex tells in which repository it works, and the work seat alone serves that.

The proxy is one of its own, with a rules file.
"""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients import codex, test_copilot_cli
from tests.clients.codex import AppServer
from tests.clients.conftest import Desk, furnished
from tests.e2e.conftest import ALONE

pytestmark = pytest.mark.timeout(90, func_only=True)

RULES = """\
[[rule]]
name = "work code"
provider = "codex"
client = "codex_exec"
repository = "github.com/acme/*"
only = ["bob"]

[[rule]]
name = "rather bob"
provider = "codex"
client = "tests"
repository = "github.com/acme/*"
prefer = ["bob"]

[[rule]]
name = "dear model"
provider = "copilot"
client = "copilot"
model = "gpt-5.4"
only = ["dave"]
"""
UPGRADE_REFUSED = {"kind": "status", "status": 426, "on": ["handshake"]}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("ruled")
    rules = folder / "rules.toml"
    rules.write_text(RULES)
    with furnished(folder, {**ALONE, "pool_rules": str(rules)}) as desk:
        yield desk


@pytest.fixture
def clone(home: Path) -> Callable[[str], None]:
    """Makes the folder a clone of a repository."""

    def clone(remote: str) -> None:
        for command in (("init", "--quiet"), ("remote", "add", "origin", remote)):
            subprocess.run(["git", "-C", str(home / "work"), *command], check=True)

    return clone


def told(desk: Desk) -> list[tuple[str, bool, int]]:
    """Who was asked for turns, whether over a socket, and for how many: none of them only warmed it up."""
    entries = [e for e in desk.fakes.journal(route="responses") if e["status"] in (101, 200)]
    return [(e["account"], e["websocket"], sum(t["generate"] for t in e["turns"])) for e in entries]


@pytest.mark.parametrize("transport", ["websocket", "https"])
@pytest.mark.parametrize(
    ("remote", "serves"),
    [("git@github.com:Acme/Widgets.git", "bob"), ("https://x:y@github.com/someone/else", "alice"), (None, "alice")],
    ids=["work", "home", "no repository"],
)
def test_codex_is_served_by_the_seat_of_its_repository(
    desk: Desk, home: Path, clone: Callable[[str], None], remote: str | None, serves: str, transport: str
) -> None:
    desk.pool("alice", "bob")
    if transport == "https":
        desk.fakes.behave("*", UPGRADE_REFUSED)
    if remote is not None:
        clone(remote)
    code, events = codex.execute(desk, home)
    assert (code, codex.errors(events)) == (0, [])
    assert codex.said(events) == [f"{serves}0 {serves}1 {serves}2 "]
    assert told(desk) == [(serves, True, 1) if transport == "websocket" else (serves, False, 0)]
    asked = {e["account"] for e in desk.fakes.journal(route="responses") if e["turns"] or not e["websocket"]}
    assert asked == {serves}, "nobody else got as much as a warming up"


def test_where_the_work_seat_cannot_serve_codex_says_which_rule_it_was(
    desk: Desk, home: Path, clone: Callable[[str], None]
) -> None:
    desk.pool("alice")
    clone("git@github.com:acme/widgets.git")
    code, events = codex.execute(desk, home)
    assert code == 1
    assert 'the rule "work code" (rules.toml:1) allows only bob' in codex.errors(events)[-1]
    assert desk.fakes.journal(route="responses") == []


def test_a_preferred_seat_takes_over_with_the_first_turn_unseen(
    desk: Desk, home: Path, started: Any, clone: Callable[[str], None]
) -> None:
    desk.pool("alice", "bob")
    clone("git@github.com:acme/widgets.git")
    app = AppServer(started(["codex", "app-server"], codex.signed_in(desk, home), home / "work"), home / "work")
    for _ in range(2):
        turn = app.turn()
        assert (turn.status, turn.errors, turn.text) == ("completed", [], "bob0 bob1 bob2 ")


def test_the_copilot_cli_posts_to_the_seat_of_a_model_that_its_handshake_did_not_tell(desk: Desk, home: Path) -> None:
    desk.pool("carol", "dave")
    ran = test_copilot_cli.ask(desk, home, "gpt-5.4")
    assert (ran.returncode, ran.stdout.strip()) == (0, "dave0 dave1 dave2"), ran.stderr
    entries = desk.fakes.journal(route="responses")
    assert [(e["account"], e["websocket"], len(e["turns"])) for e in entries] == [
        ("carol", True, 0),
        ("dave", False, 0),
    ]
