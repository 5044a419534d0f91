"""The fakes behind an HTTP proxy: every CONNECT ends at them, so a client reaches them by their real names.

For clients that can be told of a proxy but not of an address, where a `Lab` would be too much.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.upstream.certs import Certificates
from tests.upstream.server import Upstream


@dataclass
class Tunnel:
    """An open one."""

    upstream: Upstream
    target: tuple[str, int]
    url: str = ""
    """Of the proxy."""
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)

    async def idle(self) -> None:
        """Wait until every client has gone and nothing that it sent is still to be answered."""
        await asyncio.gather(*self._under_way)
        await self.upstream.journal.wait({"done": True}, len(self.upstream.journal.entries))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._under_way.add(task)
        await asyncio.wait([task])
        self._under_way.discard(task)

    async def close(self) -> None:
        """Hang up on whoever is still there."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            there, back = await asyncio.open_connection(*self.target)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await asyncio.gather(_pour(reader, back), _pour(there, writer))
        except asyncio.IncompleteReadError:
            pass  # it left before it asked
        finally:
            writer.close()


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Everything from one side to the other; an end, clean or not, is passed on."""
    try:
        while piece := await source.read(1 << 16):
            sink.write(piece)
            await sink.drain()
    except OSError:
        pass  # one side was killed
    finally:
        sink.close()


@asynccontextmanager
async def tunnel(upstream: Upstream, certificates: Certificates) -> AsyncIterator[Tunnel]:
    """Serve on loopback while the block runs."""
    server = await upstream.listen(certificates, "127.0.0.1", 0)
    made = Tunnel(upstream, server.sockets[0].getsockname())
    proxy = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = "http://{}:{}".format(*proxy.sockets[0].getsockname())
    try:
        yield made
    finally:
        proxy.close()
        server.close()
        await made.close()
