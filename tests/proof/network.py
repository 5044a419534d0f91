"""The simulated network: connections whose bytes take their time, arrive cut anywhere, and may break at any moment."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from OpenSSL import SSL

from tests.proof.loop import Loop, Owner

GREETING = b"hello\n"
"""Stands for the handshake of TLS, which is not simulated: what follows is in the clear. The client's one begins so as
well, and names the protocol that is to be spoken."""

ADDRESS = "127.0.0.1"
"""Of everybody. What the product asks the system about a name would be asked of the real network, and waited for."""


class Far(Protocol):
    """The far end of a process's connection; nothing of it takes time."""

    def wrote(self, data: bytes) -> None:
        """The process has handed these bytes over; they arrive later."""

    def received(self, data: bytes) -> None:
        """They have arrived."""

    def ended(self) -> None:
        """The process has closed, or was killed."""


class Line(asyncio.Transport):
    """A process's end of a connection, as asyncio's streams use it."""

    def __init__(self, loop: Loop, owner: Owner, protocol: asyncio.Protocol, port: int) -> None:
        super().__init__({"peername": (ADDRESS, port), "sockname": (ADDRESS, 8080), "transport_protocol": "tcp"})
        self._loop = loop
        self.owner = owner
        self._protocol = protocol
        self._closing = False
        self._there = 0.0
        self._back = 0.0
        """When the last bytes arrive on either side: none overtake others."""
        self.far: Far | None = None

    # -- the process

    def write(self, data: Any) -> None:
        if self._closing or self.far is None or not data:
            return
        data = bytes(data)
        self.far.wrote(data)
        self._send(self.far.received, data)

    def _send(self, what: Callable[..., None], *args: Any) -> None:
        self._there = max(self._there, self._loop.now + self._loop.random.random() * 0.01)
        self._loop.post(self._loop.world, self._there - self._loop.now, what, *args)

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if self.far is not None:
            self._send(self.far.ended)
        self._loop.call_soon(self._protocol.connection_lost, None)

    abort = close

    def kill(self) -> None:
        """The process is no more; whoever is at the far end hears of it."""
        if not self._closing:
            self._closing = True
            if self.far is not None:
                self._send(self.far.ended)

    def is_closing(self) -> bool:
        return self._closing

    def can_write_eof(self) -> bool:
        return False

    def get_protocol(self) -> asyncio.Protocol:  # type: ignore[override]
        return self._protocol

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def is_reading(self) -> bool:
        return True

    # -- the world

    def say(self, data: bytes) -> None:
        """Send bytes to the process."""
        self._deliver(self._arrive, data)

    def hang_up(self, error: Exception | None = None) -> None:
        """End the connection: with a farewell, or with an error."""
        self._deliver(self._leave, error)

    def _deliver(self, what: Callable[..., None], *args: Any) -> None:
        self._back = max(self._back, self._loop.now + self._loop.random.random() * 0.01)
        self._loop.post(self.owner, self._back - self._loop.now, what, *args)

    def _arrive(self, data: bytes) -> None:
        if not self._closing:
            self._protocol.data_received(data)

    def _leave(self, error: Exception | None) -> None:
        if self._closing:
            return
        if error is None:
            self._protocol.eof_received()
        else:
            self._closing = True
            self._protocol.connection_lost(error)


class Door:
    """The far end of a connection, until it is known what is to be spoken."""

    def __init__(self, line: Line, speakers: Mapping[bytes, Callable[[Line], Far]]) -> None:
        self._line = line
        self._speakers = speakers
        self._speaker: Far | None = None
        self._greeted = False

    def wrote(self, data: bytes) -> None:
        if self._speaker is None:
            greeting, _, data = data.partition(b"\n")
            self._speaker = self._speakers[greeting.partition(b" ")[2]](self._line)
        if data:
            self._speaker.wrote(data)

    def received(self, data: bytes) -> None:
        assert self._speaker is not None
        if not self._greeted:
            self._greeted = True
            self._line.say(GREETING)
            data = data.partition(b"\n")[2]
        self._speaker.received(data)

    def ended(self) -> None:
        if self._speaker is not None:
            self._speaker.ended()


Listener = Callable[[Line], Far]
Opening = Callable[[Callable[[], asyncio.Protocol]], Awaitable[tuple[Line, asyncio.Protocol]]]


def accept(loop: Loop, owner: Owner, far: Far) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Line]:
    """A connection from outside to a process, as its server sees it."""
    reader = asyncio.StreamReader(loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    line = Line(loop, owner, protocol, 50_000)
    protocol.connection_made(line)
    line.far = far
    return reader, asyncio.StreamWriter(line, protocol, reader, loop), line


def opening(loop: Loop, owner: Owner, host: str, port: int, listener: Listener, refused: bool) -> Opening:
    """A connection from a process to the outside."""

    async def connect(factory: Callable[[], asyncio.Protocol]) -> tuple[Line, asyncio.Protocol]:
        await asyncio.sleep(loop.random.random() * 0.02)
        if refused:
            raise ConnectionRefusedError(f"{host}:{port} refuses")
        protocol = factory()
        line = Line(loop, owner, protocol, port)
        protocol.connection_made(line)
        line.far = listener(line)
        return line, protocol

    return connect


class Clear:
    """In the place of an OpenSSL connection: a greeting each way, and then everything in the clear."""

    def __init__(self, alpn: bytes) -> None:
        self._alpn = alpn
        self._in = b""
        self._out = b"%s %s\n" % (GREETING.strip(), alpn)
        self._greeted = False

    def do_handshake(self) -> None:
        if not self._greeted:
            if not self._in.startswith(GREETING):
                raise SSL.WantReadError
            self._greeted = True
            self._in = self._in[len(GREETING) :]

    def bio_write(self, data: bytes) -> int:
        self._in += data
        return len(data)

    def bio_read(self, _size: int) -> bytes:
        data, self._out = self._out, b""
        if not data:
            raise SSL.WantReadError
        return data

    def recv(self, _size: int) -> bytes:
        data, self._in = self._in, b""
        if not data:
            raise SSL.WantReadError
        return data

    def sendall(self, data: bytes) -> int:
        self._out += data
        return len(data)

    def get_peer_cert_chain(self) -> None:
        return None

    def get_alpn_proto_negotiated(self) -> bytes:
        return self._alpn

    def get_cipher_name(self) -> str:
        return "NONE"

    def get_protocol_version_name(self) -> str:
        return "TLSv1.3"

    def get_shutdown(self) -> int:
        return 0

    def client_random(self) -> bytes:
        return b""
