"""Messages of the `/responses` WebSocket (copilot.md 7.1). Most are deltas: one look at their beginning must do."""

import re
from datetime import datetime
from typing import Any

import msgspec

from seatpool.core.outcome import Outcome
from seatpool.providers.base import NO_NEWS, Frame, RequestFacts
from seatpool.providers.copilot import quota
from seatpool.providers.copilot.errors import classify_frame
from seatpool.providers.copilot.wire import text
from seatpool.providers.counts import BEGINNING, END, counted
from seatpool.providers.tolerant import mapping, read_json

_TYPE = re.compile(rb'\s*\{\s*"type"\s*:\s*"([a-z_.]{1,80})"')

_OUTPUT = Frame(output=True)
_TERMINAL = {"response.completed", "response.failed", "response.incomplete", "response.cancelled", "error"}
_SILENT = {b"response.created", b"response.in_progress", b"response.queued"}
"""Begins a turn, but holds nothing that a client keeps."""


class _Typed(msgspec.Struct):
    type: Any = None


_read_type = msgspec.json.Decoder(_Typed).decode


def read_frame(facts: RequestFacts, content: bytes, now: datetime) -> Frame:
    """What a message of the upstream says. Never raises."""
    found = _TYPE.match(content)
    kind = found[1] if found is not None else _type_inside(content)
    if kind in _SILENT:
        return NO_NEWS
    name = kind.decode("ascii", "replace")
    if name in _TERMINAL:
        return _terminal(facts, name, content, now)
    return _OUTPUT if kind.startswith(b"response.") else NO_NEWS


def _type_inside(content: bytes) -> bytes:
    """The type of a message that does not begin with it."""
    try:
        return text(_read_type(content).type).encode("utf-8", "replace")
    except (ValueError, RecursionError):
        return b""


def _terminal(facts: RequestFacts, name: str, content: bytes, now: datetime) -> Frame:
    event = mapping(read_json(content))
    response = mapping(event.get("response"))
    outcome: Outcome | None = None
    if name == "error":
        outcome = classify_frame(facts, mapping(event.get("error")) or _bare(event), now)
    elif name == "response.failed" and mapping(response.get("error")):
        outcome = classify_frame(facts, mapping(response.get("error")), now)
    snapshots = event.get("copilot_quota_snapshots") or response.get("copilot_quota_snapshots")
    windows, told = quota.of_snapshots(snapshots, "frame", now), counted(content[-END:], content[:BEGINNING])
    return Frame(outcome=outcome, windows=windows, terminal=True, tokens=told.tokens)


def _bare(event: object) -> dict[str, Any]:
    """An error frame whose fields stand beside its type."""
    return {key: value for key, value in mapping(event).items() if key != "type"}
