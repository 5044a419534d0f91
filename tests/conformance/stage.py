"""A bare mitmdump and one with pooled accounts, and one upstream behind both, which is this process itself."""

import asyncio
import base64
import hashlib
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from seatpool.providers.registry import PROVIDERS
from seatpool.store import Store
from tests.conformance.http2_peer import Fields, Http2Peer
from tests.conformance.ws_peer import Deflate, WsPeer
from tests.harness import Lab, Mitmdump, Network
from tests.harness.http_clients import read_head
from tests.upstream.certs import Certificates, make_certificates
from tests.upstream.http1 import Http1, Http1Reply
from tests.upstream.http2 import Http2
from tests.upstream.logins import codex_auth, codex_login
from tests.upstream.tokens import read_token
from tests.upstream.wire import READ_S, Connection, Reply, Request

HOST = "chatgpt.com"
PATH = "/backend-api/codex/responses"
EDITOR, POOLED = "editor", ("alice", "bob")
BARE, POOL = "bare", "pool"
PORTS = {BARE: 8081, POOL: 8080}
BODY = b'{"type":"response.completed","response":{"id":"resp_1","usage":{"input_tokens":1,"output_tokens":1}}}'

_ACCEPT = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def login() -> dict[str, str]:
    """The headers of an editor that is signed in with an account that is not pooled."""
    auth = codex_auth(EDITOR)["tokens"]
    return {
        "authorization": f"Bearer {auth['access_token']}",
        "chatgpt-account-id": auth["account_id"],
        "user-agent": "codex_exec/0.169.0",
        "x-codex-routing-hint": "model=gpt-x",
    }


@contextmanager
def proxies(folder: Path) -> Iterator[tuple[Lab, Certificates, dict[str, Mitmdump]]]:
    """Both, in a lab in which nobody is upstream yet."""
    with Lab(folder) as lab:
        certificates = make_certificates(folder / "certs")
        pool = Mitmdump(folder / POOL, lab=lab, upstream_ca=certificates.ca, options={"pool_learn": "false"})
        bare = Mitmdump(folder / BARE, lab=lab, upstream_ca=certificates.ca, bare=True)
        bare.port = PORTS[BARE]
        pool.folder.mkdir()
        with Store.open(str(pool.database)) as store:
            for name in POOLED:
                _save(store, codex_login(folder / "logins" / name, name))
        with pool, bare:
            yield lab, certificates, {BARE: bare, POOL: pool}


def _save(store: Store, path: Path) -> None:
    found = (p.read_login(path.name, path.read_bytes()) for p in PROVIDERS.values())
    (saved,) = next(logins for logins in found if logins is not None)
    store.save_login(
        provider=saved.provider,
        identity=saved.identity,
        name=path.parent.name,
        explicit_name=True,
        issuer=saved.issuer,
        plan=saved.plan,
        credentials=saved.credentials,
        now=datetime.now(UTC),
    )


class Stage:
    """The upstream, and ways to it through either proxy."""

    def __init__(self, lab: Lab, certificates: Certificates, running: dict[str, Mitmdump]) -> None:
        self.paid: dict[str, set[str]] = {BARE: set(), POOL: set()}
        """Whose token came with the requests of the moving route that each proxy passed on."""
        self._certificates = certificates
        self._lab = lab
        self._networks = {n: Network(p.ca, p.address, lab.connect) for n, p in running.items()}
        self.transports: set[asyncio.Transport] = set()
        """Connections from the proxies."""
        self._waiting: dict[str, asyncio.Future[WsPeer]] = {}
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "Stage":
        context = self._certificates.server_context()
        loop = asyncio.get_running_loop()
        listening = self._lab.listen("127.0.0.1", 443)
        self._server = await loop.create_server(lambda: _Listener(self), sock=listening, ssl=context)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for transport in list(self.transports):
            transport.abort()
        await self._server.wait_closed()

    # -- from the client's side

    @asynccontextmanager
    async def http2(self, proxy: str, name: str) -> AsyncIterator[Http2Peer]:
        """A client of HTTP/2."""
        reader, writer = await self._networks[proxy]._tls(HOST, ["h2"])
        pseudo = {":method": "POST", ":scheme": "https", ":authority": HOST, ":path": PATH}
        request: Fields = [*pseudo.items(), *login().items(), ("x-proxy", proxy), ("x-case", name)]
        try:
            yield Http2Peer(reader, writer, request)
        finally:
            await _hang_up(writer)

    @asynccontextmanager
    async def sockets(self, proxy: str, name: str, deflate: Deflate | None) -> AsyncIterator[tuple[WsPeer, WsPeer]]:
        """Both ends of a WebSocket: the client's and the upstream's."""
        arrived = self._waiting[name] = asyncio.get_running_loop().create_future()
        reader, writer = await self._networks[proxy]._tls(HOST, None)
        words = deflate.words if deflate is not None else ""
        offered = {"sec-websocket-extensions": words, "x-agreed": words} if deflate is not None else {}
        fields = {
            "host": HOST,
            "connection": "Upgrade",
            "upgrade": "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": base64.b64encode(b"0123456789abcdef").decode(),
            **login(),
            "x-proxy": proxy,
            "x-case": name,
            **offered,
        }
        head = "\r\n".join(f"{field}: {value}" for field, value in fields.items())
        try:
            writer.write(f"GET {PATH} HTTP/1.1\r\n{head}\r\n\r\n".encode())
            status, _ = await read_head(reader)
            assert status == 101, status
            client = WsPeer(reader, writer.write, writer.close, client=True, deflate=deflate)
            upstream = await arrived
            upstream.agree(deflate)
            yield client, upstream
        finally:
            await _hang_up(writer)
            if arrived.done():
                arrived.result().drop()

    # -- upstream

    async def answer(self, request: Request, reply: Reply) -> None:
        """Answer as the request asks for; what the pool asks by itself is not found."""
        proxy = request.headers.get("x-proxy")
        if proxy is None:
            await _whole(reply, 404, b'{"detail":"Not Found"}')
            return
        if request.path == PATH:
            owner = read_token(request.headers["authorization"].partition(" ")[2])
            self.paid[proxy].add(owner.owner if owner is not None else "nobody")
        if request.upgrade:
            await self._upgrade(request, reply)
            return
        await _ANSWERS.get(request.headers.get("x-answer", ""), _sized)(request, reply)

    async def _upgrade(self, request: Request, reply: Reply) -> None:
        assert isinstance(reply, Http1Reply)
        digest = hashlib.sha1((request.headers["sec-websocket-key"] + _ACCEPT).encode()).digest()
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "upgrade: websocket",
            "connection: Upgrade",
            f"sec-websocket-accept: {base64.b64encode(digest).decode()}",
        ]
        if "x-agreed" in request.headers:
            lines.append(f"sec-websocket-extensions: {request.headers['x-agreed']}")
        engine: Any = reply._engine
        raw = _Raw()
        engine.transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        engine.upgraded(raw)
        peer = WsPeer(raw.reader, engine.transport.write, engine.transport.close, client=False)
        self._waiting.pop(request.headers["x-case"]).set_result(peer)
        await raw.over.wait()


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    try:
        await writer.wait_closed()
    except OSError:
        pass  # the other side was faster


class _Raw:
    """In the place of a fake's own WebSocket: bytes, for a peer to read."""

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader()
        self.over = asyncio.Event()

    def feed(self, data: bytes) -> None:
        """Bytes from the proxy."""
        self.reader.feed_data(data)

    def lost(self) -> None:
        """There will be no more."""
        self.reader.feed_eof()
        self.over.set()


class _Listener(asyncio.Protocol):
    """One connection from a proxy."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._transport: asyncio.Transport | None = None
        self._engine: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._stage.transports.add(transport)
        tls: ssl.SSLObject = transport.get_extra_info("ssl_object")
        engine = Http2 if tls.selected_alpn_protocol() == "h2" else Http1
        self._engine = engine(transport, Connection(0), self._stage.answer)

    def data_received(self, data: bytes) -> None:
        self._engine.data_received(data)

    def pause_writing(self) -> None:
        self._engine.writable.clear()

    def resume_writing(self) -> None:
        self._engine.writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is None:
            return
        self._stage.transports.discard(self._transport)
        socket = getattr(self._engine, "socket", None)
        if isinstance(socket, _Raw):
            socket.lost()
        else:
            self._engine.connection_lost()


# -- what a request can ask for


async def _whole(reply: Reply, status: int, body: bytes) -> None:
    await reply.head(status, [("content-type", "application/json")], len(body))
    await reply.data(body)
    await reply.end()


async def _sized(request: Request, reply: Reply) -> None:
    size = request.headers.get("x-answer")
    await _whole(reply, 200, b"x" * int(size) if size else b'{"id":"resp_1"}')


async def _echo(request: Request, reply: Reply) -> None:
    await _whole(reply, 200, request.body)


async def _size(request: Request, reply: Reply) -> None:
    await _whole(reply, 200, str(len(request.body)).encode())


async def _fields(request: Request, reply: Reply) -> None:
    found = "|".join(f"{name}: {value}" for name, value in request.fields if name == "x-test")
    await _whole(reply, 200, found.encode())


async def _trailers(request: Request, reply: Reply) -> None:
    found = "|".join(f"{name}: {value}" for name, value in request.fields if name == "x-trailer")
    await _whole(reply, 200, found.encode())


async def _with_trailers(_: Request, reply: Reply) -> None:
    await reply.head(200, [("content-type", "application/json")])
    await reply.data(b"{}")
    engine: Any = reply._engine  # type: ignore[attr-defined]
    engine.h2.send_headers(reply._id, [("x-trailer", "t")], end_stream=True)  # type: ignore[attr-defined]
    engine.flush()
    reply.ended = True


async def _nothing(_: Request, reply: Reply) -> None:
    await reply.head(204, [])
    await reply.end()


async def _events(_: Request, reply: Reply) -> None:
    await reply.head(200, [("content-type", "text/event-stream")])
    for number in range(3):
        await reply.data(f"data: {number}\n\n".encode())
    await reply.end()


async def _broken(_: Request, reply: Reply) -> None:
    await reply.head(200, [("content-type", "text/event-stream")])
    await reply.data(b"data: 0\n\n")
    await asyncio.sleep(READ_S)
    reply.cut()
    reply.ended = True


_ANSWERS = {
    "echo": _echo,
    "size": _size,
    "fields": _fields,
    "trailers": _trailers,
    "with-trailers": _with_trailers,
    "nothing": _nothing,
    "events": _events,
    "broken": _broken,
}
