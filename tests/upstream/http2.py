"""HTTP/2 on the h2 library: every stream answered by a task of its own."""

import asyncio
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RequestReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame, HeadersFrame

from tests.upstream.http1 import reset_transport
from tests.upstream.wire import App, Connection, Fields, Reply, Request

_WINDOW = 1 << 20


class _Stream:
    __slots__ = ("body", "fields", "pseudo", "task")

    def __init__(self, headers: Any) -> None:
        self.pseudo = {name: value for name, value in headers if name.startswith(":")}
        self.fields = [(name, value) for name, value in headers if not name.startswith(":")]
        self.body = bytearray()
        self.task: asyncio.Task[None] | None = None


class Http2:
    """One connection."""

    def __init__(self, transport: asyncio.Transport, connection: Connection, app: App) -> None:
        self.transport = transport
        self.connection = connection
        self.writable = asyncio.Event()
        self.writable.set()
        self.window = asyncio.Condition()
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._app = app
        self._streams: dict[int, _Stream] = {}
        self._wakers: set[asyncio.Task[None]] = set()
        self.h2.initiate_connection()
        self.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW})
        self.h2.increment_flow_control_window(_WINDOW)
        self.flush()

    def flush(self) -> None:
        """Write what h2 has queued."""
        if data := self.h2.data_to_send():
            self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        try:
            events = self.h2.receive_data(data)
        except ProtocolError:
            self.flush()
            self.transport.close()
            return
        for event in events:
            self._handle(event)
        self.flush()

    def connection_lost(self) -> None:
        """The client is gone, or we closed: every answer under way ends."""
        self.writable.set()
        for stream in list(self._streams.values()):
            if stream.task is not None:
                stream.task.cancel()

    def _handle(self, event: object) -> None:
        match event:
            case RequestReceived():
                self._streams[event.stream_id] = _Stream(event.headers)
            case TrailersReceived():
                if stream := self._streams.get(event.stream_id):
                    stream.fields += [(str(name), str(value)) for name, value in event.headers]
            case DataReceived():
                if stream := self._streams.get(event.stream_id):
                    stream.body += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case StreamEnded():
                self._start(event.stream_id)
            case StreamReset():
                stream = self._streams.pop(event.stream_id, None)
                if stream is not None and stream.task is not None:
                    stream.task.cancel()
            case WindowUpdated():
                waker = asyncio.create_task(self._wake())
                self._wakers.add(waker)
                waker.add_done_callback(self._wakers.discard)
            case ConnectionTerminated():
                self.transport.close()

    async def _wake(self) -> None:
        async with self.window:
            self.window.notify_all()

    def _start(self, stream_id: int) -> None:
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        self.connection.requests += 1
        request = Request(
            stream.pseudo[":method"],
            stream.pseudo.get(":path", "/"),
            stream.pseudo.get(":authority", "").lower().partition(":")[0],
            stream.fields,
            bytes(stream.body),
            "2",
            self.connection,
            self.connection.requests,
        )
        stream.task = asyncio.create_task(self._serve(stream_id, request))

    async def _serve(self, stream_id: int, request: Request) -> None:
        reply = Http2Reply(self, stream_id, bodiless=request.method == "HEAD")
        try:
            await self._app(request, reply)
        finally:
            self._streams.pop(stream_id, None)
        if not reply.ended:
            reply.cut()


class Http2Reply(Reply):
    """An answer over one HTTP/2 stream."""

    def __init__(self, engine: Http2, stream_id: int, *, bodiless: bool) -> None:
        self._engine = engine
        self._id = stream_id
        self._bodiless = bodiless

    async def head(self, status: int, fields: Fields, length: int | None = None) -> None:
        self.started = True
        headers = [(":status", str(status)), *((name.lower(), value) for name, value in fields)]
        if length is not None:
            headers.append(("content-length", str(length)))
        self._engine.h2.send_headers(self._id, headers)
        self._engine.flush()

    async def data(self, chunk: bytes) -> None:
        if self._bodiless:
            return
        h2, view = self._engine.h2, memoryview(chunk)
        while view:
            room = min(h2.local_flow_control_window(self._id), h2.max_outbound_frame_size, len(view))
            if room <= 0:
                async with self._engine.window:
                    await self._engine.window.wait()
                continue
            h2.send_data(self._id, bytes(view[:room]))
            self._engine.flush()
            view = view[room:]
            if not self._engine.writable.is_set():
                await self._engine.writable.wait()

    async def end(self) -> None:
        self._engine.h2.end_stream(self._id)
        self._engine.flush()
        self.ended = True

    def cut(self) -> None:
        try:
            self._engine.h2.reset_stream(self._id, ErrorCodes.INTERNAL_ERROR)
        except ProtocolError:
            return  # the connection or the stream is closed already
        self._engine.flush()

    def close(self) -> None:
        self._engine.transport.close()

    def reset(self) -> None:
        reset_transport(self._engine.transport)

    def half_head(self) -> None:
        self._engine.transport.write(self._head([(":status", "200"), ("content-type", "text/event-stream")])[:-8])

    def bad_head(self) -> None:
        self._engine.transport.write(self._head([(":status", "200"), ("no name", "x")]))

    def junk(self) -> None:
        self._engine.transport.write(bytes(9))  # a frame of data for the connection itself

    def goaway(self, *, taken: bool = False) -> None:
        self._engine.h2.close_connection(ErrorCodes.NO_ERROR, last_stream_id=self._id if taken else 0)
        self._engine.flush()
        self._engine.transport.close()

    def leave(self) -> None:
        # The library takes a GOAWAY of its own for the end of everything.
        self._engine.transport.write(GoAwayFrame(0, last_stream_id=self._id, error_code=0).serialize())

    def refuse_stream(self) -> None:
        self._engine.h2.reset_stream(self._id, ErrorCodes.REFUSED_STREAM)
        self._engine.flush()

    def _head(self, fields: list[tuple[str, str]]) -> bytes:
        return HeadersFrame(self._id, self._engine.h2.encoder.encode(fields), flags=["END_HEADERS"]).serialize()
