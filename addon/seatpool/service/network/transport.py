"""Side calls: our own small requests to an issuer, for refresh, exchange and look-ups.

Proxy variables of the environment are ignored: they may point at ourselves. mitmproxy has loaded asyncio's streams and
h11 anyway; an HTTP client beside them costs three megabytes.

Every call has a connection of its own. Kept ones would hardly be used again (the poller looks every ten seconds, and a
renewal's calls go to different hosts), and an issuer that closes a kept one just as a refresh token is on its way
leaves nobody knowing whether that token is spent.
"""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

import h11
import msgspec

from seatpool.providers.http import Headers, HttpReply, HttpRequest
from seatpool.service.network.reaching import reach
from seatpool.service.threads import aside

CONNECT_TIMEOUT_S = 5.0
"""An issuer that cannot be reached by then is not waited for: a person is. Each of two connections, where a proxy is
between."""
ANSWER_TIMEOUT_S = 15.0
"""For a whole answer, a proxy's included; the clients' own limit for the slowest of these calls (codex.md 1.1)."""
CALL_TIMEOUT_S = 20.0
"""For everything; shorter than the lease under which issuers are polled."""
LONGEST_BODY = 4 * 1024 * 1024
"""Bytes; the largest known answer is a model list of some hundred kilobytes."""
LONGEST_HEAD = 100 * 1024
"""Bytes; issuers send kilobytes of cookies and policies."""
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
"""Hosts that may be asked without TLS: nobody is between."""
NO_ANSWER = (OSError, UnicodeError, h11.ProtocolError)
"""What a connection that fails is told by."""
PIECE = 64 * 1024
"""Bytes read at a time."""


class SideCallFailed(Exception):
    """A side call got no answer; the message names the host and the cause, never a header or a body."""


class Unreached(SideCallFailed):
    """Nobody was there to be asked, and nothing was sent: while a laptop's network comes up, or behind a portal."""


class TransportSettings(msgspec.Struct, frozen=True):
    """How side calls reach the world: as the proxy itself does."""

    trusted_ca: str | None = None
    """PEM file that replaces the system's trust store (mitmproxy's `ssl_verify_upstream_trusted_ca`)."""
    trusted_dir: str | None = None
    """Directory of hashed PEM files (mitmproxy's `ssl_verify_upstream_trusted_confdir`)."""
    upstream_proxy: str | None = None
    """`http[s]://[user:password@]host:port` of mitmproxy's `--mode upstream:` and `upstream_auth`, percent-encoded."""

    def __repr__(self) -> str:
        """Without the proxy, for its password."""
        return f"TransportSettings({self.trusted_ca!r}, {self.trusted_dir!r}, ...)"


class Transport:
    """Sends side calls; certificates are always verified."""

    def __init__(self, settings: TransportSettings | None = None) -> None:
        self._settings = settings or TransportSettings()
        self._trust: ssl.SSLContext | None = None
        self._reading = asyncio.Lock()

    async def send(self, request: HttpRequest) -> HttpReply:
        """Send one request and read its answer whole. Redirects are answers, not followed. Raises `SideCallFailed`."""
        trust, host = await self._trusted(), urlsplit(request.url).hostname
        failed: type[SideCallFailed] = SideCallFailed
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                try:
                    line = await self._line(request, trust)
                except (_Unfit, *NO_ANSWER):
                    failed = Unreached
                    raise
                return await self._send(request, line)
        except _Unfit as problem:
            raise failed(f"{host}: {problem}") from None
        except NO_ANSWER as error:
            raise failed(f"{host}: {type(error).__name__}") from None

    async def close(self) -> None:
        """Forget whom to trust; a later `send` reads it again. Connections end with their calls."""
        self._trust = None

    async def _trusted(self) -> ssl.SSLContext:
        async with self._reading:
            if self._trust is None:
                # Reading a trust store takes some 20 ms: not in the event loop, and not before the first call.
                self._trust = await aside(self._read_trust)
            return self._trust

    def _read_trust(self) -> ssl.SSLContext:
        named = (self._settings.trusted_ca, self._settings.trusted_dir)
        context = ssl.create_default_context(cafile=named[0], capath=named[1])
        if not any(named) and not _has_system_files():
            import certifi

            context.load_verify_locations(certifi.where())
        context.set_alpn_protocols(["http/1.1"])
        return context

    async def _send(self, request: HttpRequest, line: "_Line") -> HttpReply:
        with line.closing():
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                exchange = _Exchange(line)
                head = await exchange.ask(_head(request, urlsplit(request.url)), request.body)
                body = await exchange.read()
        fields = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers)
        return HttpReply(head.status_code, Headers(fields), body)

    async def _line(self, request: HttpRequest, trust: ssl.SSLContext) -> "_Line":
        """A verified connection, through the upstream proxy where there is one; on this machine maybe in the clear."""
        url = urlsplit(request.url)
        plain = request.plain and url.scheme == "http" and url.hostname in LOOPBACK
        if url.scheme != "https" and not plain:
            raise _Unfit("not asked without TLS")
        host, port = url.hostname or "", url.port or (80 if plain else 443)
        if plain or self._settings.upstream_proxy is None:
            return await _connect(host, port, None if plain else trust)
        proxy = urlsplit(self._settings.upstream_proxy)
        line = await _connect_to_proxy(proxy, trust)
        with line.closing(unless_well=True):
            await _tunnel(line, host, port, _login(proxy))
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await line.writer.start_tls(trust, server_hostname=host)
        return line


def _has_system_files() -> bool:
    """Whether the system keeps its authorities in files, where OpenSSL finds them.

    Python of python.org finds none on macOS. Windows keeps a store, which the authorities come into as its own programs
    need them: on a fresh machine GitHub's and OpenAI's may be missing. mitmproxy trusts certifi's anywhere.
    """
    found = ssl.get_default_verify_paths()
    return found.cafile is not None or found.capath is not None


class _Unfit(Exception):
    """Why there is no answer, in words that may be shown."""


class _Line(NamedTuple):
    """An open connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @contextmanager
    def closing(self, *, unless_well: bool = False) -> Iterator[None]:
        """Close it at the end; at once, also when we are cancelled: a farewell of TLS would be waited for."""
        well = False
        try:
            yield
            well = True
        finally:
            if not (well and unless_well):
                self.writer.transport.abort()


class _Exchange:
    """One request and its answer."""

    def __init__(self, line: _Line) -> None:
        self._line = line
        self._state = h11.Connection(h11.CLIENT, max_incomplete_event_size=LONGEST_HEAD)

    async def ask(self, head: h11.Request, body: bytes = b"") -> h11.Response:
        """Send all of it; returns the head of the answer."""
        events = (head, h11.Data(data=body), h11.EndOfMessage()) if body else (head, h11.EndOfMessage())
        # Not waited for: an issuer may answer, and close, before it has read everything.
        self._line.writer.write(b"".join(self._state.send(event) or b"" for event in events))
        while not isinstance(event := await self._next(), h11.Response):
            pass  # 1xx
        return event

    async def read(self) -> bytes:
        """The body of the answer."""
        body = bytearray()
        while isinstance(event := await self._next(), h11.Data):
            body += event.data
            if len(body) > LONGEST_BODY:
                raise _Unfit(f"answer of more than {LONGEST_BODY} bytes")
        return bytes(body)

    async def _next(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Never `NEED_DATA`, in spite of the annotation: mypy cannot tell h11's markers apart."""
        while (event := self._state.next_event()) is h11.NEED_DATA:
            self._state.receive_data(await self._line.reader.read(PIECE))
        return event


async def _connect(host: str, port: int, trust: ssl.SSLContext | None) -> _Line:
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        sock, name = await reach(host, port), host if trust is not None else None
        return _Line(*await asyncio.open_connection(sock=sock, ssl=trust, server_hostname=name))


async def _connect_to_proxy(proxy: SplitResult, trust: ssl.SSLContext | None) -> _Line:
    secure = proxy.scheme == "https"
    return await _connect(proxy.hostname or "", proxy.port or (443 if secure else 80), trust if secure else None)


def _login(proxy: SplitResult) -> Iterable[tuple[str, str]]:
    if proxy.username is None:
        return ()
    words = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return (("Proxy-Authorization", f"Basic {b64encode(words.encode()).decode()}"),)


async def _tunnel(line: _Line, host: str, port: int, login: Iterable[tuple[str, str]]) -> None:
    """Have a proxy connect us to `host`."""
    target = f"{_bracketed(host)}:{port}"
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        head = h11.Request(method="CONNECT", target=target, headers=[("Host", target), ("Accept", "*/*"), *login])
        answer = await _Exchange(line).ask(head)
    if not 200 <= answer.status_code < 300:
        raise _Unfit(f"the upstream proxy answered {answer.status_code}")


def _head(request: HttpRequest, url: SplitResult) -> h11.Request:
    usual = (None, 443 if url.scheme == "https" else 80)
    host = _bracketed(url.hostname or "") + (f":{url.port}" if url.port not in usual else "")
    fields = [("Host", host)]
    if all(name.lower() != "accept" for name, _ in request.headers):
        fields.append(("accept", "*/*"))
    fields += request.headers
    if request.body:
        fields.append(("Content-Length", str(len(request.body))))
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
    return h11.Request(method=request.method, target=target, headers=headers)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
