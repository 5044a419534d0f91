"""Side calls: our own small requests to an issuer, for refresh, exchange and look-ups.

Proxy variables of the environment are ignored: they may point at ourselves.
"""

import asyncio
import logging
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from seatpool.providers.base import HttpReply, HttpRequest

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT_S = 5.0
"""An issuer that cannot be reached by then is not waited for: a person is."""
ANSWER_TIMEOUT_S = 15.0
"""The clients' own limit for the slowest of these calls (codex.md 1.1)."""
LONGEST_BODY = 4 * 1024 * 1024
"""Bytes; the largest known answer is a model list of some hundred kilobytes."""


class SideCallFailed(Exception):
    """A side call got no answer; the message names the host and the cause, never a header or a body."""


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """How side calls reach the world: as the proxy itself does."""

    trusted_ca: str | None = None
    """PEM file that replaces the system's trust store (mitmproxy's `ssl_verify_upstream_trusted_ca`)."""
    trusted_dir: str | None = None
    """Directory of hashed PEM files (mitmproxy's `ssl_verify_upstream_trusted_confdir`)."""
    upstream_proxy: str | None = None
    """`http://host:port` of mitmproxy's `--mode upstream:`."""


class Transport:
    """Sends side calls; certificates are always verified."""

    def __init__(self, settings: TransportSettings | None = None) -> None:
        self._settings = settings or TransportSettings()
        self._client: httpx.AsyncClient | None = None
        self._opening = asyncio.Lock()

    async def send(self, request: HttpRequest) -> HttpReply:
        """Send one request and read its answer whole. Redirects are answers, not followed. Raises `SideCallFailed`."""
        import httpx

        client = await self._open()
        host = urlsplit(request.url).hostname
        try:
            reply = await client.request(
                request.method, request.url, headers=list(request.headers), content=request.body or None
            )
        except httpx.HTTPError as error:
            raise SideCallFailed(f"{host}: {type(error).__name__}") from None
        if len(reply.content) > LONGEST_BODY:
            raise SideCallFailed(f"{host}: answer of {len(reply.content)} bytes")
        return HttpReply(reply.status_code, reply.headers, reply.content)

    async def close(self) -> None:
        """Close what is open; a later `send` opens again."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _open(self) -> "httpx.AsyncClient":
        async with self._opening:
            if self._client is None:
                # Reading a trust store takes some 20 ms: not in the event loop, and not before the first call.
                self._client = await asyncio.to_thread(self._make)
            return self._client

    def _make(self) -> "httpx.AsyncClient":
        import httpx

        logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each call is ours to write, or not
        context = ssl.create_default_context(cafile=self._settings.trusted_ca, capath=self._settings.trusted_dir)
        return httpx.AsyncClient(
            verify=context,
            trust_env=False,
            proxy=self._settings.upstream_proxy,
            follow_redirects=False,
            timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
        )
