"""Whose quota an editor is shown, through a real mitmdump: `pool_client_quota`."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from tests.e2e.conftest import CODEX_BODY, CODEX_PATH, EDITOR, Scene, cli_headers, codex_headers
from tests.e2e.test_copilot import CHAT, HOST
from tests.e2e.test_sockets import CODEX, COPILOT, open_socket, turn
from tests.harness.marks import needs_namespaces

pytestmark = needs_namespaces

Start = Callable[..., Scene]
USAGE = "/backend-api/wham/usage"
PREMIUM = "x-quota-snapshot-premium_interactions"
WINDOW = "x-codex-{}-used-percent"

SPENDING = {"premium_interactions": {"entitlement": "300", "percent_remaining": 10.0}}
COMPLETED = {"type": "response.completed", "response": {"id": "r"}, "copilot_quota_snapshots": SPENDING}
LAST = {"kind": "ok", "on": ["frame"], "body": [COMPLETED]}


async def ask(scene: Scene, who: str = EDITOR) -> Any:
    """A turn over HTTP/2: the head of its answer."""
    async with await scene.network.http2("chatgpt.com") as client:
        incoming = await client.send("POST", CODEX_PATH, codex_headers(who=who), CODEX_BODY)
        await incoming.body()
        return incoming


async def percent_used(scene: Scene) -> tuple[str | None, str | None]:
    """Of both windows, as the head of an answer tells them."""
    headers = (await ask(scene)).headers
    return headers.get(WINDOW.format("primary")), headers.get(WINDOW.format("secondary"))


async def limits_told(scene: Scene) -> list[tuple[int, int]]:
    """The same in a socket's messages."""
    async with open_socket(scene, CODEX) as socket:
        events = [e["rate_limits"] for e in await turn(socket) if e["type"] == "codex.rate_limits"]
    return [(e["primary"]["used_percent"], e["secondary"]["used_percent"]) for e in events]


async def premium_left(scene: Scene) -> str | None:
    """Percent left, as the head of a chat's answer tells it."""
    async with await scene.network.http2(HOST) as client:
        incoming = await client.send("POST", "/chat/completions", cli_headers(), CHAT)
        await incoming.body()
    assert incoming.status == 200
    told = incoming.headers.get(PREMIUM)
    return parse_qs(told)["rem"][0] if told is not None else None


async def looked_up(scene: Scene) -> dict[str, Any]:
    async with await scene.network.http2("chatgpt.com") as client:
        found: dict[str, Any] = json.loads(await (await client.send("GET", USAGE, codex_headers())).body())
        return found


def percent_known(scene: Scene, name: str, primary: int) -> dict[str, int]:
    """Percent used, as the pool has learnt it, once that of `primary` is written down."""
    deadline = time.monotonic() + 10
    while True:
        with scene.store as store:
            account = next(a for a in store.accounts() if a.name.startswith(name))
            found = {w.bucket: round(100 * (1 - w.left)) for w in store.windows(account.id)}
        if found.get("primary") == primary or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def take_out(scene: Scene) -> None:
    """The editor's own account serves no more: known to the proxy as soon as who is put into the pool behind that."""
    with scene.store as store:
        own = next(account.name for account in store.accounts() if account.learnt)
        store.set_paused(own, True, datetime.now(UTC))


def set_the_stage(scene: Scene) -> None:
    scene.fakes.change(EDITOR, quota={"primary": 20, "secondary": 5})
    scene.fakes.change("alice", quota={"primary": 70, "secondary": 35}, plan="plus")
    scene.fakes.change("bob", quota={"primary": 40, "secondary": 100}, plan="plus")
    scene.fakes.change("carol", quota={"premium_interactions": 42.0})
    scene.fakes.change("dave", quota={"premium_interactions": 10.0})


async def test_an_editor_keeps_reading_the_numbers_of_its_own_account(start: Start) -> None:
    scene = start("carol", pool_client_quota="primary", pool_learn="true")
    set_the_stage(scene)
    assert await percent_used(scene) == ("20", "5"), "it has served"
    take_out(scene)
    scene.pool("alice", "carol")
    assert await percent_used(scene) == ("20", "5")
    assert await limits_told(scene) == [(20, 5)]
    assert scene.asked("responses")[-2:] == ["alice", "alice"]
    assert percent_known(scene, "alice", 70) == {"primary": 70, "secondary": 35}, "the pool has read what came"
    assert await premium_left(scene) is None, "emma has not served: nothing is known of hers"
    usage = await looked_up(scene)
    assert usage["rate_limit"]["primary_window"]["used_percent"] == 20

    scene.fakes.behave("alice", {"kind": "usage_limit"})
    refused = await ask(scene)
    assert (refused.status, refused.headers[WINDOW.format("primary")]) == (429, "100"), "a refusal says why"
    assert not [line for line in scene.proxy.log if "Traceback" in line or "quota-not-shown" in line]


async def test_an_editor_reads_what_the_pool_has_left(start: Start) -> None:
    scene = start("alice", "bob", "carol", "dave", pool_client_quota="pool", pool_strategy="round-robin")
    set_the_stage(scene)
    assert await percent_used(scene) == ("70", "35"), "of bob nothing is known yet"
    scene.fakes.behave("alice", {"kind": "server_error"})
    async with await scene.network.http2("chatgpt.com") as client:
        sent = await client.send("POST", CODEX_PATH, codex_headers("other"), CODEX_BODY)
        await sent.body()
    # (70 + 40) / 2, and (35 + 100) / 2 = 67.5, which is told in whole percents
    assert sent.headers[WINDOW.format("primary")] == "55"
    assert sent.headers[WINDOW.format("secondary")] in ("67", "68")
    assert scene.asked("responses")[-1] == "bob"
    usage = await looked_up(scene)
    limit = usage["rate_limit"]
    assert (limit["primary_window"]["used_percent"], limit["limit_reached"]) == (55, False)
    assert (usage["user_id"], usage["email"]) == (f"user-{EDITOR}", f"{EDITOR}@example.com")
    scene.fakes.behave("alice")
    ((primary, _),) = await limits_told(scene)
    assert primary == 55
    assert percent_known(scene, "bob", 40) == {"primary": 40, "secondary": 100}

    assert await premium_left(scene) == "42.0"
    scene.fakes.behave("carol", LAST)
    scene.fakes.behave("dave", LAST)
    async with open_socket(scene, COPILOT) as socket:
        told = (await turn(socket))[-1]["copilot_quota_snapshots"]["premium_interactions"]
    # Carol pays for five times as much: (5 * 42 + 10) / 6 where the other seat tells it
    left = {"carol": 10.0, "dave": 36.7}[scene.asked("responses")[-1]]
    assert told == {"entitlement": "100", "percent_remaining": left}
    assert not [line for line in scene.proxy.log if "Traceback" in line or "quota-not-shown" in line]
