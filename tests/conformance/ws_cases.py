"""WebSocket cases as Autobahn's testsuite numbers them (RFC 6455, RFC 7692).

Every one is run twice: the peer is the client of a socket whose upstream echoes, and it is the upstream of one whose
client does. So what is right for the one is right for the other.
"""

from collections.abc import Callable, Sequence

from tests.conformance.case import Case
from tests.conformance.ws_peer import BINARY, CONTINUATION, NAMES, PING, PONG, TEXT, Deflate, WsPeer, shown

Frames = Callable[[WsPeer], Sequence[bytes]]

CASES: list[Case[WsPeer]] = []
PACKED: list[tuple[Deflate, Case[WsPeer]]] = []
"""Cases of compressed sockets, with what is agreed on."""

FAILED = ("close 1002*", "dropped*")
"""The connection fails (RFC 6455, 7.1.7); a close frame may say so."""
UNREADABLE = ("close 1007*", "dropped*")
ENDED = "close 1000"


def words(kind: int, data: bytes | str) -> str:
    """As a peer tells that it saw this."""
    return f"{NAMES[kind]} {shown(data.encode() if isinstance(data, str) else data)}"


def sent(number: str, reason: str, frames: Frames, *seen: str, chop: int = 0) -> None:
    """A case in which these frames are answered so, and the close that follows is as well."""

    async def run(peer: WsPeer) -> str:
        peer.send(*frames(peer), chop=chop)
        await peer.hear(len(seen))
        peer.send(peer.closing())
        return await peer.finish()

    CASES.append(Case(number, reason, ("; ".join((*seen, ENDED)) + "*",), run))


def refused(number: str, reason: str, frames: Frames, *right: str, after: str = "", chop: int = 0) -> None:
    """A case in which these frames fail the connection, some of them only behind an echoed text."""

    async def run(peer: WsPeer) -> str:
        if after:
            peer.send(peer.frame(TEXT, after))
            await peer.hear(1)
        peer.send(*frames(peer), chop=chop)
        return await peer.finish()

    echoed = f"{words(TEXT, after)}; " if after else ""
    allowed = [f"{echoed}{each}" for each in right or FAILED if each != "dropped*" or not echoed]
    CASES.append(Case(number, reason, (*allowed, *([echoed.removesuffix("; ") + " |*"] if echoed else [])), run))


def _framing() -> None:
    sizes = (0, 125, 126, 127, 128, 65_535, 65_536)
    for section, kind, unit in ((1, TEXT, b"*"), (2, BINARY, b"\xfe")):
        for number, size in enumerate(sizes, 1):
            data = unit * size
            sent(f"1.{section}.{number}", f"{size} bytes", lambda p, k=kind, d=data: [p.frame(k, d)], words(kind, data))
        data = unit * 65_536
        sent(
            f"1.{section}.8",
            "65536 bytes in pieces of 997",
            lambda p, k=kind, d=data: [p.frame(k, d)],
            words(kind, data),
            chop=997,
        )


def _pings() -> None:
    longest = bytes(range(125))
    sent("2.1", "a ping with nothing in it", lambda p: [p.frame(PING)], words(PONG, b""))
    sent("2.2", "a ping with a text", lambda p: [p.frame(PING, "hello")], words(PONG, "hello"))
    sent("2.3", "a ping with bytes", lambda p: [p.frame(PING, b"\x00\xff\xfe")], words(PONG, b"\x00\xff\xfe"))
    sent("2.4", "the longest ping", lambda p: [p.frame(PING, longest)], words(PONG, longest))
    refused("2.5", "a ping that is too long", lambda p: [p.frame(PING, longest + b"x")])
    sent("2.6", "the longest ping, byte by byte", lambda p: [p.frame(PING, longest)], words(PONG, longest), chop=1)
    sent("2.7", "an unasked pong", lambda p: [p.frame(PONG)])
    sent("2.8", "an unasked pong with a text", lambda p: [p.frame(PONG, "unasked")])
    sent("2.9", "an unasked pong, then a ping", lambda p: [p.frame(PONG, "a"), p.frame(PING, "b")], words(PONG, "b"))
    ten = [words(PONG, f"ping {number}") for number in range(10)]
    sent("2.10", "ten pings", lambda p: [p.frame(PING, f"ping {n}") for n in range(10)], *ten)
    sent("2.11", "ten pings, byte by byte", lambda p: [p.frame(PING, f"ping {n}") for n in range(10)], *ten, chop=1)


def _reserved() -> None:
    refused("3.1", "a text with a reserved bit", lambda p: [p.frame(TEXT, "x", rsv=1)])
    refused("3.2", "the same behind a good text", lambda p: [p.frame(TEXT, "x", rsv=2), p.frame(PING)], after="good")
    refused("3.3", "the same, byte by byte", lambda p: [p.frame(TEXT, "x", rsv=3)], after="good", chop=1)
    refused("3.4", "compressed, which nobody agreed on", lambda p: [p.frame(TEXT, "x", rsv=4)], after="good", chop=1)
    refused("3.5", "a binary with reserved bits", lambda p: [p.frame(BINARY, b"\xff", rsv=5)])
    refused("3.6", "a ping with reserved bits", lambda p: [p.frame(PING, b"x", rsv=6)])
    refused("3.7", "a close with all reserved bits", lambda p: [p.frame(8, b"\x03\xe8", rsv=7)])
    for section, kinds in ((1, range(3, 8)), (2, range(11, 16))):
        for number, kind in enumerate(kinds, 1):
            after = "good" if number > 2 else ""
            refused(
                f"4.{section}.{number}",
                f"a frame of the reserved kind {kind}",
                lambda p, k=kind: [p.frame(k, b"reserved")],
                after=after,
            )


def _fragments() -> None:
    whole = words(TEXT, "fragment1fragment2")
    one, two = "fragment1", "fragment2"
    refused("5.1", "a ping in two frames", lambda p: [p.frame(PING, one, fin=False), p.frame(CONTINUATION, two)])
    refused("5.2", "a pong in two frames", lambda p: [p.frame(PONG, one, fin=False), p.frame(CONTINUATION, two)])
    for number, chop in (("5.3", 0), ("5.4", 5), ("5.5", 1)):
        sent(number, "a text in two frames", lambda p: p.pieces(TEXT, one, two), whole, chop=chop)

    def between(p: WsPeer) -> list[bytes]:
        begin, end = p.pieces(TEXT, one, two)
        return [begin, p.frame(PING, "ping"), end]

    for number, chop in (("5.6", 0), ("5.7", 5), ("5.8", 1)):
        sent(number, "a ping between two frames of a text", between, words(PONG, "ping"), whole, chop=chop)
    lonely: list[tuple[str, str, bool, int]] = [
        ("5.9", "a continuation of nothing, the last", True, 0),
        ("5.10", "the same in pieces of five", True, 5),
        ("5.11", "the same byte by byte", True, 1),
        ("5.12", "a continuation of nothing, not the last", False, 0),
        ("5.13", "the same in pieces of five", False, 5),
        ("5.14", "the same byte by byte", False, 1),
    ]
    for number, reason, fin, chop in lonely:
        refused(number, reason, lambda p, f=fin: [p.frame(CONTINUATION, "x", fin=f), p.frame(TEXT, "y")], chop=chop)

    async def unfinished(peer: WsPeer) -> str:
        peer.send(*peer.pieces(TEXT, one, two))
        await peer.hear(1)
        peer.send(peer.frame(CONTINUATION, "fragment3", fin=False), peer.frame(TEXT, "fragment4"))
        return await peer.finish()

    CASES.append(
        Case("5.15", "a whole text, then a part of nothing", (f"{whole}; close 1002*", f"{whole} |*"), unfinished)
    )
    refused("5.18", "a text within a text", lambda p: [p.frame(TEXT, one, fin=False), p.frame(TEXT, two)])

    def five(p: WsPeer) -> list[bytes]:
        pieces = p.pieces(TEXT, "1", "2", "3", "4", "5")
        return [*pieces[:2], p.frame(PING, "a"), *pieces[2:4], p.frame(PING, "b"), pieces[4]]

    for number, chop in (("5.19", 0), ("5.20", 1)):
        pongs = words(PONG, "a"), words(PONG, "b")
        sent(number, "pings among five frames of a text", five, *pongs, words(TEXT, "12345"), chop=chop)


GOOD = "Hello-µ@ßöäüàá-UTF-8!!"
UTF8: dict[str, bytes] = {
    "6.5.1": "κόσμε".encode(),
    "6.6.2": b"\xce\xba",
    "6.6.5": b"\xce\xba\xe1\xbd\xb9",
    "6.7.1": b"\x00",
    "6.7.2": b"\xc2\x80",
    "6.7.3": b"\xe0\xa0\x80",
    "6.7.4": b"\xf0\x90\x80\x80",
    "6.9.1": b"\x7f",
    "6.9.2": b"\xdf\xbf",
    "6.9.3": b"\xef\xbf\xbf",
    "6.9.4": b"\xf4\x8f\xbf\xbf",
    "6.11.1": b"\xed\x9f\xbf",
    "6.11.2": b"\xee\x80\x80",
    "6.11.3": b"\xef\xbf\xbd",
    "6.22.1": b"\xef\xbf\xbe",
}
NO_UTF8: dict[str, bytes] = {
    "6.3.1": b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    "6.6.1": b"\xce",
    "6.6.3": b"\xce\xba\xe1",
    "6.6.4": b"\xce\xba\xe1\xbd",
    "6.8.1": b"\xf8\x88\x80\x80\x80",
    "6.8.2": b"\xfc\x84\x80\x80\x80\x80",
    "6.10.1": b"\xf7\xbf\xbf\xbf",
    "6.11.5": b"\xf4\x90\x80\x80",
    "6.12.1": b"\x80",
    "6.12.2": b"\xbf",
    "6.13.1": b"\xc0 \xc1 ",
    "6.14.1": b"\xc0",
    "6.14.3": b"\xf0\x80\x80",
    "6.15.1": b"\xc0\xe0\x80\xf0\x80\x80",
    "6.16.1": b"\xfe",
    "6.16.2": b"\xff",
    "6.17.1": b"\xc0\xaf",
    "6.17.2": b"\xe0\x80\xaf",
    "6.18.1": b"\xc1\xbf",
    "6.19.1": b"\xc0\x80",
    "6.20.1": b"\xed\xa0\x80",
    "6.20.2": b"\xed\xaf\xbf",
    "6.21.1": b"\xed\xa0\x80\xed\xb0\x80",
}


def _utf8() -> None:
    sent("6.1.1", "a text of nothing", lambda p: [p.frame(TEXT)], words(TEXT, b""))
    sent("6.1.2", "a text of three empty frames", lambda p: p.pieces(TEXT, b"", b"", b""), words(TEXT, b""))
    sent("6.1.3", "an empty frame, a text, an empty one", lambda p: p.pieces(TEXT, b"", "mid", b""), words(TEXT, "mid"))
    good = GOOD.encode()
    sent("6.2.1", "sound UTF-8", lambda p: [p.frame(TEXT, good)], words(TEXT, good))
    sent("6.2.2", "the same, cut between characters", lambda p: p.pieces(TEXT, good[:6], good[6:]), words(TEXT, good))
    every = [good[at : at + 1] for at in range(len(good))]
    sent("6.2.3", "the same, cut within characters", lambda p: p.pieces(TEXT, *every), words(TEXT, good))
    sent("6.2.4", "the same, and byte by byte", lambda p: p.pieces(TEXT, *every), words(TEXT, good), chop=1)
    for number, data in UTF8.items():
        sent(number, f"UTF-8: {data.hex()}", lambda p, d=data: [p.frame(TEXT, d)], words(TEXT, data))
    for number, data in NO_UTF8.items():
        refused(number, f"no UTF-8: {data.hex()}", lambda p, d=data: [p.frame(TEXT, d)], *UNREADABLE)
    bad = NO_UTF8["6.3.1"]
    every_bad = [bad[at : at + 1] for at in range(len(bad))]
    refused("6.3.2", "no UTF-8, in frames of a byte", lambda p: p.pieces(TEXT, *every_bad), *UNREADABLE)
    refused("6.4.1", "what can never be UTF-8 fails at once", lambda p: [p.frame(TEXT, bad, fin=False)], *UNREADABLE)


def _closing() -> None:
    def closed(number: str, reason: str, frames: Frames, *right: str) -> None:
        refused(number, reason, frames, *right)

    async def both(peer: WsPeer) -> str:
        peer.send(peer.frame(TEXT, "hello"))
        await peer.hear(1)
        peer.send(peer.closing())
        return await peer.finish()

    CASES.append(Case("7.1.1", "a text, then a close", (f"{words(TEXT, 'hello')}; {ENDED}*",), both))
    closed("7.1.2", "two closes", lambda p: [p.closing(), p.closing()], f"{ENDED}*")
    closed("7.1.3", "a ping behind a close", lambda p: [p.closing(), p.frame(PING)], f"{ENDED}*")
    closed("7.1.4", "a text behind a close", lambda p: [p.closing(), p.frame(TEXT, "x")], f"{ENDED}*")

    def within(p: WsPeer) -> list[bytes]:
        begin, end = p.pieces(TEXT, "a", "b")
        return [begin, p.closing(), end]

    closed("7.1.5", "a close within a text", within, f"{ENDED}*")
    closed("7.3.1", "a close without a code", lambda p: [p.frame(8)], "close*")
    closed("7.3.2", "a close of one byte", lambda p: [p.frame(8, b"a")], *FAILED)
    closed("7.3.3", "a close with a code", lambda p: [p.closing()], f"{ENDED}*")
    closed("7.3.4", "a close with a reason", lambda p: [p.closing(1000, b"Hello")], f"{ENDED}*")
    closed("7.3.5", "a close with the longest reason", lambda p: [p.closing(1000, b"*" * 123)], f"{ENDED}*")
    closed("7.3.6", "a close with a longer reason", lambda p: [p.closing(1000, b"*" * 124)], *FAILED)
    closed("7.5.1", "a reason that is no UTF-8", lambda p: [p.closing(1000, b"\xce\xba\xed\xa0\x80")], *UNREADABLE)
    good = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
    for number, code in enumerate(good, 1):
        closed(f"7.7.{number}", f"code {code}", lambda p, c=code: [p.closing(c)], f"close {code}*", f"{ENDED}*")
    for number, code in enumerate((0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535), 1):
        closed(f"7.9.{number}", f"code {code}, which is none", lambda p, c=code: [p.closing(c)], *FAILED)


def _amounts() -> None:
    for number, size in ((1, 1 << 16), (2, 1 << 20), (3, 16 << 20)):
        text, data = b"*" * size, b"\xfe" * size
        sent(f"9.1.{number}", f"a text of {size} bytes", lambda p, d=text: [p.frame(TEXT, d)], words(TEXT, text))
        sent(f"9.2.{number}", f"{size} bytes", lambda p, d=data: [p.frame(BINARY, d)], words(BINARY, data))
    million = b"*" * (1 << 20)
    for number, size in ((1, 4_096), (2, 65_536)):
        pieces = [million[at : at + size] for at in range(0, len(million), size)]
        reason = f"a megabyte in frames of {size}"
        sent(f"9.3.{number}", reason, lambda p, f=pieces: p.pieces(TEXT, *f), words(TEXT, million))
    sent("9.5.1", "a megabyte in pieces of 2048", lambda p: [p.frame(TEXT, million)], words(TEXT, million), chop=2_048)
    many = [words(TEXT, f"{number}") for number in range(500)]
    sent("9.7.1", "five hundred small texts", lambda p: [p.frame(TEXT, f"{n}") for n in range(500)], *many)
    some = [words(BINARY, bytes(1_000)) for _ in range(100)]
    sent("9.8.1", "a hundred kilobytes in a hundred", lambda p: [p.frame(BINARY, bytes(1_000))] * 100, *some)
    text = b"x" * 65_536
    pieces = [text[at : at + 1_300] for at in range(0, len(text), 1_300)]
    sent("10.1.1", "a text in frames of 1300", lambda p: p.pieces(TEXT, *pieces), words(TEXT, text))


AGREED = {
    "13.1": Deflate(),
    "13.2": Deflate(client_forgets=True),
    "13.3": Deflate(server_forgets=True),
    "13.4": Deflate(client_forgets=True, server_forgets=True),
    "13.5": Deflate(client_bits=9),
    "13.6": Deflate(server_bits=9),
    "13.7": Deflate(client_bits=10, server_bits=12, client_forgets=True, server_forgets=True),
}
EVENT = b'{"type":"response.output_text.delta","delta":"%d","padding":"' + b"p" * 300 + b'"}'


def _compressed() -> None:
    for section, agreed in AGREED.items():
        events = [EVENT % number for number in range(20)]
        _packed(f"{section}.1", "twenty texts that are alike", agreed, TEXT, events)
        every = [b"", b"x", bytes(range(256))]
        _packed(f"{section}.2", "nothing, a byte, and bytes of every kind", agreed, BINARY, every)
        _packed(f"{section}.3", "a text of 100 kB in three frames", agreed, TEXT, [b"abc" * 34_000], 50, 90)
    _packed("12.1.1", "a thousand texts", Deflate(), TEXT, [EVENT % number for number in range(1_000)])
    _packed("12.1.2", "a text of a megabyte", Deflate(), TEXT, [b"seatpool" * (1 << 17)])

    async def plain(peer: WsPeer) -> str:
        peer.send(peer.packed(TEXT, b"packed"), peer.frame(TEXT, "plain"), peer.packed(TEXT, b"packed"))
        await peer.hear(3)
        peer.send(peer.closing())
        return await peer.finish()

    right = "; ".join(words(TEXT, each) for each in ("packed", "plain", "packed"))
    said = (f"{right}; {ENDED}*",)
    PACKED.append((Deflate(), Case("12.2.1", "a message that is not compressed among others", said, plain)))

    async def broken(peer: WsPeer) -> str:
        peer.send(peer.frame(TEXT, b"\xff\xff\xff\xff", rsv=4))
        return await peer.finish()

    PACKED.append((Deflate(), Case("12.2.2", "what cannot be unpacked", (*FAILED, *UNREADABLE), broken)))

    async def within(peer: WsPeer) -> str:
        packed = peer.packed(TEXT, b"a text", 3)
        peer.send(packed[: 2 + 3 + 4 * (packed[1] >> 7)], peer.frame(PING, "p"), packed[2 + 3 + 4 * (packed[1] >> 7) :])
        await peer.hear(2)
        peer.send(peer.closing())
        return await peer.finish()

    right = f"{words(PONG, 'p')}; {words(TEXT, 'a text')}; {ENDED}*"
    PACKED.append((Deflate(), Case("12.2.3", "a ping within a compressed text", (right,), within)))


def _packed(number: str, reason: str, agreed: Deflate, kind: int, messages: Sequence[bytes], *cuts: int) -> None:
    async def run(peer: WsPeer) -> str:
        for message in messages:
            peer.send(peer.packed(kind, message, *cuts))
        await peer.hear(len(messages))
        peer.send(peer.closing())
        return await peer.finish()

    right = "; ".join([*(words(kind, message) for message in messages), ENDED])
    PACKED.append((agreed, Case(number, f"{reason} ({agreed.words})", (f"{right}*",), run)))


for part in (_framing, _pings, _reserved, _fragments, _utf8, _closing, _amounts, _compressed):
    part()
