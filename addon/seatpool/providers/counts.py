"""What an upstream has counted, as it stands at the end of an answer.

Every dialect calls it `usage` and puts it into the last event that says anything: `response.completed` (codex.md 9),
the last chunk of `/chat/completions` (copilot.md 7.2), `message_delta` of `/v1/messages`, whose `message_start` has
told the prompt's. Copilot puts what it charges beside it (`copilot_usage`, copilot.md 5.3). So nothing is looked at
while an answer streams, and of the end no more than those objects are parsed.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from seatpool.core.model import Tokens
from seatpool.providers.tolerant import mapping

END = 16 * 1024
"""So much of an answer's end is enough: what stands behind `usage` is short, however long the answer itself is."""
BEGINNING = 4 * 1024
"""So much of its beginning: `message_start` is the first event."""

_KEY = b'"usage"'
_CHARGED = b'"copilot_usage"'
_NANO = re.compile(rb'"total_nano_aiu"\s*:\s*(\d{1,15})(?=\s*[,}])')
_BESIDE = 4 * 1024
"""So far from `usage` it stands at most."""
_MOST = 10**9
_OBJECT = re.compile(
    rb"\s*:\s*(\{(?:[^{}]++|\{(?:[^{}]++|\{(?:[^{}]++|\{[^{}]*+\})*+\})*+\})*+\})",
)
"""Objects within it are three deep at most, and no text in it has braces."""
_ANTHROPIC = (b"message_start", b"message_delta")
_EVENT = 2 * 1024
"""From the beginning of Anthropic's events to their `usage`, at most."""


class Counted(NamedTuple):
    """What an answer told."""

    tokens: Tokens | None
    over: bool
    """Its last event has come: whatever happens afterwards, nothing of the answer is missing."""


NOTHING = Counted(None, over=False)


class _Usage(msgspec.Struct, gc=False):
    """The names of both families: OpenAI's, whose input includes what was cached, and Anthropic's, whose does not."""

    input_tokens: Any = None
    prompt_tokens: Any = None
    output_tokens: Any = None
    completion_tokens: Any = None
    input_tokens_details: Any = None
    prompt_tokens_details: Any = None
    output_tokens_details: Any = None
    completion_tokens_details: Any = None
    cache_read_input_tokens: Any = None
    cache_creation_input_tokens: Any = None


_read = msgspec.json.Decoder(_Usage).decode


def counted(end: bytes, beginning: bytes = b"") -> Counted:
    """What an answer told, by its end, and its beginning where that is not in it. Never raises."""
    found = next(((*each, tokens) for each in _objects(end) if (tokens := _tokens(each[1])) is not None), None)
    if found is None:
        begun = _first(beginning)
        return Counted(_tokens(begun), over=False) if begun is not None else NOTHING
    position, last, tokens = found
    charged = end.rfind(_CHARGED, max(0, position - _BESIDE), position + _BESIDE)
    nano = _charged(end, charged) if charged >= 0 else None
    event = end.rfind(b"message_", max(0, position - _EVENT), position)
    if event < 0 or not end.startswith(_ANTHROPIC, event):
        return Counted(tokens if nano is None else tokens._replace(nano_credits=nano), over=True)
    joined = _tokens(_joined(_first(beginning) or _first(end) or last, last)) or tokens
    return Counted(joined._replace(nano_credits=nano), over=end.startswith(b"message_delta", event))


def _objects(content: bytes) -> Iterator[tuple[int, _Usage]]:
    """What is called `usage`, and where; the last first."""
    at = content.rfind(_KEY)
    while at >= 0:
        found = _parsed(content, at)
        if found is not None:
            yield at, found
        at = content.rfind(_KEY, 0, at)


def _first(content: bytes) -> _Usage | None:
    at = content.find(_KEY)
    return _parsed(content, at) if at >= 0 else None


def _parsed(content: bytes, at: int) -> _Usage | None:
    found = _OBJECT.match(content, at + len(_KEY), at + END)
    try:
        return _read(found[1]) if found is not None else None
    except (ValueError, RecursionError):
        return None


def _charged(content: bytes, at: int) -> int | None:
    """What Copilot says there that it has charged; no text in that object could look like it."""
    found = _NANO.search(content, at, at + _BESIDE)
    return int(found[1]) if found is not None else None


def _joined(first: _Usage, last: _Usage) -> _Usage:
    """Each count as it was told last."""
    fields = {name: value for name in _Usage.__struct_fields__ if (value := getattr(last, name)) is not None}
    return msgspec.structs.replace(first, **fields)


def _tokens(usage: _Usage) -> Tokens | None:
    sent = _either(usage.input_tokens, usage.prompt_tokens)
    details = mapping(usage.input_tokens_details) or mapping(usage.prompt_tokens_details)
    cached, written = _count(details.get("cached_tokens")), None
    if not details:
        cached, written = _count(usage.cache_read_input_tokens), _count(usage.cache_creation_input_tokens)
        sent = sent + (cached or 0) + (written or 0) if sent is not None else None
    told = _either(usage.output_tokens, usage.completion_tokens)
    if sent is cached is told is None:
        return None
    answered = mapping(usage.output_tokens_details) or mapping(usage.completion_tokens_details)
    return Tokens(sent, cached, told, _count(answered.get("reasoning_tokens")), written)


def _either(one: object, other: object) -> int | None:
    return _count(one if one is not None else other)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST else None
