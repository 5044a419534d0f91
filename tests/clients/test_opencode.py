"""The real opencode, signed in with accounts that are not in the pool, on those that are.

It asks for a title beside its first turn, with a model of its own choice.
"""

import json
import subprocess
from pathlib import Path

import pytest

from tests.clients.conftest import Desk
from tests.clients.npm import NoClients, opencode
from tests.e2e.conftest import EDITOR
from tests.upstream import tokens
from tests.upstream.logins import codex_auth

pytestmark = pytest.mark.timeout(90, func_only=True)

ROUTES = {
    "openai/gpt-5.4": ("responses", ("alice", "bob")),
    "github-copilot/gpt-5.4": ("responses", ("carol", "dave")),
    "github-copilot/claude-sonnet-4.6": ("messages", ("carol", "dave")),
    "github-copilot/gpt-4.1": ("chat-completions", ("carol", "dave")),
}
"""Where a model is asked, and who is in the pool."""
SETTINGS = {"share": "disabled", "autoupdate": False}
SESSIONS = ("session-id", "x-interaction-id")
FAR_S = 4_000_000_000


def sign_in(home: Path) -> None:
    """As `opencode auth login` leaves it, with both of a person's accounts."""
    auth, github = codex_auth(EDITOR)["tokens"], tokens.github_token("emma", "gho")
    codex = {"refresh": auth["refresh_token"], "access": auth["access_token"], "accountId": auth["account_id"]}
    logins = {
        "openai": {"type": "oauth", **codex, "expires": FAR_S * 1000},
        "github-copilot": {"type": "oauth", "refresh": github, "access": github, "expires": 0},
    }
    folder = home / "data" / "opencode"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "auth.json").write_text(json.dumps(logins))


def ask(desk: Desk, home: Path, model: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`opencode run`: one turn. It talks with itself, so the proxy is not for this machine."""
    sign_in(home)
    told = {"NO_PROXY": "localhost,127.0.0.1", "OPENCODE_DISABLE_MODELS_FETCH": "1", **environment}
    env = desk.environment(home, OPENCODE_CONFIG_CONTENT=json.dumps(SETTINGS), **told)
    try:
        program = opencode()
    except NoClients as error:
        pytest.skip(str(error))
    return desk.lab.run(
        [program, "run", "--model", model, "say hi"], env=env, cwd=home / "work", timeout_s=60, stdin=""
    )


def asked(desk: Desk, route: str) -> list[tuple[str, bool, int]]:
    """Account, whether over a socket, status."""
    return [(e["account"], e["websocket"], e["status"]) for e in desk.fakes.journal(route=route)]


@pytest.mark.parametrize("model", ROUTES)
def test_a_turn_ends_well_on_the_next_account(desk: Desk, home: Path, model: str) -> None:
    route, (first, second) = ROUTES[model]
    desk.pool(first, second)
    desk.fakes.behave(first, {"kind": "usage_limit", "retry_after": 600, "route": route})
    ran = ask(desk, home, model)
    assert (ran.returncode, ran.stdout.strip()) == (0, f"{second}0 {second}1 {second}2"), ran.stderr
    assert set(asked(desk, route)) == {(first, False, 429), (second, False, 200)}, "the title may come at the same time"
    sessions = {value for e in desk.fakes.journal() for name, value in e["headers"] if name.lower() in SESSIONS}
    assert len(sessions) == 1, "the title and the turn are one conversation"


@pytest.mark.parametrize(("on", "status"), [("handshake", 429), ("frame", 101)])
def test_a_limit_told_on_its_socket_is_not_seen(desk: Desk, home: Path, on: str, status: int) -> None:
    """Its sockets are an experiment of its own, off unless it is asked for them; the title comes without one."""
    desk.pool("alice", "bob")
    desk.fakes.behave("alice", {"kind": "usage_limit", "retry_after": 600, "on": [on]})
    ran = ask(desk, home, "openai/gpt-5.4", OPENCODE_EXPERIMENTAL_WEBSOCKETS="true")
    assert (ran.returncode, ran.stdout.strip()) == (0, "bob0 bob1 bob2"), ran.stderr
    assert [e for e in asked(desk, "responses") if e[1]] == [("alice", True, status), ("bob", True, 101)]
