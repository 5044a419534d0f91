"""One end of a WebSocket at the level of frames: it can do everything wrong, or echo whatever comes."""

import asyncio
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
NAMES = {TEXT: "text", BINARY: "binary", CLOSE: "close", PING: "ping", PONG: "pong"}
_TAIL = b"\x00\x00\xff\xff"


@dataclass(frozen=True, slots=True)
class Deflate:
    """permessage-deflate (RFC 7692), as it was agreed on."""

    client_bits: int = 15
    server_bits: int = 15
    client_forgets: bool = False
    server_forgets: bool = False

    @property
    def words(self) -> str:
        """The extension as a handshake names it."""
        said = ["permessage-deflate"]
        said += ["client_no_context_takeover"] if self.client_forgets else []
        said += ["server_no_context_takeover"] if self.server_forgets else []
        said += [f"client_max_window_bits={self.client_bits}"] if self.client_bits != 15 else []
        said += [f"server_max_window_bits={self.server_bits}"] if self.server_bits != 15 else []
        return "; ".join(said)


class WsPeer:
    """One end of an open socket."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        write: Callable[[bytes], None],
        close: Callable[[], None],
        *,
        client: bool,
        deflate: Deflate | None = None,
    ) -> None:
        self.seen: list[str] = []
        """What came, in words."""
        self.ended = False
        self._reader = reader
        self._write = write
        self._close = close
        self._client = client
        self._deflate = deflate
        self._packer: zlib._Compress | None = None
        self._unpacker: zlib._Decompress | None = None
        self._message = bytearray()
        self._kind = 0
        self._packed = False

    # -- out

    def frame(self, kind: int, payload: bytes | str = b"", *, fin: bool = True, rsv: int = 0) -> bytes:
        """A frame, masked where this end is the client."""
        data = payload.encode() if isinstance(payload, str) else payload
        head = bytes([(fin << 7) | (rsv << 4) | kind])
        masked = self._client << 7
        if len(data) < 126:
            head += bytes([masked | len(data)])
        elif len(data) < 1 << 16:
            head += bytes([masked | 126]) + struct.pack(">H", len(data))
        else:
            head += bytes([masked | 127]) + struct.pack(">Q", len(data))
        if not self._client:
            return head + data
        key = os.urandom(4)
        return head + key + _masked(data, key)

    def pieces(self, kind: int, *payloads: bytes | str) -> list[bytes]:
        """A message in so many frames."""
        last = len(payloads) - 1
        return [self.frame(kind if at == 0 else 0, p, fin=at == last) for at, p in enumerate(payloads)]

    def packed(self, kind: int, payload: bytes, *cuts: int) -> bytes:
        """A compressed message, in frames that end at these places."""
        assert self._deflate is not None
        bits, forgets = self._own(self._deflate)
        if self._packer is None or forgets:
            self._packer = zlib.compressobj(wbits=-bits)
        data = (self._packer.compress(payload) + self._packer.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_TAIL)
        at = [0, *(cut for cut in cuts if cut < len(data)), len(data)]
        frames = [
            self.frame(0 if number else kind, data[begin:end], fin=end == len(data), rsv=0 if number else 4)
            for number, (begin, end) in enumerate(pairwise(at))
        ]
        return b"".join(frames)

    def closing(self, code: int = 1000, reason: bytes = b"") -> bytes:
        """A close frame."""
        return self.frame(CLOSE, struct.pack(">H", code) + reason)

    def send(self, *frames: bytes, chop: int = 0) -> None:
        """Write frames: together, or in pieces of so many bytes."""
        data = b"".join(frames)
        for at in range(0, len(data), chop or len(data) or 1):
            self._write(data[at : at + chop] if chop else data)

    def agree(self, deflate: Deflate | None) -> None:
        """Say how messages are compressed, where that was not known at the beginning."""
        self._deflate = deflate

    def drop(self) -> None:
        """End the connection."""
        self._close()

    # -- in

    async def hear(self, count: int) -> None:
        """Read until so many things have been seen, or the connection is over."""
        while len(self.seen) < count and not self.ended:
            await self.read()

    async def finish(self) -> str:
        """Read to the end; tells everything that was seen."""
        while not self.ended:
            await self.read()
        return "; ".join(self.seen) or "dropped"

    async def echo(self) -> None:
        """Answer every message with itself and every ping, until the other side closes."""
        while (came := await self.read()) is not None:
            kind, data = came
            if kind == PING:
                self.send(self.frame(PONG, data))
            elif kind == CLOSE:
                self.send(self.frame(CLOSE, data[:2]))
                break
            elif kind in (TEXT, BINARY):
                self.send(self.frame(kind, data) if self._deflate is None else self.packed(kind, data))
        self.drop()

    async def read(self) -> tuple[int, bytes] | None:
        """The next message or control frame; None at the end of the connection."""
        try:
            while True:
                found = self._take(*await self._frame())
                if found is not None:
                    self.seen.append(_words(*found))
                    return found
        except (asyncio.IncompleteReadError, OSError):
            self.ended = True
            return None

    async def _frame(self) -> tuple[int, bytes]:
        first, second = await self._reader.readexactly(2)
        size = second & 127
        if size >= 126:
            size = int.from_bytes(await self._reader.readexactly(2 if size == 126 else 8))
        if bool(second & 128) is self._client:
            self.seen.append("masked the wrong way")
        key = await self._reader.readexactly(4) if second & 128 else b""
        data = await self._reader.readexactly(size)
        return first, _masked(data, key) if key else data

    def _take(self, first: int, data: bytes) -> tuple[int, bytes] | None:
        kind, fin = first & 15, bool(first & 128)
        if kind >= 8:
            return kind, data
        if kind:
            self._kind, self._packed = kind, bool(first & 64)
        self._message += data
        if not fin:
            return None
        whole = bytes(self._message)
        self._message.clear()
        return self._kind, self._unpacked(whole) if self._packed else whole

    def _unpacked(self, data: bytes) -> bytes:
        assert self._deflate is not None
        bits, forgets = self._their(self._deflate)
        if self._unpacker is None or forgets:
            self._unpacker = zlib.decompressobj(wbits=-bits)
        return self._unpacker.decompress(data + _TAIL)

    def _own(self, agreed: Deflate) -> tuple[int, bool]:
        client, server = (agreed.client_bits, agreed.client_forgets), (agreed.server_bits, agreed.server_forgets)
        return client if self._client else server

    def _their(self, agreed: Deflate) -> tuple[int, bool]:
        client, server = (agreed.client_bits, agreed.client_forgets), (agreed.server_bits, agreed.server_forgets)
        return server if self._client else client


def _masked(data: bytes, key: bytes) -> bytes:
    long = (key * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data) ^ int.from_bytes(long)).to_bytes(len(data))


def _words(kind: int, data: bytes) -> str:
    name = NAMES.get(kind, str(kind))
    if kind == CLOSE:
        return f"close {int.from_bytes(data[:2])}" if len(data) > 1 else "close"
    return f"{name} {shown(data)}"


def shown(data: bytes) -> str:
    """A short payload as it is, a long one by its size and digest."""
    return repr(data)[1:] if len(data) <= 20 else f"{len(data)} {sha256(data).hexdigest()[:8]}"
