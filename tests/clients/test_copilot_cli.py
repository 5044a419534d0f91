"""The real Copilot CLI, signed in with a seat that is not in the pool, on the seats that are.

Emma is signed in. Carol has an individual seat and is asked first; dave has a business seat, on other hosts.
"""

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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


def sockets(desk: Desk) -> list[tuple[str, bool, int]]:
    """Who was asked for turns: seat, whether over a socket, status."""
    return [(e["account"], e["websocket"], e["status"]) for e in desk.fakes.journal(route="responses")]


def test_a_limit_told_on_an_open_socket_is_not_seen(desk: Desk, home: Path) -> None:
    """It would end the turn: the client does not ask again for a limit (copilot.md 7.1)."""
    desk.pool("carol", "dave")
    desk.fakes.behave("carol", {"kind": "usage_limit", "retry_after": 600, "on": ["frame"]})
    ran = ask(desk, home, "gpt-5.4")
    assert (ran.returncode, ran.stdout.strip()) == (0, HELLO), ran.stderr
    assert sockets(desk) == [("carol", True, 101), ("dave", True, 101)]


def calls(name: str, command: str) -> dict[str, Any]:
    """An answer on a socket that asks for a command to be run."""
    told = {"command": command, "description": "x", "mode": "sync", "initial_wait": 10}
    item = {"type": "function_call", "id": f"fc_{name}_1", "call_id": "call_1", "name": "bash", "status": "completed"}
    item |= {"arguments": json.dumps(told)}
    shell = {"id": f"resp_{name}_tool", "object": "response", "created_at": int(time.time()), "model": "any"}
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    usage |= {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    begun = {**item, "arguments": "", "status": "in_progress"}
    events = [
        {"type": "response.created", "response": {**shell, "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": begun},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {**shell, "status": "completed", "output": [item], "usage": usage}},
    ]
    return {"kind": "ok", "on": ["frame"], "first": 1, "body": events}


@pytest.mark.parametrize("fate", ["limited", "taken out"])
def test_a_seat_is_lost_between_a_tools_call_and_its_result(desk: Desk, home: Path, fate: str) -> None:
    """Seen: the client opens another socket at once, repeats everything, and carries the call out once."""
    desk.pool("carol", "dave")
    limit = {"kind": "usage_limit", "retry_after": 600, "on": ["frame"]}
    desk.fakes.behave("carol", calls("carol", "echo once >> ran; sleep 1"), *([limit] if fate == "limited" else []))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, desk, home, "gpt-5.4")
        desk.fakes.wait(1, 40, route="responses", account="carol")
        if fate == "taken out":
            with desk.store as store:
                store.set_paused("carol", True, datetime.now(UTC))
        ran = asked.result()
    assert ran.returncode == 0, ran.stderr
    assert "dave0 dave1 dave2" in ran.stdout
    assert (home / "work" / "ran").read_text() == "once\n"
    assert sockets(desk) == [("carol", True, 101), ("dave", True, 101)]
    carols, daves = desk.fakes.journal(route="responses")
    assert [turn["answer"] for turn in carols["turns"]] == (["ok", "usage_limit"] if fate == "limited" else ["ok"])
    assert [(turn["previous_response_id"], turn["input"]) for turn in daves["turns"]] == [(False, 3)]
