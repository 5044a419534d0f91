"""What only its owner can read is found in bodies and messages of both dialects, and nothing else is taken for it."""

import json
from typing import Any

import pytest

from seatpool.core.model import ProviderName
from seatpool.providers.base import Route
from seatpool.providers.carriers import Carrier
from seatpool.providers.registry import PROVIDERS

CODEX, COPILOT = ProviderName.CODEX, ProviderName.COPILOT
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"}
COMPACTION = {"type": "compaction", "encrypted_content": "gAAAA"}
SAID = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
SPOKEN_OF = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": json.dumps([REASONING, {"signature": "s", "file_id": "f"}])}],
}
CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"id": "7", "signature": "s"}'}
INCLUDE = {"include": ["reasoning.encrypted_content"], "store": False}


def responses(*items: Any, **more: Any) -> dict[str, Any]:
    return {"model": "gpt-x", **INCLUDE, "input": list(items), **more}


def thought(**fields: Any) -> dict[str, Any]:
    content = [{"type": "thinking", "thinking": "hm", **fields}, {"type": "text", "text": "hello"}]
    return {"model": "claude", "messages": [{"role": "assistant", "content": content}]}


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "gpt-x", "messages": [{"role": "assistant", "content": "x", **fields}]}


def picture(url: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}


SCHEMA = {"type": "function", "name": "f", "parameters": {"properties": {"id": {"type": "string"}, "signature": {}}}}
TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}

CASES: dict[str, tuple[ProviderName, str, dict[str, Any], set[Carrier]]] = {
    "codex: a first turn": (CODEX, "responses", responses(SAID, tools=[SCHEMA]), set()),
    "codex: reasoning": (CODEX, "responses", responses(SAID, REASONING), {Carrier.CIPHER}),
    "codex: a compaction": (CODEX, "compact", responses(COMPACTION), {Carrier.CIPHER}),
    "codex: reasoning without its cipher": (
        CODEX,
        "responses",
        responses({**REASONING, "encrypted_content": None}),
        set(),
    ),
    "codex: what is only spoken of": (CODEX, "responses", responses(SPOKEN_OF, CALL), set()),
    "codex: a message that goes on": (
        CODEX,
        "responses-ws",
        {"type": "response.create", **responses(SAID, previous_response_id="resp_1")},
        {Carrier.PREVIOUS},
    ),
    "codex: no previous one": (CODEX, "responses-ws", responses(SAID, previous_response_id=None), set()),
    "codex: a file": (CODEX, "responses", responses({"type": "input_file", "file_id": "file-1"}), {Carrier.UPLOAD}),
    "codex: a container": (
        CODEX,
        "responses",
        responses({"type": "code_interpreter_call", "container_id": "cntr_1"}),
        {Carrier.UPLOAD},
    ),
    "codex: an item of a hosted tool": (CODEX, "responses", responses({"type": "mcp_call"}), {Carrier.UPLOAD}),
    "copilot: a first turn": (COPILOT, "responses", responses(SAID, tools=[SCHEMA]), set()),
    "copilot: an item of an earlier answer": (
        COPILOT,
        "responses",
        responses({"type": "message", "id": "AbC/dEf="}, CALL),
        {Carrier.ITEM},
    ),
    "copilot: reasoning": (COPILOT, "responses-ws", responses(REASONING), {Carrier.CIPHER, Carrier.ITEM}),
    "copilot: a socket that goes on": (
        COPILOT,
        "responses-ws",
        responses(SAID, previous_response_id="resp_1"),
        {Carrier.PREVIOUS},
    ),
    "copilot: a signed thought": (COPILOT, "messages", thought(signature="ErUB"), {Carrier.SIGNATURE}),
    "copilot: an unsigned one": (COPILOT, "messages", thought(signature=""), set()),
    "copilot: a hidden one": (
        COPILOT,
        "messages",
        {"messages": [{"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}]}]},
        {Carrier.SIGNATURE},
    ),
    "copilot: tools of messages": (COPILOT, "messages", {"tools": [SCHEMA], "messages": [SAID]}, set()),
    "copilot: chat with calls": (COPILOT, "chat-completions", chat(tool_calls=[TOOL_CALL]), set()),
    "copilot: opaque reasoning": (COPILOT, "chat-completions", chat(reasoning_opaque="x"), {Carrier.SIGNATURE}),
    "copilot: Gemini's thought": (
        COPILOT,
        "chat-completions",
        chat(tool_calls=[{**TOOL_CALL, "extra_content": {"google": {"thought_signature": "x"}}}]),
        {Carrier.SIGNATURE},
    ),
    "copilot: an uploaded picture": (
        COPILOT,
        "chat-completions",
        picture("https://github.com/github-copilot/chat/attachments/56872b9a-4ea5-466d-9dcf-e10cced64669"),
        {Carrier.UPLOAD},
    ),
    "copilot: a picture of anybody's": (COPILOT, "chat-completions", picture("https://example.com/a.png"), set()),
    "copilot: the address of a pull request": (
        COPILOT,
        "chat-completions",
        {"messages": [{"role": "tool", "tool_call_id": "1", "content": "https://github.com/acme/widgets/pull/12"}]},
        set(),
    ),
    "codex: the address of a pull request": (
        CODEX,
        "responses",
        responses(
            {"type": "function_call_output", "call_id": "1", "output": "https://github.com/acme/widgets/pull/12"}
        ),
        set(),
    ),
    "copilot: a picture in the body": (COPILOT, "chat-completions", picture("data:image/png;base64,AA"), set()),
    "copilot: ghost text": (COPILOT, "engine", {"prompt": '"signature": "x"', "suffix": ""}, set()),
    "copilot: embeddings": (COPILOT, "embeddings", {"input": ["x"], "id": "7"}, set()),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")], ids=["tight", "spaced"])
def test_what_a_request_holds(case: str, separators: tuple[str, str]) -> None:
    provider, route, body, expected = CASES[case]
    content = json.dumps(body, separators=separators).encode()
    assert PROVIDERS[provider].carriers(Route(provider, route, "api"), content) == expected


@pytest.mark.parametrize("content", [b"", b"\x28\xb5\x2f\xfd", b'{"encrypted_content', b'{"encrypted_content":'])
@pytest.mark.parametrize("provider", ProviderName)
def test_what_cannot_be_read_holds_nothing(provider: ProviderName, content: bytes) -> None:
    assert PROVIDERS[provider].carriers(Route(provider, "responses", "api"), content) == set()
