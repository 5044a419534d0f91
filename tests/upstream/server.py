"""The listener: TLS, protocol choice by ALPN, and the way of a request from its head to its answer."""

import asyncio
import itertools
import re
import ssl
from functools import lru_cache

from h2.exceptions import ProtocolError

from tests.upstream import codex, codex_signin, copilot, copilot_signin
from tests.upstream.certs import Certificates
from tests.upstream.exchange import Exchange, Route
from tests.upstream.hosts import Site, serves_plan, site_of
from tests.upstream.http1 import Http1
from tests.upstream.http2 import Http2
from tests.upstream.journal import Journal
from tests.upstream.refusals import KINDS
from tests.upstream.tokens import Owned, read_token
from tests.upstream.wire import App, Connection, Reply, Request
from tests.upstream.world import BROKEN, HANDSHAKE, REQUEST, World

_ROUTES = (*codex.ROUTES, *codex_signin.ROUTES, *copilot.ROUTES, *copilot_signin.ROUTES)
_CODEX_SITES = frozenset({Site.CHATGPT, Site.OPENAI_AUTH})


class _Listener(asyncio.Protocol):
    """One accepted connection, before and after the choice of its HTTP version."""

    def __init__(self, number: int, app: App) -> None:
        self._connection = Connection(number)
        self._app = app
        self._engine: Http1 | Http2 | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        chosen = tls.selected_alpn_protocol() if tls else None
        self._connection.sni = getattr(tls, "asked_name", None)
        self._engine = (Http2 if chosen == "h2" else Http1)(transport, self._connection, self._app)

    def data_received(self, data: bytes) -> None:
        assert self._engine is not None
        self._engine.data_received(data)

    def pause_writing(self) -> None:
        if self._engine is not None:
            self._engine.writable.clear()

    def resume_writing(self) -> None:
        if self._engine is not None:
            self._engine.writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._engine is not None:
            self._engine.connection_lost()


class Upstream:
    """Every fake site behind one port."""

    def __init__(self, world: World, journal: Journal | None = None) -> None:
        self.world = world
        self.journal = journal or Journal()
        self._numbers = itertools.count(1)

    async def listen(self, certificates: Certificates | None, address: str, port: int) -> asyncio.Server:
        """Start to serve; without certificates over plain HTTP/1.1. Port 0 takes a free one."""
        context = certificates.server_context() if certificates else None
        if context is not None:
            context.sni_callback = _note_sni
        return await asyncio.get_running_loop().create_server(
            lambda: _Listener(next(self._numbers), self.answer), address, port, ssl=context, backlog=1024
        )

    async def answer(self, request: Request, reply: Reply) -> None:
        """Answer one request, and write down how that went."""
        entry = self.journal.open(request)
        exchange = Exchange(self.world, self.journal, request, reply, entry)
        try:
            await self._answer(exchange)
        except (asyncio.CancelledError, ProtocolError):
            entry.gone = exchange.answering
        finally:
            entry.sent_sha256 = exchange.sent.hexdigest()
            self.journal.finish(entry)

    async def _answer(self, exchange: Exchange) -> None:
        request, entry = exchange.request, exchange.entry
        site = site_of(request.host)
        exchange.provider = "codex" if site in _CODEX_SITES else "copilot"
        route, entry.model = _find(site, request.method, request.path)
        entry.route = route.name if route else ""
        exchange.note_facts()
        self._identify(exchange)
        behaviour = exchange.behaviour = self.world.pick(
            exchange.account,
            HANDSHAKE if request.upgrade else REQUEST,
            entry.route,
            request.host,
            entry.model,
            reused=request.nth > 1,
        )
        entry.answer = behaviour.kind
        if behaviour.kind in BROKEN:
            await exchange.break_off(behaviour.kind)
        elif behaviour.kind in KINDS:
            await exchange.refuse(behaviour)
        elif route is None:
            await _unknown_path(exchange, site)
        elif not await self._refused(exchange, route):
            await route.serve(exchange)

    def _identify(self, exchange: Exchange) -> None:
        entry, token = exchange.entry, _credential(exchange)
        if token is None:
            return
        owned = exchange.owned = read_token(token)
        exchange.account = self.world.accounts.get(owned.owner) if owned else None
        entry.account = exchange.account.name if exchange.account else "unknown"
        entry.kind = owned.kind if owned else None
        entry.generation = owned.generation if owned else None

    async def _refused(self, exchange: Exchange, route: Route) -> bool:
        """Whether the credential does not open this route."""
        if not route.auth:
            return False
        account, owned = exchange.account, exchange.owned
        code = self.world.accepts(owned)
        if code is not None or owned is None or account is None or owned.kind not in route.auth:
            await exchange.refuse(kind="unauthorized", code=code or "token_invalid")
        elif kind := _mismatch(exchange, owned, account.plan):
            await exchange.refuse(kind=kind)
        else:
            return False
        return True


def _mismatch(exchange: Exchange, owned: Owned, plan: str) -> str | None:
    """A good credential that does not fit the rest of the request."""
    request, entry = exchange.request, exchange.entry
    if owned.kind == "codex":
        return "forbidden" if entry.account_id not in (None, exchange.owner.account_id) else None
    if site_of(request.host) is not Site.CAPI:
        return None
    if not serves_plan(request.host, plan):
        return "misdirected"
    foreign = "copilot-session-token" in request.headers and entry.session != owned.owner
    return "selector" if foreign else None


def _credential(exchange: Exchange) -> str | None:
    if exchange.entry.route == "oauth-token":
        body = exchange.facts.body
        return str(body.get("refresh_token") or body.get("code", ""))
    header = exchange.request.headers.get("authorization")
    return header.partition(" ")[2] if header else None


async def _unknown_path(exchange: Exchange, site: Site) -> None:
    exchange.entry.answer = "unknown-path"
    if site in (Site.ELSEWHERE, Site.GITHUB_WEB):
        await exchange.answer(200, exchange.behaviour.body or {"host": exchange.request.host})
        return
    await exchange.answer(404, {"message": "Not Found", "detail": "Not Found"})


@lru_cache(maxsize=1024)
def _find(site: Site, method: str, path: str) -> tuple[Route | None, str | None]:
    """The route of a path, and the model that the path names."""
    for route in _ROUTES:
        if site in route.sites and route.method == method and (match := re.fullmatch(route.path, path)):
            return route, match[1] if match.re.groups else None
    return None, None


def _note_sni(tls: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
    tls.asked_name = name  # type: ignore[attr-defined] # read again in connection_made
