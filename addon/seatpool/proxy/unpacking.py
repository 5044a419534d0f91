"""A compressed stream is read beside its way: unpacked as it comes, so far as that can be done by then.

Copilot's API compresses larger answers for clients that take it (openclaw/openclaw#81384). What goes on to the client
is what came. How much comes of it at once is bounded, see `process/bounds`.
"""

import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

import brotli  # type: ignore[import-untyped] # it brings no types
import zstandard
from mitmproxy import http

from seatpool.core.outcome import OK, Outcome
from seatpool.providers.openings import Opening, Read
from seatpool.proxy.process.bounds import ANY_ZLIB, TooMuch, below

AT_ONCE = 16 * 1024 * 1024
"""Bytes that come of one piece, of which 64 kB are read at a time; so many are too many."""
PIECE = 512
"""Bytes that zstd is given at a time, which takes no bound: of four of them 128 kB may come (RFC 8878, 3.1.1.2)."""

Unpack = Callable[[bytes], bytes]


def _zlib() -> Unpack:
    unpacking = zlib.decompressobj(ANY_ZLIB)
    return lambda data: below(AT_ONCE, unpacking.decompress(data, AT_ONCE))


def _brotli() -> Unpack:
    unpacking = brotli.Decompressor()
    return lambda data: below(AT_ONCE, unpacking.process(data, output_buffer_limit=AT_ONCE))


def _zstd() -> Unpack:
    unpacking = zstandard.ZstdDecompressor().decompressobj()

    def unpack(data: bytes) -> bytes:
        pieces, room = [], AT_ONCE
        for at in range(0, len(data), PIECE):
            pieces.append(below(room, unpacking.decompress(data[at : at + PIECE])))
            room -= len(pieces[-1])
        return b"".join(pieces)

    return unpack


CODINGS: Mapping[str, Callable[[], Unpack]] = MappingProxyType(
    {"gzip": _zlib, "deflate": _zlib, "br": _brotli, "zstd": _zstd}
)


class Unpacker:
    """Of one stream. Behind what cannot be unpacked there is nothing more."""

    __slots__ = ("_unpack", "broken")

    def __init__(self, coding: str) -> None:
        self._unpack = CODINGS[coding]()
        self.broken = False

    def __call__(self, data: bytes) -> bytes:
        """What is known now and was not before."""
        if self.broken:
            return b""
        try:
            return self._unpack(data)
        except (zlib.error, brotli.error, zstandard.ZstdError, TooMuch):
            self.broken = True
            return b""


class PackedOpening(Opening):
    """The beginning of a stream that is compressed so."""

    __slots__ = ("_unpack",)

    def __init__(self, read: Read, coding: str) -> None:
        super().__init__(read)
        self._unpack = Unpacker(coding)

    def feed(self, chunk: bytes) -> Outcome | None:
        """As its parent; what cannot be unpacked is let go."""
        told = super().feed(self._unpack(chunk))
        return OK if told is None and self._unpack.broken else told


def coding_of(response: http.Response) -> str:
    """Its compression; empty where it has none."""
    stated = str(response.headers.get("content-encoding", "")).strip().lower()
    return "" if stated == "identity" else stated


def is_readable(response: http.Response) -> bool:
    """Whether it has none, or one that is known."""
    coding = coding_of(response)
    return not coding or coding in CODINGS


def opening(response: http.Response, read: Read) -> Opening:
    """For the beginning of this answer, which a `Tap` can read."""
    coding = coding_of(response)
    return PackedOpening(read, coding) if coding else Opening(read)
