"""Frames and streams: RFC 9113, sections 3 to 6."""

import struct
from itertools import pairwise

from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests.conformance.case import Table
from tests.conformance.http2_peer import PREFACE, Http2Peer

case: Table[Http2Peer] = Table()

BROKEN = ("goaway PROTOCOL_ERROR", "closed")
SIZE = ("goaway FRAME_SIZE_ERROR", "closed")
FLOW = ("goaway FLOW_CONTROL_ERROR", "closed")
PACKED = ("goaway COMPRESSION_ERROR", "closed")
SHUT = ("goaway STREAM_CLOSED", "reset STREAM_CLOSED", "closed")
FINE = ("200",)
UNHEARD = ("ignored",)
LARGEST = 2**31 - 1


def raw(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame as no library would write it."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


# -- 3.4 the preface


@case("3.4/1", "preface and empty settings are answered, and a request is served", *FINE)
async def _(peer: Http2Peer) -> str:
    peer.send(PREFACE, SettingsFrame(0))
    return await peer.answer(peer.head())


@case("3.4/2", "something else than the preface ends the connection", "goaway PROTOCOL_ERROR, closed", "closed")
async def _(peer: Http2Peer) -> str:
    peer.send(b"INVALID CONNECTION PREFACE\r\n\r\n")
    return await peer.end()


@case("3.4/3", "the preface may come in pieces, together with the first request", *FINE)
async def _(peer: Http2Peer) -> str:
    whole = PREFACE + SettingsFrame(0).serialize() + peer.head().serialize()
    for at in range(0, len(whole), 7):
        peer.send(whole[at : at + 7])
    return await peer.answer()


# -- 4 frames


@case("4.1/1", "a frame of an unknown type is ignored", *FINE)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.answer(raw(0x16, 0, 0, b"12345678"), peer.head())


@case("4.1/2", "flags without a meaning are ignored", *UNHEARD)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(raw(0x06, 0x16, 0, b"12345678"))


@case("4.1/3", "the reserved bit of a stream's number is ignored", *UNHEARD)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(raw(0x06, 0, 1 << 31, b"12345678"))


@case("4.1/4", "a frame may come byte by byte", *FINE)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    for byte in peer.head().serialize():
        peer.send(bytes([byte]))
    return await peer.answer()


@case("4.2/1", "data of the largest size that everybody takes", *FINE)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.answer(peer.opened(), DataFrame(1, bytes(16_384), flags=["END_STREAM"]))


@case("4.2/2", "data beyond the largest size", *SIZE, "reset FRAME_SIZE_ERROR")
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    size = peer.settings.get(SettingsFrame.MAX_FRAME_SIZE, 16_384)
    return await peer.after(peer.opened(), DataFrame(1, bytes(size + 1)))


@case("4.2/3", "a head beyond the largest size", *SIZE)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    size = peer.settings.get(SettingsFrame.MAX_FRAME_SIZE, 16_384)
    return await peer.after(peer.head(block=bytes(size + 1)))


@case("4.3/1", "a block that is no HPACK", *PACKED)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(peer.head(block=b"\x40"))


@case("4.3/2", "another frame within a block of headers", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(peer.head(1, None, "END_STREAM"), PriorityFrame(1, stream_weight=1))


@case("4.3/3", "another stream's head within a block of headers", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(peer.head(1, None, "END_STREAM"), peer.head(3))


# -- 5.1 states of a stream


@case("5.1/1", "data on an idle stream", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(DataFrame(1, b"x", flags=["END_STREAM"]))


@case("5.1/2", "a reset of an idle stream", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(RstStreamFrame(1, error_code=8))


@case("5.1/3", "more window for an idle stream", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(WindowUpdateFrame(1, window_increment=100))


@case("5.1/4", "a continuation on an idle stream", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(ContinuationFrame(1, b"", flags=["END_HEADERS"]))


@case("5.1/5", "data behind the end of a request", *SHUT)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(peer.head(), DataFrame(1, b"x", flags=["END_STREAM"]))


@case("5.1/6", "a head behind the end of a request", *SHUT)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(peer.head(), peer.head())


@case("5.1/7", "a continuation behind the end of a request", *SHUT, *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(peer.head(), ContinuationFrame(1, b"", flags=["END_HEADERS"]))


@case("5.1/8", "data behind a reset of ours", *SHUT, *UNHEARD)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(peer.opened(), RstStreamFrame(1, error_code=8), DataFrame(1, b"x", flags=["END_STREAM"]))


@case("5.1/9", "a head behind a reset of ours", *SHUT)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(peer.opened(), RstStreamFrame(1, error_code=8), peer.head())


@case("5.1/10", "a continuation behind a reset of ours", *SHUT, *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    lost = ContinuationFrame(1, b"", flags=["END_HEADERS"])
    return await peer.after(peer.opened(), RstStreamFrame(1, error_code=8), lost)


@case("5.1/11", "data behind a whole exchange", *SHUT)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    await peer.answer(peer.head())
    return await peer.after(DataFrame(1, b"x", flags=["END_STREAM"]))


@case("5.1/12", "a head behind a whole exchange", *SHUT, *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    await peer.answer(peer.head())
    return await peer.after(peer.head())


@case("5.1/13", "more window, a reset and a priority behind a whole exchange are let pass", *UNHEARD)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    await peer.answer(peer.head())
    late = WindowUpdateFrame(1, window_increment=1), RstStreamFrame(1, error_code=8), PriorityFrame(1, stream_weight=1)
    return await peer.after(*late)


@case("5.1.1/1", "a client's stream with an even number", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(peer.head(2), stream=2)


@case("5.1.1/2", "a stream with a lower number than one before", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(peer.opened(5), peer.opened(3), stream=3)


@case("5.1.1/3", "numbers may be left out", *FINE)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.answer(peer.head(1001), stream=1001)


@case("5.1.2/1", "more streams at a time than are taken", "reset REFUSED_STREAM", "reset PROTOCOL_ERROR", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    most = peer.settings[SettingsFrame.MAX_CONCURRENT_STREAMS]
    last = 2 * most + 1
    return await peer.after(*(peer.opened(number) for number in range(1, last + 1, 2)), stream=last)


@case("5.1.2/2", "as many streams at a time as are taken, every one served", "100 of 100")
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    most = peer.settings[SettingsFrame.MAX_CONCURRENT_STREAMS]
    numbers = range(1, 2 * most, 2)
    peer.send(*(peer.head(number) for number in numbers))
    await peer.until(lambda: all(peer.stream(number).outcome for number in numbers))
    return f"{sum(peer.stream(number).outcome == '200' for number in numbers)} of {most}"


@case("5.1.2/3", "a stream that was reset makes room for another", *FINE)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    most = peer.settings[SettingsFrame.MAX_CONCURRENT_STREAMS]
    peer.send(*(peer.opened(number) for number in range(1, 2 * most, 2)), RstStreamFrame(1, error_code=8))
    return await peer.answer(peer.head(2 * most + 1), stream=2 * most + 1)


@case("5.3.1/1", "a head that depends on itself", *FINE, "reset PROTOCOL_ERROR", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    head = peer.head(1, None, "END_HEADERS", "END_STREAM", "PRIORITY")
    head.depends_on = 1
    return await peer.answer(head)


@case("5.3.1/2", "a priority that depends on itself", *UNHEARD, "reset PROTOCOL_ERROR", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(PriorityFrame(1, depends_on=1, stream_weight=1))


@case("5.4.1/1", "an error of the connection is said, and then it closes", "goaway PROTOCOL_ERROR, closed", "closed")
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    peer.send(DataFrame(1, b"x"))
    return await peer.end()


@case("5.4.2/1", "an error of one stream leaves the others alone", *FINE)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.answer(peer.opened(1), RstStreamFrame(1, error_code=8), peer.head(3), stream=3)


@case("5.5/1", "a frame of an unknown type within a block of headers", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(peer.head(1, None, "END_STREAM"), raw(0x16, 0, 0, b"12345678"))


# -- 6.1 DATA


@case("6.1/1", "data of the connection itself", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(raw(0, 0, 0, b"test"))


@case("6.1/2", "more padding than the frame has room for", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(peer.opened(), raw(0, 0x09, 1, b"\x06test"))


@case("6.1/3", "padding is left out of a body", "200 'ab'")
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    body = DataFrame(1, b"a", pad_length=100, flags=["PADDED"]), DataFrame(1, b"b", flags=["END_STREAM"])
    outcome = await peer.answer(peer.opened(1, ("x-answer", "echo")), *body)
    return f"{outcome} {bytes(peer.stream(1).body).decode()!r}"


# -- 6.2 HEADERS


@case("6.2/1", "a head of the connection itself", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(raw(1, 0x05, 0, peer.encoder.encode(peer.request)))


@case("6.2/2", "a head with more padding than room", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    block = peer.encoder.encode(peer.request)
    return await peer.after(raw(1, 0x0D, 1, b"\xff" + block[:200]))


@case("6.2/3", "a head with priority and padding is served", *FINE)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    head = peer.head(1, None, "END_HEADERS", "END_STREAM", "PRIORITY", "PADDED")
    head.pad_length, head.depends_on, head.stream_weight, head.exclusive = 20, 0, 200, True
    return await peer.answer(head)


# -- 6.3 PRIORITY, 6.4 RST_STREAM


@case("6.3/1", "a priority of the connection itself", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(raw(2, 0, 0, b"\x00\x00\x00\x00\xff"))


@case("6.3/2", "a priority of four bytes", "reset FRAME_SIZE_ERROR", *SIZE)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(peer.opened(), raw(2, 0, 1, b"\x00\x00\x00\x00"))


@case("6.3/3", "a priority of a stream that is idle, then its request", *FINE)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.answer(PriorityFrame(3, depends_on=1, stream_weight=5), peer.head(3), stream=3)


@case("6.4/1", "a reset of the connection itself", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(raw(3, 0, 0, b"\x00\x00\x00\x08"))


@case("6.4/2", "a reset of three bytes", *SIZE)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(peer.opened(), raw(3, 0, 1, b"\x00\x00\x00"))


# -- 6.5 SETTINGS


@case("6.5/1", "an acknowledgement with something in it", *SIZE)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(raw(4, 1, 0, b"\x00"))


@case("6.5/2", "settings of a stream", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(raw(4, 0, 1, b"\x00\x03\x00\x00\x00\x64"))


@case("6.5/3", "settings of three bytes", *SIZE)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(raw(4, 0, 0, b"\x00\x03\x00"))


async def _set(peer: Http2Peer, kind: int, value: int) -> str:
    await peer.begin()
    return await peer.after(raw(4, 0, 0, struct.pack(">HI", kind, value)))


@case("6.5.2/1", "a setting that is neither yes nor no", *BROKEN)
async def _(peer: Http2Peer) -> str:
    return await _set(peer, SettingsFrame.ENABLE_PUSH, 2)


@case("6.5.2/2", "an initial window beyond the largest", *FLOW)
async def _(peer: Http2Peer) -> str:
    return await _set(peer, SettingsFrame.INITIAL_WINDOW_SIZE, 2**31)


@case("6.5.2/3", "a largest frame that is too small", *BROKEN)
async def _(peer: Http2Peer) -> str:
    return await _set(peer, SettingsFrame.MAX_FRAME_SIZE, 16_383)


@case("6.5.2/4", "a largest frame that is too large", *BROKEN)
async def _(peer: Http2Peer) -> str:
    return await _set(peer, SettingsFrame.MAX_FRAME_SIZE, 2**24)


@case("6.5.2/5", "an unknown setting", *UNHEARD)
async def _(peer: Http2Peer) -> str:
    return await _set(peer, 0xFF, 1)


@case("6.5.3/1", "of a setting that comes twice the last counts", "200, frames of 1")
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    peer.send(raw(4, 0, 0, struct.pack(">HIHI", 4, 100, 4, 1)), peer.head())
    return await _served_slowly(peer)


@case("6.5.3/2", "settings are acknowledged", "acknowledged")
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    known = peer.settings_acknowledged
    peer.send(SettingsFrame(0, settings={SettingsFrame.MAX_CONCURRENT_STREAMS: 7}))
    await peer.until(lambda: peer.settings_acknowledged > known)
    return "acknowledged" if peer.settings_acknowledged > known else peer.error(0) or ""


@case("6.5.3/3", "larger frames are taken where we say so", "200, 100000 bytes")
async def _(peer: Http2Peer) -> str:
    await peer.begin({SettingsFrame.MAX_FRAME_SIZE: 2**24 - 1, SettingsFrame.INITIAL_WINDOW_SIZE: 1 << 20})
    peer.send(WindowUpdateFrame(0, window_increment=1 << 20))
    outcome = await peer.answer(peer.head(1, [*peer.request, ("x-answer", "100000")]))
    return f"{outcome}, {len(peer.stream(1).body)} bytes"


# -- 6.6 PUSH_PROMISE, 6.7 PING, 6.8 GOAWAY


@case("6.6/1", "a client promises nothing", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    promised = raw(5, 4, 1, b"\x00\x00\x00\x02" + peer.encoder.encode(peer.request))
    return await peer.after(peer.opened(), promised)


@case("6.7/1", "a ping is answered with what it holds", "answered")
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    peer.send(PingFrame(0, b"\x00\xff123456"))
    await peer.until(lambda: bool(peer.pings))
    return "answered" if peer.pings == [b"\x00\xff123456"] else peer.error(0) or ""


@case("6.7/2", "an answer to no ping of theirs is ignored, and not answered", "ignored, 1 answer")
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    outcome = await peer.after(PingFrame(0, b"unasked!", flags=["ACK"]))
    return f"{outcome}, {len(peer.pings)} answer"


@case("6.7/3", "a ping of a stream", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(raw(6, 0, 1, b"12345678"))


@case("6.7/4", "a ping of six bytes", *SIZE)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(raw(6, 0, 0, b"123456"))


@case("6.7/5", "pings are answered while a request is served", *FINE)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    peer.send(peer.opened(), *(PingFrame(0, b"%8d" % number) for number in range(50)))
    await peer.until(lambda: len(peer.pings) == 50)
    return await peer.answer(DataFrame(1, b"", flags=["END_STREAM"]))


@case("6.8/1", "a farewell of a stream", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(raw(7, 0, 1, bytes(8)))


@case("6.8/2", "a client's farewell, whatever its reason, ends the connection or is heard", *FINE, "closed")
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.answer(peer.head(), GoAwayFrame(0, last_stream_id=0, error_code=0xFF))


# -- 6.9 WINDOW_UPDATE


async def _served_slowly(peer: Http2Peer) -> str:
    """The answer to the request of stream 1, whose window is one byte long."""
    stream = peer.stream(1)
    known = 0
    while stream.outcome is None and peer.error(1) is None:
        await peer.until(lambda known=known: len(stream.body) > known or stream.outcome is not None)
        known = len(stream.body)
        peer.send(WindowUpdateFrame(1, window_increment=1))
    return f"{stream.outcome or peer.error(1)}, frames of {stream.largest}"


@case("6.9/1", "a window of one byte is kept to", "200, frames of 1")
async def _(peer: Http2Peer) -> str:
    await peer.begin({SettingsFrame.INITIAL_WINDOW_SIZE: 1})
    peer.send(peer.head())
    return await _served_slowly(peer)


@case("6.9/2", "no more window for the connection", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(raw(8, 0, 0, bytes(4)))


@case("6.9/3", "no more window for a stream", "reset PROTOCOL_ERROR", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(peer.opened(), raw(8, 0, 1, bytes(4)))


@case("6.9/4", "more window in three bytes", *SIZE)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(raw(8, 0, 0, bytes(3)))


@case("6.9.1/1", "the connection's window beyond the largest", *FLOW)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(*2 * [WindowUpdateFrame(0, window_increment=LARGEST)])


@case("6.9.1/2", "a stream's window beyond the largest", "reset FLOW_CONTROL_ERROR", *FLOW)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(peer.opened(), *2 * [WindowUpdateFrame(1, window_increment=LARGEST)])


# Not here: more data than a stream's window takes. mitmproxy opens two gigabytes.


@case("6.9.2/1", "a smaller initial window counts for streams that are open", "200, frames of 1")
async def _(peer: Http2Peer) -> str:
    await peer.begin({SettingsFrame.INITIAL_WINDOW_SIZE: 0})
    peer.send(peer.head(), SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 1}))
    return await _served_slowly(peer)


@case("6.9.2/2", "a window below zero is waited for", "200")
async def _(peer: Http2Peer) -> str:
    await peer.begin({SettingsFrame.INITIAL_WINDOW_SIZE: 3})
    peer.send(peer.head())
    await peer.until(lambda: len(peer.stream(1).body) >= 3)
    await peer.after(SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 1}))
    return await peer.answer(WindowUpdateFrame(1, window_increment=1000))


@case("6.9.2/3", "an initial window that lifts an open stream's beyond the largest", *FLOW)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    peer.send(peer.opened(), WindowUpdateFrame(1, window_increment=1))
    return await peer.after(SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: LARGEST}))


@case("6.9.2/4", "a megabyte to us through the windows that we open", "200, 1000000 bytes")
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    peer.send(peer.head(1, [*peer.request, ("x-answer", "1000000")]))
    stream, granted = peer.stream(1), 65_535
    while stream.outcome is None and peer.error(1) is None:
        await peer.until(lambda granted=granted: len(stream.body) >= granted or stream.outcome is not None)
        granted += 65_535
        peer.send(*(WindowUpdateFrame(number, window_increment=65_535) for number in (0, 1)))
    return f"{stream.outcome or peer.error(1)}, {len(stream.body)} bytes"


@case("6.9.2/5", "a megabyte from us through the windows that they open", "200 '1000000'")
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    peer.send(peer.opened(1, ("x-answer", "size")))
    sent = 0
    while sent < 1_000_000 and peer.error(1) is None:
        initial = peer.settings.get(SettingsFrame.INITIAL_WINDOW_SIZE, 65_535)
        room = min(65_535 + peer.windows.get(0, 0), initial + peer.windows.get(1, 0)) - sent
        if room <= 0:
            known = dict(peer.windows)
            await peer.until(lambda known=known: peer.windows != known or peer.error(1) is not None)
            continue
        size = min(room, 16_384, 1_000_000 - sent)
        sent += size
        peer.send(DataFrame(1, bytes(size), flags=["END_STREAM"] if sent == 1_000_000 else []))
    outcome = await peer.answer()
    return f"{outcome} {bytes(peer.stream(1).body).decode()!r}"


# -- 6.10 CONTINUATION


def parts(peer: Http2Peer, count: int, stream: int = 1) -> list[HeadersFrame | ContinuationFrame]:
    """A request's head in so many frames."""
    block = peer.encoder.encode(peer.request)
    cuts = [len(block) * number // count for number in range(count + 1)]
    pieces = [block[a:b] for a, b in pairwise(cuts)]
    frames = [ContinuationFrame(stream, piece) for piece in pieces[1:]]
    frames[-1].flags.add("END_HEADERS")
    return [HeadersFrame(stream, pieces[0], flags=["END_STREAM"]), *frames]


@case("6.10/1", "a head in nine frames", *FINE)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.answer(*parts(peer, 9))


@case("6.10/2", "data among the continuations", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    head, first, last = parts(peer, 3)
    return await peer.after(head, first, DataFrame(1, b"x"), last)


@case("6.10/3", "a continuation of the connection itself", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    head, middle, _ = parts(peer, 3)
    return await peer.after(head, raw(9, 4, 0, middle.data))


@case("6.10/4", "a continuation behind the end of a head", *BROKEN, "goaway STREAM_CLOSED")
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(peer.opened(), ContinuationFrame(1, b"", flags=["END_HEADERS"]))


@case("6.10/5", "a continuation behind the last continuation", *BROKEN, "goaway STREAM_CLOSED")
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(*parts(peer, 3), ContinuationFrame(1, b"", flags=["END_HEADERS"]))


@case("6.10/6", "a continuation behind data", *BROKEN)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(peer.opened(), DataFrame(1, b"x"), ContinuationFrame(1, b"", flags=["END_HEADERS"]))


@case("6.10/7", "continuations without end", *BROKEN, "goaway ENHANCE_YOUR_CALM", "reset ENHANCE_YOUR_CALM")
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.after(peer.head(1, None, "END_STREAM"), *(200 * [ContinuationFrame(1, b"")]))


# -- 7 error codes


@case("7/1", "a reset with an unknown code is a reset", *FINE)
async def _(peer: Http2Peer) -> str:
    await peer.begin()
    return await peer.answer(peer.opened(), RstStreamFrame(1, error_code=0xFF), peer.head(3), stream=3)
