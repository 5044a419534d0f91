"""WebSocket messages of the upstream (codex.md 5, 3.2, 3.3). Nearly all are deltas, told by their first bytes alone."""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType

import msgspec

from seatpool.providers.base import NO_NEWS, Frame, RequestFacts
from seatpool.providers.codex.errors import classify_frame
from seatpool.providers.codex.quota import drawn_buckets, windows_of_event, windows_of_headers
from seatpool.providers.codex.wire import TURN_STATE, headers_in, plain, read_object
from seatpool.providers.counts import END, counted
from seatpool.providers.tolerant import Json, mapping, number

OUTPUT = Frame(output=True)

DELTAS = (
    b'{"type":"response.output_',
    b'{"type":"response.reasoning_',
    b'{"type":"response.function_call_arguments.',
    b'{"type":"response.custom_tool_call_input.',
    b'{"type":"response.content_part.',
)
COMPLETED = b'{"type":"response.completed"'  # can be megabytes: it repeats the whole answer

_RESPONSE = "response."


class _Head(msgspec.Struct, gc=False):
    type: str = ""


_decode_head = msgspec.json.Decoder(_Head).decode


def read_frame(facts: RequestFacts, content: bytes, now: datetime) -> Frame:
    """What a message says. About a tenth of a microsecond for a delta."""
    if content.startswith(DELTAS):
        return OUTPUT
    if content.startswith(COMPLETED):
        return _over(content)
    try:
        kind = _decode_head(content).type
    except (ValueError, RecursionError):
        return NO_NEWS
    if kind in SILENT:
        return NO_NEWS
    if kind in OVER:
        return _over(content)
    reader = READERS.get(kind)
    if reader is not None:
        return reader(facts, read_object(content), now)
    return OUTPUT if kind.startswith(_RESPONSE) else NO_NEWS


def _over(content: bytes) -> Frame:
    return Frame(terminal=True, tokens=counted(content[-END:]).tokens)


def _error(facts: RequestFacts, event: Json, now: datetime) -> Frame:
    """`status` and `status_code` are two spellings of one field (codex.md 3.3)."""
    headers = headers_in(event.get("headers"))
    stated = number(event.get("status")) or number(event.get("status_code"))
    status = int(stated) if stated is not None and 400 <= stated <= 599 else None
    outcome = classify_frame(facts, event, status, headers, now)
    return Frame(outcome, windows_of_headers(headers, now, "frame"), terminal=True, draws=drawn_buckets(headers))


def _failed(facts: RequestFacts, event: Json, now: datetime) -> Frame:
    outcome = classify_frame(facts, mapping(event.get("response")), None, headers_in(None), now)
    return Frame(outcome, terminal=True)


def _metadata(facts: RequestFacts, event: Json, now: datetime) -> Frame:
    headers = headers_in(event.get("headers"))
    windows = windows_of_headers(headers, now, "frame")
    return Frame(windows=windows, turn_state=plain(headers.get(TURN_STATE)), draws=drawn_buckets(headers))


def _rate_limits(facts: RequestFacts, event: Json, now: datetime) -> Frame:
    return Frame(windows=windows_of_event(event, now))


SILENT = frozenset({"response.created", "response.queued", "response.in_progress"})
OVER = frozenset({"response.completed", "response.incomplete"})
READERS: Mapping[str, Callable[[RequestFacts, Json, datetime], Frame]] = MappingProxyType(
    {
        "error": _error,
        "response.failed": _failed,
        "response.metadata": _metadata,
        "codex.rate_limits": _rate_limits,
    }
)
