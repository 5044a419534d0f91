"""`https://seatpool.test`: a host that this proxy answers itself, so that a client can see whether it gets here.

It never goes upstream. The name is reserved (RFC 6761), the certificate authority may vouch for it, and it is decrypted
whatever `allow_hosts` says. Plain `http://seatpool.test` through the proxy is answered as well: who asks so need not
trust anything. What is served is a table of paths; whatever else is asked for is the page's (`page`).
"""

import base64
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from mitmproxy import http
from mitmproxy.proxy import commands, events, layer, layers, server_hooks
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import RequestData, RequestEndOfMessage, ResponseData, ResponseEndOfMessage
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage

from seatpool.providers.registry import OWN_HOST
from seatpool.proxy.loops import Refused
from seatpool.proxy.page import OwnHttpLayer, Page
from seatpool.setup.pair import within

logger = logging.getLogger(__name__)

ECHO = "/echo"
"""Where a WebSocket gets back what it sends."""
FAILED, SEE = "action=own-host path=%s", "seatpool failed; see its log\n"
REPLACED = "seatpool's files were replaced after this proxy was started: end it, and start it anew"
_ACCEPTED = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, 1.3."""
_NO_STORE: Mapping[str, str] = MappingProxyType({"cache-control": "no-store", "x-content-type-options": "nosniff"})

Spot = Callable[[http.Request], http.Response]


def page(status: int, body: str | bytes, content_type: str = "text/plain; charset=utf-8") -> http.Response:
    """An answer of this host."""
    return http.Response.make(status, body, {"content-type": content_type, **_NO_STORE})


class Echo(layer.Layer):
    """In place of an upstream connection: a WebSocket server that says what it hears.

    It answers at the next turn of the loop, as a network would: mitmproxy's layers are not made to be answered at once.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._socket = Connection(ConnectionType.SERVER)
        self._due: list[ReceiveHttp] = []

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.Wakeup):
            due, self._due = self._due, []
            yield from due
        elif isinstance(event, RequestData):
            self._socket.receive_data(event.data)
            for heard in self._socket.events():
                if isinstance(heard, (TextMessage, BytesMessage)):
                    self._say(event.stream_id, self._socket.send(heard))
                elif isinstance(heard, (Ping, CloseConnection)):
                    self._say(event.stream_id, self._socket.send(heard.response()))
            if self._due:
                yield commands.RequestWakeup(0)
        elif isinstance(event, RequestEndOfMessage):
            self._due.append(ReceiveHttp(ResponseEndOfMessage(event.stream_id)))
            yield commands.RequestWakeup(0)

    def _say(self, stream_id: int, data: bytes) -> None:
        self._due.append(ReceiveHttp(ResponseData(stream_id, data)))


class OwnHost:
    """The router of this host."""

    def __init__(self, page: Page) -> None:
        self.pages: dict[str, Spot] = {ECHO: _upgraded}
        """Who answers a path, without its query, at a GET."""
        self._page = page

    def serves(self, nextlayer: layer.NextLayer) -> bool:
        """In a `next_layer` hook: whether HTTP begins here that is for us, inside TLS."""
        context = nextlayer.context
        if nextlayer.layer or context.client.sni != OWN_HOST or not context.client.tls_established:
            return False
        served = OwnHttpLayer(context, HTTPMode.transparent, self._page.streams)
        served.connections[context.server] = Echo(context.fork())
        nextlayer.layer = served
        return True

    def takes(self, nextlayer: layer.NextLayer, names: tuple[str, ...], host: str) -> bool:
        """The same for the TLS of a client that wants `host`, with an authority that may vouch for `names`.

        Those are empty where it is bound to nothing. One that is not for us ends the connection: it has nowhere to go.
        """
        if host != OWN_HOST:
            return False
        context = nextlayer.context
        if names and not within(host, names):
            nextlayer.layer = Refused(context)
            return True
        server_side = layers.ServerTLSLayer(context)
        server_side.child_layer = layers.ClientTLSLayer(context)
        nextlayer.layer = server_side
        return True

    def hide(self, flow: http.HTTPFlow) -> None:
        """In a `requestheaders` hook: what must not be seen in a list of flows is taken out before there is one."""
        if _is_ours(flow):
            self._page.hide(flow)

    # -- hooks

    def request(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Somebody asks us."""
        if not _is_ours(flow) or flow.response is not None:
            return None
        serve = self.pages.get(flow.request.path.partition("?")[0])
        if serve is None:
            return self._shown(flow)
        try:
            if flow.request.method not in ("GET", "HEAD"):
                flow.response = page(405, "Only GET is answered here.\n")
            else:
                flow.response = serve(flow.request)
        except Exception:
            logger.exception(FAILED, flow.request.path)
            flow.response = page(500, SEE)
        return None

    async def _shown(self, flow: http.HTTPFlow) -> None:
        """What the page is made of is loaded when it is first asked for, from files that may be others by then."""
        try:
            await self._page.answer(flow)
        except ImportError as error:
            logger.warning("action=own-host path=%s reason=%s: %s", flow.request.path, error, REPLACED)
            flow.response = page(503, f"{REPLACED}\n")
        except Exception:
            logger.exception(FAILED, flow.request.path)
            flow.response = page(500, SEE)

    def server_connect(self, data: server_hooks.ServerConnectionHookData) -> None:
        """By whatever way it came: this host is nowhere else."""
        if data.server.address is not None and data.server.address[0] == OWN_HOST:
            data.server.error = f"{OWN_HOST} is seatpool itself, and this was not asked in a way that it can answer"


def _is_ours(flow: http.HTTPFlow) -> bool:
    """By the name that TLS was made for; in the clear by what is asked for."""
    client = flow.client_conn
    return client.sni == OWN_HOST if client.tls else flow.request.pretty_host == OWN_HOST


def _upgraded(request: http.Request) -> http.Response:
    key = request.headers.get("sec-websocket-key", "")
    if request.headers.get("upgrade", "").lower() != "websocket" or not key or not request.is_http11:
        return page(426, "This is for WebSockets.\n")
    proof = base64.b64encode(hashlib.sha1(f"{key}{_ACCEPTED}".encode()).digest()).decode()  # noqa: S324 # RFC 6455
    switch = http.Response.make(
        101, b"", {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-accept": proof}
    )
    del switch.headers["content-length"]
    return switch
