"""The server behind the proxies: HTTP/1.1 over TLS, and nothing is computed while it answers.

The fakes of `tests/upstream` know what real upstreams do; this one only has to be cheaper than what it measures.
Run as `python -m scripts.benchmark.upstream --folder DIR --port N`; prints its port when it listens, and ends with its
standard input.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from scripts.benchmark import wire
from scripts.benchmark.wire import Kind

from tests.upstream.certs import make_certificates

BACKLOG = 2048


class Answers(asyncio.Protocol):
    """One connection."""

    prepared = wire.answers()
    refusal = wire.refusal()
    refused: set[bytes] = set()  # noqa: RUF012 # of all connections: the second attempt comes on another one

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._buffer = b""
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer as soon as a request is whole. Requests are not pipelined."""
        self._buffer += data
        if len(self._buffer) < self._missing:
            return
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end]
        self._missing = end + 4 + int(_header(head, b"content-length") or 0)
        if len(self._buffer) >= self._missing:
            body, self._buffer, self._missing = self._buffer[end + 4 :], b"", 0
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        asked, request = _header(head, b"x-bench").decode(), _header(head, b"x-client-request-id")
        if not asked and (mark := wire.MARK.search(body)):
            asked, request = mark[1].decode(), mark[2]
        if not asked:  # the pool's own questions: it has to do without an answer
            self._transport.write(wire.NOT_FOUND)
            return
        kind = Kind(asked)
        if kind is Kind.WHO:
            self._transport.write(wire.who(_header(head, b"authorization").decode()))
            return
        if kind in wire.REFUSALS:
            if request not in self.refused:
                self.refused.add(request)
                self._transport.write(self.refusal)
                return
            self.refused.discard(request)
            kind = wire.REFUSALS[kind]
        for piece in self.prepared[kind]:
            self._transport.write(piece)


def _header(head: bytes, name: bytes) -> bytes:
    """Names are looked for as the client wrote them, or as a proxy capitalised them."""
    for spelt in (name, name.title()):
        _, found, rest = head.partition(b"\r\n%s: " % spelt)
        if found:
            return rest.partition(b"\r\n")[0]
    return b""


async def _serve(folder: Path, port: int) -> None:
    context = make_certificates(folder).server_context()
    context.set_alpn_protocols(["http/1.1"])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answers, "127.0.0.1", port, ssl=context, backlog=BACKLOG)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    asyncio.run(_serve(arguments.folder, arguments.port))


if __name__ == "__main__":
    main()
