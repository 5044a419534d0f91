"""The editors: they ask, read what they get, lose patience, and compare with what upstream sent."""

import base64
import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import CloseConnection, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from seatpool.core.model import ProviderName
from tests.proof.http2 import Shared
from tests.proof.loop import Loop
from tests.proof.network import Line
from tests.proof.trial import Trial
from tests.proof.upstream import Upstream

_HEX = re.compile(rb"[0-9a-fA-F]+")
CALL = b'"function_call"'
_OURS = (
    *(b'"seatpool', b'"plan_type":"unknown"', b"seatpool:", b"Every Copilot account of the pool"),
    b"The requested model is not supported.",
    b"is not supported when using Codex",
)
"""Stand in answers that are the pool's own."""
Fields = list[tuple[str, str]]
"""The host comes first."""
_OVER = ("response.completed", "response.failed", "error")
LIMITED = (402, 426, 429)
"""Limits are told with these; the second in a handshake, after which an editor that knows how posts instead."""
WARMS = 0.7
"""Share of the Codex editors that send, on a fresh socket, a message that asks for nothing."""
PLACES: Mapping[ProviderName, tuple[str, str]] = MappingProxyType(
    {
        ProviderName.CODEX: ("chatgpt.com", "/backend-api/codex/responses"),
        ProviderName.COPILOT: ("api.individual.githubcopilot.com", "/responses"),
    }
)
"""Host and path of what editors ask for."""


class Desk:
    """What all editors have in common: numbers for their requests, and a judge."""

    def __init__(self, loop: Loop, trial: Trial, upstream: Upstream) -> None:
        self.loop = loop
        self.trial = trial
        self.upstream = upstream
        self.waiting: set[str] = set()
        """Requests without an end so far."""
        self.asked = 0
        self.served = 0
        self.refused: Callable[[str, ProviderName], None] = lambda request, provider: None
        """To be called when a request was refused for limits."""
        self.unsure: set[str] = set()
        """Those that were under way when a process ended: it may have counted them before they were over."""
        self.steady: Callable[[], bool] = lambda: True
        """Whether no process is about to end."""
        self.ended: Callable[[str], None] = lambda request: None
        """To be called when a request has come to some end."""
        self._of: dict[str, Editor] = {}
        self._talk_of: dict[str, list[str]] = {}
        self._talks: defaultdict[str, list[str]] = defaultdict(list)
        """Requests of each conversation, the latest last."""

    def request(self, editor: "Editor") -> str:
        """The name of a new one."""
        self.asked += 1
        name = f"R{self.asked}"
        self.waiting.add(name)
        self._of[name] = editor
        talk = self._talk_of[name] = self._talks[editor.talk]
        talk.append(name)
        return name

    def before(self, request: str) -> list[str]:
        """What was asked before that in its conversation."""
        talk = self._talk_of.get(request, [request])
        return talk[: talk.index(request)]

    def over(self, request: str) -> None:
        """It has come to some end."""
        self.waiting.discard(request)
        self.ended(request)

    def judge(self, request: str, status: int, body: bytes, *, whole: bool) -> None:
        """Compare an answer over HTTP with what was sent."""
        self.loop.note(f"editor: {request} got {status}, {len(body)} bytes{'' if whole else ' of it'}")
        sent = self.upstream.answers.get(request, [])
        if body.count(CALL) > 1:
            self.trial.broken("tool-once", f"{request} got {body.count(CALL)} calls of a tool")
        if status in LIMITED and self._is_sure(request):
            self.refused(request, self._of[request].provider)
        if status != 200:
            same = any(bytes(each.body) == body for each in sent) if whole else True
            if not same and not any(mark in body for mark in _OURS):
                self.trial.broken("bytes", f"{request} got a refusal that nobody sent: {body[:200]!r}")
            return
        self.served += whole
        for each in sent:
            if bytes(each.body) == body if whole else bytes(each.body).startswith(body):
                each.arrived = whole and self._is_sure(request)
                return
        self.trial.broken("bytes", f"{request} got {len(body)} bytes that are none of {[len(s.body) for s in sent]}")

    def _is_sure(self, request: str) -> bool:
        """Whether its process was not about to end, which counts and refuses what is not over by then."""
        return request not in self.unsure and self.steady()

    def judge_frames(self, request: str, frames: list[str], *, whole: bool) -> None:
        """The same of a turn on a socket. The last message may be a refusal that stands in the place of another."""
        self.loop.note(f"editor: {request} got {len(frames)} messages{'' if whole else ', and no more'}")
        calls = sum(CALL.decode() in frame for frame in frames)
        if calls > 1:
            self.trial.broken("tool-once", f"{request} got {calls} calls of a tool")
        told = frames[:-1] if frames and json.loads(frames[-1])["type"] == "error" else frames
        sent = self.upstream.answers.get(request, [])
        same = [each for each in sent if each.frames[: len(told)] == told]
        if told is frames and whole and same and self._is_sure(request):
            same[0].arrived = True
        if told and not same:
            self.trial.broken("bytes", f"{request} got messages that no account sent so: {told!r}")
        self.served += whole
        if whole and len(frames) == 1 and _tells_a_limit(json.loads(frames[0])) and self._is_sure(request):
            self.refused(request, self._of[request].provider)


def _tells_a_limit(frame: dict[str, Any]) -> bool:
    """As the clients understand it: Codex's by a status, Copilot's by a code (other ones are faults of the server)."""
    code = frame.get("error", {}).get("code") or ""
    return frame.get("status_code") in LIMITED or code.startswith(("rate_limited", "user_global_rate_limited"))


class Visit:
    """One connection of an editor to a proxy."""

    def __init__(self, editor: "Editor") -> None:
        self._editor = editor
        self._desk = editor.desk
        self.line: Line | None = None
        self.gone = False
        self._buffer = b""
        self.request: str | None = None
        """The one that is under way."""
        self._head: bytes | None = None
        self._body = bytearray()
        self._left = 0
        self._chunked = False
        self._ws: Connection | None = None
        self._frames: list[str] = []

    # -- the editor

    def ask(self, request: str, method: str, path: str, fields: Fields, body: bytes) -> None:
        """Send a request."""
        self.request, self._head, self._buffer = request, None, b""
        self._body.clear()
        more = [("content-length", str(len(body)))] if body else []
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in [*fields, *more]) + "\r\n"
        self._say(head.encode() + body)

    def speak(self, request: str, message: str) -> None:
        """Send a message on the open socket."""
        assert self._ws is not None
        self.request, self._frames = request, []
        try:
            self._say(self._ws.send(TextMessage(message)))
        except LocalProtocolError:
            self._lost()

    @property
    def is_socket(self) -> bool:
        return self._ws is not None

    def leave(self) -> None:
        """Lose patience, or be done."""
        if not self.gone and self.line is not None:
            self.gone = True
            self.line.hang_up(None if self._desk.loop.random.random() < 0.5 else ConnectionResetError("gone"))
            if self.request is not None:
                self._settle(whole=False)

    def _say(self, data: bytes) -> None:
        if self.line is not None and not self.gone:
            self.line.say(data)

    # -- the far end of a line

    def wrote(self, data: bytes) -> None:
        pass

    def ended(self) -> None:
        """The proxy has closed the connection, or was killed."""
        if not self.gone:
            self.gone = True
            self._lost()

    def _lost(self) -> None:
        self.gone = True
        if self.request is not None:
            self._settle(whole=False)
            self._editor.failed(self)
        else:
            self._editor.idle_closed(self)

    def received(self, data: bytes) -> None:
        """Something of an answer."""
        if self.gone:
            return
        if self._ws is not None:
            self._hear(data)
            return
        self._buffer += data
        if self._head is None:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            self._head, self._buffer = head, rest
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            self._chunked = b"chunked" in head.lower()
            self._left = int(length[1]) if length is not None else 0
            if head.split(b" ", 2)[1] == b"101":
                self._open()
                return
        self._read()

    def _read(self) -> None:
        if self._chunked:
            while True:
                size, end, rest = self._buffer.partition(b"\r\n")
                if not end:
                    return
                if not _HEX.fullmatch(size):
                    self._desk.trial.broken("bytes", f"{self.request} got no chunk, but {self._buffer[:60]!r}")
                    return
                number = int(size, 16)
                if len(rest) < number + 2:
                    return
                self._buffer = rest[number + 2 :]
                self._body += rest[:number]
                if number == 0:
                    break
        else:
            self._body += self._buffer
            self._buffer = b""
            if len(self._body) < self._left:
                return
        status = self._settle(whole=True)
        self._editor.answered(self, status)

    def _settle(self, *, whole: bool) -> int:
        request, self.request = self.request, None
        assert request is not None
        self._desk.over(request)
        if self._ws is not None:
            self._desk.judge_frames(request, self._frames, whole=whole)
            return 101
        if self._head is None:
            return 0
        status = int(self._head.split(b" ", 2)[1])
        self._desk.judge(request, status, bytes(self._body), whole=whole)
        return status

    # -- a socket

    def _open(self) -> None:
        self._ws = Connection(ConnectionType.CLIENT)
        request, self.request = self.request, None
        assert request is not None
        self._desk.over(request)
        rest, self._buffer = self._buffer, b""
        self._editor.opened(self)
        if rest:
            self._hear(rest)

    def _hear(self, data: bytes) -> None:
        assert self._ws is not None
        try:
            self._ws.receive_data(data)
            for event in self._ws.events():
                if isinstance(event, TextMessage):
                    self._message(event.data)
                elif isinstance(event, CloseConnection):
                    self._say(self._ws.send(event.response()))
                    self.gone = True
                    if self.line is not None:
                        self.line.hang_up()
                    self._lost()
                    return
        except (LocalProtocolError, RemoteProtocolError) as error:
            self._desk.trial.broken("bytes", f"a socket's bytes make no sense: {error}")

    def _message(self, text: str) -> None:
        kind = json.loads(text)["type"]
        if self.request is None:
            if kind != "error":
                self._desk.trial.broken("bytes", f"a message that nobody asked for: {text[:200]}")
            return
        self._frames.append(text)
        if kind in _OVER:
            self._settle(whole=True)
            self._editor.turned(self, kind)


class StreamVisit:
    """The same, as one of many on a connection that editors share."""

    is_socket = False

    def __init__(self, editor: "Editor", shared: Shared) -> None:
        self._editor = editor
        self._desk = editor.desk
        self._shared = shared
        self._left = False
        self._number = 0
        self.request: str | None = None
        self._status = 0
        self._body = bytearray()

    @property
    def gone(self) -> bool:
        return self._left or self._shared.gone

    def ask(self, request: str, method: str, path: str, fields: Fields, body: bytes) -> None:
        """Send a request."""
        self.request, self._status = request, 0
        self._body.clear()
        (_, host), *others = fields
        pseudo = [(":method", method), (":scheme", "https"), (":authority", host), (":path", path)]
        self._number = self._shared.ask([*pseudo, *others], body, self._hear)

    def speak(self, request: str, message: str) -> None:
        """Never: there are no sockets here."""
        raise AssertionError(request)

    def leave(self) -> None:
        """Lose patience, or be done."""
        if not self.gone:
            self._left = True
            self._shared.cancel(self._number)
            if self.request is not None:
                self._settle(whole=False)

    def _hear(self, what: str, value: Any) -> None:
        if self.request is None:
            return
        match what:
            case "head":
                self._status = value
            case "data":
                self._body += value
            case "end":
                self._settle(whole=True)
                self._editor.answered(self, self._status)
            case "lost":
                self._settle(whole=False)
                self._editor.failed(self)

    def _settle(self, *, whole: bool) -> None:
        request, self.request = self.request, None
        assert request is not None
        self._desk.over(request)
        if self._status:
            self._desk.judge(request, self._status, bytes(self._body), whole=whole)


class Editor:
    """Asks turn after turn."""

    def __init__(
        self,
        desk: Desk,
        name: str,
        provider: ProviderName,
        connect: Callable[[Visit, str], Line | None],
        share: Callable[[str], Shared | None] | None,
        turns: int,
        sockets: float,
        moves_on: Callable[[], bool] = lambda: False,
    ) -> None:
        """`moves_on`: whether the next turn begins another conversation."""
        self.desk = desk
        self.name = name
        self.provider = provider
        self._loop = desk.loop
        self._connect = connect
        self._share = share
        self._turns = turns
        self._sockets = sockets
        self._moves_on = moves_on
        self.talk = name
        """The conversation."""
        self._tries = 0
        self._warms = provider is ProviderName.CODEX and desk.loop.random.random() < WARMS
        self._cold = self._warming = False
        """Its socket is to be warmed up; it is being so."""
        self._visit: Visit | StreamVisit | None = None
        self.done = False
        claims = {"https://api.openai.com/auth": {"chatgpt_account_id": "ws-me", "chatgpt_user_id": f"user-{name}"}}
        part = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
        codex = provider is ProviderName.CODEX
        self._token = f"e30.{part}.own-{name}" if codex else f"gho_own{name.replace('-', '')}"
        self._soon(2.0)

    def _soon(self, within_s: float) -> None:
        self._loop.post(self._loop.world, self._loop.random.random() * within_s, self._go)

    def _go(self) -> None:
        if self._turns <= 0:
            self.done = True
            if self._visit is not None:
                self._visit.leave()
            return
        visit = self._visit
        if visit is None or visit.gone:
            visit = self._visit = self._come()
            if visit is None:  # nobody listens there
                self._tries += 1
                if self._tries > 20:
                    self._next()
                else:
                    self._soon(2.0)
                return
            if self._share is None and self._loop.random.random() < self._sockets:
                self._handshake(visit)
                return
        request = self.desk.request(self)
        if visit.is_socket:
            self._warming, self._cold = self._cold, False
            more = {"generate": False} if self._warming else {}
            visit.speak(request, self._text(request, {"type": "response.create", **more}))
        else:
            fields = self._fields(request, ("content-type", "application/json"))
            visit.ask(request, "POST", PLACES[self.provider][1], fields, self._text(request, {}).encode())
        self._patience(visit)

    def _come(self) -> Visit | StreamVisit | None:
        host = PLACES[self.provider][0]
        if self._share is not None:
            shared = self._share(host)
            return StreamVisit(self, shared) if shared is not None else None
        visit = Visit(self)
        visit.line = self._connect(visit, host)
        return visit if visit.line is not None else None

    def _handshake(self, visit: Visit | StreamVisit) -> None:
        key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        more = (("upgrade", "websocket"), ("connection", "Upgrade"), key, ("sec-websocket-version", "13"))
        request = self.desk.request(self)
        visit.ask(request, "GET", PLACES[self.provider][1], self._fields(request, *more), b"")
        self._patience(visit)

    def _patience(self, visit: Visit | StreamVisit) -> None:
        if self._loop.random.random() < 0.1:
            self._loop.post(self._loop.world, self._loop.random.random() * 3.0, self._leave, visit, visit.request)

    def _leave(self, visit: Visit | StreamVisit, request: str | None) -> None:
        if visit is self._visit and not visit.gone and visit.request == request:
            self._loop.note(f"editor {self.name} leaves")
            visit.leave()
            self._again()

    def _fields(self, request: str, *more: tuple[str, str]) -> Fields:
        host = ("host", PLACES[self.provider][0])
        known = (("authorization", f"Bearer {self._token}"), ("chatgpt-account-id", "ws-me"), ("x-tag", request))
        session = (("session_id", self.talk), ("x-client-session-id", self.talk))
        return [host, *known, *session, ("user-agent", "codex_exec/0.169.0"), *more]

    def _text(self, request: str, body: dict[str, Any]) -> str:
        return json.dumps({**body, "model": "gpt-x", "stream": True, "tag": request, "input": []})

    # -- what becomes of it

    def _next(self) -> None:
        self._turns -= 1
        self._tries = 0
        if self._moves_on():
            self.talk = f"{self.name}-{self._turns}"
            if self._visit is not None and self._visit.is_socket:
                self._visit.leave()
        self._soon(self._loop.random.choice((0.05, 0.3, 2.0)))

    def _again(self) -> None:
        self._tries += 1
        if self._tries > 3:
            self._next()
        else:
            self._soon(1.0)

    def answered(self, visit: Visit | StreamVisit, status: int) -> None:
        """A request has got its answer."""
        if visit.is_socket or status == 200:
            self._next()
        else:
            self._sockets = 0.0 if status == 426 else self._sockets
            self._again()

    def failed(self, visit: Visit | StreamVisit) -> None:
        """The connection has ended amid an answer."""
        if visit is self._visit:
            self._again()

    def idle_closed(self, visit: Visit | StreamVisit) -> None:
        """It has ended with nothing under way."""

    def opened(self, visit: Visit | StreamVisit) -> None:
        """The socket is there."""
        self._cold = self._warms
        self._soon(0.05)

    def turned(self, visit: Visit | StreamVisit, kind: str) -> None:
        """A turn on it is over."""
        if kind == "error":
            visit.leave()
            self._again()
        elif self._warming:
            self._soon(0.05)
        else:
            self._next()
