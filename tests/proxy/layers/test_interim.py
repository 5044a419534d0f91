"""What an HTTP/1 upstream sends beside its answer: the stream is told of the answer alone."""

import pytest
from mitmproxy.proxy.layers.http._events import (
    HttpEvent,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)

from seatpool.proxy.layers.interim import drop
from tests.proxy.driver import Http1Upstream

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
TRAILED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n2\r\nhi\r\n0\r\nx-t: 1\r\n\r\n"


def told(found: list[HttpEvent]) -> tuple[int, bytes]:
    """Status and body of what is one whole answer."""
    head, *data, end = found
    assert isinstance(head, ResponseHeaders)
    assert isinstance(end, ResponseEndOfMessage)
    return head.response.status_code, b"".join(piece.data for piece in data if isinstance(piece, ResponseData))


@pytest.mark.parametrize("before", [CONTINUE, HINTS, CONTINUE + HINTS, CONTINUE * 2000])
@pytest.mark.parametrize("piece", [1 << 16, 7], ids=["at once", "in pieces"])
def test_interim_answers_are_no_answer(before: bytes, piece: int) -> None:
    upstream, sent = Http1Upstream(drop), before + ANSWER
    found = [event for at in range(0, len(sent), piece) for event in upstream.read(sent[at : at + piece])]
    assert told(found) == (200, b"hi")


def test_an_answer_to_the_next_request_may_have_one_too() -> None:
    upstream = Http1Upstream(drop)
    assert told(upstream.read(ANSWER)) == (200, b"hi")
    upstream.ask()
    assert upstream.read(HINTS) == []
    assert told(upstream.read(ANSWER)) == (200, b"hi")


def test_who_hangs_up_behind_one_has_not_answered() -> None:
    upstream = Http1Upstream(drop)
    assert upstream.read(CONTINUE) == []
    (error,) = upstream.close()
    assert isinstance(error, ResponseProtocolError)
    assert error.message == "server closed connection"


def test_the_answer_to_a_handshake_is_none_of_them() -> None:
    (head, *_) = Http1Upstream(drop).read(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n")
    assert isinstance(head, ResponseHeaders)
    assert head.response.status_code == 101


def test_trailers_are_left_out() -> None:
    upstream = Http1Upstream(drop)
    assert told(upstream.read(TRAILED)) == (200, b"hi")
    upstream.ask()
    assert told(upstream.read(ANSWER)) == (200, b"hi"), "the connection is still good"
