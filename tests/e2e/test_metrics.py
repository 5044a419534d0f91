"""What a running proxy tells others: `/metrics`, notices and traces, each read as its receivers read it."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.conftest import Scene
from tests.e2e.test_codex import ask, open_socket, turn
from tests.e2e.test_copilot import ask as ask_copilot
from tests.e2e.test_copilot import editor_headers
from tests.harness import REPOSITORY
from tests.harness.clients import curl
from tests.harness.receiver import read
from tests.upstream.tokens import MARKER

pytestmark = pytest.mark.asyncio
Samples = dict[tuple[str, ...], float]


def scrape(scene: Scene, *, port: int | None = None) -> Samples:
    """As Prometheus does with `proxy_url`: in the clear, trusting nothing; or from the page's own port."""
    way = (
        ["-x", scene.proxy.url, "http://seatpool.test/metrics"]
        if port is None
        else [f"http://127.0.0.1:{port}/metrics"]
    )
    ran = scene.lab.run(["curl", "-s", "-f", *way])
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


async def test_it_is_served_in_tls_as_well_and_to_no_other_origin(scene: Scene) -> None:
    argv = curl("https://seatpool.test/metrics", ca=scene.proxy.ca, proxy=scene.proxy.url)
    assert "# TYPE seatpool_build_info gauge" in str(scene.lab.run(argv).stdout)
    foreign = scene.lab.run([*argv, "-H", "origin: https://elsewhere.example"])
    assert "seatpool_" not in str(foreign.stdout)


PORT = 9009
SECRET = "s3cr3t-part"
NOTIFY_SEND = '#!/bin/sh\nprintf "%s|" "$@" >> "$0.said"; echo >> "$0.said"\n'


@pytest.fixture
def watched(start: Callable[..., Scene], tmp_path: Path) -> Iterator[tuple[Scene, Path]]:
    """With a desktop, a webhook and a collector that wait for what they are told; the log of the latter two."""
    log, stand_in = tmp_path / "posted", tmp_path / "bin" / "notify-send"
    stand_in.parent.mkdir()
    stand_in.write_text(NOTIFY_SEND)
    stand_in.chmod(0o755)
    options = {
        "pool_notify": "desktop",
        "pool_webhook": f"http://127.0.0.1:{PORT}/{SECRET}",
        "pool_page_port": "8099",
        "pool_otlp_endpoint": f"http://127.0.0.1:{PORT}",
    }
    env = {
        "PATH": f"{stand_in.parent}:{os.environ['PATH']}",
        "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=basic%20{SECRET}, x-team=blue",
    }
    scene = start("alice", "bob", "dave", env=env, **options)
    program = [sys.executable, "-m", "tests.harness.receiver", str(PORT), str(log)]
    receiver = scene.lab.popen(program, cwd=REPOSITORY, stdout=subprocess.PIPE)
    assert receiver.stdout is not None and receiver.stdout.readline()
    yield scene, log
    receiver.kill()
    receiver.communicate()


async def until(found: Callable[[], Any]) -> Any:
    """What it finds, as soon as it does."""
    async with asyncio.timeout(10):
        while not (it := found()):
            await asyncio.sleep(0.05)
    return it


async def test_a_person_is_told_and_a_collector_gets_traces_without_a_word_of_what_was_asked(
    watched: tuple[Scene, Path], tmp_path: Path
) -> None:
    scene, log = watched
    prompt = "PROMPT-that-nobody-else-may-see"
    body = json.dumps({"model": "gpt-x", "input": [prompt], "stream": True}).encode()
    scene.fakes.behave("alice", {"kind": "usage_limit", "resets_in_s": 7200, "route": "responses"})
    await ask(scene, body=body)
    await ask(scene, body=body)
    scene.fakes.behave("bob", {"kind": "usage_limit", "resets_in_s": 7200, "route": "responses"})
    for talk in ("two", "three", "four"):
        await ask(scene, body=body, conversation=talk)
    unlicensed = {"error": {"message": "not licensed to use Copilot"}}
    scene.fakes.behave("dave", {"kind": "status", "status": 403, "body": unlicensed, "route": "chat-completions"})
    await ask_copilot(scene, editor_headers())
    spans = await until(lambda: [s for s in spans_in(log) if s["name"] == "chat gpt-x"][2:] and spans_in(log))
    await until(lambda: len(posted_to(log)) == 3 and len(said_in(tmp_path)) == 3)
    first, last, flagged = posted_to(log)
    assert (first["kind"], first["account"]) == ("switched", "alice")
    assert first["text"].endswith("requests go on with bob.")
    assert last["kind"] == "exhausted" and "until" in last["text"]
    assert (flagged["kind"], flagged["account"]) == ("disabled", "dave") and "not-licensed" in flagged["text"]
    said = said_in(tmp_path)
    assert [line.split("|")[3] for line in said] == [first["title"], last["title"], flagged["title"]]

    whole = next(s for s in spans if s["seatpool.attempts"] == 2)
    assert whole["seatpool.account"] == "bob" and whole["seatpool.outcome"] == "ok"
    assert (whole["gen_ai.operation.name"], whole["gen_ai.provider.name"]) == ("chat", "openai")
    assert whole["gen_ai.request.model"] == "gpt-x" and whole["kind"] == "SPAN_KIND_CLIENT"
    assert whole["gen_ai.usage.input_tokens"] > 0 and whole["gen_ai.usage.output_tokens"] > 0
    assert 0 < whole["gen_ai.response.time_to_first_chunk"] <= whole["seconds"]
    tried = [s for s in spans if s["parent"] == whole["id"]]
    assert [s["seatpool.account"] for s in tried] == ["alice", "bob"]
    assert (tried[0]["error.type"], tried[0]["http.response.status_code"]) == ("usage_limit_reached", 429)
    assert (tried[0]["failed"], tried[1]["failed"]) == (True, False)
    assert tried[1]["http.request.resend_count"] == 1
    assert {s["trace"] for s in tried} == {whole["trace"]}
    exhausted = [s for s in spans if s.get("error.type") == "exhausted"]
    assert exhausted

    seen = log.read_bytes() + b"".join(p.body for p in read(log)) + "".join(said).encode()
    assert prompt.encode() not in seen and MARKER.encode() not in seen
    words = [word for span in spans for word in span.values() if isinstance(word, str)]
    assert "@" not in "".join([*words, *said])
    assert SECRET not in "".join(scene.proxy.log)
    samples = scrape(scene, port=8099)
    assert samples["seatpool_notices_total", "switched", "sent"] == 2
    assert samples["seatpool_trace_spans_total", "exported"] == len(spans_in(log))
    assert samples["seatpool_trace_spans_total", "dropped"] == 0


def posted_to(log: Path) -> list[dict[str, Any]]:
    """Notices at the webhook."""
    return [posted.json for posted in read(log) if posted.path == f"/{SECRET}"]


def said_in(folder: Path) -> list[str]:
    """Notices on the desktop."""
    said = folder / "bin" / "notify-send.said"
    return said.read_text().splitlines() if said.exists() else []


def spans_in(log: Path) -> list[dict[str, Any]]:
    """Every span, by the official messages; attributes among the rest."""
    found = []
    for posted in read(log):
        if posted.path != "/v1/traces":
            continue
        assert posted.headers["content-type"] == "application/x-protobuf"
        assert (posted.headers["authorization"], posted.headers["x-team"]) == (f"basic {SECRET}", "blue")
        for resource in ExportTraceServiceRequest.FromString(posted.body).resource_spans:
            assert ("service.name", "seatpool") in {(a.key, a.value.string_value) for a in resource.resource.attributes}
            found += [told(span) for scope in resource.scope_spans for span in scope.spans]
    return found


def told(span: Span) -> dict[str, Any]:
    values = {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}
    assert len(span.trace_id) == 16 and len(span.span_id) == 8
    return {
        **values,
        "name": span.name,
        "kind": Span.SpanKind.Name(span.kind),
        "id": span.span_id,
        "parent": span.parent_span_id,
        "trace": span.trace_id,
        "failed": span.status.code == Status.STATUS_CODE_ERROR,
        "seconds": (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
    }


async def test_a_collector_that_is_away_costs_nothing_but_its_traces(start: Callable[..., Scene]) -> None:
    scene = start("alice", pool_otlp_endpoint=f"http://127.0.0.1:{PORT}/v1/traces")
    incoming, _ = await ask(scene)
    assert incoming.status == 200
    scene.proxy.wait_log(r"action=traces-dropped spans=2 reason=127\.0\.0\.1: ")
    assert scrape(scene)["seatpool_trace_spans_total", "dropped"] == 2
