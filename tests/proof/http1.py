"""Upstream's connections that speak HTTP/1.1, and the WebSockets that they become."""

import json
from collections.abc import Mapping

from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import CloseConnection, Ping, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError, generate_accept_token

from seatpool.core.model import ProviderName
from tests.proof.issuer import Seat
from tests.proof.network import Line
from tests.proof.upstream import TAG, Answer, Asked, Upstream

_HEAD_END = b"\r\n\r\n"
ALMOST_NOTHING = 2
"""Messages of a turn that is refused, or serves nothing."""


class Server:
    """One connection: answer after answer."""

    def __init__(self, upstream: Upstream, line: Line, host: str) -> None:
        self._upstream = upstream
        self._loop = upstream.loop
        self._line = line
        self._host = host
        self._sent = b""
        """What the process has sent of the next request."""
        self._left = 0
        self._asked: list[Asked] = []
        """Requests that were sent, and have not arrived."""
        self._fields: Mapping[str, str] = {}
        self._come = 0
        """Bytes that were sent, and have not arrived."""
        self.over = False
        self._socket: Socket | None = None
        self._busy = False
        self._chunked = False

    def wrote(self, data: bytes) -> None:
        """Look at what is sent at the moment of its sending."""
        self._come += len(data)
        if self._socket is not None:
            return
        self._sent += data
        while _HEAD_END in self._sent:
            head, _, rest = self._sent.partition(_HEAD_END)
            lines = (line.partition(": ") for line in head.decode("latin-1").split("\r\n")[1:])
            fields = {name.lower(): value for name, _, value in lines}
            size = int(fields.get("content-length", "0"))
            if not self._left:
                self._fields = fields
                self._left = 1
                self._next = Asked(self._upstream, self, self._host, fields)
                self._next.look(self._line)
            if len(rest) < size:
                return
            self._sent, self._left = rest[size:], 0
            self._asked.append(self._next)

    def received(self, data: bytes) -> None:
        """Bytes have arrived."""
        self._come -= len(data)
        if self.over:
            return
        if self._socket is not None:
            self._socket.received(data)
        else:
            self._look()

    def _look(self) -> None:
        if self._asked and not self._come and not self._busy:
            self._busy = True
            self._asked.pop(0).arrive()

    def ended(self) -> None:
        """The process has left."""
        self.over = True

    # -- an answer

    def begin(self, status: int, fields: Mapping[str, str], length: int | None) -> None:
        self._chunked = length is None
        framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
        told = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._line.say(f"HTTP/1.1 {status} Told\r\n{told}{framing}\r\n\r\n".encode())

    def send(self, data: bytes) -> None:
        self._line.say(b"%x\r\n%s\r\n" % (len(data), data) if self._chunked and data else data)

    def finish(self) -> None:
        if self._chunked:
            self._line.say(b"0\r\n\r\n")
        self._busy = False
        if self._loop.random.random() < self._upstream.mood.idle:
            self._loop.post(self._loop.world, self._loop.random.random() * 0.05, self.break_off)
        else:
            self._look()

    def break_off(self) -> None:
        """With a farewell or without."""
        if not self.over:
            self.over = True
            self._line.hang_up(None if self._loop.random.random() < 0.6 else ConnectionResetError("reset"))

    def upgrade(self, answer: Answer, seat: Seat | None) -> None:
        answer.status = 101
        proof = generate_accept_token(self._fields["sec-websocket-key"].encode()).decode()
        fields = f"upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: {proof}\r\n"
        self._socket = Socket(self._upstream, self._line, self, seat)
        self._line.say(f"HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n".encode())


class Socket:
    """An open WebSocket."""

    def __init__(self, upstream: Upstream, line: Line, server: Server, seat: Seat | None) -> None:
        self._upstream = upstream
        self._loop = upstream.loop
        self._line = line
        self._server = server
        self._seat = seat
        self._ws = Connection(ConnectionType.SERVER)

    def received(self, data: bytes) -> None:
        """Bytes have arrived."""
        try:
            self._ws.receive_data(data)
            for event in self._ws.events():
                if isinstance(event, TextMessage):
                    found = TAG.search(event.data)
                    if found is not None:
                        delay = self._loop.random.random() * 0.2
                        warming = json.loads(event.data).get("generate") is False
                        self._loop.post(self._loop.world, delay, self._turn, found[1], warming)
                elif isinstance(event, Ping):
                    self._line.say(self._ws.send(event.response()))
                elif isinstance(event, CloseConnection):
                    self._line.say(self._ws.send(event.response()))
                    self._server.break_off()
        except (LocalProtocolError, RemoteProtocolError):
            self._server.break_off()

    def _turn(self, request: str, warming: bool) -> None:
        random, mood = self._loop.random, self._upstream.mood
        answer = self._upstream.begin(request, self._seat, 200)
        events = self._upstream.events(request)
        limit, at = None, 0
        if warming:  # it uses nothing up, so no limit stands in its way
            events = [events[0], events[-1]]
        elif (limit := self._upstream.limit(self._seat, answer)) is None:
            limit, at = self._upstream.spend(self._seat, answer), len(events) - 1
        elif random.random() < 0.3:
            at = random.randrange(1, len(events))
        if limit is not None:
            codex = self._seat is not None and self._seat.provider is ProviderName.CODEX
            error = {"type": "error", "error": limit, **({"status_code": 429, "headers": {}} if codex else {})}
            events[at:] = [json.dumps(error, separators=(",", ":"))]
        elif random.random() < mood.failing:
            self._upstream.ail(self._seat)
            events = [
                json.dumps({"type": "error", "error": {"code": "server_error", "message": "x"}, "status_code": 500})
            ]
        if self._seat is not None and len(events) > ALMOST_NOTHING:
            self._upstream.served(request, self._seat)
        stop = random.randrange(len(events) + 1) if random.random() < mood.cut else None
        self._event(answer, events, 0, stop)

    def _event(self, answer: Answer, events: list[str], at: int, stop: int | None) -> None:
        if self._server.over:
            return
        if at == stop:
            self._loop.note(f"upstream: {answer.request} is dropped")
            self._upstream.ail(self._seat)
            try:
                if self._loop.random.random() < 0.5:
                    self._line.say(self._ws.send(CloseConnection(code=1011)))
            except LocalProtocolError:
                pass
            self._server.break_off()
            return
        if at == len(events):
            answer.whole = True
            return
        try:
            self._line.say(self._ws.send(TextMessage(events[at])))
        except LocalProtocolError:
            return
        answer.frames.append(events[at])
        delay = self._loop.random.choice((0.0, 0.01, 0.1, 0.5))
        self._loop.post(self._loop.world, delay, self._event, answer, events, at + 1, stop)
