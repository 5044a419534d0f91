"""Requests and answers: RFC 9113, section 8, and their packing, RFC 7541 (`hpack`)."""

from hyperframe.frame import DataFrame, HeadersFrame, SettingsFrame

from tests.conformance.case import Table
from tests.conformance.http2_frames import BROKEN, FINE, PACKED, UNHEARD, raw
from tests.conformance.http2_peer import Fields, Http2Peer

case: Table[Http2Peer] = Table()

MALFORMED = ("reset PROTOCOL_ERROR", "reset INTERNAL_ERROR", "400", *BROKEN)
"""A request that is none: its stream fails, or the connection (RFC 9113, 8.1.1)."""


async def told(peer: Http2Peer, fields: Fields) -> str:
    """What comes of a request with this head."""
    await peer.begin()
    return await peer.answer(peer.head(1, fields))


def without(peer: Http2Peer, name: str) -> Fields:
    """The request's head without a field."""
    return [field for field in peer.request if field[0] != name]


def instead(peer: Http2Peer, name: str, value: str) -> Fields:
    """The request's head with another value of a field."""
    return [(n, value if n == name else v) for n, v in peer.request]


# -- 8.1 framing


@case("8.1/1", "a second head that does not end the request", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.answer(peer.opened(), HeadersFrame(1, peer.encoder.encode([("x-a", "b")]), flags=["END_HEADERS"]))


@case("8.1/2", "trailers reach the upstream", "200 'x-trailer: t'")
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    trailers = peer.encoder.encode([("x-trailer", "t")])
    head = peer.opened(1, ("x-answer", "trailers"))
    end = HeadersFrame(1, trailers, flags=["END_HEADERS", "END_STREAM"])
    outcome = await peer.answer(head, DataFrame(1, b"{}"), end)
    return f"{outcome} {bytes(peer.stream(1).body).decode()!r}"


@case("8.1/3", "trailers reach the client", "200 {'x-trailer': 't'}")
async def _(peer: Http2Peer) -> str:
    outcome = await told(peer, [*peer.request, ("x-answer", "with-trailers")])
    return f"{outcome} {peer.stream(1).fields[1:] and peer.stream(1).fields[1]}"


@case("8.1/4", "an answer without a body", "204 0")
async def _(peer: Http2Peer) -> str:
    outcome = await told(peer, [*peer.request, ("x-answer", "nothing")])
    return f"{outcome} {len(peer.stream(1).body)}"


@case("8.1/5", "events reach the client one by one, and whole", "200 'data: 0\\n\\ndata: 1\\n\\ndata: 2\\n\\n'")
async def _(peer: Http2Peer) -> str:
    outcome = await told(peer, [*peer.request, ("x-answer", "events")])
    return f"{outcome} {bytes(peer.stream(1).body).decode()!r}"


@case("8.1/6", "an answer that breaks off in its body", "reset INTERNAL_ERROR", "reset CANCEL", "reset PROTOCOL_ERROR")
async def _(peer: Http2Peer) -> str:
    return await told(peer, [*peer.request, ("x-answer", "broken")])


# -- 8.1.1 malformed


async def _sized(peer: Http2Peer, length: str, *pieces: bytes) -> str:
    await peer.begin()
    frames = [DataFrame(1, piece) for piece in pieces]
    frames[-1].flags.add("END_STREAM")
    return await peer.answer(peer.opened(1, ("content-length", length)), *frames)


@case("8.1.1/1", "a shorter body than announced", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await _sized(peer, "5", b"test")


@case("8.1.1/2", "a longer body than announced", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await _sized(peer, "1", b"test")


@case("8.1.1/3", "a longer body than announced, in two frames", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await _sized(peer, "5", b"test", b"test")


@case("8.1.1/4", "a length that is none", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await _sized(peer, "four", b"test")


@case("8.1.1/5", "the announced body", *FINE)
async def _(peer: Http2Peer) -> str:
    return await _sized(peer, "8", b"test", b"test")


@case("8.1.1/6", "two lengths", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    head = peer.opened(1, ("content-length", "2"), ("content-length", "3"))
    return await peer.answer(head, DataFrame(1, b"{}", flags=["END_STREAM"]))


@case("8.1.1/7", "a body is announced, and the head is all", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await told(peer, [*peer.request, ("content-length", "7")])


# -- 8.2 fields


@case("8.2.1/1", "a field's name in upper case", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await told(peer, [*peer.request, ("X-TEST", "ok")])


@case("8.2.1/2", "a field's name with a blank", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await told(peer, [*peer.request, ("x test", "ok")])


@case("8.2.1/3", "a field's value with a line's end", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await told(peer, [*peer.request, ("x-test", "a\r\nx-other: b")])


@case("8.2.1/4", "a field's value with a zero byte", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await told(peer, [*peer.request, ("x-test", "a\x00b")])


@case("8.2.1/5", "a field's value with blanks around it", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await told(peer, [*peer.request, ("x-test", " a ")])


@case("8.2.1/6", "a field's name with a colon", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await told(peer, [*peer.request, ("x:test", "a")])


@case("8.2.1/7", "a field without a name", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await told(peer, [*peer.request, ("", "a")])


@case("8.2.1/8", "a field without a value reaches the upstream", "200 'x-test: '")
async def _(peer: Http2Peer) -> str:
    outcome = await told(peer, [*peer.request, ("x-test", ""), ("x-answer", "fields")])
    return f"{outcome} {bytes(peer.stream(1).body).decode()!r}"


@case("8.2.1/9", "the same field twice reaches the upstream twice, in order", "200 'x-test: 2|x-test: 1'")
async def _(peer: Http2Peer) -> str:
    outcome = await told(peer, [*peer.request, ("x-test", "2"), ("x-answer", "fields"), ("x-test", "1")])
    return f"{outcome} {bytes(peer.stream(1).body).decode()!r}"


@case("8.2.2/1", "a field about the connection", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await told(peer, [*peer.request, ("connection", "keep-alive")])


@case("8.2.2/2", "`te` with something else than trailers", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await told(peer, [*peer.request, ("trailers", "test"), ("te", "trailers, deflate")])


@case("8.2.2/3", "`te` with trailers", *FINE)
async def _(peer: Http2Peer) -> str:
    return await told(peer, [*peer.request, ("te", "trailers")])


@case("8.2.2/4", "`transfer-encoding`", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await told(peer, [*peer.request, ("transfer-encoding", "chunked")])


@case("8.2.2/5", "`upgrade`", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await told(peer, [*peer.request, ("upgrade", "websocket")])


@case("8.2.3/1", "a cookie in two fields", *FINE)
async def _(peer: Http2Peer) -> str:
    return await told(peer, [*peer.request, ("cookie", "a=b"), ("cookie", "c=d")])


# -- 8.3 pseudo-header fields


@case("8.3/1", "a pseudo-header that nobody knows", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await told(peer, [*peer.request[:4], (":test", "ok"), *peer.request[4:]])


@case("8.3/2", "an answer's pseudo-header in a request", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await told(peer, [*peer.request[:4], (":status", "200"), *peer.request[4:]])


@case("8.3/3", "a pseudo-header in trailers", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    trailers = peer.encoder.encode([(":method", "POST")])
    return await peer.answer(peer.opened(), HeadersFrame(1, trailers, flags=["END_HEADERS", "END_STREAM"]))


@case("8.3/4", "a pseudo-header behind a field", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await told(peer, [*peer.request[1:], peer.request[0]])


@case("8.3.1/1", "an empty path", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await told(peer, instead(peer, ":path", ""))


@case("8.3.1/2", "no method", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await told(peer, without(peer, ":method"))


@case("8.3.1/3", "no scheme", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await told(peer, without(peer, ":scheme"))


@case("8.3.1/4", "no path", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await told(peer, without(peer, ":path"))


@case("8.3.1/5", "two methods", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await told(peer, [peer.request[0], *peer.request])


@case("8.3.1/6", "two schemes", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await told(peer, [(":scheme", "https"), *peer.request])


@case("8.3.1/7", "two paths", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await told(peer, [(":path", "/"), *peer.request])


@case("8.3.1/8", "two authorities", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await told(peer, [(":authority", "chatgpt.com"), *peer.request])


@case("8.3.1/9", "an authority and another `host`", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    return await told(peer, [*peer.request, ("host", "example.com")])


@case("8.3.1/10", "`host` in the place of an authority", *FINE)
async def _(peer: Http2Peer) -> str:
    return await told(peer, [*without(peer, ":authority"), ("host", "chatgpt.com")])


@case("8.3.1/11", "a path that does not begin with a slash", *MALFORMED, "404")
async def _(peer: Http2Peer) -> str:
    return await told(peer, instead(peer, ":path", "backend-api/codex/responses"))


@case("8.3.1/12", "a path with a blank in it", *MALFORMED, "404")
async def _(peer: Http2Peer) -> str:
    return await told(peer, instead(peer, ":path", "/backend-api/codex/ responses"))


@case("8.3.1/13", "a query of ten thousand bytes", *FINE)
async def _(peer: Http2Peer) -> str:
    path = dict(peer.request)[":path"]
    return await told(peer, instead(peer, ":path", f"{path}?q={'x' * 10_000}"))


@case("8.5/1", "an extended CONNECT that nobody offered", *MALFORMED)
async def _(peer: Http2Peer) -> str:
    socket = [(":protocol", "websocket"), *instead(peer, ":method", "CONNECT")]
    return await told(peer, socket)


# -- much of it


@case("10.5.1/1", "a head of forty kilobytes, in several frames", *FINE)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.answer(*_in_frames(peer, [(f"x-{number}", "v" * 1_000) for number in range(40)]))


@case("10.5.1/2", "a head of four hundred kilobytes", "goaway ENHANCE_YOUR_CALM", "431", "reset*", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.answer(*_in_frames(peer, [(f"x-{number}", "v" * 4_000) for number in range(100)]))


@case("10.5.1/3", "a small block that unpacks to a large head", "goaway ENHANCE_YOUR_CALM", "431", "reset*", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.answer(*_in_frames(peer, [("x-a", "v" * 3_000)] * 200))


@case("10.5.1/4", "twenty bodies at the same time, each answered with itself", "20 of 20")
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    numbers = range(1, 40, 2)
    peer.send(*(peer.opened(number, ("x-answer", "echo")) for number in numbers))
    for _ in range(3):
        peer.send(*(DataFrame(number, b"%d," % number) for number in numbers))
    peer.send(*(DataFrame(number, b"", flags=["END_STREAM"]) for number in reversed(numbers)))
    await peer.until(lambda: all(peer.stream(number).outcome for number in numbers))
    return f"{sum(peer.stream(number).body == b'%d,' % number * 3 for number in numbers)} of 20"


def _in_frames(peer: Http2Peer, more: Fields) -> list[bytes]:
    """A request's head with more fields, in frames of the usual largest size."""
    block = peer.encoder.encode([*peer.request, *more])
    pieces = [block[at : at + 16_384] for at in range(0, len(block), 16_384)]
    head, *rest = [(piece, 4 if piece is pieces[-1] else 0) for piece in pieces]
    return [raw(1, head[1] | 1, 1, head[0]), *(raw(9, flags, 1, piece) for piece, flags in rest)]


# -- RFC 7541


async def _block(peer: Http2Peer, before: bytes = b"", behind: bytes = b"") -> str:
    await peer.begin()
    return await peer.answer(peer.head(block=before + peer.encoder.encode(peer.request) + behind))


@case("hpack 2.3.3/1", "an index beyond both tables", *PACKED)
async def _(peer: Http2Peer) -> str:
    return await _block(peer, behind=b"\xc6\x7f")


@case("hpack 2.3.3/2", "the name of a literal beyond both tables", *PACKED)
async def _(peer: Http2Peer) -> str:
    return await _block(peer, behind=b"\x7f\x40\x01a")


@case("hpack 4.2/1", "a change of the table's size behind a field", *PACKED)
async def _(peer: Http2Peer) -> str:
    return await _block(peer, behind=b"\x21")


@case("hpack 4.2/2", "a change of the table's size before the first field", *FINE)
async def _(peer: Http2Peer) -> str:
    return await _block(peer, before=b"\x20\x3f\xe1\x1f")


@case("hpack 5.2/1", "padding of a Huffman text that is longer than seven bits", *PACKED)
async def _(peer: Http2Peer) -> str:
    return await _block(peer, behind=b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff")


@case("hpack 5.2/2", "padding of a Huffman text with zeros", *PACKED)
async def _(peer: Http2Peer) -> str:
    return await _block(peer, behind=b"\x00\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90")


@case("hpack 5.2/3", "a Huffman text with its end in it", *PACKED)
async def _(peer: Http2Peer) -> str:
    return await _block(peer, behind=b"\x00\x85\xf2\xb2\x4a\x84\xff\x87\x49\x51\xff\xff\xff\xfa\x7f")


@case("hpack 5.1/1", "a number without end", *PACKED)
async def _(peer: Http2Peer) -> str:
    return await _block(peer, behind=b"\xff" + b"\x80" * 64)


@case("hpack 6.1/1", "the index of nothing", *PACKED)
async def _(peer: Http2Peer) -> str:
    return await _block(peer, behind=b"\x80")


@case("hpack 6.3/1", "a larger table than was allowed", *PACKED)
async def _(peer: Http2Peer) -> str:
    return await _block(peer, before=b"\x3f\xe1\xff\x03")


@case("hpack 6.3/2", "a table of no size at all, once we say so", *FINE)
async def _(peer: Http2Peer) -> str:
    await peer.begin({SettingsFrame.HEADER_TABLE_SIZE: 0})
    return await peer.answer(peer.head())


@case("hpack 6.3/3", "every second request of twenty uses what the first has left in the table", "20 of 20")
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    numbers = range(1, 40, 2)
    for number in numbers:
        peer.send(peer.head(number, [*peer.request, ("x-again", "and again")]))
    await peer.until(lambda: all(peer.stream(number).outcome for number in numbers))
    return f"{sum(peer.stream(number).outcome == '200' for number in numbers)} of 20"


@case("hpack 4.1/1", "an empty block of trailers", *FINE, *UNHEARD)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.answer(peer.opened(), HeadersFrame(1, b"", flags=["END_HEADERS", "END_STREAM"]))
