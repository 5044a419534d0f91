"""The page through the proxy: mitmproxy's requests become visits, and answers that go on become streams.

`flow.response` is a whole answer, and `flow.response.stream` sees what comes from a server. So an answer that goes on
has to come from one: `OwnHttpLayer` puts a `Desk` in its place, a layer that waits in a hook of our own for what there
is to be said. Nothing listens, nothing is connected, and HTTP/1 and HTTP/2 are mitmproxy's affair.

What the page is made of is loaded when it is first asked for.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from mitmproxy import connection, ctx, http
from mitmproxy.connection import ConnectionState, Server
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import GetHttpConnection, GetHttpConnectionCompleted, HttpLayer, HTTPMode, HttpStream
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    RequestEndOfMessage,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
)

from seatpool.clock import utcnow
from seatpool.core.model import Account
from seatpool.providers.registry import OWN_HOST
from seatpool.service.pool import PoolService
from seatpool.store import Store

if TYPE_CHECKING:
    from seatpool.page.listener import Listener
    from seatpool.page.site import Site
    from seatpool.page.visit import Answer, Stream

logger = logging.getLogger(__name__)

TOKEN_HEADER = "x-seatpool-token"  # noqa: S105 # a name; as in `page.visit`, which is not to be loaded for it
HOSTS = frozenset({OWN_HOST})


class Piece:
    """What a desk waits for."""

    def __init__(self, stream: "Stream") -> None:
        self.stream = stream
        self.data: bytes | None = None


@dataclass
class PoolPageHook(commands.StartHook):
    """The next piece of an answer that goes on is waited for."""

    name = "pool_page"
    piece: Piece


Streams = dict[int, tuple[http.Response, "Stream"]]
"""Answers that are about to go on, by the identity of their request."""


class Desk(layer.Layer):
    """In the place of an upstream connection: gives out one answer that goes on."""

    def __init__(self, context: Context, response: http.Response, stream: "Stream") -> None:
        super().__init__(context)
        self._response, self._stream = response, stream
        self.over = False

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, RequestEndOfMessage):
            yield from self._give(event.stream_id)
        elif isinstance(event, RequestProtocolError):
            self._stream.close()

    def _give(self, stream_id: int) -> layer.CommandGenerator[None]:
        piece = Piece(self._stream)
        yield PoolPageHook(piece)
        yield ReceiveHttp(ResponseHeaders(stream_id, self._response, end_stream=False))
        while piece.data is not None:
            yield ReceiveHttp(ResponseData(stream_id, piece.data))
            yield PoolPageHook(piece)
        self.over = True
        yield ReceiveHttp(ResponseEndOfMessage(stream_id))


class OwnHttpLayer(HttpLayer):
    """mitmproxy's HTTP layer, where one of the servers is ourselves."""

    def __init__(self, context: Context, mode: HTTPMode, streams: Streams) -> None:
        super().__init__(context, mode)
        self._streams = streams

    def get_connection(self, event: GetHttpConnection, *, reuse: bool = True) -> layer.CommandGenerator[None]:
        """Get a connection; for a request that was answered with what goes on, a desk: by whatever name it came."""
        asking = self.command_sources.get(event) if self._streams else None
        told = self._streams.pop(id(asking.flow.request), None) if isinstance(asking, HttpStream) else None
        if asking is None or told is None:
            yield from super().get_connection(event, reuse=reuse)
            return
        for former in [each for each, desk in self.connections.items() if isinstance(desk, Desk) and desk.over]:
            del self.connections[former]
        server = Server(address=event.address)
        server.state = ConnectionState.OPEN
        self.connections[server] = Desk(self.context.fork(), *told)
        del self.command_sources[event]
        yield from self.event_to_child(asking, GetHttpConnectionCompleted(event, (server, None)))


class Page:
    """One per proxy. An addon of its own."""

    def __init__(self, store: Callable[[], Store | None], service: Callable[[], PoolService | None]) -> None:
        """Each None while the database is away."""
        self._store = store
        self._service = service
        self._site: Site | None = None
        self._listener: Listener | None = None
        self._opening: asyncio.Task[None] | None = None
        self._tokens: dict[str, tuple[str, str]] = {}
        """By flow, from its head until it is answered; with their client."""
        self._open: WeakKeyDictionary[Stream, str] = WeakKeyDictionary()
        """Answers that go on, with their client."""
        self.streams: Streams = {}

    def site(self) -> "Site":
        """Loaded when it is first asked for. No property: mitmproxy asks an addon for those when it is added."""
        if self._site is None:
            from seatpool.page.site import Site

            self._site = Site(self._store, self._changed, metrics=self._metrics)
        return self._site

    @property
    def addresses(self) -> list[str]:
        """Where the page is reached without the proxy."""
        return [f"http://127.0.0.1:{self._listener.port}/"] if self._listener is not None else []

    @property
    def viewers(self) -> int:
        """How many are looking."""
        return len(self._site.board) if self._site is not None else 0

    def attends(self, nextlayer: layer.NextLayer, builtin: Any) -> None:
        """In a `next_layer` hook: let the built-in addon choose, and be there where it chose HTTP without TLS."""
        context = nextlayer.context
        if context.client.tls:
            return
        builtin.next_layer(nextlayer)
        chosen = nextlayer.layer
        if type(chosen) is HttpLayer:
            context.layers.remove(chosen)
            nextlayer.layer = OwnHttpLayer(context, chosen.mode, self.streams)

    # -- a request

    def hide(self, flow: http.HTTPFlow) -> None:
        """Take the token out of a flow, which others can see and which may be kept."""
        token = flow.request.headers.pop(TOKEN_HEADER, None)
        if token is not None and flow.response is None:
            self._tokens[flow.id] = (flow.client_conn.id, token)

    async def answer(self, flow: http.HTTPFlow) -> None:
        """Whatever is asked for."""
        from seatpool.page.visit import Visit

        request = flow.request
        hosts = request.headers.get_all("host") or [request.authority or f"{request.host}:{request.port}"]
        headers = {name.lower(): value for name, value in request.headers.items()}
        scheme = "https" if flow.client_conn.tls else "http"
        _, token = self._tokens.pop(flow.id, ("", ""))
        visit = Visit(request.method, request.path, scheme, tuple(hosts), headers, token)
        given = await self.site().answer(visit, HOSTS)
        response = _response(given, request)
        if given.stream is None:
            flow.response = response
        elif not flow.live or flow.error is not None:
            given.stream.close()  # it left meanwhile
        else:
            self._open[given.stream] = flow.client_conn.id
            self.streams[id(request)] = (response, given.stream)

    # -- hooks

    def configure(self, updated: set[str]) -> None:
        """The page's own port, from when the proxy runs."""
        if "pool_page_port" in updated and self._opening is not None:
            self._opening = asyncio.create_task(self._move(self._opening))

    def running(self) -> None:
        """Listen, if that is wanted."""
        self._opening = asyncio.create_task(self._move(None))

    async def pool_page(self, piece: Piece) -> None:
        """A desk waits."""
        piece.data = await piece.stream.next()

    def client_disconnected(self, client: connection.Client) -> None:
        """Nobody is there any more."""
        if self._site is None:
            return
        for stream in [stream for stream, client_id in self._open.items() if client_id == client.id]:
            stream.close()
        for flow_id in [flow_id for flow_id, (client_id, _) in self._tokens.items() if client_id == client.id]:
            del self._tokens[flow_id]

    async def done(self) -> None:
        """End what goes on."""
        if self._opening is not None:
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._site is not None:
            await self._site.board.close()
        if self._listener is not None:
            await self._listener.close()

    # -- inside

    async def _move(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before
        if self._listener is not None:
            listener, self._listener = self._listener, None
            await listener.close()
        port = ctx.options.pool_page_port
        if not port:
            return
        from seatpool.page.listener import Listener

        # no bound method of the site, which would load it before anybody visits
        listener = Listener(lambda visit, hosts: self.site().answer(visit, hosts))
        try:
            await listener.open(port)
        except OSError as error:
            logger.warning("action=no-page port=%d reason=%s", port, error.strerror or error)
            return
        self._listener = listener
        logger.info("action=page address=%s", self.addresses[0])

    def _metrics(self) -> Callable[[], str] | None:
        service = self._service()
        return service.metrics() if service is not None else None

    def _changed(self, account: Account, rested: bool) -> None:
        """So that the very next request is served as was just said; others hear of it from the store."""
        service = self._service()
        if service is not None:
            now, state = utcnow(), service.knowledge.state
            state.put(account, now)
            for scope in tuple(state.cooldowns.get(account.id, ())) if rested else ():
                state.lift(account.id, scope, now)
            service.knowledge.changed()


def _response(given: "Answer", request: http.Request) -> http.Response:
    response = http.Response.make(given.status, given.body, given.headers)
    if given.stream is not None or given.status in (204, 304):
        del response.headers["content-length"]
    elif request.method == "HEAD":
        response.raw_content = b""
    if given.stream is not None and request.is_http11:
        response.headers["transfer-encoding"] = "chunked"
    response.stream = given.stream is not None
    return response
