"""What an upstream has counted, as it stands at the end of an answer.

Every dialect calls it `usage` and puts it into the last event that says anything: `response.completed` (codex.md 9),
the last chunk of `/chat/completions` (copilot.md 7.2), `message_delta` of `/v1/messages`, whose `message_start` has
told the prompt's. So nothing is parsed while an answer streams, and of its end no more than those objects are.

What Copilot charges stands in the same event (`copilot_usage`, copilot.md 5.3). Its keys are in alphabetical order, so
in `response.completed` all of the answer comes between the two: what is let go is looked through for it.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from seatpool.core.model import Tokens
from seatpool.providers.tolerant import mapping

END = 16 * 1024
"""So much of an answer's end is enough: what stands behind `usage` is short, however long the answer itself is."""
BEGINNING = 4 * 1024
"""So much of its beginning: `message_start` is the first event."""

_KEY = b'"usage"'
_BILL = b'"copilot_usage"'
_LONGEST_BILL = 4 * 1024
_MOST = 10**9
_MOST_NANO = 10**15
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
    """The names of both families: OpenAI's, whose input includes what was cached, and Anthropic's, whose does not.

    OpenAI's details name what was put into a cache since GPT-5.6, which charges for it (dotnet/extensions issue 7635).
    """

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
    reasoning_tokens: Any = None
    """Of Copilot's Gemini, whose `completion_tokens` do without them."""
    total_tokens: Any = None


class _Bill(msgspec.Struct, gc=False):
    """What Copilot has charged, and for how many tokens of each kind."""

    total_nano_aiu: Any = None
    token_details: Any = None


_read = msgspec.json.Decoder(_Usage).decode
_read_bill = msgspec.json.Decoder(_Bill).decode


def billed(before: bytes, gone: bytes) -> bytes:
    """What to keep for `counted` of what is let go: the bill, or as much of its key as may have come.

    `before` is what this has given of all that went before.
    """
    seen = before + gone
    at = seen.rfind(_BILL)
    return seen[at : at + _LONGEST_BILL] if at >= 0 else seen[1 - len(_BILL) :]


def counted(end: bytes, beginning: bytes = b"", bill: bytes = b"") -> Counted:
    """What an answer told, by its end, and its beginning where that is not in it. Never raises.

    `bill` is what `billed` has kept of everything before the end.
    """
    found = next(((*each, tokens) for each in _objects(end) if (tokens := _tokens(each[1])) is not None), None)
    if found is None:
        begun = _first(beginning)
        return Counted(_tokens(begun), over=False) if begun is not None else NOTHING
    position, last, tokens = found
    places = (end, bill + end[:_LONGEST_BILL], beginning)
    charged = next((each for each in map(_bill, places) if each is not None), _Bill())
    event = end.rfind(b"message_", max(0, position - _EVENT), position)
    if event < 0 or not end.startswith(_ANTHROPIC, event):
        return Counted(_with_bill(tokens, charged), over=True)
    joined = _tokens(_joined(_first(beginning) or _first(end) or last, last)) or tokens
    return Counted(_with_bill(joined, charged), over=end.startswith(b"message_delta", event))


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
    return _object(_read, content, at + len(_KEY))


def _bill(content: bytes) -> _Bill | None:
    """The last one there."""
    at = content.rfind(_BILL)
    return _object(_read_bill, content, at + len(_BILL)) if at >= 0 else None


def _object[T](read: Callable[[bytes], T], content: bytes, at: int) -> T | None:
    found = _OBJECT.match(content, at, at + END)
    try:
        return read(found[1]) if found is not None else None
    except (ValueError, RecursionError):
        return None


def _with_bill(tokens: Tokens, bill: _Bill) -> Tokens:
    """Not every dialect's usage names what was put into a cache: what Copilot summarises with tells it there alone."""
    details = bill.token_details if isinstance(bill.token_details, list) else ()
    kinds = [mapping(each) for each in details]
    written = [_count(each.get("token_count")) or 0 for each in kinds if each.get("token_type") == "cache_write"]
    return tokens._replace(
        written=sum(written) if tokens.written is None and written else tokens.written,
        nano_credits=_count(bill.total_nano_aiu, _MOST_NANO),
    )


def _joined(first: _Usage, last: _Usage) -> _Usage:
    """Each count as it was told last."""
    fields = {name: value for name in _Usage.__struct_fields__ if (value := getattr(last, name)) is not None}
    return msgspec.structs.replace(first, **fields)


def _tokens(usage: _Usage) -> Tokens | None:
    sent = _either(usage.input_tokens, usage.prompt_tokens)
    details = mapping(usage.input_tokens_details) or mapping(usage.prompt_tokens_details)
    cached, written = _count(details.get("cached_tokens")), _count(details.get("cache_write_tokens"))
    if not details:
        cached, written = _count(usage.cache_read_input_tokens), _count(usage.cache_creation_input_tokens)
        sent = sent + (cached or 0) + (written or 0) if sent is not None else None
    told = _either(usage.output_tokens, usage.completion_tokens)
    if not (sent or cached or told):  # none, or as each chunk of Copilot's Gemini has it before the last
        return None
    answered = mapping(usage.output_tokens_details) or mapping(usage.completion_tokens_details)
    reasoning = _either(answered.get("reasoning_tokens"), answered.get("thinking_tokens"))
    reasoning = reasoning if reasoning is not None else _count(usage.reasoning_tokens)
    if reasoning and told is not None and _count(usage.total_tokens) == (sent or 0) + told + reasoning:
        told += reasoning
    return Tokens(sent, cached, told, reasoning, written)


def _either(one: object, other: object) -> int | None:
    return _count(one if one is not None else other)


def _count(value: object, most: int = _MOST) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < most else None
