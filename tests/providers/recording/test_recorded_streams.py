"""Recorded answers, redacted, and made fixtures of: our own readers read of them what they read before."""

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatpool.providers.recording.contents import content_of, pieces_of
from seatpool.providers.recording.fixtures import fixtures
from seatpool.providers.recording.flows import (
    Flow,
    NotARecording,
    Piece,
    Taken,
    TakenAnswer,
    TakenMessage,
    read,
)
from seatpool.providers.recording.known import news
from seatpool.providers.recording.redacting import recorded
from seatpool.providers.recording.redaction import Redactor

STREAMS = Path(__file__).parents[2] / "fixtures" / "streams"
TOLD: dict[str, dict[str, Any]] = json.loads((STREAMS / "told.json").read_text())
HOSTS = {"codex": "chatgpt.com", "copilot": "api.githubcopilot.com"}
PATHS = {
    "responses": "/backend-api/codex/responses",
    "responses-ws": "/responses",
    "chat-completions": "/chat/completions",
    "messages": "/v1/messages",
    "embeddings": "/embeddings",
    "engine": "/v1/engines/gpt-41-copilot/completions",
}
REDACTOR = Redactor(bytes(32))


def flow_of(name: str, seed: int = 0, *, typed: bool = True) -> Flow:
    told, content = TOLD[name], (STREAMS / name).read_bytes()
    chance = random.Random(seed)
    answers: tuple[TakenAnswer, ...] = ()
    messages: tuple[TakenMessage, ...] = ()
    if name.endswith(".jsonl"):
        messages = tuple(TakenMessage(float(i), False, True, m) for i, m in enumerate(content.split(b"\n")) if m)
    else:
        cuts = sorted(chance.sample(range(1, len(content)), min(9, len(content) - 1)))
        ends = zip([0, *cuts], [*cuts, len(content)], strict=True)
        pieces = tuple(Piece(float(i), content[a:b]) for i, (a, b) in enumerate(ends))
        kind = (("content-type", "text/event-stream" if name.endswith(".sse") else "application/json"),)
        answers = (TakenAnswer(200, "HTTP/2.0", kind if typed else (), pieces, 3.0),)
    path = (
        PATHS[told["route"]] if told["provider"] == "codex" else PATHS[told["route"]].replace("/backend-api/codex", "")
    )
    outcome = "cut" if told["outcome"] == "cut" else "ok"
    taken = Taken(
        1.0, told["provider"], told["route"], "POST", HOSTS[told["provider"]], path, "HTTP/2.0", (), b"{}", answers,
        messages, outcome,
    )  # fmt: skip
    (flow,) = read([msgspec.json.encode(recorded(taken, REDACTOR))])
    return flow


@pytest.mark.parametrize("name", TOLD)
def test_a_fixture_of_a_recording_tells_what_its_original_did(name: str) -> None:
    flow = flow_of(name)
    (fixture,) = fixtures([flow])
    told = TOLD[name]
    assert fixture.name.endswith(Path(name).suffix)
    assert fixture.told["tokens"] == told["tokens"]
    assert fixture.told["outcome"] == told["outcome"]
    assert (fixture.told["provider"], fixture.told["route"]) == (told["provider"], told["route"])
    new = [each for each in news([flow]) if each.kind != "path"]
    assert new == []


@pytest.mark.parametrize("typed", [True, False])
@pytest.mark.parametrize("name", [name for name in TOLD if name.endswith(".sse")])
def test_a_stream_comes_back_in_its_pieces(name: str, *, typed: bool) -> None:
    flow = flow_of(name, seed=3, typed=typed)
    body = flow.answers[0].body
    assert body is not None
    original = (STREAMS / name).read_bytes()
    assert len(body.value) == len([e for e in original.replace(b"\r\n", b"\n").split(b"\n\n") if e])
    pieces = pieces_of(body)
    assert len(pieces) == 10 and b"".join(pieces) == content_of(body)
    if "cut" not in name:
        assert types(content_of(body)) == types(original)


def types(stream: bytes) -> list[str | None]:
    return [json.loads(line[5:]).get("type") for line in stream.splitlines() if line.startswith(b"data: {")]


def new_flow() -> Flow:
    body = json.dumps({"type": "response.output_video.delta", "delta": "x"})
    usage = json.dumps({"type": "response.completed", "response": {"usage": {"input_tokens": 1, "energy_tokens": 2}}})
    refused = json.dumps({"error": {"code": "usage_limit_suspended", "type": "bad_request", "message": "no"}})
    stream = f"data: {body}\n\ndata: {usage}\n\n".encode()
    answers = (
        TakenAnswer(429, "HTTP/2.0", (("content-type", "application/json"),), (Piece(1.0, refused.encode()),), 1.0),
        TakenAnswer(
            200,
            "HTTP/2.0",
            (("content-type", "text/event-stream"), ("x-codex-energy", "7")),
            (Piece(2.0, stream),),
            2.0,
        ),
    )
    headers = (("authorization", "Bearer x"), ("x-openai-video-policy", "strict"))
    taken = Taken(
        0.0, "codex", None, "POST", "chatgpt.com", "/backend-api/codex/video?a=b", "HTTP/2.0", headers, b"", answers
    )
    return recorded(msgspec.structs.replace(taken, route="responses"), REDACTOR)


def test_what_is_new_is_named_with_where_it_stands() -> None:
    found = {(each.kind, each.name.replace("\n", "")) for each in news([new_flow()])}
    energy = REDACTOR.names.key("energy_tokens")
    assert found == {
        ("path", "POST chatgpt.com" + new_flow().request.path),
        ("header", "x-openai-" + REDACTOR.names.key("video") + "-policy"),
        ("header", "x-codex-" + REDACTOR.names.key("energy")),
        ("event", "response.output_" + REDACTOR.names.key("video") + ".delta"),
        ("code", "usage_limit_suspended"),
        ("member", f"usage.{energy}"),
    }


def test_a_line_that_is_none_is_named() -> None:
    with pytest.raises(NotARecording, match="line 2 is no recorded flow"):
        list(read([msgspec.json.encode(new_flow()), b"{}"]))
    with pytest.raises(NotARecording, match="line 1 is of format 9, not 1"):
        list(read([msgspec.json.encode(msgspec.structs.replace(new_flow(), seatpool_recording=9))]))


NAMES = st.one_of(st.text(max_size=9), st.sampled_from(["usage", "error", "type", "id", "model", "code"]))
LEAVES = st.one_of(st.none(), st.floats(), st.integers(), st.text(max_size=9))
DOCUMENTS = st.recursive(LEAVES, lambda inner: st.dictionaries(NAMES, inner, max_size=3))
BITS = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b"data: ", b"\n\n", b"\r\n\r\n", b"event: x\n", b": \n", b"[DONE]", b'{"error":{', b"}}", b"[[["]),
    DOCUMENTS.map(lambda value: json.dumps(value).encode()),
)
KINDS = ["text/event-stream", "application/json", "application/x-www-form-urlencoded", "text/html", "x"]


@settings(max_examples=150, deadline=None)
@given(bits=st.lists(BITS, max_size=6), kind=st.sampled_from(KINDS), route=st.sampled_from([*PATHS, None]))
def test_whatever_comes_can_be_recorded_and_looked_at(bits: list[bytes], kind: str, route: str | None) -> None:
    head, body = (("content-type", kind), ("x", b"".join(bits).decode("latin-1"))), b"".join(bits)
    answer = TakenAnswer(500, "HTTP/1.1", head, tuple(Piece(1.0, bit) for bit in bits), 1.0)
    messages = tuple(TakenMessage(1.0, i % 2 == 1, True, bit) for i, bit in enumerate(bits))
    path = "/" + body.decode("latin-1")
    taken = Taken(1.0, "copilot", route, "POST", "h", path, "HTTP/1.1", head, body, (answer,), messages)
    flows = list(read([msgspec.json.encode(recorded(taken, REDACTOR))]))
    news(flows)
    fixtures(flows)
    again = flows[0].answers[0].body
    if again is not None and again.kind == "events":
        assert b"".join(pieces_of(again)) == content_of(again)
