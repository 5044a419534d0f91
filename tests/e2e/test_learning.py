"""The editor's own account in the pool, learnt from its requests (`pool_learn`), through a real mitmdump."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import CODEX_BODY, CODEX_PATH, EDITOR, Scene, cli_headers, codex_headers
from tests.e2e.test_copilot import editor_headers
from tests.upstream.tokens import MARKER

pytestmark = pytest.mark.asyncio
Start = Callable[..., Scene]
CHAT = b'{"model":"gpt-4.1","messages":[{"role":"user","content":"hi"}]}'


async def ask(scene: Scene, conversation: str = "talk", who: str = EDITOR, **more: str) -> Any:
    async with await scene.network.http2("chatgpt.com") as client:
        incoming = await client.send("POST", CODEX_PATH, codex_headers(conversation, who, **more), CODEX_BODY)
        await incoming.body()
        return incoming


def learnt(scene: Scene) -> list[str]:
    with scene.store as store:
        return [account.identity for account in store.accounts() if account.learnt]


@pytest.mark.parametrize(("limited", "serves"), [("alice", EDITOR), (EDITOR, "alice")])
async def test_one_editor_and_one_imported_account_are_a_pool_of_two(start: Start, limited: str, serves: str) -> None:
    scene = start("alice", pool_learn="true")
    scene.fakes.behave(limited, {"kind": "usage_limit"})
    for number in range(3):
        assert (await ask(scene, f"talk-{number}")).status == 200
    asked = scene.asked("responses")
    assert asked.count(serves) == 3
    assert asked.count(limited) <= 1, "a limited account rests"
    assert sum("action=learning" in line for line in scene.proxy.log) == 1
    assert not [line for line in scene.proxy.log if MARKER in line]


async def test_what_the_editors_own_account_serves_goes_out_exactly_as_it_came(start: Start) -> None:
    scene = start("alice", pool_learn="true")
    scene.fakes.behave("alice", {"kind": "usage_limit"})
    odd = {"x_openai_account_routing_override": "us", "x_stainless_lang": "none", "originator": "codex_vscode"}
    await ask(scene, **odd)
    (served,) = scene.fakes.journal(route="responses", account=EDITOR)
    sent = codex_headers("talk", **odd)
    came = [(name, value) for name, value in served["headers"] if not name.startswith(":")]
    assert [name for name, _ in came] == [*sent]
    assert all(value == sent[name] for name, value in came if name in sent and name != "authorization")
    assert dict(came)["authorization"] == f"Bearer <{EDITOR}>"


async def test_an_editor_alone_is_never_worse_off(start: Start) -> None:
    scene = start(pool_learn="true")
    scene.fakes.behave(EDITOR, {"kind": "usage_limit", "first": 2})
    statuses = [(await ask(scene)).status for _ in range(3)]
    assert statuses == [429, 429, 200]  # every one of them asked the upstream
    assert scene.asked("responses") == [EDITOR] * 3


async def test_two_editors_serve_each_other(start: Start) -> None:
    scene = start(pool_learn="true")
    await ask(scene, "hers", "alice")
    await ask(scene, "his", "bob")
    scene.fakes.clear()
    scene.fakes.behave("alice", {"kind": "usage_limit"})
    assert (await ask(scene, "hers", "alice")).status == 200
    assert scene.asked("responses") == ["alice", "bob"]


async def test_a_conversation_under_another_login_tells_of_a_sign_out(start: Start) -> None:
    scene = start("carol", pool_learn="true")
    await ask(scene, "talk", "alice")
    assert len(learnt(scene)) == 1
    await ask(scene, "talk", "bob")
    scene.proxy.wait_log("action=forgotten reason=signed-out")
    assert [identity.partition("/")[0] for identity in learnt(scene)] == ["user-bob"]


async def test_a_refused_token_serves_nobody_until_the_editor_brings_another(start: Start) -> None:
    scene = start("bob", pool_learn="true")
    scene.fakes.behave("bob", {"kind": "usage_limit"})
    await ask(scene, "first", "alice")
    scene.fakes.change("alice", revoked_below=1)
    assert (await ask(scene, "second", "alice")).status == 401  # the editor renews its own login
    scene.fakes.clear()
    assert (await ask(scene, "third", EDITOR)).status == 200
    assert "alice" not in scene.asked("responses")


async def test_the_copilot_clis_own_login_serves_as_well(start: Start) -> None:
    scene = start("carol", pool_learn="true")
    scene.fakes.behave("carol", {"kind": "payment", "route": "chat-completions"})
    async with await scene.network.http2("api.individual.githubcopilot.com") as client:
        incoming = await client.send("POST", "/chat/completions", cli_headers(), CHAT)
        await incoming.body()
    assert incoming.status == 200
    assert scene.asked("chat-completions") == ["carol", "emma"]
    served = scene.fakes.journal(route="chat-completions", account="emma")[0]
    assert served["host"] == "api.individual.githubcopilot.com"


PICTURE = "https://github.com/github-copilot/chat/attachments/56872b9a-4ea5-466d-9dcf-e10cced64669"
SHOWN = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PICTURE}}]}
REFUSED = {"kind": "picture", "route": "chat-completions"}


async def show(scene: Scene, *more: dict[str, str]) -> int:
    body = json.dumps({"model": "gpt-4.1", "stream": True, "messages": [SHOWN, *more]}).encode()
    async with await scene.network.http2("api.individual.githubcopilot.com") as client:
        incoming = await client.send("POST", "/chat/completions", cli_headers(copilot_vision_request="true"), body)
        await incoming.body()
        return int(incoming.status)


async def test_an_uploaded_picture_is_for_the_editors_own_account(start: Start) -> None:
    """Uploads do not move, so nobody else has it; the conversation stays there."""
    scene = start("carol", pool_learn="true")
    scene.fakes.behave("carol", REFUSED)
    assert await show(scene) == 200
    assert await show(scene, {"role": "assistant", "content": "a cat"}, {"role": "user", "content": "and?"}) == 200
    assert scene.asked("chat-completions") == ["carol", "emma", "emma"]


async def test_an_uploaded_picture_that_is_gone_is_refused_as_ever(start: Start) -> None:
    scene = start("carol", pool_learn="true")
    for name in ("carol", "emma"):
        scene.fakes.behave(name, REFUSED)
    assert await show(scene) == 400
    assert scene.asked("chat-completions") == ["carol", "emma"]


async def test_block_keeps_the_editors_own_login_out(start: Start) -> None:
    scene = start(pool_learn="true", pool_on_failure="block")
    assert (await ask(scene)).status == 503
    assert learnt(scene) == []


async def test_nothing_of_a_learnt_token_is_stored(start: Start) -> None:
    scene = start("alice", pool_learn="true")
    scene.fakes.behave("alice", {"kind": "usage_limit"})
    await ask(scene)
    assert len(learnt(scene)) == 1
    with scene.store as store:
        mine = next(account for account in store.accounts() if account.learnt)
        assert store.credentials(mine.id) == {}


# -- a seat that its issuer has taken away


@pytest.mark.parametrize(
    "code", ["spammy_user", "access_revoked", "programmatic_token_generation", "no_copilot_access"]
)
async def test_a_revoked_seat_ends_the_request_and_moves_nobody(start: Start, code: str) -> None:
    scene = start("carol", "dave")
    details = {"error_details": {"notification_id": code, "message": "x"}, "message": "Resource not accessible"}
    scene.fakes.behave("carol", {"kind": "status", "route": "token", "status": 403, "body": details})
    async with await scene.network.http2("api.individual.githubcopilot.com") as client:
        incoming = await client.send("POST", "/chat/completions", editor_headers(), CHAT)
        told = await incoming.text()
    assert incoming.status == 403
    assert "carol" in told and code in told and "seatpool account resume" in told
    assert scene.asked("chat-completions") == [], "nobody was asked"
    with scene.store as store:
        assert store.account("carol").disabled == f"revoked-{code}"
        assert store.account("dave").usable


async def test_what_an_editor_looks_up_of_its_own_quota_ends_the_rest_of_its_account(start: Start) -> None:
    """Whoever uses a banked reset in Codex does so with the editor's own account, and looks at once what it has."""
    scene = start("alice", pool_learn="true")
    for name in ("alice", EDITOR):
        scene.fakes.behave(name, {"kind": "usage_limit"})
    assert (await ask(scene, "one")).status == 429
    scene.fakes.behave(EDITOR, {"kind": "ok"})
    assert (await ask(scene, "two")).status == 429, "nobody knows yet"
    scene.fakes.clear()
    async with await scene.network.http2("chatgpt.com") as client:
        looked = await client.send("GET", "/backend-api/wham/usage", codex_headers())
        assert json.loads(await looked.body())["rate_limit"]["allowed"] is True
    scene.proxy.wait_log("action=probe")
    assert (await ask(scene, "three")).status == 200
    assert scene.asked("responses") == [EDITOR]
    assert scene.asked("usage") == [EDITOR], "with its own login, once"
