"""`/metrics` of a running proxy, read by Prometheus' own parser."""

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.conftest import Scene
from tests.e2e.test_codex import ask, open_socket, turn
from tests.harness.clients import curl
from tests.upstream.tokens import MARKER

pytestmark = pytest.mark.asyncio
Samples = dict[tuple[str, ...], float]


def scrape(scene: Scene) -> Samples:
    """As Prometheus does with `proxy_url`: in the clear, trusting nothing."""
    ran = scene.lab.run(["curl", "-s", "-f", "-x", scene.proxy.url, "http://seatpool.test/metrics"])
    text = ran.stdout if isinstance(ran.stdout, str) else ran.stdout.decode()
    assert MARKER not in text and "@" not in text
    families = text_string_to_metric_families(text)
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def more(before: Samples, after: Samples) -> dict[tuple[str, ...], Any]:
    """What was counted between two scrapes."""
    counted = {key: after[key] - before.get(key, 0) for key in after if key[0].endswith(("_total", "_count"))}
    return {key: count for key, count in counted.items() if count}


async def test_a_scrape_through_the_proxy_tells_of_requests_attempts_quota_and_cooldowns(scene: Scene) -> None:
    scene.pool("alice", "bob")
    before = scrape(scene)
    scene.fakes.behave("alice", {"kind": "usage_limit", "resets_in_s": 7200, "route": "responses"})
    await ask(scene)
    after = scrape(scene)
    counted = more(before, after)
    assert counted["seatpool_requests_total", "bob", "gpt-x", "ok"] == 1
    assert counted["seatpool_attempts_total", "alice", "gpt-x", "usage_limit_reached"] == 1
    assert counted["seatpool_attempts_total", "bob", "gpt-x", "ok"] == 1
    assert counted["seatpool_cooldowns_total", "alice", "account", "usage_limit_reached"] == 1
    assert counted["seatpool_first_byte_seconds_count", "bob"] == 1
    assert counted["seatpool_added_latency_seconds_count",] == 1
    resting = after["seatpool_cooldown_remaining_seconds", "alice", "account", "", "usage_limit_reached"]
    assert 7000 < resting <= 7200
    assert after["seatpool_in_flight_requests", "bob"] == 0
    assert any(key[:2] == ("seatpool_quota_left_ratio", "bob") and 0 <= left <= 1 for key, left in after.items())
    async with open_socket(scene) as socket:
        await turn(socket)
        await turn(socket)
    counted = more(after, scrape(scene))
    requests = [(key, count) for key, count in counted.items() if key[0] == "seatpool_requests_total"]
    assert [(key[1], key[3], count) for key, count in requests] == [("bob", "ok", 2)], "each turn is one"
    scene.fakes.behave("bob", {"kind": "usage_limit", "resets_in_s": 7200, "route": "responses"})
    await ask(scene, conversation="other")
    await ask(scene, conversation="another")
    last = scrape(scene)
    assert last["seatpool_requests_total", "", "", "exhausted"] >= 1


async def test_it_is_served_in_tls_as_well(scene: Scene) -> None:
    argv = curl("https://seatpool.test/metrics", ca=scene.proxy.ca, proxy=scene.proxy.url)
    ran = scene.lab.run(argv)
    assert b"# TYPE seatpool_build_info gauge" in (ran.stdout if isinstance(ran.stdout, bytes) else ran.stdout.encode())
