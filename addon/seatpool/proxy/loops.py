"""A way that leads back into this proxy: found at the first turn, refused once, and told once.

It comes of a name that resolves to us (a hosts file made for reverse mode), of a redirect that catches our own
connections as well, of another proxy that sends to us what we send to it, or of somebody who asks for our own address.
Nothing may be added to what goes upstream, so it is told by what is there anyway:

* the address that is asked for is one where we listen;
* a client's connection is one that we have opened ourselves: the same two ends, seen from the other side;
* a client's TLS begins with the very random number that stands in a hello of ours, or in one that we are forwarding.
  This goes through whatever lies between.
"""

import asyncio
import logging
from time import monotonic
from typing import Any

from mitmproxy import connection, ctx, http, tls
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import commands, events, layer, mode_specs, server_hooks

from seatpool.proxy.exchange import LOOP_DETECTED
from seatpool.proxy.listening import is_ours

logger = logging.getLogger(__name__)

BEFORE_A_BYTE = (mode_specs.ReverseMode, mode_specs.TransparentMode)
"""Modes that know where to go before the client has sent anything."""
REMEMBERED_S = 5.0
"""For so long after a loop was found, a request for that host that fails is told why. Attempts take less."""
TOLD_EVERY_S = 60.0
HELLO = slice(11, 43)
"""The random number in the first record of TLS: after 5 bytes of record, 4 of message and 2 of version (RFC 8446)."""
SETTLED_S = 0.05
"""A connection to oneself is open by then."""

Ends = tuple[Any, ...]


class Refused(layer.Layer):
    """A connection that nothing is done with but closing it."""

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.Start):
            yield commands.CloseConnection(self.context.client)


class Loops:
    """What this proxy has under way, as far as it would know it again."""

    def __init__(self) -> None:
        self._opened: dict[Ends, connection.Server] = {}
        """Our connections that stand, by their ends as their far side has them."""
        self._greeting: dict[str, tls.TlsData] = {}
        """Our handshakes that are under way."""
        self._opening: set[str] = set()
        self._hellos: dict[bytes, str] = {}
        """Clients that are there, by the number in their hello."""
        self._numbers: dict[str, bytes] = {}
        """The same by client."""
        self._found: dict[str, float] = {}
        self._told: dict[str, float] = {}

    def explains(self, host: str) -> str | None:
        """Why a request for that host has just failed, where a loop is why."""
        if monotonic() - self._found.get(host, -REMEMBERED_S) < REMEMBERED_S:
            return f"the way to {host} leads back into this proxy"
        return None

    def stops(self, nextlayer: layer.NextLayer) -> bool:
        """In a `next_layer` hook: whether TLS begins here that is on its way round."""
        data = nextlayer.data_client()
        context = nextlayer.context
        if nextlayer.layer or context.client.tls or len(data) < HELLO.stop or not starts_like_tls_record(data):
            return False
        number = bytes(data[HELLO])
        ours = self._opened_by_us(context.client) or self._greeted_with(number)
        # The same client again: its hello came in pieces.
        if ours is None and self._hellos.setdefault(number, context.client.id) == context.client.id:
            self._numbers[context.client.id] = number
            return False
        self._tell(ours or context.server)
        nextlayer.layer = Refused(context)
        return True

    # -- hooks

    def http_connect(self, flow: http.HTTPFlow) -> None:
        """A tunnel is asked for."""
        self._answer(flow)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """A request has come, inside a tunnel or not."""
        self._answer(flow)

    async def server_connect(self, data: server_hooks.ServerConnectionHookData) -> None:
        """Whatever came so far without being known: nothing is opened for ourselves, nor to ourselves."""
        address = data.server.address
        if address is None:
            return
        if ctx.options.connection_strategy == "eager" and isinstance(data.client.proxy_mode, BEFORE_A_BYTE):
            await self._settle()
        ours = self._opened_by_us(data.client)
        if ours is not None or is_ours(address, _listening()):
            self._tell(ours or data.server)
            data.server.error = f"the way to {address[0]}:{address[1]} leads back into this proxy"
        else:
            self._opening.add(data.server.id)

    def server_connected(self, data: server_hooks.ServerConnectionHookData) -> None:
        """Ours, from now on; nothing was sent over it yet."""
        self._opening.discard(data.server.id)
        self._opened[_ends(data.server.sockname, data.server.peername)] = data.server

    def server_connect_error(self, data: server_hooks.ServerConnectionHookData) -> None:
        """Never was."""
        self._opening.discard(data.server.id)

    def server_disconnected(self, data: server_hooks.ServerConnectionHookData) -> None:
        """Not any more."""
        self._opened.pop(_ends(data.server.sockname, data.server.peername), None)

    def tls_start_server(self, data: tls.TlsData) -> None:
        """We are about to greet an upstream; mitmproxy puts what will know the number into `data`."""
        self._greeting[data.conn.id] = data

    def tls_established_server(self, data: tls.TlsData) -> None:
        """Greeted."""
        self._greeting.pop(data.conn.id, None)

    def tls_failed_server(self, data: tls.TlsData) -> None:
        """In vain."""
        self._greeting.pop(data.conn.id, None)

    def client_disconnected(self, client: connection.Client) -> None:
        """What was begun for it is over."""
        number = self._numbers.pop(client.id, None)
        if number is not None:
            del self._hellos[number]
        for key in [key for key, data in self._greeting.items() if data.context.client.id == client.id]:
            del self._greeting[key]

    # -- looking

    async def _settle(self) -> None:
        """Wait for what is being opened now: who has opened this client's connection may not have been told yet."""
        pending, until = set(self._opening), monotonic() + SETTLED_S
        while pending & self._opening and monotonic() < until:  # noqa: ASYNC110 # which of many, and seldom
            await asyncio.sleep(0.002)

    def _answer(self, flow: http.HTTPFlow) -> None:
        if flow.response is not None or flow.client_conn.tls:  # what is inside TLS was looked at where that began
            return
        asked = (flow.request.host, flow.request.port)
        ours = self._opened_by_us(flow.client_conn)
        if ours is None and not is_ours(asked, _listening()):
            return
        self._tell(ours or connection.Server(address=asked), asked[0])
        words = f"seatpool: the way to {asked[0]}:{asked[1]} leads back into this proxy; the request was not sent on\n"
        flow.response = http.Response.make(LOOP_DETECTED, words, {"content-type": "text/plain"})

    def _opened_by_us(self, client: connection.Client) -> connection.Server | None:
        return self._opened.get(_ends(client.peername, client.sockname)) if self._opened else None

    def _greeted_with(self, number: bytes) -> connection.Server | None:
        for data in self._greeting.values():
            if data.ssl_conn is not None and data.ssl_conn.client_random() == number:
                return data.context.server
        return None

    def _tell(self, way: connection.Server, *hosts: str) -> None:
        host, port = (way.address or ("somewhere", 0))[:2]
        now = monotonic()
        _forget(self._found, now - REMEMBERED_S)
        _forget(self._told, now - TOLD_EVERY_S)
        self._found |= dict.fromkeys((host, way.sni or host, *hosts), now)
        if host not in self._told:
            self._told[host] = now
            logger.warning(
                "action=loop-refused address=%s:%s: the way there leads back into this proxy; look at the hosts file, "
                "at redirects that catch the proxy's own connections, and at the upstream proxy",
                host,
                port,
            )


def _listening() -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = ctx.master.addons.get("proxyserver").listen_addrs()
    return found


def _ends(one: Any, other: Any) -> Ends:
    """Addresses of IPv6 have four parts, of which two are a matter of who looks."""
    return (*(one or ())[:2], *(other or ())[:2])


def _forget(moments: dict[str, float], before: float) -> None:
    for key in [key for key, at in moments.items() if at < before]:
        del moments[key]
