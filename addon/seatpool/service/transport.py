"""Side calls: our own small requests to an issuer, for refresh, exchange and look-ups.

Proxy variables of the environment are ignored: they may point at ourselves. httpcore is what carries httpx: nothing of
what httpx adds is wanted here, and its import costs four megabytes.
"""

import asyncio
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from seatpool.providers.base import Headers, HttpReply, HttpRequest
from seatpool.service.threads import aside

if TYPE_CHECKING:
    import httpcore

CONNECT_TIMEOUT_S = 5.0
"""An issuer that cannot be reached by then is not waited for: a person is."""
ANSWER_TIMEOUT_S = 15.0
"""The clients' own limit for the slowest of these calls (codex.md 1.1)."""
TIMEOUTS_S = {
    "connect": CONNECT_TIMEOUT_S,
    "read": ANSWER_TIMEOUT_S,
    "write": ANSWER_TIMEOUT_S,
    "pool": ANSWER_TIMEOUT_S,
}
KEPT_OPEN_S = 5.0
"""A connection is used again within this time."""
LONGEST_BODY = 4 * 1024 * 1024
"""Bytes; the largest known answer is a model list of some hundred kilobytes."""


class SideCallFailed(Exception):
    """A side call got no answer; the message names the host and the cause, never a header or a body."""


class TransportSettings(msgspec.Struct, frozen=True):
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
        self._pool: httpcore.AsyncConnectionPool | None = None
        self._opening = asyncio.Lock()

    async def send(self, request: HttpRequest) -> HttpReply:
        """Send one request and read its answer whole. Redirects are answers, not followed. Raises `SideCallFailed`."""
        pool = await self._open()
        import httpcore  # loaded by now, beside the loop: it takes long enough to be felt

        host = urlsplit(request.url).hostname
        failures = (
            httpcore.NetworkError,
            httpcore.TimeoutException,
            httpcore.ProtocolError,
            httpcore.ProxyError,
            httpcore.UnsupportedProtocol,
        )
        headers = [(b"accept", b"*/*")] if all(name.lower() != "accept" for name, _ in request.headers) else []
        headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers]
        try:
            reply = await pool.request(
                request.method,
                request.url,
                headers=headers,
                content=request.body or None,
                extensions={"timeout": TIMEOUTS_S},
            )
        except failures as error:
            raise SideCallFailed(f"{host}: {type(error).__name__}") from None
        if len(reply.content) > LONGEST_BODY:
            raise SideCallFailed(f"{host}: answer of {len(reply.content)} bytes")
        fields = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in reply.headers)
        return HttpReply(reply.status, Headers(fields), reply.content)

    async def close(self) -> None:
        """Close what is open; a later `send` opens again."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.aclose()

    async def _open(self) -> "httpcore.AsyncConnectionPool":
        async with self._opening:
            if self._pool is None:
                # Reading a trust store takes some 20 ms: not in the event loop, and not before the first call.
                self._pool = await aside(self._make)
            return self._pool

    def _make(self) -> "httpcore.AsyncConnectionPool":
        import httpcore

        context = ssl.create_default_context(cafile=self._settings.trusted_ca, capath=self._settings.trusted_dir)
        if self._settings.upstream_proxy is None:
            return httpcore.AsyncConnectionPool(context, keepalive_expiry=KEPT_OPEN_S)
        return httpcore.AsyncHTTPProxy(self._settings.upstream_proxy, ssl_context=context, keepalive_expiry=KEPT_OPEN_S)
