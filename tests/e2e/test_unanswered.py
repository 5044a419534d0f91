"""Requests that get no answer: what the editor reads, what is sent again, and what a person can choose."""

import asyncio
from collections.abc import Callable

import pytest

from tests.e2e.conftest import CODEX_BODY, CODEX_PATH, Scene, codex_headers

pytestmark = pytest.mark.asyncio


async def post(scene: Scene, version: str, conversation: str) -> tuple[int, str]:
    async with await getattr(scene.network, version)("chatgpt.com") as client:
        incoming = await client.send("POST", CODEX_PATH, codex_headers(conversation), CODEX_BODY)
        return await incoming.head(), await incoming.text()


@pytest.mark.parametrize("version", ["http1", "http2"])
async def test_a_person_can_have_it_sent_to_another_account(start: Callable[..., Scene], version: str) -> None:
    scene = start("alice", "bob", pool_replay_unanswered="true", pool_header_timeout_s="1")
    for kind in ("close", "reset", "hang"):
        scene.fakes.behave("alice", {"kind": kind, "route": "responses"})
        status, text = await post(scene, version, kind)
        assert (status, text.startswith("bob0")) == (200, True), kind
    assert scene.asked("responses") == ["alice", "bob"] * 3
    assert scene.cooldowns() == {}


@pytest.mark.parametrize("kind", ["close", "reset", "half_head", "junk", "bad_head"])
@pytest.mark.parametrize("version", ["http1", "http2"])
async def test_what_is_not_the_pools_fails_in_the_providers_form_too(scene: Scene, kind: str, version: str) -> None:
    scene.fakes.behave("editor", {"kind": kind, "route": "models"})
    async with await getattr(scene.network, version)("chatgpt.com") as client:
        incoming = await client.send("GET", "/backend-api/codex/models?client_version=1", codex_headers())
        answer = await incoming.json()
    assert incoming.status == 502
    assert answer["error"]["code"] == "seatpool_unavailable"
    assert scene.asked("models") == ["editor"]


async def test_an_answer_that_breaks_off_unseen_is_on_record_as_cut(scene: Scene) -> None:
    scene.pool("alice")
    scene.fakes.behave("alice", {"kind": "ok", "cut_at": 20, "route": "responses"})
    async with await scene.network.http2("chatgpt.com") as client:
        body = CODEX_BODY.replace(b"true", b"false")
        incoming = await client.send("POST", CODEX_PATH, codex_headers(), body)
        assert await incoming.head() == 502
    async with asyncio.timeout(10):
        while not (found := attempts(scene)):
            await asyncio.sleep(0.05)
    assert found == [("cut", 200)]


def attempts(scene: Scene) -> list[tuple[str, int | None]]:
    with scene.store as store:
        account = store.account("alice")
        return [(each.outcome, each.status) for each in store.past.attempts(limit=9, account_id=account.id)]


async def test_streams_that_lose_their_connection_together_go_on_together(scene: Scene) -> None:
    """mitmproxy opens five connections to one address: a new one for each would keep the sixth waiting for ever."""
    scene.pool("alice")
    async with asyncio.timeout(20), await scene.network.http2("chatgpt.com") as client:
        first = await client.send("POST", CODEX_PATH, codex_headers(), CODEX_BODY)
        await first.text()
        scene.fakes.behave(
            "alice",
            {"kind": "reset", "reused": True, "first": 1, "route": "responses"},
            {"kind": "ok", "delay_ms": 200},
        )
        sent = [await client.send("POST", CODEX_PATH, codex_headers(f"talk-{n}"), CODEX_BODY) for n in range(8)]
        texts = await asyncio.gather(*(incoming.text() for incoming in sent))
    assert {text.startswith("alice0") for text in texts} == {True}
    assert len({entry["connection"] for entry in scene.fakes.journal(route="responses")}) == 2
