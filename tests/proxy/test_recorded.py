"""Recorded answers of each kind, cut anywhere: what is counted of them is what upstream says beside them that it has.

`tests/fixtures/streams/told.json` names for each file the upstream's own numbers, and how the answer ended.
"""

import json
import random
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import http

from seatpool.core.model import CredentialKind, ProviderName, Tokens
from seatpool.providers.base import Provider, RequestFacts, Route
from seatpool.providers.registry import PROVIDERS
from seatpool.proxy.tap import ending, tap
from seatpool.service.memory.records import CUT, LEFT, OK

STREAMS = Path(__file__).parent.parent / "fixtures" / "streams"
TOLD: dict[str, dict[str, Any]] = json.loads((STREAMS / "told.json").read_text())
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def of_kind(*ends: str) -> list[str]:
    return [name for name in TOLD if name.endswith(ends)]


def counted(told: dict[str, int] | None) -> Tokens | None:
    return Tokens(**{"input": None, "cached": None, "output": None, **told}) if told is not None else None


def reader(name: str) -> tuple[RequestFacts, Provider]:
    told = TOLD[name]
    route = Route(ProviderName(told["provider"]), told["route"], "api", websocket=name.endswith(".jsonl"))
    facts = RequestFacts(route, (CredentialKind.CODEX_OAUTH,), "gpt-x", "talk")
    return facts, PROVIDERS[route.provider]


def pieces(content: bytes, chance: random.Random) -> list[bytes]:
    """Cut anywhere, now and then into single bytes."""
    count = chance.choice((0, 1, 7, 60, 400, len(content) - 1))
    cuts = sorted(chance.sample(range(1, len(content)), min(count, len(content) - 1)))
    return [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)]


def test_there_is_one_of_each_kind_and_nothing_besides() -> None:
    assert {path.name for path in STREAMS.iterdir()} == {*TOLD, "told.json"}
    routes = {told["route"] for told in TOLD.values()}
    assert routes == {"chat-completions", "responses", "messages", "embeddings", "engine", "responses-ws"}
    cut = {told["route"] for told in TOLD.values() if told["outcome"] == CUT}
    assert cut == {"chat-completions", "responses", "messages", "responses-ws"}


@pytest.mark.parametrize("marked", [False, True], ids=["tap", "sieve"])
@pytest.mark.parametrize("name", of_kind(".sse"))
def test_a_stream_is_counted_as_upstream_counts_it(name: str, marked: bool) -> None:
    told, content = TOLD[name], (STREAMS / name).read_bytes()
    facts, provider = reader(name)
    for seed in range(12):
        response = http.Response.make(200, b"", {"content-type": "text/event-stream"})
        response.stream = True
        read = partial(provider.read_event, facts, now=NOW)
        seen = tap(response, read, kept=False, marks=(b"output_item.done", b"signature") if marked else ())
        assert seen is not None
        came = pieces(content, random.Random(seed))
        assert all(seen(chunk) is chunk for chunk in came) and seen(b"") == b""
        how = CUT if told["outcome"] == CUT else OK
        ended = ending(how, 5.0, seen, None)
        assert (ended.told, ended.tokens) == (told["outcome"], counted(told["tokens"])), f"seed {seed}"


@pytest.mark.parametrize("name", [name for name in of_kind(".sse") if TOLD[name]["outcome"] == OK])
def test_who_leaves_at_any_point_of_it_is_counted_as_such_or_has_all_of_it(name: str) -> None:
    """Never a number that upstream has not said: it is known wholly, or so far as a beginning tells, or not at all."""
    told, content = TOLD[name], (STREAMS / name).read_bytes()
    facts, provider = reader(name)
    whole, chance = counted(told["tokens"]), random.Random(1)
    for at in (1, *chance.sample(range(2, len(content)), 40), len(content)):
        response = http.Response.make(200, b"", {"content-type": "text/event-stream"})
        response.stream = True
        seen = tap(response, partial(provider.read_event, facts, now=NOW), kept=False)
        assert seen is not None
        seen(content[:at])
        ended = ending(LEFT, 5.0, seen, None)
        begun = ended.tokens is None or (told["route"] == "messages" and ended.tokens.output == 1)
        charged = ended.tokens is not None and whole is not None and ended.tokens[:5] == whole[:5]
        assert (ended.told == LEFT and begun) or (ended.told == OK and charged), f"after {at} bytes"


@pytest.mark.parametrize("name", of_kind(".json"))
def test_a_whole_answer_is_counted_as_upstream_counts_it(name: str) -> None:
    response = http.Response.make(200, (STREAMS / name).read_bytes(), {"content-type": "application/json"})
    assert ending(OK, 5.0, None, response).tokens == counted(TOLD[name]["tokens"])


@pytest.mark.parametrize("name", of_kind(".jsonl"))
def test_a_sockets_turns_are_counted_as_upstream_counts_them(name: str) -> None:
    facts, provider = reader(name)
    seen: list[Tokens | None] = []
    for turn in (STREAMS / name).read_text().split("\n\n"):
        frames = [provider.read_frame(facts, message.encode(), NOW) for message in turn.splitlines()]
        assert all(frame.tokens is None for frame in frames if not frame.terminal)
        seen.append(next((frame.tokens for frame in frames if frame.terminal), None))
    assert seen == [counted(told) for told in TOLD[name]["tokens"]]
