"""Ways for a test to reach the upstreams: curl, and clients of our own that tell when each piece came."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.http_clients import Http1Client, Http2Client
from tests.harness.websocket_client import WebSocketClient


class TunnelRefused(Exception):
    """The proxy answered CONNECT with something else than 200."""


def _connect(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port))


@dataclass(frozen=True, slots=True)
class Network:
    """How to get to a host: which CA to trust, and through which proxy.

    `connect` is `lab.connect` for a proxy inside a `Lab`. Without a proxy every host is looked for at `direct`.
    """

    ca: Path
    proxy: tuple[str, int] | None = None
    connect: Callable[[str, int], socket.socket] = _connect
    direct: tuple[str, int] = ("127.0.0.1", 443)

    async def http1(self, host: str) -> Http1Client:
        """A connection that speaks HTTP/1.1."""
        return Http1Client(host, *await self._tls(host, ["http/1.1"]))

    async def http2(self, host: str) -> Http2Client:
        """A connection that speaks HTTP/2, or `ConnectionError` where that is not offered."""
        reader, writer = await self._tls(host, ["h2"])
        if writer.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            writer.close()
            raise ConnectionError(f"{host} does not offer HTTP/2")
        return Http2Client(host, reader, writer)

    async def websocket(self, host: str, path: str, headers: Mapping[str, str] | None = None) -> WebSocketClient:
        """An open WebSocket, without ALPN as Codex asks for it (codex-observed.md 2). May raise `HandshakeRefused`."""
        return await WebSocketClient(*await self._tls(host, None)).handshake(host, path, headers)

    async def spoken(self, host: str, offered: list[str]) -> str | None:
        """What is spoken with a client that offers this."""
        _, writer = await self._tls(host, offered)
        spoken: str | None = writer.get_extra_info("ssl_object").selected_alpn_protocol()
        writer.close()
        await writer.wait_closed()
        return spoken

    async def peer_certificate(self, host: str) -> dict[str, Any]:
        """The certificate that a client gets to see for a host."""
        _, writer = await self._tls(host, None)
        certificate: dict[str, Any] = writer.get_extra_info("peercert")
        writer.close()
        await writer.wait_closed()
        return certificate

    async def _tls(self, host: str, alpn: list[str] | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        context = ssl.create_default_context(cafile=self.ca)
        if alpn:
            context.set_alpn_protocols(alpn)
        raw = self.connect(*(self.proxy or self.direct))
        raw.setblocking(False)
        if self.proxy is not None:
            await _tunnel(raw, host)
        return await asyncio.open_connection(sock=raw, ssl=context, server_hostname=host, limit=1 << 22)


async def _tunnel(raw: socket.socket, host: str) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(raw, f"CONNECT {host}:443 HTTP/1.1\r\nhost: {host}:443\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        piece = await loop.sock_recv(raw, 1024)
        answer += piece
        if not piece:
            break
    if b" 200 " not in answer.partition(b"\r\n")[0] + b" ":
        raw.close()
        raise TunnelRefused(answer.decode("latin-1"))


def curl(url: str, *more: str, ca: Path, proxy: str | None = None) -> list[str]:
    """A curl command for `lab.run` or `lab.popen`: unbuffered, no progress, errors shown, at most 30 s."""
    through = ["--proxy", proxy] if proxy else []
    return ["curl", "-sSN", "--max-time", "30", "--cacert", str(ca), *through, *more, url]
