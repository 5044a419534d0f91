"""A limit of the address, through a real mitmdump: the walk ends, nobody rests, and the log says why."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import CODEX_BODY, CODEX_PATH, Scene, codex_headers

pytestmark = pytest.mark.asyncio

NAMELESS: dict[str, Any] = {
    "kind": "status",
    "status": 429,
    "body": {"detail": "Too many requests"},
    "route": "responses",
}


async def post(scene: Scene, conversation: str, version: str = "http2") -> tuple[int, str]:
    async with await getattr(scene.network, version)("chatgpt.com") as client:
        incoming = await client.send("POST", CODEX_PATH, codex_headers(conversation), CODEX_BODY)
        return await incoming.head(), await incoming.text()


@pytest.mark.parametrize("version", ["http1", "http2"])
async def test_what_two_accounts_meet_alike_is_the_addresss_and_is_delivered(
    start: Callable[..., Scene], version: str
) -> None:
    scene = start("alice", "bob")
    scene.fakes.behave("*", NAMELESS)
    assert await post(scene, "first", version) == (429, '{"detail": "Too many requests"}')
    assert scene.asked("responses") == ["alice", "bob"]
    scene.proxy.wait_log(r"action=egress-limited provider=codex accounts=2 reason=rate-limited")
    assert (await post(scene, "second", version))[0] == 429
    assert scene.asked("responses") == ["alice", "bob", "alice"], "asked once, and not rotated"
    assert sum("egress-limited" in line for line in scene.proxy.log) == 1
    scene.fakes.behave("*")
    status, text = await post(scene, "third", version)
    assert status == 200 and "alice0" in text, "nobody rests"


async def test_one_account_alone_that_meets_it_rests(scene: Scene) -> None:
    scene.pool("alice", "bob")
    scene.fakes.behave("alice", NAMELESS)
    status, text = await post(scene, "first")
    assert status == 200 and "bob0" in text
    assert scene.cooldowns()["alice"].strikes == 1
    await post(scene, "second")
    assert scene.asked("responses") == ["alice", "bob", "bob"]
