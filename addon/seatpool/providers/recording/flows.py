"""A recorded flow: a line of JSON. README.md, *Recording*, tells what its members mean.

`Taken` is a flow as it was, in memory alone; `recorded` makes of it what may be kept.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from seatpool.core.silence import silent
from seatpool.providers.recording.redaction import Redactor

FORMAT = 1
JSON, EVENTS, FORM, TEXT, BINARY = "json", "events", "form", "text", "binary"
_COMPACT, _SPACED = (",", ":"), (", ", ": ")
_STREAMS = ("text/event-stream",)
_FORMS = "application/x-www-form-urlencoded"

Fields = tuple[tuple[str, str], ...]


class Piece(msgspec.Struct, frozen=True):
    """Some bytes of a body, decoded, and when they came."""

    ms: float
    data: bytes

    __repr__ = silent("data")


class TakenAnswer(msgspec.Struct, frozen=True):
    """An answer of an upstream, or of ours."""

    status: int
    http: str
    headers: Fields
    pieces: tuple[Piece, ...]
    ms: float
    """When its head came, since the request had come."""
    own: bool = False
    """Seatpool has made it."""

    __repr__ = silent("headers")


class TakenMessage(msgspec.Struct, frozen=True):
    """Of a WebSocket."""

    ms: float
    client: bool
    text: bool
    content: bytes
    own: bool = False

    __repr__ = silent("content")


class Taken(msgspec.Struct, frozen=True):
    """A whole flow."""

    at_s: float
    provider: str
    route: str | None
    method: str
    host: str
    path: str
    http: str
    headers: Fields
    body: bytes
    answers: tuple[TakenAnswer, ...]
    """The last is what the client got."""
    messages: tuple[TakenMessage, ...] = ()
    outcome: str = "ok"
    cut: bool = False
    """There was more of it than is kept."""

    __repr__ = silent("path", "headers", "body")


class Body(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a request or an answer holds."""

    kind: str
    size: int
    """Of the decoded bytes, rounded up to a power of two."""
    value: Any = None
    spaced: bool = False
    """The JSON has a blank behind `:` and `,`."""
    ends: str = "\n"
    """Of an event stream's lines."""
    cuts: list[tuple[float, float]] | None = None
    """When a piece came, and how far the stream was then: in events, the last one as a fraction."""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """`TakenAnswer`, redacted."""

    status: int
    http: str
    ms: float
    headers: list[tuple[str, str]]
    body: Body | None = None
    own: bool = False


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """`TakenMessage`, redacted."""

    ms: float
    client: bool
    body: Body
    own: bool = False


class Request(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the client asked."""

    method: str
    host: str
    path: str
    http: str
    headers: list[tuple[str, str]]
    query: list[tuple[str, str]] = msgspec.field(default_factory=list)
    body: Body | None = None


class Flow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of a recording."""

    seatpool_recording: int
    """The format's version."""
    at_s: float
    """Since the recording began."""
    provider: str
    route: str | None
    """As seatpool calls it; null where the request goes on as the person."""
    outcome: str
    request: Request
    answers: list[Answer]
    messages: list[Message] = msgspec.field(default_factory=list)
    cut: bool = False


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
        FORMAT, _round(flow.at_s), flow.provider, flow.route, flow.outcome, request, answers, messages, flow.cut
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
    if kind.startswith(_STREAMS):
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


# -- and back


def content_of(body: Body) -> bytes:
    """The bytes that stand for a body: as long as its placeholders are, otherwise like what was recorded."""
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


_decode = msgspec.json.Decoder(Flow).decode


class NotARecording(ValueError):
    """A line that is none."""


def read(lines: Sequence[bytes]) -> Iterator[Flow]:
    """The flows of a file. Raises `NotARecording`, with the number of the line that is none."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            flow = _decode(line)
        except (ValueError, RecursionError):
            raise NotARecording(f"line {number} is no recorded flow") from None
        if flow.seatpool_recording != FORMAT:
            raise NotARecording(f"line {number} is of format {flow.seatpool_recording}, not {FORMAT}")
        yield flow
