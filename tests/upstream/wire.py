"""One request and its answer, whatever the HTTP version."""

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import zstandard

if TYPE_CHECKING:
    from tests.upstream.websocket import Socket

Fields = Sequence[tuple[str, str]]


@dataclass(slots=True)
class Connection:
    """What is known of the connection a request came on."""

    number: int
    sni: str | None = None
    requests: int = 0


@dataclass(slots=True)
class Request:
    """A request, read whole."""

    method: str
    target: str
    host: str
    """`:authority` or `Host`, without the port, in lower case."""
    fields: list[tuple[str, str]]
    """As they came, pseudo headers left out."""
    body: bytes
    http: str
    """`1.1` or `2`."""
    connection: Connection
    nth: int
    """Which request of its connection this is, from 1."""
    headers: dict[str, str] = field(init=False)
    """By lower-case name; the first of several wins."""
    path: str = field(init=False)
    """The target without its query."""

    def __post_init__(self) -> None:
        self.path = self.target.partition("?")[0]
        self.headers = {}
        for name, value in self.fields:
            self.headers.setdefault(name.lower(), value)

    @property
    def upgrade(self) -> bool:
        """Whether it is a WebSocket handshake."""
        return self.http == "1.1" and self.headers.get("upgrade", "").lower() == "websocket"

    def decoded_body(self) -> bytes:
        """The body without its content coding; as it came when the coding is unknown."""
        coding = self.headers.get("content-encoding", "")
        return _DECODERS.get(coding, bytes)(self.body)


def _unzstd(body: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(body)


_DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": _unzstd,
    "gzip": lambda body: zlib.decompress(body, wbits=31),
    "deflate": zlib.decompress,
}


READ_S = 0.25
"""What was sent is read within that time; a reset would take along what was not, on a busy machine as well."""


class Reply(ABC):
    """Where an answer goes. The task that answers is cancelled when the client goes away."""

    started = False
    ended = False

    @abstractmethod
    async def head(self, status: int, fields: Fields, length: int | None = None) -> None:
        """Send the head. Without a length the body is open-ended."""

    @abstractmethod
    async def data(self, chunk: bytes) -> None:
        """Send a piece of the body at once."""

    @abstractmethod
    async def end(self) -> None:
        """The answer is complete."""

    @abstractmethod
    def cut(self) -> None:
        """Break this answer off: RST_STREAM on HTTP/2, an unannounced close on HTTP/1.1."""

    @abstractmethod
    def close(self) -> None:
        """Close the whole connection, without a word."""

    @abstractmethod
    def reset(self) -> None:
        """Reset the TCP connection."""

    @abstractmethod
    def half_head(self) -> None:
        """The beginning of a head."""

    @abstractmethod
    def bad_head(self) -> None:
        """A whole head with a field that is none."""

    @abstractmethod
    def junk(self) -> None:
        """Something that this protocol has no place for."""

    def goaway(self, *, taken: bool = False) -> None:
        """Close after saying so: GOAWAY on HTTP/2, a plain close on HTTP/1.1. `taken`: this request was touched."""
        self.close()

    def leave(self) -> None:
        """Say that no further request will be taken, and go on with this one."""
        raise NotImplementedError("GOAWAY needs HTTP/2")

    def refuse_stream(self) -> None:
        """RST_STREAM with REFUSED_STREAM on HTTP/2, a plain close on HTTP/1.1."""
        self.close()

    async def websocket(self, fields: Fields = (), *, proof: bool = True) -> "Socket":
        """Accept the handshake, with the proof that the key was understood or with a wrong one."""
        raise NotImplementedError("WebSocket needs HTTP/1.1")


App = Callable[[Request, Reply], Coroutine[Any, Any, None]]
"""Answers a request; returns without an ended reply when it broke the answer off."""
