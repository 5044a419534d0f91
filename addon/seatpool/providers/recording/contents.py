"""The bytes that stand for what was recorded: as long as its placeholders are, otherwise like what there was."""

import json
from typing import Any

from seatpool.providers.recording.flows import EVENTS, FORM, JSON, Body

_COMPACT, _SPACED = (",", ":"), (", ", ": ")


def content_of(body: Body) -> bytes:
    """Of a whole body."""
    if body.kind == JSON:
        return _dumped(body.value, spaced=body.spaced)
    if body.kind == EVENTS:
        return b"".join(_events_of(body))
    if body.kind == FORM:
        return "&".join(f"{name}={value}" for name, value in body.value).encode()
    return str(body.value or "").encode()


def pieces_of(body: Body) -> list[bytes]:
    """An event stream in the pieces in which it came."""
    events = _events_of(body)
    bounds = [0]
    for event in events:
        bounds.append(bounds[-1] + len(event))
    content, pieces, at = b"".join(events), [], 0
    for _, place in body.cuts or ():
        whole = int(place)
        end = bounds[whole] + round((place - whole) * (len(events[whole]) if whole < len(events) else 0))
        pieces.append(content[at:end])
        at = end
    return [*pieces, content[at:]] if at < len(content) else pieces


def _events_of(body: Body) -> list[bytes]:
    return [
        b"".join(_line(name, value, body) + body.ends.encode() for name, value in event) for event in body.value or ()
    ]


def _line(name: str, value: Any, body: Body) -> bytes:
    if not name:
        return b""
    told = value.encode() if isinstance(value, str) else _dumped(value, spaced=body.spaced)
    return b": " + told if name == ":" else name.encode() + b": " + told


def _dumped(value: Any, *, spaced: bool) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=_SPACED if spaced else _COMPACT).encode()
