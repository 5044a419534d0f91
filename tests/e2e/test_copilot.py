"""Copilot through a real mitmdump: both kinds of credential, hosts that follow the account, auto mode, WebSocket."""

import asyncio
import json
import time
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tests.e2e.conftest import Scene, cli_headers
from tests.upstream import tokens

HOST = "api.individual.githubcopilot.com"
CHAT = json.dumps({"model": "gpt-4.1", "stream": True, "messages": [{"role": "user", "content": "hi"}]}).encode()
ON_CHAT = {"route": "chat-completions"}


def editor_headers(**more: str) -> dict[str, str]:
    """What VS Code of the editor's owner would send: a Copilot token, not a GitHub one."""
    return cli_headers(
        authorization=f"Bearer {tokens.copilot_token('emma', 'individual', time.time() + 1500)}",
        copilot_integration_id="vscode-chat",
        editor_version="vscode/1.130.0",
        editor_plugin_version="copilot-chat/0.66.0",
        user_agent="GitHubCopilotChat/0.66.0",
        vscode_sessionid="window-1",
        **more,
    )


async def ask(
    scene: Scene, headers: dict[str, str], path: str = "/chat/completions", body: bytes = CHAT, host: str = HOST
) -> Any:
    async with await scene.network.http2(host) as client:
        incoming = await client.send("POST", path, headers, body)
        return incoming, await incoming.body()


@pytest.mark.parametrize("headers", [editor_headers, cli_headers], ids=["copilot token", "github token"])
async def test_a_429_moves_to_the_next_account_and_its_own_host(scene: Scene, headers: Any) -> None:
    scene.pool("carol", "dave")
    scene.fakes.behave(
        "carol", {"kind": "rate_limited", "code": "user_global_rate_limited:pro", "retry_after": 3000, **ON_CHAT}
    )
    incoming, body = await ask(scene, headers())
    assert incoming.status == 200
    assert b"dave0" in body
    entries = scene.fakes.journal(route="chat-completions")
    assert [(e["account"], e["host"]) for e in entries] == [
        ("carol", "api.individual.githubcopilot.com"),
        ("dave", "api.business.githubcopilot.com"),
    ]
    kind = "copilot" if headers is editor_headers else "github"
    assert {e["kind"] for e in entries} == {kind}, "like for like"
    assert scene.cooldowns()["carol"].reason == "user_global_rate_limited"


async def test_the_token_is_exchanged_once_with_the_editors_own_client_headers(scene: Scene) -> None:
    scene.pool("carol")
    for _ in range(3):
        await ask(scene, editor_headers())
    exchanges = scene.fakes.journal(route="token")
    assert [e["account"] for e in exchanges] == ["carol"]
    headers = {name.lower(): value for name, value in exchanges[0]["headers"]}
    assert headers["editor-version"] == "vscode/1.130.0"
    assert headers["user-agent"] == "GitHubCopilotChat/0.66.0"
    assert "vscode-sessionid" not in headers


async def test_nothing_but_bearer_and_host_is_changed(scene: Scene) -> None:
    scene.pool("dave")
    sent = editor_headers(x_initiator="agent", x_request_id="r-1", vscode_machineid="m-1")
    await ask(scene, sent)
    entry = scene.fakes.journal(route="chat-completions")[0]
    arrived = {n.lower(): v for n, v in entry["headers"] if n.lower() not in ("host", "content-length")}
    assert entry["account"] == "dave"
    assert arrived.pop("authorization") != sent.pop("authorization")
    assert arrived == sent


async def test_ghost_text_goes_to_the_accounts_proxy_host(scene: Scene) -> None:
    scene.pool("dave")
    body = json.dumps({"prompt": "def f(", "stream": True}).encode()
    incoming, _ = await ask(
        scene, editor_headers(), "/v1/engines/gpt-41-copilot/completions", body, "proxy.individual.githubcopilot.com"
    )
    assert incoming.status == 200
    entry = scene.fakes.journal(route="engine")[0]
    assert (entry["account"], entry["host"]) == ("dave", "proxy.business.githubcopilot.com")


async def test_a_limit_on_chat_leaves_ghost_text_alone(scene: Scene) -> None:
    """An editor that is told of a limit of days asks for no ghost text before it is over."""
    scene.pool("carol")
    scene.fakes.behave(
        "carol", {"kind": "rate_limited", "code": "user_weekly_rate_limited:pro", "retry_after": 180_000, **ON_CHAT}
    )
    limited, _ = await ask(scene, editor_headers())
    body = json.dumps({"prompt": "def f(", "stream": True}).encode()
    typing, _ = await ask(
        scene, editor_headers(), "/v1/engines/gpt-41-copilot/completions", body, "proxy.individual.githubcopilot.com"
    )
    assert (limited.status, typing.status) == (429, 200)
    assert [e["account"] for e in scene.fakes.journal(route="engine")] == ["carol"]


async def test_paths_that_act_as_the_person_stay_the_editors_own(scene: Scene) -> None:
    scene.pool("carol")
    async with await scene.network.http2(HOST) as client:
        for method, path in (
            ("GET", "/models"),
            ("POST", "/mcp/readonly"),
            ("GET", "/agents"),
            ("POST", "/models/session"),
        ):
            await (await client.send(method, path, editor_headers(), b"{}" if method == "POST" else b"")).body()
    assert {e["account"] for e in scene.fakes.journal()} == {"emma"}


async def test_auto_modes_session_is_replaced_together_with_the_account(scene: Scene) -> None:
    scene.pool("carol")
    own = tokens.carrier("session", "emma", 1)
    incoming, _ = await ask(scene, editor_headers(copilot_session_token=own))
    assert incoming.status == 200
    entry = scene.fakes.journal(route="chat-completions")[0]
    assert (entry["account"], entry["session"]) == ("carol", "carol")


async def test_a_wrong_host_for_a_token_is_mended_once(scene: Scene) -> None:
    scene.pool("carol")
    scene.fakes.behave("carol", {"kind": "misdirected", "first": 1, "route": "chat-completions"})
    incoming, _ = await ask(scene, editor_headers())
    assert incoming.status == 200
    assert len(scene.fakes.journal(route="token")) == 2


async def test_spent_quota_walks_on_and_a_withdrawn_licence_does_not(scene: Scene) -> None:
    scene.pool("carol", "dave")
    scene.fakes.behave("carol", {"kind": "payment", "route": "chat-completions"})
    incoming, body = await ask(scene, editor_headers())
    assert b"dave0" in body
    scene.fakes.behave(
        "dave",
        {
            "kind": "status",
            "status": 403,
            "body": {"error": {"message": "not licensed to use Copilot"}},
            "route": "chat-completions",
        },
    )
    incoming, body = await ask(scene, editor_headers())
    assert incoming.status == 403
    assert b"not licensed" in body
    with scene.store as store:
        assert store.account("dave").disabled == "not-licensed"


async def test_every_answer_of_ours_is_one_that_the_editor_believes(scene: Scene) -> None:
    scene.pool("carol")
    scene.fakes.behave(
        "carol", {"kind": "rate_limited", "code": "user_weekly_rate_limited:pro", "retry_after": 600, **ON_CHAT}
    )
    await ask(scene, editor_headers())
    incoming, body = await ask(scene, editor_headers())
    assert incoming.status == 429
    assert "x-github-request-id" in incoming.headers
    assert 500 < int(incoming.headers["retry-after"]) <= 600
    assert incoming.headers["x-should-retry"] == "false"
    assert json.loads(body)["error"]["code"] == "user_weekly_rate_limited"
    assert len(scene.asked("chat-completions")) == 1


async def test_a_months_quota_that_is_spent_everywhere_is_a_402_with_a_date(scene: Scene) -> None:
    scene.pool("carol")
    scene.fakes.behave("carol", {"kind": "payment", "retry_after": 86400, **ON_CHAT})
    own, _ = await ask(scene, editor_headers())
    ours, body = await ask(scene, editor_headers())
    assert (own.status, ours.status) == (402, 402)
    assert json.loads(body)["error"]["code"] == "quota_exceeded"
    assert abs(parsedate_to_datetime(ours.headers["retry-after"]).timestamp() - time.time() - 86400) < 60


async def test_a_websocket_is_put_on_the_account_and_refused_handshakes_are_replayed(scene: Scene) -> None:
    scene.pool("carol", "dave")
    scene.fakes.behave(
        "carol",
        {"kind": "rate_limited", "code": "user_global_rate_limited:pro", "retry_after": 900, "route": "responses"},
    )
    socket = await scene.network.websocket(HOST, "/responses", cli_headers())
    try:
        await socket.send({"type": "response.create", "model": "gpt-5", "input": [], "initiator": "user"})
        deltas = []
        while (received := await socket.receive()) is not None and received[1]["type"] != "response.completed":
            deltas.append(received[1].get("delta", ""))
    finally:
        await socket.close()
    assert "".join(d for d in deltas if isinstance(d, str)).startswith("dave0")
    assert [(e["account"], e["host"]) for e in scene.fakes.journal(route="responses")] == [
        ("carol", "api.individual.githubcopilot.com"),
        ("dave", "api.business.githubcopilot.com"),
    ]


async def test_a_request_without_a_credential_passes_untouched(scene: Scene) -> None:
    scene.pool("carol")
    headers = cli_headers()
    del headers["authorization"]
    await ask(scene, headers, "/_ping", b"")
    await ask(scene, headers)
    assert {e["account"] for e in scene.fakes.journal(host=HOST)} == {None}


async def test_quota_headers_are_learnt(scene: Scene) -> None:
    scene.fakes.change("carol", quota={"premium_interactions": 42.0})
    scene.pool("carol")
    await ask(scene, cli_headers())

    def seen() -> float | None:
        with scene.store as store:
            return {w.bucket: w.left for _, w in store.changes(None).windows}.get("premium_interactions")

    async with asyncio.timeout(5):
        while seen() != pytest.approx(0.42):
            await asyncio.sleep(0.05)
