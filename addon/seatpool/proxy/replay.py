"""The replay layer: mitmproxy's own HTTP layer, able to send a refused request again before the client sees anything.

Everything that knows mitmproxy's layers is in this file, in `connections`, `goaway` and `sockets`. They rely on names
that mitmproxy does not promise to keep; `missing_seams` checks them at start-up. How it works:

* `PoolHttpLayer` replaces the `HttpLayer` behind client TLS on pooled hosts, and makes a `PoolHttpStream` per request.
* Where a refusal was read whole, or a connection failed before a byte of an answer, the stream starts a hook of our
  own. The addon decides asynchronously and leaves its decision in the flow's exchange.
* To send again, the stream waits for response headers once more, gets a connection and sends everything anew. What
  comes then streams as any first answer does.
* HTTP/2 maps a client's stream id to an upstream's once and for all, so every further attempt runs under a fresh, even
  id (clients use odd ones); ids are translated where events come in and commands go out. So late news of a former
  attempt are told from those of the present one, over HTTP/1 as well.
* As long as the client has seen nothing, whatever ends an attempt ends in an answer of the provider's kind, never in
  one of mitmproxy's pages. How long an attempt may take is in `limits`, what its failure means in `failures`.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import signature
from time import monotonic
from types import MappingProxyType
from typing import Any, cast

from mitmproxy import http
from mitmproxy.connection import Connection, Server
from mitmproxy.net.http.validate import validate_headers
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import (
    DropStream,
    GetHttpConnection,
    HttpLayer,
    HTTPMode,
    HttpStream,
    RegisterHttpConnection,
    SendHttp,
)
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    RequestTrailers,
    ResponseData,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._hooks import HttpRequestHeadersHook

from seatpool.core.outcome import Outcome
from seatpool.providers.registry import provider_of
from seatpool.proxy import sockets
from seatpool.proxy.connections import Connecting, FreshHttpConnection
from seatpool.proxy.exchange import Exchange, Exchanges, ForeignHostError
from seatpool.proxy.failures import LOST, MALFORMED, TIMED_OUT, Sent, failure_of
from seatpool.proxy.limits import Clock, Overdue, asks_for_stream
from seatpool.proxy.sockets import FROM_UPSTREAM, Upgraded

logger = logging.getLogger(__name__)

FIRST_REFUSAL = 400
"""Statuses from here on may be answered by another attempt."""


@dataclass
class PoolRecoverHook(commands.StartHook):
    """An attempt was refused or failed before a byte of an answer; decide what follows."""

    name = "pool_recover"
    flow: http.HTTPFlow


class PoolHttpLayer(Connecting):
    """mitmproxy's HTTP layer with streams that can replay."""

    def __init__(self, context: Context, mode: HTTPMode, exchanges: Exchanges) -> None:
        super().__init__(context, mode)
        self.exchanges = exchanges
        self.carried: set[Connection] = set()
        self.clock = Clock(exchanges.limits, self._is_lost)
        self._fresh_id = 0

    def fresh_id(self) -> int:
        """A stream id that no client uses."""
        self._fresh_id += 2
        return self._fresh_id

    def make_stream(self, stream_id: int) -> layer.CommandGenerator[None]:
        """Make a stream that can replay."""
        self.streams[stream_id] = PoolHttpStream(self.context.fork(), stream_id, self)
        yield from self.event_to_child(self.streams[stream_id], events.Start())

    def _is_lost(self, stream_id: int) -> bool:
        stream = self.streams.get(stream_id)
        return isinstance(stream, PoolHttpStream) and stream.is_lost


class PoolHttpStream(Upgraded):
    """One request, sent as often as the pool decides."""

    def __init__(self, context: Context, stream_id: int, pool_layer: PoolHttpLayer) -> None:
        super().__init__(context, stream_id)
        self._layer = pool_layer
        self._exchange: Exchange | None = None
        self._upstream_id = stream_id
        self._reused = False
        self._replaying = False
        self._fresh_connection = False
        self._asked: GetHttpConnection | None = None
        self._gave_up = False

    # -- the boundary: ids and credentials are translated here

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Take in an event. While a hook is waited for, mitmproxy keeps it for later: but who left need not wait."""
        if type(event) is Overdue:
            return self._overdue()
        if isinstance(event, RequestProtocolError) and self._exchange is not None:
            self._exchange.gone = True
            self._exchange.left()
        return super().handle_event(event)

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, FROM_UPSTREAM):
            if event.stream_id != self._upstream_id:
                return _nothing()  # late news of an attempt that is over
            if type(event) is ResponseData:
                # The bulk of a stream: nothing that follows from it needs translation, so no generator stands between.
                tap = self._exchange.tap if self._exchange is not None else None
                if tap is not None and tap.alone and self.server_state == self.state_stream_response_body:
                    return self._pass_on(tap(event.data))
                return cast("layer.CommandGenerator[None]", super()._handle_event(event))
            if isinstance(event, ResponseHeaders) and self._exchange is not None:
                self._exchange.receive(event.response)
                if event.response.status_code < FIRST_REFUSAL:
                    self._layer.clock.forget(self.stream_id)
        return self._translated(super()._handle_event(event))

    def _pass_on(self, data: bytes) -> layer.CommandGenerator[None]:
        """What mitmproxy's own state does with streamed data that nobody changes or keeps, at half the cost."""
        yield SendHttp(ResponseData(self.stream_id, data), self.context.client)

    def _translated(self, generator: layer.CommandGenerator[None]) -> layer.CommandGenerator[None]:
        reply = None
        while True:
            try:
                command = generator.send(reply)
            except StopIteration:
                return
            if type(command) is DropStream and command.stream_id == self.stream_id:
                self._layer.clock.forget(self.stream_id)
                if self._upstream_id != self.stream_id:
                    yield DropStream(self._upstream_id)
            reply = yield self._translate(command)

    def _translate(self, command: commands.Command) -> commands.Command:
        if isinstance(command, SendHttp):
            to_client = command.connection is self.context.client
            command.event.stream_id = self.stream_id if to_client else self._upstream_id
            if isinstance(command.event, RequestHeaders):
                command.event.request = self._wire(command.event.request, command.connection)
            elif isinstance(command.event, RequestData) and self._exchange is not None:
                command.event.data = self._exchange.take_body(command.event.data)
            elif isinstance(command.event, ResponseHeaders) and self._exchange is not None:
                command.event.response = self._exchange.deliver(command.event.response)
            elif isinstance(command.event, ResponseData) and self._exchange is not None:
                command.event.data = self._exchange.hidden_body or command.event.data
        elif isinstance(command, HttpRequestHeadersHook):
            provider = provider_of(self.flow.request.pretty_host)
            if provider is not None:
                self._exchange = self._layer.exchanges.begin(self.flow, provider)
        elif type(command) is GetHttpConnection:
            if self._fresh_connection:
                command = FreshHttpConnection(command.address, command.tls, command.via, command.transport_protocol)
                command.former = self.context.server
            self._asked = command
        return command

    def _wire(self, request: http.Request, connection: Connection) -> http.Request:
        if self._exchange is None:
            return request
        assert isinstance(connection, Server)
        host, port = connection.address or ("", 0)
        upstream = f"{'https' if connection.tls else 'http'}://{connection.sni or host}:{port}"
        try:
            return self._exchange.wire(request, upstream)
        except ForeignHostError as error:
            # Another addon or option sent the flow elsewhere: it goes there as if the pool were not here.
            logger.warning("%s", error)
            self._exchange.withheld = True
            return self._exchange.wire(request, upstream)

    @property
    def _on_http2(self) -> bool:
        return self.context.server.alpn == b"h2"

    # -- sending again

    def make_server_connection(self) -> layer.CommandGenerator[bool]:
        """Get a connection, and an id of its own for a further attempt."""
        self._gave_up = False
        clock, exchange = self._layer.clock, self._exchange
        # What goes on as the editor sent it takes the time that it takes.
        limited = exchange is not None and exchange.assignment is not None
        if limited and (timer := clock.watch(self.stream_id, clock.limits.connect_s)) is not None:
            yield from self._start(timer)
        ok = yield from super().make_server_connection()
        if not ok:
            return False
        limit_s = clock.limits.connect_s if self._is_handshake else clock.limits.header_s
        if limited and (timer := clock.watch(self.stream_id, limit_s)) is not None:
            yield from self._start(timer)
        connection = self.context.server
        self._reused = connection in self._layer.carried
        self._layer.carried.add(connection)
        if self._upstream_id != self.stream_id:
            yield DropStream(self._upstream_id)
        self._upstream_id = self._layer.fresh_id() if self._replaying else self.stream_id
        self._layer.streams[self._upstream_id] = self
        return True

    def _send_again(self) -> layer.CommandGenerator[None]:
        self._replaying = True
        self.flow.response = None
        self.flow.error = None
        self.response_body_buf.clear()
        self.server_state = self.state_wait_for_response_headers
        former = self.context.server
        if self._fresh_connection and former.connected and not self._on_http2:
            # mitmproxy opens five connections to one address for one client: those left open would soon use them up.
            yield commands.CloseConnection(former)
        if not (yield from self.make_server_connection()):
            return
        if self._opening is not None and self._exchange is not None and self._exchange.assignment is None:
            yield from self._end_opening()  # the client has left meanwhile
            return
        request = self.flow.request
        content = request.raw_content
        bare = not (content or request.trailers)
        yield SendHttp(RequestHeaders(self.stream_id, request, bare), self.context.server)
        if content:
            yield SendHttp(RequestData(self.stream_id, content), self.context.server)
        if request.trailers:
            yield SendHttp(RequestTrailers(self.stream_id, request.trailers), self.context.server)
        yield SendHttp(RequestEndOfMessage(self.stream_id), self.context.server)

    def _open_again(self) -> layer.CommandGenerator[None]:
        self._fresh_connection = True
        yield from self._translated(self._send_again())

    def _recover(self, failure: Outcome | None) -> layer.CommandGenerator[bool]:
        """Ask the pool. True: the stream goes on by itself (another attempt, or the client is gone)."""
        exchange = self._exchange
        if exchange is None or exchange.assignment is None:
            return False
        self._layer.clock.forget(self.stream_id)
        exchange.failure, exchange.again, exchange.answer = failure, None, None
        yield PoolRecoverHook(self.flow)
        if (yield from self.check_killed(True)):
            return True
        if exchange.again is None:
            return False
        self._fresh_connection = failure is not None or self._about_to_close()
        yield from self._send_again()
        return True

    def check_body_size(self, request: bool) -> layer.CommandGenerator[bool]:
        """A body that is to be sent again, and a refusal that is to be read, are not streamed away for being large."""
        exchange, response = self._exchange, self.flow.response
        refusal = response is not None and response.status_code >= FIRST_REFUSAL
        if exchange is not None and exchange.route is not None and (request or refusal):
            return False
        return (yield from super().check_body_size(request))

    def _about_to_close(self) -> bool:
        """Whether the upstream can be expected to drop the HTTP/1 connection behind this refusal, announced or not.

        Seen after refused upgrades and bad credentials. Another connection that dies before a byte of its answer is
        replaced all the same, so this guess costs time at worst.
        """
        response = self.flow.response
        if self._on_http2 or response is None:
            return False
        return response.status_code == 401 or "upgrade" in self.flow.request.headers

    # -- the places where an attempt ends without an answer that the client should see

    def send_response(self, already_streamed: bool = False) -> layer.CommandGenerator[None]:
        """Deliver the answer, unless it is a refusal and the pool has something better."""
        response = self.flow.response
        assert response is not None
        if not already_streamed and response.status_code >= FIRST_REFUSAL and (yield from self._recover(None)):
            return
        if self._opening is not None:
            yield from self._end_opening()
            return
        if self._exchange is not None and not already_streamed:
            self._exchange.hide_body(self.flow)
        yield from super().send_response(already_streamed)

    def check_invalid(self, request: bool) -> layer.CommandGenerator[bool]:
        """A head that nobody should trust is no answer."""
        response = self.flow.response
        if request or self._exchange is None or response is None or not self.context.options.validate_inbound_headers:
            return (yield from super().check_invalid(request))
        try:
            validate_headers(response)
        except ValueError:
            self.flow.response = None
            yield SendHttp(RequestProtocolError(self.stream_id, MALFORMED, ErrorCode.CANCEL), self.context.server)
            malformed = ResponseProtocolError(self.stream_id, MALFORMED, ErrorCode.GENERIC_SERVER_ERROR)
            yield from self.handle_protocol_error(malformed)
            return True
        return False

    def handle_protocol_error(
        self, event: RequestProtocolError | ResponseProtocolError
    ) -> layer.CommandGenerator[None]:
        """Recover from an upstream that failed before the client saw anything, else say so in the provider's words."""
        exchange = self._exchange
        waiting = self.server_state == self.state_wait_for_response_headers
        unseen = self.client_state == self.state_done and (
            waiting or self.server_state == self.state_consume_response_body
        )
        if exchange is None or not unseen or not isinstance(event, ResponseProtocolError):
            yield from super().handle_protocol_error(event)
            return
        response = self.flow.response
        failure = self._failure(event) if waiting else None
        refusal = response if response is not None and response.status_code >= FIRST_REFUSAL else None
        yield from self._hear_no_more()
        if refusal is not None:
            exchange.mend(refusal, bytes(self.response_body_buf))
        if (waiting or refusal is not None) and (yield from self._recover(failure)):
            return
        if self._opening is not None:
            yield from self._end_opening()
            return
        exchange.broke_off = not waiting and refusal is None
        reason = failure.code if failure is not None else "broke-off"
        self.flow.response = exchange.answer or refusal or exchange.apology(502, reason)
        yield from super().send_response()

    def _hear_no_more(self) -> layer.CommandGenerator[None]:
        """The attempt is over, whatever still comes of it."""
        if self._upstream_id != self.stream_id:
            yield DropStream(self._upstream_id)
        self._upstream_id = self._layer.fresh_id()

    def _failure(self, event: ResponseProtocolError) -> Outcome:
        exchange = self._exchange
        assert exchange is not None
        sent = Sent(
            reused=self._reused,
            waited_s=monotonic() - exchange.sent_at,
            handshake=self._is_handshake,
            timed_out=self._gave_up,
            number=self._layer.number_of(self.context.server, self._upstream_id),
        )
        return failure_of(event, sent)

    # -- time

    @property
    def _is_handshake(self) -> bool:
        exchange = self._exchange
        return exchange is not None and exchange.route is not None and exchange.route.websocket

    def _start(self, timer: commands.RequestWakeup) -> layer.CommandGenerator[None]:
        yield timer
        self._layer.command_sources[timer] = cast("layer.Layer", self._layer.clock)

    def _overdue(self) -> layer.CommandGenerator[None]:
        """Outside of `_handle_event`: most of what takes long has paused this stream."""
        opening = self._layer.opening(self._asked)
        if opening is not None:
            if opening.timestamp_start is None:
                # It has its turn when one of the client's other connections to this address is over.
                self._layer.clock.watch(self.stream_id, self._layer.clock.limits.connect_s)
                return
            self._gave_up = True
            yield commands.CloseConnection(opening)
        elif self.is_lost or self._is_limited():
            message = LOST if self.is_lost else TIMED_OUT
            if not self._layer.unqueue(self.context.server, self._upstream_id):
                yield SendHttp(RequestProtocolError(self._upstream_id, message, ErrorCode.CANCEL), self.context.server)
            over = ResponseProtocolError(self._upstream_id, message, ErrorCode.GENERIC_SERVER_ERROR)
            yield from super().handle_event(over)

    @property
    def _is_sent(self) -> bool:
        return self._paused is None and self.client_state == self.state_done

    @property
    def is_lost(self) -> bool:
        """Whether its answer is waited for on a connection that is no more, and nobody has said so."""
        waiting = self.server_state == self.state_wait_for_response_headers
        return self._is_sent and waiting and not self.context.server.connected

    def _is_limited(self) -> bool:
        if not self._is_sent:
            return False
        if self.server_state == self.state_wait_for_response_headers:
            return self._is_handshake or asks_for_stream(self.flow.request)
        return bool(self.server_state == self.state_consume_response_body)


def _nothing() -> layer.CommandGenerator[None]:
    """Nothing follows."""
    yield from ()


def install(nextlayer: layer.NextLayer, builtin: Any, exchanges: Exchanges) -> None:
    """In a `next_layer` hook: let the built-in addon choose, and put ours where it chose HTTP on a pooled host."""
    context = nextlayer.context
    if not context.client.tls:
        return
    builtin.next_layer(nextlayer)
    chosen = nextlayer.layer
    if type(chosen) is not HttpLayer or chosen.mode is HTTPMode.upstream:
        return
    host = context.client.sni or (context.server.address or ("",))[0]
    if provider_of(host) is None:
        return
    context.layers.remove(chosen)
    nextlayer.layer = PoolHttpLayer(context, chosen.mode, exchanges)


SEAMS: Mapping[Callable[..., Any], tuple[str, ...]] = MappingProxyType(
    {
        HttpLayer.__init__: ("self", "context", "mode"),
        HttpLayer.make_stream: ("self", "stream_id"),
        HttpLayer.get_connection: ("self", "event", "reuse"),
        HttpLayer.register_connection: ("self", "command"),
        HttpLayer.event_to_child: ("self", "child", "event"),
        HttpStream.__init__: ("self", "context", "stream_id"),
        HttpStream.send_response: ("self", "already_streamed"),
        HttpStream.handle_protocol_error: ("self", "event"),
        HttpStream.make_server_connection: ("self",),
        HttpStream.check_killed: ("self", "emit_error_hook"),
        HttpStream.check_body_size: ("self", "request"),
        HttpStream.check_invalid: ("self", "request"),
        HttpStream.passthrough: ("self", "event"),
        **sockets.SEAMS,
        HttpStream.state_wait_for_response_headers: ("self", "event"),
        HttpStream.state_consume_response_body: ("self", "event"),
        HttpStream.state_stream_response_body: ("self", "event"),
        GetHttpConnection.__init__: ("self", "address", "tls", "via", "transport_protocol"),
        DropStream.__init__: ("self", "stream_id"),
        RegisterHttpConnection.__init__: ("self", "connection", "err"),
    }
)
"""What this file relies on, with the parameters that it relies on."""


def missing_seams() -> list[str]:
    """What is not as this file needs it, in words; empty when all is well."""
    wrong = []
    for function, expected in SEAMS.items():
        found = tuple(signature(function).parameters)
        if found != expected:
            wrong.append(f"{function.__qualname__}({', '.join(expected)}) is now ({', '.join(found)})")
    return wrong
