"""What a model's answer looks like in each of the dialects: events before, one for each delta, and events after."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.upstream.tokens import carrier
from tests.upstream.world import Behaviour

Event = dict[str, Any] | str
"""A string is sent as it is (`[DONE]`)."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What was counted of an answer, in the words of each dialect."""

    input: int = 20_000
    """All of the prompt."""
    cached: int = 18_000
    output: int = 300

    @classmethod
    def of(cls, behaviour: Behaviour) -> "Usage":
        """As a behaviour has it."""
        return cls(behaviour.input_tokens, behaviour.cached_tokens, behaviour.output_tokens)

    def responses(self) -> dict[str, Any]:
        """codex.md 9."""
        return {
            "input_tokens": self.input,
            "input_tokens_details": {"cached_tokens": self.cached},
            "output_tokens": self.output,
            "output_tokens_details": {"reasoning_tokens": self.output // 2},
            "total_tokens": self.input + self.output,
        }

    def chat(self) -> dict[str, Any]:
        """copilot.md 7.2."""
        return {
            "prompt_tokens": self.input,
            "completion_tokens": self.output,
            "total_tokens": self.input + self.output,
            "prompt_tokens_details": {"cached_tokens": self.cached},
        }

    def prompt(self) -> dict[str, Any]:
        """Anthropic's at the beginning of an answer: its input leaves out what was cached."""
        return {
            "input_tokens": self.input - self.cached,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": self.cached,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 1,
        }

    def credits(self) -> dict[str, Any]:
        """What Copilot puts into the same event (copilot.md 5.3), whose keys it sorts."""
        counts = {"input": self.input - self.cached, "cache_read": self.cached, "cache_write": 0, "output": self.output}
        details = [
            {"batch_size": 1_000_000, "cost_per_batch": 125, "token_count": count, "token_type": kind}
            for kind, count in counts.items()
        ]
        return {"token_details": details, "total_nano_aiu": 1_250_000}


@dataclass(slots=True)
class Script:
    """An answer, to be played with gaps between its deltas."""

    opening: list[Event]
    delta: Callable[[str], Event]
    closing: Callable[[str], list[Event]]
    """Events after the last delta, from the whole text."""
    failure: Callable[[str], Event]
    """An error in the middle, from its code."""
    whole: Callable[[str], dict[str, Any]]
    """The answer of a request that asked for no stream."""


def sse(event: Event) -> bytes:
    """One server-sent event; typed dialects name it as well."""
    if isinstance(event, str):
        return f"data: {event}\n\n".encode()
    kind = event.get("type")
    name = f"event: {kind}\n" if kind else ""
    return f"{name}data: {json.dumps(event)}\n\n".encode()


def responses(name: str, model: str, number: int, usage: Usage, *, reasoning: bool = False) -> Script:
    """The Responses API (codex.md 9), for Codex and Copilot alike."""
    response_id, message_id = f"resp_{name}_{number}", f"msg_{name}_{number}"
    at = 1 if reasoning else 0

    def shell(status: str) -> dict[str, Any]:
        return {
            "id": response_id,
            "object": "response",
            "created_at": int(time.time()),
            "status": status,
            "model": model,
        }

    def item(text: str | None) -> dict[str, Any]:
        content = [] if text is None else [{"type": "output_text", "text": text, "annotations": []}]
        status = "in_progress" if text is None else "completed"
        return {
            "type": "message",
            "role": "assistant",
            "id": message_id,
            "status": status,
            "content": content,
        }

    thought = {
        "type": "reasoning",
        "id": f"rs_{name}_{number}",
        "summary": [],
        "encrypted_content": carrier("cipher", name, number),
    }
    thinking: list[Event] = [{"type": "response.output_item.done", "output_index": 0, "item": thought}]
    part = {"item_id": message_id, "output_index": at, "content_index": 0}

    def completed(text: str) -> dict[str, Any]:
        output = ([thought] if reasoning else []) + [item(text)]
        return {**shell("completed"), "output": output, "usage": usage.responses(), "user": None, "metadata": {}}

    return Script(
        opening=[
            {"type": "response.created", "response": {**shell("in_progress"), "output": []}},
            *(thinking if reasoning else []),
            {"type": "response.output_item.added", "output_index": at, "item": item(None)},
            {"type": "response.content_part.added", **part, "part": {"type": "output_text", "text": ""}},
        ],
        delta=lambda text: {"type": "response.output_text.delta", **part, "delta": text},
        closing=lambda text: [
            {"type": "response.output_text.done", **part, "text": text},
            {"type": "response.output_item.done", "output_index": at, "item": item(text)},
            {"type": "response.completed", "response": completed(text)},
        ],
        failure=lambda code: {
            "type": "response.failed",
            "response": {**shell("failed"), "error": {"code": code, "message": "Please try again in 1.5s."}},
        },
        whole=completed,
    )


def billed_responses(name: str, model: str, number: int, usage: Usage, *, reasoning: bool = False) -> Script:
    """The Responses API of Copilot: what it charges comes ahead of the whole answer."""
    script = responses(name, model, number, usage, reasoning=reasoning)

    def billed(event: Event) -> dict[str, Any]:
        assert isinstance(event, dict)
        return {"copilot_usage": usage.credits(), **event}

    def closing(text: str) -> list[Event]:
        *before, last = script.closing(text)
        return [*before, billed(last)]

    return replace(script, closing=closing, whole=lambda text: billed(script.whole(text)))


def chat(name: str, model: str, number: int, usage: Usage, *, reasoning: bool = False) -> Script:
    """Chat completions as Copilot streams them (copilot.md 7.2)."""
    thought = {"role": "assistant", "reasoning_text": "hm", "reasoning_opaque": carrier("cipher", name, number)}
    base = {"created": int(time.time()), "id": f"chatcmpl-{name}-{number}", "model": model}
    counted = {"copilot_usage": usage.credits(), "usage": usage.chat()}

    def chunk(delta: dict[str, Any], reason: str | None = None, **more: Any) -> Event:
        return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **base, **more}

    return Script(
        opening=[
            {
                "choices": [],
                "created": 0,
                "id": "",
                "prompt_filter_results": [{"content_filter_results": {}, "prompt_index": 0}],
            },
            *([chunk(thought)] if reasoning else []),
        ],
        delta=lambda text: chunk({"role": "assistant", "content": text}),
        closing=lambda text: [chunk({"content": None}, "stop", **counted), "[DONE]"],
        failure=lambda code: {"error": {"message": "failed", "code": code}},
        whole=lambda text: {
            **base,
            "object": "chat.completion",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            **counted,
        },
    )


def messages(name: str, model: str, number: int, usage: Usage, *, reasoning: bool = False) -> Script:
    """Anthropic Messages."""
    at = 1 if reasoning else 0
    signed = {"type": "signature_delta", "signature": carrier("cipher", name, number)}
    thinking: list[Event] = [
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "thinking", "thinking": "", "signature": ""},
        },
        {"type": "content_block_delta", "index": 0, "delta": signed},
        {"type": "content_block_stop", "index": 0},
    ]
    shell = {"id": f"msg_{name}_{number}", "type": "message", "role": "assistant", "model": model}
    return Script(
        opening=[
            {
                "type": "message_start",
                "message": {
                    **shell,
                    "content": [],
                    "stop_reason": None,
                    "stop_sequence": None,
                    "usage": usage.prompt(),
                },
            },
            *(thinking if reasoning else []),
            {"type": "content_block_start", "index": at, "content_block": {"type": "text", "text": ""}},
        ],
        delta=lambda text: {
            "type": "content_block_delta",
            "index": at,
            "delta": {"type": "text_delta", "text": text},
        },
        closing=lambda text: [
            {"type": "content_block_stop", "index": at},
            {
                "copilot_usage": usage.credits(),
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "type": "message_delta",
                "usage": {"output_tokens": usage.output},
            },
            {"type": "message_stop"},
        ],
        failure=lambda code: {"type": "error", "error": {"type": code, "message": "failed"}},
        whole=lambda text: {
            **shell,
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {**usage.prompt(), "output_tokens": usage.output},
        },
    )


def engine(name: str, model: str, number: int, usage: Usage) -> Script:
    """Inline completions: the model is named by the path, and nothing is counted (copilot.md 1.4)."""
    base = {"id": f"cmpl-{name}-{number}", "created": int(time.time()), "model": model}

    def chunk(text: str, reason: str | None = None) -> dict[str, Any]:
        return {
            **base,
            "choices": [{"text": text, "index": 0, "finish_reason": reason, "logprobs": None, "p": "aa"}],
        }

    return Script(
        opening=[],
        delta=chunk,
        closing=lambda text: [chunk("", "stop"), "[DONE]"],
        failure=lambda code: {"error": {"message": "failed", "code": code}},
        whole=lambda text: chunk(text, "stop"),
    )
