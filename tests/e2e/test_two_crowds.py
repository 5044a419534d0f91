"""Places at an account are shared by two real proxies on one database, and those of a killed one come free."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from seatpool.core.slots import EXPIRES
from tests.e2e.conftest import CODEX_BODY, CODEX_PATH, Scene, codex_headers
from tests.e2e.test_two_proxies import Pair, two_proxies
from tests.harness.marks import needs_namespaces

pytestmark = [needs_namespaces, pytest.mark.asyncio]

MINUTES = {"kind": "ok", "deltas": 3000, "gap_ms": 100, "route": "responses"}
"""Longer than the test."""
SOON_S = 5.0
"""More than the three seconds after which a process knows what another one began."""


@asynccontextmanager
async def stream(scene: Scene, name: str) -> AsyncIterator[str]:
    """A long answer, under way while the block runs; the account that gives it."""
    async with await scene.network.http1("chatgpt.com") as client:
        incoming = await client.send("POST", CODEX_PATH, codex_headers(name), CODEX_BODY)
        assert await incoming.head() == 200
        yield scene.asked("responses")[-1]


async def asked(scene: Scene) -> str:
    """Who serves a request of a new conversation, which is soon over."""
    seen = len(scene.asked("responses"))
    async with await scene.network.http1("chatgpt.com") as client:
        incoming = await client.send("POST", CODEX_PATH, codex_headers(f"short-{seen}"), CODEX_BODY)
        assert await incoming.head() == 200
        await incoming.body()
    (name,) = scene.asked("responses")[seen:]
    return name


async def until(scene: Scene, name: str, within_s: float) -> float:
    """Ask until it is this account that serves; how long that took."""
    began = time.monotonic()
    async with asyncio.timeout(within_s):
        while await asked(scene) != name:
            await asyncio.sleep(0.1)
    return time.monotonic() - began


def told(pair: Pair) -> list[int]:
    """How much each process has told to have under way."""
    with pair.two.store as store:
        return sorted(sum(each.counts.values()) for each in store.changes(None).under_way or ())


async def test_two_places_are_two_for_both_proxies_together_until_one_is_killed(tmp_path: Path) -> None:
    options = {"pool_strategy": "priority", "pool_max_in_flight": "2"}
    with two_proxies(tmp_path, "alice", "bob", expires_in_s=864000, in_turn=False, **options) as pair:
        pair.one.fakes.behave("alice", {**MINUTES, "first": 2})
        async with stream(pair.two, "two") as second:
            async with stream(pair.one, "one") as first:
                assert (first, second) == ("alice", "alice")
                for scene in (pair.one, pair.two):
                    await until(scene, "bob", SOON_S)
                    assert [await asked(scene) for _ in range(5)] == ["bob"] * 5, "alice is full, whoever asks"
                pair.one.proxy.kill()
                killed_at = time.monotonic()
            assert await asked(pair.two) == "bob", "nobody knows of it yet"
            lasted = await until(pair.two, "alice", EXPIRES.total_seconds() + SOON_S)
            assert lasted <= EXPIRES.total_seconds() + 1
            assert time.monotonic() - killed_at > EXPIRES.total_seconds() / 2
            async with asyncio.timeout(SOON_S):
                while 1 not in told(pair):  # the last it has told may have had the short one in it
                    await asyncio.sleep(0.1)
        await until(pair.two, "alice", SOON_S)
        pair.two.proxy.stop()
        assert told(pair) == [], "who goes takes its rows along, and those of the dead"
