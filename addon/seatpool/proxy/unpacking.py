"""A compressed stream is read beside its way: unpacked as it comes, so far as that can be done by then.

Copilot's API compresses larger answers for clients that take it (openclaw/openclaw#81384). What goes on to the client
is what came.
"""

import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

import brotli  # type: ignore[import-untyped] # it brings no types
import zstandard
from mitmproxy import http

from seatpool.core.outcome import OK, Outcome
from seatpool.providers.openings import Opening, Read

ANY_ZLIB = zlib.MAX_WBITS | 32
"""To zlib: gzip's header or its own, as it comes."""

Unpack = Callable[[bytes], bytes]

CODINGS: Mapping[str, Callable[[], Unpack]] = MappingProxyType(
    {
        "gzip": lambda: zlib.decompressobj(ANY_ZLIB).decompress,
        "deflate": lambda: zlib.decompressobj(ANY_ZLIB).decompress,
        "br": lambda: brotli.Decompressor().process,
        "zstd": lambda: zstandard.ZstdDecompressor().decompressobj().decompress,
    }
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
        except (zlib.error, brotli.error, zstandard.ZstdError):
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
