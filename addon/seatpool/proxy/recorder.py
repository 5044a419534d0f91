"""One recording in one proxy: what its flows held, kept in memory until each is over, and written redacted."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from mitmproxy import http

from seatpool.providers.recording.flows import Fields, Piece, Taken, TakenAnswer, TakenMessage
from seatpool.providers.recording.redacting import recorded
from seatpool.providers.recording.redaction import Redactor
from seatpool.proxy.exchange import Exchange, Exchanges
from seatpool.proxy.unpacking import CODINGS, Unpacker
from seatpool.service.memory.records import CUT, LEFT, OK
from seatpool.setup import recording as wishes
from seatpool.setup.recording import Wish

logger = logging.getLogger(__name__)

MOST = 16 * 1024 * 1024
"""Bytes that are kept of a flow."""
OPEN = "open"
"""Outcome of a flow that has not ended."""


class _Kept:
    """A flow as far as it has come."""

    def __init__(self, flow: http.HTTPFlow, exchange: Exchange) -> None:
        self.flow = flow
        self.exchange = exchange
        self.began = time.monotonic()
        self.at_s = time.time()
        self.pieces: list[tuple[float, bytes]] = []
        self.head_ms: dict[int, float] = {}
        """By the answer's id."""
        self.messages: list[tuple[float, bool, bool, bytes, bool]] = []
        self.room = MOST
        self.cut = False

    @property
    def ms(self) -> float:
        """Since it began."""
        return (time.monotonic() - self.began) * 1000

    def takes(self, size: int) -> bool:
        """Whether there is room for so much more."""
        self.room -= size
        self.cut = self.cut or self.room < 0
        return self.room >= 0


class Ear:
    """Hears the messages of sockets as they came."""

    def __init__(self, kept: dict[str, _Kept]) -> None:
        self._kept = kept

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """One has come; mitmproxy has decompressed it."""
        kept = self._kept.get(flow.id)
        if kept is None or flow.websocket is None:
            return
        message = flow.websocket.messages[-1]
        if kept.takes(len(message.content)):
            kept.messages.append((kept.ms, message.from_client, message.is_text, message.content, message.injected))


class Session:
    """One recording in one proxy: an addon as long as it goes on."""

    def __init__(self, wish: Wish, exchanges: Exchanges) -> None:
        self.wish = wish
        self.count = 0
        self._exchanges = exchanges
        self._kept: dict[str, _Kept] = {}
        self.ear = Ear(self._kept)
        self._redactor = Redactor(wish.key)
        self._last: asyncio.Future[None] | None = None

    # -- hooks

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """A flow begins."""
        exchange = self._exchanges.get(flow)
        if exchange is not None and (not self.wish.hosts or exchange.host in self.wish.hosts):
            self._kept[flow.id] = _Kept(flow, exchange)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """An answer begins: its pieces are heard on their way."""
        kept, response = self._kept.get(flow.id), flow.response
        if kept is None or response is None:
            return
        kept.head_ms[id(response)] = kept.ms
        kept.pieces.clear()
        if response.stream:
            response.stream = _heard(kept, response.stream)

    def response(self, flow: http.HTTPFlow) -> None:
        """The answer is complete; a WebSocket goes on."""
        if flow.websocket is None:
            self._over(flow.id, OK)

    def error(self, flow: http.HTTPFlow) -> None:
        """The flow has broken off."""
        kept = self._kept.get(flow.id)
        self._over(flow.id, LEFT if kept is not None and kept.exchange.gone else CUT)

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        """The socket is closed."""
        self._over(flow.id, LEFT if flow.websocket is not None and flow.websocket.closed_by_client else CUT)

    # -- the end

    def finish(self) -> None:
        """What is still under way is recorded as far as it has come."""
        for flow_id in list(self._kept):
            self._over(flow_id, OPEN)

    def _over(self, flow_id: str, outcome: str) -> None:
        kept = self._kept.pop(flow_id, None)
        if kept is None:
            return
        self.count += 1
        try:
            taken = _taken(kept, outcome, self.wish.began)
            loop = asyncio.get_running_loop()
            self._last = loop.run_in_executor(None, self._write, taken)
        except Exception as error:  # noqa: BLE001 # a recording is never worth a flow, and the text might tell of it
            logger.warning("action=record reason=%s: a flow is not recorded", type(error).__name__)

    def _write(self, taken: Taken) -> None:
        try:
            line = msgspec.json.encode(recorded(taken, self._redactor))
            wishes.append(self.wish.file, [line])
        except OSError as error:
            logger.warning("action=record reason=%s: %s", type(error).__name__, error.strerror)
        except Exception as error:  # noqa: BLE001 # its text might hold what must not be told
            logger.warning("action=record reason=%s: a flow is not recorded", type(error).__name__)


def _heard(kept: _Kept, inner: Any) -> Callable[[bytes], Any]:
    def hear(chunk: bytes) -> Any:
        if chunk and kept.takes(len(chunk)):
            kept.pieces.append((kept.ms, chunk))
        return inner(chunk) if callable(inner) else chunk

    return hear


def _taken(kept: _Kept, outcome: str, began: float) -> Taken:
    flow, exchange = kept.flow, kept.exchange
    request = flow.request
    body = request.get_content(strict=False) or b""
    return Taken(
        max(0.0, kept.at_s - began),
        exchange.provider.name.value,
        exchange.route.name if exchange.route is not None else None,
        request.method,
        exchange.host,
        request.path,
        request.http_version,
        tuple(exchange.headers.items()),
        body if kept.takes(len(body)) else b"",
        tuple(_answers(kept)),
        tuple(TakenMessage(*each) for each in kept.messages),
        outcome,
        kept.cut,
    )


def _answers(kept: _Kept) -> Sequence[TakenAnswer]:
    flow, exchange = kept.flow, kept.exchange
    last = flow.response
    answers = []
    for came in exchange.received:
        response = came.response
        ms = kept.head_ms.get(id(response), 0.0)
        pieces = _pieces(kept, response, ms, last=response is last)
        answers.append(TakenAnswer(response.status_code, response.http_version, _texts(came.fields), pieces, ms))
    if last is not None and exchange.came(last) is None:
        pieces = _pieces(kept, last, kept.ms, last=False)
        head = _texts(last.headers.fields)
        answers.append(TakenAnswer(last.status_code, last.http_version, head, pieces, kept.ms, own=True))
    return answers


def _texts(fields: Sequence[tuple[bytes, bytes]]) -> Fields:
    return tuple((n.decode("latin-1"), v.decode("latin-1")) for n, v in fields)


def _pieces(kept: _Kept, response: http.Response, ms: float, *, last: bool) -> Any:
    if last and kept.pieces:
        coding = response.headers.get("content-encoding", "").lower()
        return tuple(Piece(ms, data) for ms, data in _decoded(kept.pieces, coding))
    if last and kept.exchange.hidden_body is not None:
        hidden = http.Response.make(200, b"", {})
        hidden.headers["content-encoding"] = response.headers.get("content-encoding", "identity")
        hidden.raw_content = kept.exchange.hidden_body
        content = hidden.get_content(strict=False) or b""
    else:
        content = response.get_content(strict=False) or b""
    return (Piece(ms, content),) if content and kept.takes(len(content)) else ()


def _decoded(pieces: Sequence[tuple[float, bytes]], coding: str) -> list[tuple[float, bytes]]:
    """Pieces of a stream, each decoded with what came before it; undecodable ones are told as nothing."""
    if coding in ("", "identity"):
        return list(pieces)
    if coding not in CODINGS:
        return []
    unpack = Unpacker(coding)
    found = [(ms, unpack(data)) for ms, data in pieces]
    return [] if unpack.broken else found
