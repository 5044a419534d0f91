"""The real Copilot CLI, signed in with a seat that is not in the pool, on the seats that are.

Emma is signed in. Carol has an individual seat and is asked first; dave has a business seat, on other hosts.
"""

import subprocess
from pathlib import Path

import pytest

from tests.clients.conftest import Desk
from tests.upstream import tokens

pytestmark = pytest.mark.timeout(90, func_only=True)

ROUTES = {
    "claude-sonnet-4.6": ("messages", False),
    "gpt-5-mini": ("responses", False),
    "gpt-5.4": ("responses", True),
    "auto": ("chat-completions", False),
}
"""Where a model is asked, and whether over a WebSocket."""
HELLO = "dave0 dave1 dave2"


def ask(desk: Desk, home: Path, model: str) -> subprocess.CompletedProcess[str]:
    """`copilot -p`: one turn."""
    argv = ["copilot", "-p", "say hi", "--model", model, "--no-auto-update", "--allow-all-tools"]
    token = tokens.github_token("emma", "gho")
    environment = desk.environment(home, COPILOT_GITHUB_TOKEN=token, COPILOT_HOME=str(home / ".copilot"))
    return desk.lab.run(argv, env=environment, cwd=home / "work", timeout_s=40, stdin="")


@pytest.mark.parametrize("model", ROUTES)
def test_a_turn_ends_well_on_the_next_seat(desk: Desk, home: Path, model: str) -> None:
    route, websocket = ROUTES[model]
    desk.pool("carol", "dave")
    desk.fakes.behave("carol", {"kind": "usage_limit", "retry_after": 600, "route": route})
    ran = ask(desk, home, model)
    assert (ran.returncode, ran.stdout.strip()) == (0, HELLO), ran.stderr
    asked = desk.fakes.journal(route=route)
    assert [(e["account"], e["host"], e["websocket"], e["status"]) for e in asked] == [
        ("carol", "api.individual.githubcopilot.com", websocket, 429),
        ("dave", "api.business.githubcopilot.com", websocket, 101 if websocket else 200),
    ]
    # Auto mode's second credential is that of the seat that is asked.
    assert [e["session"] for e in asked] == (["carol", "dave"] if model == "auto" else [None, None])


def test_a_limit_told_on_an_open_socket_is_a_post_to_the_next_seat(desk: Desk, home: Path) -> None:
    desk.pool("carol", "dave")
    desk.fakes.behave("carol", {"kind": "usage_limit", "retry_after": 600, "on": ["frame"]})
    ran = ask(desk, home, "gpt-5.4")
    assert (ran.returncode, ran.stdout.strip()) == (0, HELLO), ran.stderr
    asked = desk.fakes.journal(route="responses")
    assert [(e["account"], e["websocket"], e["status"]) for e in asked] == [("carol", True, 101), ("dave", False, 200)]
