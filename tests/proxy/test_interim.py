"""What an HTTP/1 upstream sends beside its answer: the stream is told of the answer alone."""

from collections.abc import Iterator

import pytest
from mitmproxy.connection import ConnectionState
from mitmproxy.net.http import http1
from mitmproxy.proxy import events
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    HttpEvent,
    RequestEndOfMessage,
    RequestHeaders,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._http1 import Http1Client

from seatpool.proxy.interim import drop
from tests.proxy.driver import make_context

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
TRAILED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n2\r\nhi\r\n0\r\nx-t: 1\r\n\r\n"


class Upstream:
    """A connection that was just opened, with a request on it."""

    def __init__(self) -> None:
        context = make_context()
        context.server.alpn = b"http/1.1"
        self.connection = context.server
        self.reader = Http1Client(context)
        assert not list(self.reader.handle_event(events.Start()))
        drop(self.reader)
        self.ask()

    def ask(self) -> None:
        request = http1.read_request_head([b"POST /x HTTP/1.1", b"host: chatgpt.com"])
        for event in (RequestHeaders(1, request, True), RequestEndOfMessage(1)):
            assert not [c for c in self.reader.handle_event(event) if isinstance(c, ReceiveHttp)]

    def read(self, data: bytes) -> list[HttpEvent]:
        """What the stream is told of one read."""
        return list(self._told(events.DataReceived(self.connection, data)))

    def close(self) -> list[HttpEvent]:
        self.connection.state = ConnectionState.CLOSED
        return list(self._told(events.ConnectionClosed(self.connection)))

    def _told(self, event: events.Event) -> Iterator[HttpEvent]:
        for command in self.reader.handle_event(event):
            if isinstance(command, ReceiveHttp):
                yield command.event


def told(found: list[HttpEvent]) -> tuple[int, bytes]:
    """Status and body of what is one whole answer."""
    head, *data, end = found
    assert isinstance(head, ResponseHeaders)
    assert isinstance(end, ResponseEndOfMessage)
    return head.response.status_code, b"".join(piece.data for piece in data if isinstance(piece, ResponseData))


@pytest.mark.parametrize("before", [CONTINUE, HINTS, CONTINUE + HINTS, CONTINUE * 2000])
@pytest.mark.parametrize("piece", [1 << 16, 7], ids=["at once", "in pieces"])
def test_interim_answers_are_no_answer(before: bytes, piece: int) -> None:
    upstream, sent = Upstream(), before + ANSWER
    found = [event for at in range(0, len(sent), piece) for event in upstream.read(sent[at : at + piece])]
    assert told(found) == (200, b"hi")


def test_an_answer_to_the_next_request_may_have_one_too() -> None:
    upstream = Upstream()
    assert told(upstream.read(ANSWER)) == (200, b"hi")
    upstream.ask()
    assert upstream.read(HINTS) == []
    assert told(upstream.read(ANSWER)) == (200, b"hi")


def test_who_hangs_up_behind_one_has_not_answered() -> None:
    upstream = Upstream()
    assert upstream.read(CONTINUE) == []
    (error,) = upstream.close()
    assert isinstance(error, ResponseProtocolError)
    assert error.message == "server closed connection"


def test_the_answer_to_a_handshake_is_none_of_them() -> None:
    (head, *_) = Upstream().read(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n")
    assert isinstance(head, ResponseHeaders)
    assert head.response.status_code == 101


def test_trailers_are_left_out() -> None:
    upstream = Upstream()
    assert told(upstream.read(TRAILED)) == (200, b"hi")
    upstream.ask()
    assert told(upstream.read(ANSWER)) == (200, b"hi"), "the connection is still good"
