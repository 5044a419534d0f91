"""Open WebSockets: closed between turns where the next one belongs elsewhere, and given another upstream within one.

Like `replay`, whose streams are the parents of what is here, this file knows mitmproxy's layers. How it works:

* `PoolWebsocketLayer` relays messages as mitmproxy's own layer does. Behind a message it looks at what the addon has
  decided about it: to close the socket, or to send the client's message again to another account.
* For the latter it asks its stream, by a command of ours, to open the upstream anew. The stream sends the handshake
  once more as it does for one that was refused, with everything that can follow from that, and says how it went. The
  layer waits meanwhile as for any hook: whatever the client says is kept for later.
* What still comes of the former upstream has the id of a former attempt, and is dropped.

What the clients make of a socket that is closed with 1000 between two turns (seen with the real ones):

* Codex 0.169 says nothing, waits for nothing and has all its retries left, be it closed right behind the last event of
  a turn or while it idles; the next turn opens a socket and repeats the conversation. An error in answer to that next
  turn is as silent, but costs 0.2 s and one of five retries.
* The Copilot CLI 1.0.102, between a tool's call and its result: another socket at once, with everything repeated.
* VS Code keeps a socket for one turn of the person, looks before each message whether it is still open, and repeats
  everything on a new one where it is not. An error in answer to a message costs a second, and three of them in a row
  turn its WebSockets off.
"""

import sys
import time
from dataclasses import dataclass
from typing import Any

from mitmproxy import http
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import websocket
from mitmproxy.proxy.layers.http import SendHttp
from mitmproxy.proxy.layers.http._events import ResponseEndOfMessage
from mitmproxy.proxy.layers.websocket import (
    Fragmentizer,
    WebsocketConnection,
    WebsocketLayer,
    WebSocketMessageInjected,
)
from mitmproxy.websocket import WebSocketMessage
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import CloseConnection, TextMessage
from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.frame_protocol import Opcode
from wsproto.utilities import generate_accept_token, split_comma_header

from seatpool.proxy.exchange import Exchange
from seatpool.proxy.layers.boundary import FROM_UPSTREAM, Boundary

QUIETLY = 1000
"""The code that costs the client nothing."""
ALIVE = 0.4
"""mitmproxy hangs up on whoever was silent for ten minutes (`tcp_timeout`), which a socket may be for an hour: after
this share of that time something happens."""

# A message that an addon has changed is cut into frames of 4,000 bytes, and each is decoded by itself: a character that
# a cut goes through, most likely of a prompt in Chinese or Russian, would become two marks of damage. mitmproxy says
# that this number is for addons to set; in one frame is how the clients send a message of any size.
Fragmentizer.FRAGMENT_SIZE = sys.maxsize


class Reopen(commands.Command):
    """Open the upstream anew, for the account that the exchange has by now."""

    blocking = True


@dataclass(repr=False)
class Reopened(events.CommandCompleted):
    """It is open, or cannot be had."""

    command: Reopen
    reply: bool


class CloseBetweenTurns(WebSocketMessageInjected):
    """The next turn belongs on another socket."""

    def __init__(self, flow: http.HTTPFlow) -> None:
        super().__init__(flow, WebSocketMessage(Opcode.TEXT, False, b""))


class PoolWebsocketLayer(WebsocketLayer):
    """mitmproxy's layer, and what the addon has decided about each message."""

    def __init__(self, context: Context, flow: http.HTTPFlow, exchange: Exchange) -> None:
        super().__init__(context, flow)
        self._exchange = exchange

    def start(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Begin, and see to it that silence is not taken for death."""
        yield from super().start(event)
        yield self._alarm()

    _handle_event = start

    def relay_messages(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Relay what has come."""
        if type(event) is events.Wakeup:
            yield self._alarm()
        elif type(event) is CloseBetweenTurns:
            if self._is_idle():
                yield from self._close()
        else:
            yield from self._relay(event)

    def done(self, event: events.Event) -> layer.CommandGenerator[None]:
        """It is over, whatever comes."""
        yield from ()

    def _relay(self, event: events.Event) -> layer.CommandGenerator[None]:
        exchange = self._exchange
        if isinstance(event, events.ConnectionEvent) and event.connection not in (
            self.client_ws.conn,
            self.server_ws.conn,
        ):
            return  # of an upstream that was left, and kept for later meanwhile
        breaks_off = self._breaks_off(event)
        relay, reply = super().relay_messages(event), None
        while True:
            try:
                command = relay.send(reply)
            except StopIteration:
                break
            if breaks_off and type(command) is commands.SendData:
                continue  # what mitmproxy says in its place; nobody replies to such a command
            reply = yield command
            if exchange.moving is not None:
                relay.close()  # what else has come of the former upstream is nobody's
                yield from self._move(*exchange.moving)
                return
        if exchange.closing and self._is_idle():
            yield from self._close()

    def _breaks_off(self, event: events.Event) -> bool:
        """Whether the upstream goes without a word amid a turn. To its client that is 1006, which stands for a failure.

        Clients try again for that, and not for the 1000 that mitmproxy would say (openclaw/openclaw#148008).
        """
        gone = isinstance(event, events.ConnectionClosed) and event.connection is self.server_ws.conn
        return gone and not self._is_idle()

    def _is_idle(self) -> bool:
        trail = self._exchange.trail
        begun = any(self.client_ws.frame_buf)  # a message that has not come whole yet
        return self._handle_event == self.relay_messages and not begun and trail is not None and trail.turn is None

    def _move(self, content: bytes, instead: bytes) -> layer.CommandGenerator[None]:
        exchange = self._exchange
        exchange.moving = None
        if self.server_ws.state is ConnectionState.OPEN:
            yield self.server_ws.send2(CloseConnection(QUIETLY))
        moved = yield Reopen()
        if not moved:
            if self.client_ws.state is ConnectionState.OPEN:
                yield self.client_ws.send2(TextMessage(instead.decode("utf-8", "replace")))
            yield from self._close()
            return
        assert self.flow.response is not None
        self.server_ws = WebsocketConnection(
            ConnectionType.CLIENT, extensions_of(self.flow.response), conn=self.context.server
        )
        # It takes the same way as when the client sent it, ahead of whatever that one has sent since.
        told = TextMessage(content.decode("utf-8", "replace"))
        self.client_ws._events.appendleft(told)  # noqa: SLF001 # wsproto's queue has no front for others
        yield from self._relay(events.DataReceived(self.context.client, b""))

    def _close(self) -> layer.CommandGenerator[None]:
        data = self.flow.websocket
        assert data is not None
        data.timestamp_end, data.closed_by_client = time.time(), False
        data.close_code, data.close_reason = QUIETLY, ""
        for ws in (self.server_ws, self.client_ws):
            if ws.state in (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING):
                yield ws.send2(CloseConnection(QUIETLY))
            yield commands.CloseConnection(ws.conn)
        self._handle_event = self.done  # type: ignore[method-assign] # a layer's way to another state
        yield websocket.WebsocketEndHook(self.flow)
        self.flow.live = False

    def _alarm(self) -> commands.RequestWakeup:
        """Anything that happens counts as a sign of life, a timer of ours as well."""
        return commands.RequestWakeup(ALIVE * self.context.options.tcp_timeout)


def extensions_of(response: http.Response) -> list[Extension]:
    """What was agreed on with the upstream."""
    agreed: list[Extension] = []
    for stated in split_comma_header(response.headers.get("sec-websocket-extensions", "").encode("ascii", "replace")):
        if stated.split(";", 1)[0].strip() == PerMessageDeflate.name:
            deflate = PerMessageDeflate()
            deflate.finalize(stated)
            agreed.append(deflate)
    return agreed


def is_open(flow: http.HTTPFlow) -> bool:
    """Whether the answer to a handshake opens the socket."""
    request, response = flow.request, flow.response
    if response is None or response.status_code != 101:
        return False
    proof = generate_accept_token(request.headers.get("sec-websocket-key", "").encode())
    upgraded = response.headers.get("upgrade", "").lower() == "websocket"
    return bool(upgraded and response.headers.get("sec-websocket-accept", "").encode() == proof)


class Upgraded(Boundary):
    """What a stream is once its handshake went well. The handshake itself is sent by its child class."""

    _reopening: Reopen | None = None
    """The upstream is being opened anew."""
    _opened: http.Response | None = None
    """The answer to the handshake that the client knows."""

    def flow_done(self) -> layer.CommandGenerator[None]:
        """As in the parent class, with a layer of ours for a WebSocket that the pool has a hand in."""
        exchange = self._exchange
        if not self.flow.websocket or exchange is None or exchange.trail is None:
            yield from super().flow_done()
            return
        self.child_layer = PoolWebsocketLayer(self.context, self.flow, exchange)
        self._handle_event = self.passthrough  # type: ignore[method-assign] # a layer's way to another state
        yield from self.child_layer.handle_event(events.Start())
        yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)

    def passthrough(self, event: events.Event) -> layer.CommandGenerator[None]:
        """An open WebSocket's bytes; those of its present upstream, and of no other."""
        if isinstance(event, FROM_UPSTREAM):
            if event.stream_id != self._upstream_id:
                return
            if self._reopening is not None:
                yield from type(self)._handle_event(self, event)  # noqa: SLF001 # its own, as before the upgrade
                return
        if self._reopening is None:
            yield from self._relayed(super().passthrough(event))
            return
        # The client's: our layer keeps it until the upstream is open, but mitmproxy looks at the answer all the same.
        answer, self.flow.response = self.flow.response, self._opened
        yield from self._relayed(super().passthrough(event))
        self.flow.response = answer

    def _relayed(self, relay: layer.CommandGenerator[None]) -> layer.CommandGenerator[None]:
        for command in relay:
            if type(command) is Reopen:
                self._reopening, self._opened = command, self.flow.response
                yield from self._open_again()
            else:
                yield command

    def _open_again(self) -> layer.CommandGenerator[None]:
        """Send the handshake to the account that the exchange has by now."""
        raise NotImplementedError

    def _end_reopening(self) -> layer.CommandGenerator[None]:
        """There is an answer to the new handshake, or none will come."""
        command, self._reopening = self._reopening, None
        assert command is not None
        opened = is_open(self.flow)
        if not opened:
            self.flow.response = self._opened
        self._opened = None
        self.server_state = self.state_done
        yield from self._relayed(super().passthrough(Reopened(command, opened)))


def close_between_turns(flow: http.HTTPFlow, proxyserver: Any) -> None:
    """Have the layer of an open WebSocket close it, unless a turn has begun by then."""
    try:
        proxyserver.inject_event(CloseBetweenTurns(flow))
    except ValueError:
        pass  # it is gone already
