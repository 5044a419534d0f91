"""Events of a streamed answer (copilot.md 7.2), in the three dialects of its routes.

An error inside of a stream has a code and no status: it stands for the one that it stands for on a socket.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

import msgspec

from seatpool.providers.base import NO_NEWS, Frame, RequestFacts
from seatpool.providers.copilot import frames
from seatpool.providers.copilot.errors import classify_frame
from seatpool.providers.copilot.wire import text
from seatpool.providers.tolerant import mapping

OUTPUT = Frame(output=True)
_SILENT = frozenset({"message_start", "ping"})
"""Of `/v1/messages`: they come ahead of the answer."""
_NO_ANSWER = frozenset({"role"})
"""What a chat's first chunk says of the message that will come."""


class _Chunk(msgspec.Struct):
    choices: Any = None
    error: Any = None


class _Message(msgspec.Struct):
    type: Any = None
    error: Any = None


_read_chunk = msgspec.json.Decoder(_Chunk).decode
_read_message = msgspec.json.Decoder(_Message).decode


def read_event(facts: RequestFacts, data: bytes, now: datetime) -> Frame:
    """What an event's data says. Never raises."""
    try:
        return READERS.get(facts.route.name, _chunk)(facts, data, now)
    except (ValueError, RecursionError):
        return NO_NEWS


def _chunk(facts: RequestFacts, data: bytes, now: datetime) -> Frame:
    """Of `/chat/completions`, and of the engines'."""
    chunk = _read_chunk(data)
    if chunk.error:
        return _refused(facts, chunk.error, now)
    if not isinstance(chunk.choices, list):
        return OUTPUT
    return OUTPUT if any(map(_says_something, chunk.choices)) else NO_NEWS


def _says_something(choice: object) -> bool:
    fields = mapping(choice)
    delta = mapping(fields.get("delta"))
    return bool(
        fields.get("text") or fields.get("finish_reason") or any(delta[name] for name in delta.keys() - _NO_ANSWER)
    )


def _message(facts: RequestFacts, data: bytes, now: datetime) -> Frame:
    message = _read_message(data)
    if message.type == "error":
        return _refused(facts, message.error, now)
    return NO_NEWS if text(message.type) in _SILENT else OUTPUT


def _refused(facts: RequestFacts, error: object, now: datetime) -> Frame:
    told = mapping(error) or {"message": text(error)}
    return Frame(classify_frame(facts, told, now), terminal=True)


READERS: Mapping[str, Callable[[RequestFacts, bytes, datetime], Frame]] = MappingProxyType(
    {"responses": frames.read_frame, "messages": _message}
)
"""By route; the others speak the first dialect of all."""
