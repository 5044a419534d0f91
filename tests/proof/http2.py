"""Upstream's connections that speak HTTP/2, on which answers mix; and the editors' that do."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, RequestReceived, ResponseReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError
from hyperframe.frame import GoAwayFrame

from tests.proof.issuer import Seat
from tests.proof.loop import Loop
from tests.proof.network import Line
from tests.proof.upstream import Answer, Asked, Upstream


class Server:
    """One connection of upstream's."""

    def __init__(self, upstream: Upstream, line: Line, host: str) -> None:
        self._upstream = upstream
        self.loop = upstream.loop
        self._line = line
        self._host = host
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.over = False
        self._asked: dict[int, Asked] = {}
        self.last = sys.maxsize
        """Number of the last stream that is answered."""
        self.gone: set[int] = set()
        """Streams that the process has ended."""

    def wrote(self, data: bytes) -> None:
        """Understand what is sent at the moment of its sending; what follows from it takes its time."""
        try:
            events = self.h2.receive_data(data)
        except ProtocolError as error:
            self._upstream.trial.broken("sound", f"upstream cannot read what it is sent: {error}")
            return
        for event in events:
            match event:
                case RequestReceived() if event.stream_id > self.last:
                    self._upstream.late_at = self.loop.now
                case RequestReceived():
                    fields = dict(event.headers)  # type: ignore[arg-type]
                    stream = Stream(self, event.stream_id)
                    asked = self._asked[event.stream_id] = Asked(self._upstream, stream, self._host, fields)  # type: ignore[arg-type]
                    asked.look(self._line)
                case DataReceived():
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case StreamEnded() if event.stream_id in self._asked:
                    self._asked.pop(event.stream_id).arrive()
                case StreamReset():
                    self.gone.add(event.stream_id)
                case ConnectionTerminated():
                    self.over = True

    def received(self, data: bytes) -> None:
        """What has to be said because of it."""
        self.flush()

    def flush(self) -> None:
        """Send what is ready."""
        data = self.h2.data_to_send()
        if data and not self.over:
            self._line.say(data)

    def ended(self) -> None:
        """The process has left."""
        self.over = True

    def break_off(self) -> None:
        """All of them: with a farewell or without."""
        if not self.over:
            self.over = True
            self._line.hang_up(None if self.loop.random.random() < 0.6 else ConnectionResetError("reset"))

    def take_leave(self) -> None:
        """What is under way goes on, and nothing new is taken."""
        if not self.over and self.last == sys.maxsize:
            farewell = GoAwayFrame(0)
            farewell.last_stream_id = self.last = self.h2.highest_inbound_stream_id
            self._line.say(farewell.serialize())
            self.loop.post(self.loop.world, 0.5, self.break_off)

    @property
    def idle_share(self) -> float:
        """How often a connection ends after an answer."""
        return self._upstream.mood.idle


class Stream:
    """One answer."""

    def __init__(self, server: Server, number: int) -> None:
        self._server = server
        self._number = number
        self._ended = False

    @property
    def over(self) -> bool:
        return self._ended or self._server.over or self._number in self._server.gone

    def begin(self, status: int, fields: Mapping[str, str], length: int | None) -> None:
        more = [("content-length", str(length))] if length is not None else []
        self._do(self._server.h2.send_headers, [(":status", str(status)), *fields.items(), *more])

    def send(self, data: bytes) -> None:
        if data:
            self._do(self._server.h2.send_data, data)

    def finish(self) -> None:
        self._do(self._server.h2.end_stream)
        self._ended = True
        if self._server.loop.random.random() < self._server.idle_share / 2:
            self._server.take_leave()

    def break_off(self) -> None:
        self._ended = True
        if self._server.loop.random.random() < 0.5:
            self._do(self._server.h2.reset_stream, ErrorCodes.INTERNAL_ERROR)
        else:
            self._server.break_off()

    def upgrade(self, answer: Answer, seat: Seat | None) -> None:
        raise AssertionError("nobody asks for a WebSocket over HTTP/2")

    def _do(self, what: Callable[..., None], *args: Any) -> None:
        try:
            what(self._number, *args)
        except ProtocolError:  # the other side has ended it meanwhile
            self._ended = True
        self._server.flush()


class Shared:
    """A connection that several editors share, and what each of them hears of it."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._h2.initiate_connection()
        self.line: Line | None = None
        self.gone = False
        self._hearing: dict[int, Callable[[str, Any], None]] = {}

    def ask(self, fields: list[tuple[str, str]], body: bytes, hear: Callable[[str, Any], None]) -> int:
        """Send a request; `hear` is told `head` with the status, `data`, `end` and `lost`."""
        number = self._h2.get_next_available_stream_id()
        self._hearing[number] = hear
        self._h2.send_headers(number, fields)
        self._h2.send_data(number, body, end_stream=True)
        self._flush()
        return number

    def cancel(self, number: int) -> None:
        """Nobody wants the answer any more."""
        if self._hearing.pop(number, None) is not None and not self.gone:
            self._h2.reset_stream(number, ErrorCodes.CANCEL)
            self._flush()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and self.line is not None and not self.gone:
            self.line.say(data)

    # -- the far end of a line

    def wrote(self, data: bytes) -> None:
        pass

    def received(self, data: bytes) -> None:
        """Something of the answers."""
        if self.gone:
            return
        for event in self._h2.receive_data(data):
            number = getattr(event, "stream_id", None) or 0
            match event:
                case ResponseReceived():
                    self._tell(number, "head", int(dict(event.headers)[":status"]))  # type: ignore[arg-type, call-overload]
                case DataReceived():
                    self._h2.acknowledge_received_data(event.flow_controlled_length, number)
                    self._tell(number, "data", event.data)
                case StreamEnded():
                    self._tell(number, "end", None)
                    self._hearing.pop(number, None)
                case StreamReset():
                    self._tell(number, "lost", None)
                    self._hearing.pop(number, None)
                case ConnectionTerminated():
                    self.ended()
        self._flush()

    def _tell(self, number: int, what: str, value: Any) -> None:
        hear = self._hearing.get(number)
        if hear is not None:
            hear(what, value)

    def ended(self) -> None:
        """The proxy has closed the connection, or was killed."""
        self.gone = True
        hearing, self._hearing = self._hearing, {}
        for hear in hearing.values():
            hear("lost", None)

    def leave(self) -> None:
        """With everything that is under way on it."""
        if not self.gone and self.line is not None:
            self.line.hang_up()
            self.ended()
