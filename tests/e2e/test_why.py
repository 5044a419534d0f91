"""A switch through a real mitmdump, explained afterwards by the command line beside it."""

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.e2e.conftest import Scene
from tests.e2e.test_codex import ask
from tests.harness import REPOSITORY

pytestmark = pytest.mark.asyncio


def told(scene: Scene, *arguments: str) -> str:
    """What a `seatpool` of its own process says of the proxy's database."""
    command = [sys.executable, "-m", "seatpool.cli", *arguments, "--db", str(scene.proxy.database)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "addon"), "COLUMNS": "200"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


async def test_after_a_429_both_attempts_and_the_limited_account_are_named(scene: Scene) -> None:
    since = len(scene.proxy.log)
    scene.pool("alice", "bob")
    scene.fakes.behave("alice", {"kind": "usage_limit", "resets_in_s": 7200})
    await ask(scene, conversation="switches")
    request = scene.proxy.wait_log(r"account=alice action=switch to=bob .* (request=[0-9a-f]{8})$", since=since)[1]
    known: dict[str, Any] = {"attempts": []}
    while len(known["attempts"]) < 2:  # written together with others, within a second or two
        if request.removeprefix("request=") in told(scene, "why", "--list", "5"):
            known = json.loads(told(scene, "why", request, "--json"))
    assert [(a["account"], a["outcome"], a["status"]) for a in known["attempts"]] == [
        ("alice", "usage_limit_reached", 429),
        ("bob", "ok", 200),
    ]
    said = told(scene, "why", request)
    assert re.search(r"^attempt 1: alice", said, re.MULTILINE)
    assert re.search(r"alice .*cooling for (2 h|1 h 59 min): usage_limit_reached; tried already", said)
    assert re.search(r"^ *1 +alice .*usage_limit_reached \(account\) +429", said, re.MULTILINE)
    assert re.search(r"^ *2 +bob .*ok +200", said, re.MULTILINE)
    assert "other strategies: quota -> " in said
    assert "FAKESECRET" not in said and "switches" not in said
    assert "alice" in told(scene, "forecast")


async def test_a_request_that_nobody_may_serve_is_named_in_the_log_and_explained(scene: Scene) -> None:
    since = len(scene.proxy.log)
    scene.pool("alice")
    scene.fakes.behave("alice", {"kind": "usage_limit"})
    for _ in range(2):
        await ask(scene)
    request = scene.proxy.wait_log(r"action=exhausted .* (request=[0-9a-f]{8})$", since=since)[1]
    listed = ""
    while request.removeprefix("request=") not in listed:
        listed = told(scene, "why", "--list", "5")
    said = told(scene, "why", request)
    assert "nobody could be asked" in said
    assert "nothing was sent upstream" in said
    assert "usage_limit_reached" in said
