"""Servers that say what a test writes down, byte for byte, and proxies in front of them."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Peer:
    """One connection, seen from the server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: bytes = b""
    body: bytes = b""

    async def hear(self) -> None:
        """Read a whole request."""
        self.head = await self.reader.readuntil(b"\r\n\r\n")
        length = self.head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        self.body = await self.reader.readexactly(int(length or b"0"))

    async def say(self, *pieces: bytes) -> None:
        """Each piece leaves by itself."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)

    async def deserted(self) -> None:
        """Wait until the client hangs up."""
        try:
            while await self.reader.read(1 << 16):
                pass
        except ConnectionError:
            pass


Script = Callable[[Peer], Awaitable[None]]


@dataclass
class Server:
    """What listens, and who came."""

    script: Script
    port: int = 0
    peers: list[Peer] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once there is a connection."""
    _under_way: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Of a resource."""
        return f"https://localhost:{self.port}/some/where?a=1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.peers.append(Peer(reader, writer))
        self._under_way.append(asyncio.create_task(self._serve(self.peers[-1])))
        self.came.set()
        await asyncio.wait(self._under_way[-1:])

    async def deserted(self) -> None:
        """Wait until every connection has ended; what went wrong in a script is raised."""
        await asyncio.gather(*self._under_way)

    async def _serve(self, peer: Peer) -> None:
        try:
            await self.script(peer)
        finally:
            peer.writer.transport.abort()


@asynccontextmanager
async def serving(script: Script, context: ssl.SSLContext | None) -> AsyncIterator[Server]:
    """Listen on loopback while the block runs; the block's end waits until all clients have hung up."""
    made = Server(script)
    listener = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    made.port = listener.sockets[0].getsockname()[1]
    try:
        yield made
        await made.deserted()
    finally:
        listener.close()


def saying(*pieces: bytes, leave: bool = False) -> Script:
    """Hear a request and say this; then hang up, or wait until the client does."""

    async def script(peer: Peer) -> None:
        await peer.hear()
        await peer.say(*pieces)
        if leave:
            peer.writer.close()
        await peer.deserted()

    return script


async def silent(peer: Peer) -> None:
    """Hear everything, say nothing."""
    await peer.deserted()


async def _nothing() -> None:
    pass


def forwarding(port: int, before: Callable[[], Awaitable[None]] = _nothing) -> Script:
    """A proxy that goes to this port, whatever it is asked for; `before` comes between question and answer."""

    async def script(peer: Peer) -> None:
        await peer.hear()
        await before()
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await peer.say(b"HTTP/1.1 200 Connection established\r\nvia: 1.1 x\r\n\r\n")
        await asyncio.gather(_pour(peer.reader, back), _pour(there, peer.writer))

    return script


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while piece := await source.read(1 << 16):
            sink.write(piece)
            await sink.drain()
    except ConnectionError:
        pass  # one side was cut off
    finally:
        sink.close()
