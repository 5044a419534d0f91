"""An HTTP/2 client at the level of frames, which can do everything wrong."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from h2.errors import ErrorCodes
from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PROBE = b"is-alive"

Fields = list[tuple[str, str]]


@dataclass(slots=True)
class Stream:
    """What came on one stream."""

    fields: list[dict[str, str]] = field(default_factory=list)
    """The answer's head, and its trailers."""
    body: bytearray = field(default_factory=bytearray)
    largest: int = 0
    """Of its data frames."""
    ended: bool = False
    reset: str | None = None

    @property
    def outcome(self) -> str | None:
        """Its status, or how it was reset; None while it goes on."""
        if self.reset is not None:
            return f"reset {self.reset}"
        return self.fields[0][":status"] if self.ended and self.fields else None


class Http2Peer:
    """One connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Fields, *, credit: bool = True
    ) -> None:
        self.request = request
        """A head that is served with 200."""
        self.encoder = Encoder()
        self.streams: dict[int, Stream] = {}
        self.goaway: str | None = None
        self.closed = False
        self.pings: list[bytes] = []
        """Answered ones."""
        self.settings: dict[int, int] = {}
        """The server's."""
        self.settings_acknowledged = 0
        self.windows: dict[int, int] = {}
        """What the server allows us beside its settings, by stream."""
        self._reader = reader
        self._writer = writer
        self._decoder = Decoder()
        self._decoder.max_header_list_size = 1 << 20
        self._block = bytearray()
        self._block_ends = False

    # -- out

    async def begin(self, settings: Mapping[int, int] | None = None) -> None:
        """Preface and settings, both ways."""
        self.send(PREFACE, SettingsFrame(0, settings=dict(settings or {})))
        await self.until(lambda: self.settings_acknowledged > 0)

    def send(self, *frames: Frame | bytes) -> None:
        """All of them at once, so that they arrive together."""
        data = b"".join(f if isinstance(f, bytes) else f.serialize() for f in frames)
        self._writer.write(data)

    def head(
        self, stream: int = 1, fields: Iterable[tuple[str, str]] | None = None, *flags: str, block: bytes | None = None
    ) -> HeadersFrame:
        """A request's head, by default whole and without a body."""
        encoded = self.encoder.encode(list(self.request if fields is None else fields)) if block is None else block
        return HeadersFrame(stream, encoded, flags=list(flags or ("END_HEADERS", "END_STREAM")))

    def opened(self, stream: int = 1, *more: tuple[str, str]) -> HeadersFrame:
        """A request's head whose body is to come."""
        return self.head(stream, [*self.request, *more], "END_HEADERS")

    # -- in

    async def until(self, done: Callable[[], bool]) -> None:
        """Read until something has come, or the connection is over."""
        while not (done() or self.closed or self.goaway is not None):
            await self._read()

    async def after(self, *frames: Frame | bytes, stream: int = 1) -> str:
        """Send, and tell what comes of it before a ping that was sent behind it is answered."""
        self.send(*frames)
        ping = PingFrame(0, PROBE)
        self.send(ping)
        known = len(self.pings)
        await self.until(lambda: len(self.pings) > known or self._reset(stream))
        return self.error(stream) or "ignored"

    async def answer(self, *frames: Frame | bytes, stream: int = 1) -> str:
        """Send, and tell how the stream ends: its status, its reset, or the end of everything."""
        self.send(*frames)
        await self.until(lambda: self.stream(stream).outcome is not None)
        return self.stream(stream).outcome or self.error(stream) or "closed"

    async def end(self) -> str:
        """Tell how the connection ends."""
        while not self.closed:
            await self._read()
        return f"goaway {self.goaway}, closed" if self.goaway is not None else "closed"

    def error(self, stream: int) -> str | None:
        """What went wrong so far."""
        if self._reset(stream):
            return self.stream(stream).outcome
        if self.goaway is not None:
            return f"goaway {self.goaway}"
        return "closed" if self.closed else None

    def stream(self, number: int) -> Stream:
        """What came on a stream."""
        return self.streams.setdefault(number, Stream())

    def _reset(self, stream: int) -> bool:
        return self.stream(stream).reset is not None

    async def _read(self) -> None:
        try:
            head = await self._reader.readexactly(9)
            frame, length = Frame.parse_frame_header(memoryview(head))
            frame.parse_body(memoryview(await self._reader.readexactly(length)))
        except (asyncio.IncompleteReadError, OSError):
            self.closed = True
            return
        self._take(frame)

    def _take(self, frame: Frame) -> None:
        match frame:
            case SettingsFrame():
                if "ACK" in frame.flags:
                    self.settings_acknowledged += 1
                else:
                    self.settings.update(frame.settings)
                    self.send(SettingsFrame(0, flags=["ACK"]))
            case PingFrame():
                if "ACK" in frame.flags:
                    self.pings.append(bytes(frame.opaque_data))
            case GoAwayFrame():
                self.goaway = _name(frame.error_code)
            case RstStreamFrame():
                self.stream(frame.stream_id).reset = _name(frame.error_code)
            case WindowUpdateFrame():
                granted = self.windows.get(frame.stream_id, 0) + frame.window_increment
                self.windows[frame.stream_id] = granted
            case HeadersFrame() | ContinuationFrame():
                self._fields(frame)
            case DataFrame():
                stream = self.stream(frame.stream_id)
                stream.body += frame.data
                stream.largest = max(stream.largest, len(frame.data))
                stream.ended = "END_STREAM" in frame.flags

    def _fields(self, frame: HeadersFrame | ContinuationFrame) -> None:
        self._block += frame.data
        if isinstance(frame, HeadersFrame):
            self._block_ends = "END_STREAM" in frame.flags
        if "END_HEADERS" in frame.flags:
            decoded = self._decoder.decode(bytes(self._block))
            self._block.clear()
            stream = self.stream(frame.stream_id)
            stream.fields.append({str(name): str(value) for name, value in decoded})
            stream.ended = self._block_ends


def _name(code: int) -> str:
    try:
        return ErrorCodes(code).name
    except ValueError:
        return str(code)
