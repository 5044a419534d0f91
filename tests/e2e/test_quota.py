"""Quota and models of accounts in use, asked for by real proxies. Each looks around every ten seconds."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.e2e.conftest import Scene
from tests.e2e.test_copilot import CHAT, HOST, ask, editor_headers
from tests.e2e.test_promises import post
from tests.e2e.test_two_proxies import two_proxies
from tests.harness.marks import needs_namespaces
from tests.upstream.tokens import MARKER

SILENT = {"rate_limits": False}
"""Answers that tell nothing of quota."""
SOON_S = 20.0
"""Two looks."""

pytestmark = needs_namespaces


async def test_two_proxies_ask_once_for_the_quota_of_an_account_in_use_and_of_no_other(tmp_path: Path) -> None:
    with two_proxies(tmp_path) as pair:
        one, two, fakes = pair.one, pair.two, pair.one.fakes
        pair.pool("alice", "bob", "carol")
        fakes.behave("alice", SILENT)
        fakes.behave("carol", SILENT)
        fakes.change("alice", plan="pro", quota={"primary": 77, "codex_spark": 100})
        assert (await post(one))[0] == 200
        (asked,) = fakes.wait(route="usage", done=True, timeout_s=SOON_S)
        headers = {name.lower(): value for name, value in asked["headers"]}
        assert (asked["account"], headers["user-agent"]) == ("alice", "codex_exec/0.169.0")

        assert (await post(two))[0] == 200
        await ask(two, editor_headers())
        fakes.wait(route="copilot-user", account="carol", timeout_s=SOON_S)  # so the other one has looked, too
        assert one.asked("usage") == ["alice"]
        with one.store as store:
            account = store.account("alice")
            windows = {w.bucket: (w.left, w.source) for w in store.windows(account.id)}
            assert account.plan == "pro"
            assert store.windows(store.account("bob").id) == ()
        assert windows["codex_spark/primary"] == (0.0, "usage")
        assert windows["primary"][1] == "usage"
        assert pair.shows() == []
        log = one.proxy.log + two.proxy.log
        assert not [line for line in log if MARKER in line or "Traceback" in line]


async def test_lists_of_models_decide_who_serves_and_are_added_to_the_editors_own(start: Callable[..., Scene]) -> None:
    scene = start("carol", "dave", pool_models="union", pool_usage_poll="false", pool_strategy="round-robin")
    fakes = scene.fakes
    fakes.change("emma", models=["gpt-4o"])
    fakes.change("carol", models=["gpt-4.1"])
    fakes.change("dave", models=["gpt-4.1", "gpt-5-mini"])
    fakes.behave("emma", {"kind": "ok", "route": "models", "headers": {"etag": '"own"', "x-kept": "1"}})
    own = await models(scene)
    assert (own[0], own[1].get("etag")) == (["gpt-4o"], '"own"'), "before anybody's list is known"

    for word in (b"one", b"two"):
        await ask(scene, editor_headers(), body=CHAT.replace(b"hi", word))
    assert scene.asked("chat-completions") == ["carol", "dave"]
    for name in ("carol", "dave"):
        (asked,) = fakes.wait(route="models", account=name, done=True, timeout_s=SOON_S)
        assert (asked["kind"], asked["host"].split(".")[0]) == ("copilot", "api")

    fakes.clear()
    for word in (b"three", b"four"):
        await ask(scene, editor_headers(), body=CHAT.replace(b"gpt-4.1", b"gpt-5-mini").replace(b"hi", word))
    assert scene.asked("chat-completions") == ["dave", "dave"], "although it was the other's turn"
    assert scene.cooldowns() == {}

    names, headers = await models(scene)
    assert names == ["gpt-4o", "gpt-4.1", "gpt-5-mini"]
    assert ("etag" in headers, headers["x-kept"]) == (False, "1")
    assert scene.asked("models") == ["emma"], "with the editor's own login, as ever"
    assert scene.asked("copilot-user") == scene.asked("usage") == []


async def models(scene: Scene) -> tuple[list[str], dict[str, str]]:
    """What the editor is told."""
    async with await scene.network.http2(HOST) as client:
        incoming = await client.send("GET", "/models", editor_headers())
        listed = json.loads(await incoming.body())
        return [model["id"] for model in listed["data"]], dict(incoming.headers)
