"""The fake chatgpt.com: answers as the seed has it, and remembers every byte that it has sent."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import CloseConnection, Ping, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError, generate_accept_token

from seatpool.core.model import ProviderName
from tests.proof.issuer import Issuer, Seat
from tests.proof.loop import Loop
from tests.proof.network import GREETING, Line
from tests.proof.trial import Trial

REQUEST = re.compile(rb'(?:"tag": ?"|x-tag: ?)(R\d+)')
"""How an editor's request names itself: in a header, in a message."""
_HEAD_END = b"\r\n\r\n"


@dataclass
class Mood:
    """How often what goes wrong: shares of the requests."""

    limited: float = 0.05
    """The account's quota is spent from now on."""
    throttled: float = 0.04
    nameless: float = 0.01
    """A limit that names no end."""
    failing: float = 0.05
    """5xx."""
    denied: float = 0.05
    """A token is not good any more, before its time."""
    cut: float = 0.1
    """The connection breaks before the answer is over."""
    late_limit: float = 0.3
    """A limit is told in the first events of a stream that has begun with 200."""
    refused: float = 0.05
    """A connection is refused."""
    silent: float = 0.01
    """Nothing ever comes."""
    idle: float = 0.1
    """A connection is closed after an answer, without a word before."""


@dataclass
class Answer:
    """What upstream sent for one attempt."""

    request: str
    seat: str | None
    status: int
    body: bytearray = field(default_factory=bytearray)
    frames: list[str] = field(default_factory=list)
    """Of a socket."""
    whole: bool = False
    until: float = 0.0
    """The limit that it tells, in upstream's time."""


class Upstream:
    """All servers of models."""

    def __init__(self, loop: Loop, trial: Trial, issuer: Issuer, mood: Mood) -> None:
        self.loop = loop
        self.trial = trial
        self.issuer = issuer
        self.mood = mood
        self.answers: dict[str, list[Answer]] = {}
        """By the editors' requests."""
        self.asked: Callable[[Line, str, Seat], None] = lambda line, request, seat: None
        """To be called when a process begins to send a request with an account's credential."""
        self._number = 0

    def listen(self, host: str) -> Callable[[Line], "Server"]:
        """Take a connection."""
        return lambda line: Server(self, line, host)

    def begin(self, request: str, seat: Seat | None, status: int) -> Answer:
        """Another attempt is answered."""
        answer = Answer(request, seat.name if seat is not None else None, status)
        self.answers.setdefault(request, []).append(answer)
        self.loop.note(f"upstream: {request} of {answer.seat} gets {status}")
        return answer

    def number(self) -> int:
        """One that there was not yet."""
        self._number += 1
        return self._number

    def limit(self, seat: Seat | None, answer: Answer) -> dict[str, object] | None:
        """The account's limit, where there is one now or it begins just now; as an error."""
        if seat is None:
            return None
        random, now, mood = self.loop.random, self.issuer.now, self.mood
        if seat.limited_until > now:
            left_s = seat.limited_until - now
            answer.until = seat.limited_until
            if seat.provider is ProviderName.COPILOT:
                code = "user_global_rate_limited:pro" if left_s > 40 else "rate_limited"
                return {"code": code, "message": "Sorry, you have been limited."}
            return _spent(seat.limited_until, left_s) if left_s > 40 else _throttle(left_s)
        dice = random.random()
        if dice < mood.limited:
            seat.limited_until = now + random.choice((15.0, 90.0, 600.0, 3600.0))
        elif dice < mood.limited + mood.throttled:
            seat.limited_until = now + random.choice((0.5, 3.0, 20.0))
        elif dice < mood.limited + mood.throttled + mood.nameless:
            return {"message": "Too many requests", "code": "too_many", "type": "x"}
        else:
            return None
        return self.limit(seat, answer)

    def events(self, request: str) -> list[str]:
        """An answer's, with one call of a tool."""
        number = self.number()
        response = {"id": f"resp_{number}", "status": "in_progress"}
        usage = {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110}
        call = {"type": "function_call", "call_id": f"call_{number}", "name": "shell", "arguments": "{}"}
        deltas = [f"{request}.{number}.{n}" for n in range(self.loop.random.randrange(1, 5))]
        return [
            json.dumps(event, separators=(",", ":"))
            for event in (
                {"type": "response.created", "response": response},
                *({"type": "response.output_text.delta", "delta": text} for text in deltas),
                {"type": "response.output_item.done", "item": call},
                {"type": "response.completed", "response": {**response, "usage": usage}},
            )
        ]


def _spent(until: float, left_s: float) -> dict[str, object]:
    said = {"type": "usage_limit_reached", "message": "The usage limit has been reached", "plan_type": "plus"}
    return {**said, "resets_at": int(until) + 1, "resets_in_seconds": int(left_s) + 1}


def _throttle(left_s: float) -> dict[str, object]:
    words = f"Rate limit reached. Please try again in {left_s:.3f}s."
    return {"message": words, "type": "tokens", "code": "rate_limit_exceeded"}


class Server:
    """One connection."""

    def __init__(self, upstream: Upstream, line: Line, host: str) -> None:
        self._upstream = upstream
        self._loop = upstream.loop
        self._line = line
        self._host = host
        self._tapped = b""
        self._buffer = b""
        self._greeted = False
        self._over = False
        self._socket: Socket | None = None
        self._busy = False
        """An answer is under way."""

    def wrote(self, data: bytes) -> None:
        """Look at what is sent at the moment of its sending."""
        if self._upstream.issuer.astray(data, self._host):
            self._upstream.trial.broken("foreign-host", f"a credential went to {self._host}")
        if self._socket is None:
            self._tapped += data
            found = REQUEST.search(self._tapped)
            if found is not None:
                seat = self._seat(self._tapped)
                if seat is not None:
                    self._upstream.asked(self._line, found[1].decode(), seat)
                self._tapped = b""

    def received(self, data: bytes) -> None:
        """Bytes have arrived."""
        if self._over:
            return
        self._buffer += data
        if not self._greeted:
            if not self._buffer.startswith(GREETING):
                return
            self._greeted, self._buffer = True, self._buffer[len(GREETING) :]
            self._line.say(GREETING)
        if self._socket is not None:
            data, self._buffer = self._buffer, b""
            self._socket.received(data)
        elif not self._busy:
            self._read()

    def ended(self) -> None:
        """The process has left."""
        self._over = True

    def hang_up(self) -> None:
        """Break off: with a farewell or without."""
        if not self._over:
            self._over = True
            self._line.hang_up(None if self._loop.random.random() < 0.6 else ConnectionResetError("reset"))

    # -- a request

    def _read(self) -> None:
        head, end, rest = self._buffer.partition(_HEAD_END)
        if not end:
            return
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        size = int(length[1]) if length is not None else 0
        if len(rest) < size:
            return
        body, self._buffer = rest[:size], rest[size:]
        self._busy = True
        seat = self._seat(head)
        self._loop.post(self._loop.world, self._loop.random.random() * 0.3, self._answer, head, body, seat)

    def _seat(self, head: bytes) -> Seat | None:
        token = re.search(rb"(?i)authorization: *bearer ([^\r]+)", head)
        return self._upstream.issuer.owner_of(token[1].decode()) if token is not None else None

    def _answer(self, head: bytes, body: bytes, seat: Seat | None) -> None:
        if self._over:
            return
        random, mood, issuer = self._loop.random, self._upstream.mood, self._upstream.issuer
        upgrade = b"upgrade: websocket" in head.lower()
        found = REQUEST.search(head)
        request = found[1].decode() if found is not None else "none"
        token = re.search(rb"(?i)authorization: *bearer ([^\r]+)", head)
        answer = self._upstream.begin(request, seat, 200)
        if seat is not None and token is not None:
            name = token[1].decode()
            if random.random() < mood.denied and seat.provider is ProviderName.CODEX:
                seat.access.pop(name, None)
            if not issuer.accepts(seat, name):
                self._refuse(
                    answer, 401, {"message": "Provided authentication token is expired.", "code": "token_expired"}
                )
                return
        if random.random() < mood.silent:
            self._loop.note(f"upstream: {request} is never answered")
            return
        dice = random.random()
        if dice < mood.cut / 3:
            answer.status = 0
            self.hang_up()
            return
        if dice > 1 - mood.failing:
            self._refuse(
                answer, random.choice((500, 502, 503)), {"message": "Something went wrong.", "code": "server_error"}
            )
            return
        if upgrade:
            self._upgrade(head, answer, seat)
            return
        if random.random() > mood.late_limit:
            limit = self._upstream.limit(seat, answer)
            if limit is not None:
                self._refuse(answer, 429, limit)
                return
        self._stream(answer, seat)

    def _refuse(self, answer: Answer, status: int, error: dict[str, object]) -> None:
        answer.status = status
        answer.body += json.dumps({"error": error}).encode()
        answer.whole = True
        more = ""
        if answer.until and self._host.endswith("githubcopilot.com"):
            more = f"retry-after: {int(answer.until - self._upstream.issuer.now) + 1}\r\n"
        fields = f"content-type: application/json\r\n{more}content-length: {len(answer.body)}\r\n"
        head = f"HTTP/1.1 {status} Refused\r\n{fields}\r\n"
        data = head.encode() + bytes(answer.body)
        if self._loop.random.random() < self._upstream.mood.cut / 4:
            answer.whole = False
            answer.until = 0.0
            self._line.say(data[: self._loop.random.randrange(len(data))])
            self.hang_up()
            return
        self._line.say(data)
        self._finished()

    def _finished(self) -> None:
        self._busy = False
        if self._loop.random.random() < self._upstream.mood.idle:
            self._loop.post(self._loop.world, self._loop.random.random() * 0.05, self.hang_up)
        elif self._buffer:
            self._read()

    def _stream(self, answer: Answer, seat: Seat | None) -> None:
        events = self._upstream.events(answer.request)
        limit = self._upstream.limit(seat, answer)
        random = self._loop.random
        if limit is not None:
            at = random.choice((1, random.randrange(1, len(events)), len(events) - 1))
            answer.until = answer.until if "resets_at" in limit else 0.0
            failed = {"type": "response.failed", "response": {"id": "resp_x", "error": limit}}
            if "resets_at" in limit:
                failed["response"]["error"] = {**limit, "code": limit["type"]}  # type: ignore[index]
            events[at:] = [json.dumps(failed, separators=(",", ":"))]
        data = b"".join(f"event: {json.loads(e)['type']}\ndata: {e}\n\n".encode() for e in events)
        cuts = sorted(random.randrange(1, len(data)) for _ in range(random.randrange(5)))
        pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]
        stop = random.randrange(len(pieces) + 1) if random.random() < self._upstream.mood.cut else None
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        self._line.say(head)
        self._piece(answer, pieces, 0, stop)

    def _piece(self, answer: Answer, pieces: list[bytes], at: int, stop: int | None) -> None:
        if self._over:
            return
        if at == stop:
            self._loop.note(f"upstream: {answer.request} is cut")
            self.hang_up()
            return
        if at == len(pieces):
            answer.whole = True
            self._line.say(b"0\r\n\r\n")
            self._finished()
            return
        answer.body += pieces[at]
        self._line.say(b"%x\r\n%s\r\n" % (len(pieces[at]), pieces[at]))
        delay = self._loop.random.choice((0.0, 0.01, 0.1, 0.5))
        self._loop.post(self._loop.world, delay, self._piece, answer, pieces, at + 1, stop)

    def _upgrade(self, head: bytes, answer: Answer, seat: Seat | None) -> None:
        if self._loop.random.random() < 0.5:
            limit = self._upstream.limit(seat, answer)
            if limit is not None:
                self._refuse(answer, 429, limit)
                return
        answer.status = 101
        key = re.search(rb"(?i)sec-websocket-key: *(\S+)", head)
        proof = generate_accept_token(key[1] if key is not None else b"").decode()
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
                    found = REQUEST.search(event.data.encode())
                    if found is not None:
                        delay = self._loop.random.random() * 0.2
                        self._loop.post(self._loop.world, delay, self._turn, found[1].decode())
                elif isinstance(event, Ping):
                    self._line.say(self._ws.send(event.response()))
                elif isinstance(event, CloseConnection):
                    self._line.say(self._ws.send(event.response()))
                    self._server.hang_up()
        except (LocalProtocolError, RemoteProtocolError):
            self._server.hang_up()

    def _turn(self, request: str) -> None:
        random, mood = self._loop.random, self._upstream.mood
        answer = self._upstream.begin(request, self._seat, 200)
        events = self._upstream.events(request)
        limit = self._upstream.limit(self._seat, answer)
        if limit is not None:
            at = random.choice((0, 0, random.randrange(1, len(events)), len(events) - 1))
            error = {"type": "error", "error": limit, "status_code": 429, "headers": {}}
            events[at:] = [json.dumps(error, separators=(",", ":"))]
        elif random.random() < mood.failing:
            events = [
                json.dumps({"type": "error", "error": {"code": "server_error", "message": "x"}, "status_code": 500})
            ]
        stop = random.randrange(len(events) + 1) if random.random() < mood.cut else None
        self._event(answer, events, 0, stop)

    def _event(self, answer: Answer, events: list[str], at: int, stop: int | None) -> None:
        if self._server._over:
            return
        if at == stop:
            self._loop.note(f"upstream: {answer.request} is dropped")
            try:
                if self._loop.random.random() < 0.5:
                    self._line.say(self._ws.send(CloseConnection(code=1011)))
            except LocalProtocolError:
                pass
            self._server.hang_up()
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
