"""An end to what is unpacked of a compressed body.

A few hundred bytes can be made of which gigabytes come (GHSA-2qfp-q593-8484), and whoever can send a request through
the proxy can send these. mitmproxy unpacks whatever it is asked for (its pull request 7964 is about that): meanwhile no
stream goes on, and the end of the memory is the end of the proxy. Here a body that is too large when it is unpacked is
one that cannot be unpacked, which mitmproxy gives to its readers as it came.
"""

import codecs
import zlib
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import brotli  # type: ignore[import-untyped] # it brings no types
import zstandard
from mitmproxy.net import encoding

ANY_ZLIB = zlib.MAX_WBITS | 32
"""To zlib: gzip's header or its own, as it comes."""
BARE = -zlib.MAX_WBITS
"""No header at all, as some call `deflate`."""
MOST = 128 * 1024 * 1024
"""Bytes; several times as much as the providers take."""
PIECE = 1024 * 1024
PACKING = frozenset({"bz2", "zlib"})
"""Codecs of Python's own that unpack; mitmproxy takes the names of codecs for those of encodings."""

Decode = Callable[[Any], Any]
"""As mitmproxy has them: bytes of bytes."""


class TooMuch(ValueError):
    """More comes of it than anybody has meant."""


def below(most: int, found: bytes) -> bytes:
    """What was found. Raises `TooMuch` where that is all that was asked for."""
    if len(found) >= most:
        raise TooMuch
    return found


def _inflated(content: bytes, header: int) -> bytes:
    unpacking = zlib.decompressobj(header)
    found = below(MOST, unpacking.decompress(content, MOST))
    if not unpacking.eof and header != ANY_ZLIB:
        raise zlib.error("it has no end")
    return found


def _gzip(content: bytes) -> bytes:
    return _inflated(content, ANY_ZLIB)


def _deflate(content: bytes) -> bytes:
    try:
        return _inflated(content, zlib.MAX_WBITS)
    except zlib.error:
        return _inflated(content, BARE)


def _brotli(content: bytes) -> bytes:
    unpacking = brotli.Decompressor()
    found = below(MOST, unpacking.process(content, output_buffer_limit=MOST))
    if not unpacking.is_finished():
        raise brotli.error("it has no end")
    return found


def _zstd(content: bytes) -> bytes:
    reader = zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True)
    pieces, size = [], 0
    while piece := reader.read(PIECE):
        pieces.append(piece)
        size += len(piece)
        if size >= MOST:
            raise TooMuch
    return b"".join(pieces)


DECODERS = MappingProxyType({"gzip": _gzip, "deflate": _deflate, "deflateraw": _deflate, "br": _brotli, "zstd": _zstd})
"""Of all that breaks off they make what mitmproxy's own make of it."""


class _Bounded(dict[str, Decode]):
    """mitmproxy's table, in which what is missing is looked for among Python's codecs."""

    def __missing__(self, name: str) -> Decode:
        if codecs.lookup(name).name in PACKING:
            raise TooMuch
        raise KeyError(name)


_OWN: Any = encoding.custom_decode


def _but_nothing(decode: Decode) -> Decode:
    return lambda content: decode(content) if content else b""


def install() -> None:
    """From now on, in this process; doing it again does nothing."""
    bounded = {name: _but_nothing(decode) for name, decode in DECODERS.items()}
    table: Any = _Bounded({**_OWN, **bounded})
    encoding.custom_decode = table


def uninstall() -> None:
    """As before."""
    encoding.custom_decode = _OWN
