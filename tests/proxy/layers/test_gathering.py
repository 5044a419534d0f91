"""What one read brought of a body goes on in one piece, and nothing else changes."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest
from h2.events import DataReceived as H2Data
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.proxy.layers.http._events import (
    HttpEvent,
    ResponseData,
    ResponseEndOfMessage,
    ResponseProtocolError,
)

from seatpool.proxy.layers.gathering import gather
from tests.proxy.driver import Http1Upstream
from tests.proxy.layers.test_replay import Stage

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def chunked(parts: Iterable[bytes]) -> bytes:
    """As an HTTP/1.1 upstream writes them."""
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)


def bodies(told: Sequence[HttpEvent]) -> list[bytes]:
    return [event.data for event in told if isinstance(event, ResponseData)]


def kinds(told: Sequence[HttpEvent]) -> list[type[HttpEvent]]:
    """Of what was told, pieces of the body next to each other counted once."""
    found = [type(event) for event in told]
    return found[:1] + [kind for before, kind in pairwise(found) if not before is kind is ResponseData]


def test_chunks_that_come_at_once_go_on_at_once() -> None:
    upstream = Http1Upstream(gather)
    upstream.read(HEAD)
    assert bodies(upstream.read(chunked([b"one ", b"two ", b"three "]))) == [b"one two three "]
    assert bodies(upstream.read(chunked([b"four "]))) == [b"four "]
    told = upstream.read(chunked([b"five ", b"six", b""]))
    assert bodies(told) == [b"five six"]
    assert kinds(told) == [ResponseData, ResponseEndOfMessage]


def test_what_was_read_before_a_malformed_chunk_goes_on_before_the_failure() -> None:
    upstream = Http1Upstream(gather)
    told = upstream.read(HEAD + chunked([b"one ", b"two"]) + b"nonsense\r\n")
    assert bodies(told) == [b"one two"]
    assert kinds(told)[1:] == [ResponseData, ResponseProtocolError]


@given(
    parts=st.lists(st.binary(min_size=1, max_size=40), max_size=12),
    cuts=st.lists(st.integers(0, 800), max_size=8),
    whole=st.booleans(),
)
def test_every_read_tells_the_same_as_without(parts: list[bytes], cuts: list[int], whole: bool) -> None:
    """However an answer is cut into reads, and whether or not it comes to its end."""
    data = HEAD + chunked([*parts, b""] if whole else parts)
    marks = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    plain, gathered = Http1Upstream(), Http1Upstream(gather)
    for start, stop in pairwise(marks):
        usual, told = plain.read(data[start:stop]), gathered.read(data[start:stop])
        assert kinds(told) == kinds(usual)
        assert len(bodies(told)) <= 1
        assert b"".join(bodies(told)) == b"".join(bodies(usual))
    assert kinds(gathered.close()) == kinds(plain.close())


@pytest.fixture
def stage() -> Stage:
    """HTTP/2 on both sides."""
    return Stage()


def test_frames_that_come_at_once_go_on_at_once_each_in_its_stream(stage: Stage) -> None:
    # The reader that a connection opened beforehand gets is mitmproxy's own: one is opened by the request here.
    stage.ask(1)
    stage.ask(3)
    for stream_id in (1, 3):
        stage.answer(stream_id, 200, b"-", end=False)
    for stream_id in (1, 1, 3, 3, 3, 1):
        stage.upstream.h2.send_data(stream_id, b"%d" % stream_id)
    seen = len(stage.client.of(H2Data))
    stage.upstream.flush()
    assert [e.data for e in stage.client.of(H2Data)][seen:] == [b"11", b"333", b"1"]
