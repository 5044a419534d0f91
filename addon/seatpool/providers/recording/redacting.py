"""A flow as it was, made into what may be kept of it."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from seatpool.core.model import ProviderName
from seatpool.providers.recording.flows import (
    BINARY,
    EVENTS,
    FORM,
    FORMAT,
    JSON,
    TEXT,
    Answer,
    Body,
    Fields,
    Flow,
    Message,
    Piece,
    Request,
    Taken,
    TakenAnswer,
    TakenMessage,
)
from seatpool.providers.recording.redaction import Redactor

_STREAMS = "text/event-stream"
_BEGINNINGS = (b"event:", b"data:", b"id:", b":")
"""Of an event stream that is not called one, as ChatGPT's backend sends it."""
_FORMS = "application/x-www-form-urlencoded"


def recorded(flow: Taken, redactor: Redactor) -> Flow:
    """What may be kept of a flow."""
    path, _, query = flow.path.partition("?")
    request = Request(
        flow.method if flow.method.isalpha() and len(flow.method) < 8 else redactor.names.mark(flow.method),
        redactor.heads.host(flow.host),
        redactor.heads.path(path),
        flow.http,
        redactor.heads.headers(flow.headers),
        redactor.values.form(query),
        _body(flow.headers, (Piece(0.0, flow.body),), redactor),
    )
    answers = [
        Answer(
            a.status,
            a.http,
            _round(a.ms),
            redactor.heads.headers(a.headers),
            _body(a.headers, a.pieces, redactor),
            a.own,
        )
        for a in flow.answers
    ]
    messages = [Message(_round(m.ms), m.client, _message(m, redactor), m.own) for m in flow.messages]
    return Flow(
        FORMAT,
        _round(flow.at_s),
        ProviderName(flow.provider),
        flow.route,
        flow.outcome,
        request,
        answers,
        messages,
        flow.cut,
    )


def _answer(answer: TakenAnswer, redactor: Redactor) -> Answer:
    headers = redactor.heads.headers(answer.headers)
    body = _body(answer.headers, answer.pieces, redactor)
    return Answer(answer.status, answer.http, _round(answer.ms), headers, body, answer.own)


def _round(value: float) -> float:
    return round(value, 3)


def _size(length: int) -> int:
    return 1 << (length - 1).bit_length() if length else 0


def _body(headers: Fields, pieces: Sequence[Piece], redactor: Redactor) -> Body | None:
    content = b"".join(piece.data for piece in pieces)
    if not content:
        return None
    kind = next((value for name, value in headers if name.lower() == "content-type"), "").lower()
    if kind.startswith(_STREAMS) or (not kind and content.startswith(_BEGINNINGS)):
        return _stream(pieces, content, redactor)
    if kind.startswith(_FORMS):
        return Body(FORM, _size(len(content)), redactor.values.form(content.decode("utf-8", "replace")))
    return _whole(content, redactor)


def _message(message: TakenMessage, redactor: Redactor) -> Body:
    return _whole(message.content, redactor)


def _whole(content: bytes, redactor: Redactor) -> Body:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return Body(BINARY, _size(len(content)))
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return Body(TEXT, _size(len(content)), redactor.names.mark(text, hashed=len(text) > 16))
    return Body(JSON, _size(len(content)), redactor.values.document(value), spaced=_is_spaced(text))


def _is_spaced(text: str) -> bool:
    head = text[:200]
    return '": ' in head and '":"' not in head


# -- event streams


def _stream(pieces: Sequence[Piece], content: bytes, redactor: Redactor) -> Body:
    text = content.decode("utf-8", "replace")
    ends = "\r\n" if "\r\n" in text else "\n"
    bounds, events, spaced = [0], [], False
    for raw in _events(content, ends.encode() * 2):
        fields, wide = _fields(raw.decode("utf-8", "replace"), redactor)
        events.append(fields)
        spaced = spaced or wide
        bounds.append(bounds[-1] + len(raw))
    return Body(EVENTS, _size(len(content)), events, spaced=spaced, ends=ends, cuts=_cuts(pieces, bounds))


def _events(content: bytes, blank: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(content):
        end = content.find(blank, at)
        end = end + len(blank) if end >= 0 else len(content)
        yield content[at:end]
        at = end


def _fields(event: str, redactor: Redactor) -> tuple[list[tuple[str, Any]], bool]:
    """Names and values of an event's lines; data that is JSON is parsed, and told whether it has blanks."""
    fields: list[tuple[str, Any]] = []
    spaced = False
    for line in event.splitlines():
        if not line:
            fields.append(("", ""))
            continue
        name, sign, value = line.partition(":")
        value = value.removeprefix(" ")
        if not name and sign:
            fields.append((":", redactor.names.mark(value, hashed=False)))
        elif name == "data":
            told, wide = _data(value, redactor)
            spaced = spaced or wide
            fields.append((name, told))
        elif name == "event":
            fields.append((name, redactor.values.text("event", value)))
        else:
            fields.append((name if name in ("id", "retry") else redactor.names.key(name), redactor.names.mark(value)))
    return fields, spaced


def _data(value: str, redactor: Redactor) -> tuple[Any, bool]:
    if value == "[DONE]":
        return value, False
    try:
        document = json.loads(value)
    except (ValueError, RecursionError):
        return redactor.names.mark(value, hashed=len(value) > 16), False
    if not isinstance(document, (dict, list)):
        return redactor.names.mark(value, hashed=False), False
    return redactor.values.document(document), _is_spaced(value)


def _cuts(pieces: Sequence[Piece], bounds: Sequence[int]) -> list[tuple[float, float]]:
    """Where each piece ends, in events."""
    cuts, end, event = [], 0, 0
    for piece in pieces:
        end += len(piece.data)
        while event + 1 < len(bounds) and bounds[event + 1] <= end:
            event += 1
        part = (end - bounds[event]) / (bounds[event + 1] - bounds[event]) if event + 1 < len(bounds) else 0.0
        cuts.append((_round(piece.ms), round(event + part, 4)))
    return cuts
