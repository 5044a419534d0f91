"""A recorded flow: a line of JSON. README.md, *Recording*, tells what its members mean.

`Taken` is a flow as it was, in memory alone; `Flow` is what may be kept of it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from seatpool.core.model import ProviderName
from seatpool.core.silence import silent

FORMAT = 1
JSON, EVENTS, FORM, TEXT, BINARY = "json", "events", "form", "text", "binary"

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
    provider: ProviderName
    route: str | None
    """As seatpool calls it; null where the request goes on as the person."""
    outcome: str
    request: Request
    answers: list[Answer]
    messages: list[Message] = msgspec.field(default_factory=list)
    cut: bool = False


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
