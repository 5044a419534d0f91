"""The replay layer: mitmproxy's own HTTP layer, able to send a refused request again before the client sees anything.

Everything that knows mitmproxy's layers is in this file and in its neighbours `boundary`, `holding`, `sockets`,
`connections` and `goaway`. They rely on names that mitmproxy does not promise to keep; `seams` checks them at start-up.
How it works:

* `PoolHttpLayer` replaces the `HttpLayer` behind client TLS on pooled hosts, and makes a `PoolHttpStream` per request.
* Where a refusal was read whole, or a connection failed before a byte of an answer, the stream starts a hook of our
  own. The addon decides asynchronously and leaves its decision in the flow's exchange.
* To send again, the stream waits for response headers once more, gets a connection and sends everything anew. What
  comes then streams as any first answer does.
* Every further attempt runs under an id of its own, and the flow never holds a credential: see `boundary`.
* An event stream that says 200 and then, before anything else, that it cannot is a refusal as well: see `holding`.
* As long as the client has seen nothing, whatever ends an attempt ends in an answer of the provider's kind, never in
  one of mitmproxy's pages. How long an attempt may take is in `limits`, what its failure means in `failures`.
"""

from dataclasses import dataclass
from time import monotonic
from typing import Any, cast

from mitmproxy import http
from mitmproxy.connection import Connection
from mitmproxy.net.http.validate import validate_headers
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import DropStream, GetHttpConnection, HttpLayer, HTTPMode, SendHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    RequestTrailers,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._http2 import Http2Server

from seatpool.core.outcome import Outcome, OutcomeKind
from seatpool.providers.registry import provider_of
from seatpool.proxy.exchange import Exchanges
from seatpool.proxy.layers.boundary import FIRST_REFUSAL
from seatpool.proxy.layers.connections import Connecting, FreshHttpConnection
from seatpool.proxy.layers.corking import corked
from seatpool.proxy.layers.failures import LOST, MALFORMED, TIMED_OUT, Sent, failure_of
from seatpool.proxy.layers.goaway import hear_out
from seatpool.proxy.layers.holding import REPLACED, Holding
from seatpool.proxy.layers.limits import Clock, Overdue
from seatpool.proxy.layers.sockets import Upgraded
from seatpool.proxy.layers.wording import WordedHttp1Server

READ_AHEAD = 256 * 1024
"""Bytes of a request that has hardly left when its answer comes: what lies in buffers on the way may never be read."""
BROKE_OFF = Outcome(OutcomeKind.UNANSWERED, "broke-off")
"""Of an answer that had begun and not said anything."""


@dataclass
class PoolRecoverHook(commands.StartHook):
    """An attempt was refused or failed before a byte of an answer; decide what follows."""

    name = "pool_recover"
    flow: http.HTTPFlow


class PoolHttpLayer(Connecting):
    """mitmproxy's HTTP layer with streams that can replay."""

    def __init__(self, context: Context, mode: HTTPMode, exchanges: Exchanges) -> None:
        super().__init__(context, mode)
        if context.client.alpn == b"h2":
            server = self.connections[context.client] = Http2Server(context.fork())
            hear_out(server)
        elif context.client.alpn != b"h3":
            self.connections[context.client] = WordedHttp1Server(context.fork())
        self.exchanges = exchanges
        self.carried: set[Connection] = set()
        self.clock = Clock(exchanges.limits, self._is_lost)
        self._fresh_id = 0

    def fresh_id(self) -> int:
        """A stream id that no client uses."""
        self._fresh_id += 2
        return self._fresh_id

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        return corked(super()._handle_event(event))

    def make_stream(self, stream_id: int) -> layer.CommandGenerator[None]:
        """Make a stream that can replay."""
        self.streams[stream_id] = PoolHttpStream(self.context.fork(), stream_id, self)
        yield from self.event_to_child(self.streams[stream_id], events.Start())

    def _is_lost(self, stream_id: int) -> bool:
        stream = self.streams.get(stream_id)
        return isinstance(stream, PoolHttpStream) and stream.is_lost


class PoolHttpStream(Upgraded, Holding):
    """One request, sent as often as the pool decides."""

    def __init__(self, context: Context, stream_id: int, pool_layer: PoolHttpLayer) -> None:
        super().__init__(context, stream_id, pool_layer.exchanges, pool_layer.clock)
        self._layer = pool_layer
        self._reused = False
        self._replaying = False
        self._fresh_connection = False
        self._asked: GetHttpConnection | None = None
        self._gave_up = False

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Take in an event; limits end where they end, whatever this stream waits for."""
        return self._overdue() if type(event) is Overdue else super().handle_event(event)

    def _translate(self, command: commands.Command) -> commands.Command:
        if type(command) is GetHttpConnection:
            if self._fresh_connection:
                command = FreshHttpConnection(command.address, command.tls, command.via, command.transport_protocol)
                command.former = self.context.server
            self._asked = command
        return super()._translate(command)

    def _let_loose(self) -> None:
        super()._let_loose()
        self._asked = None

    @property
    def _on_http2(self) -> bool:
        return self.context.server.alpn == b"h2"

    # -- sending again

    def make_server_connection(self) -> layer.CommandGenerator[bool]:
        """Get a connection, and an id of its own for a further attempt."""
        self._gave_up = False
        clock, exchange = self._clock, self._exchange
        # What goes on as the editor sent it takes the time that it takes.
        limited = exchange is not None and exchange.assignment is not None
        if limited and (timer := clock.watch(self.stream_id, clock.limits.connect_s)) is not None:
            yield from self._start(timer)
        ok = yield from super().make_server_connection()
        if not ok or (yield from self._is_deserted()):
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

    def _is_deserted(self) -> layer.CommandGenerator[bool]:
        """Whether the client has left. Its request has no account any more, and must not go on with the editor's login.

        mitmproxy tells nobody of a client that resets a stream in the very bytes that end its request.
        """
        exchange = self._exchange
        if exchange is None:
            return False
        if self._layer.exchanges.get(self.flow) is not exchange and self.flow.killable:
            self.flow.kill()
        return (yield from self.check_killed(True))

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
        if self._reopening is not None and self._exchange is not None and self._exchange.assignment is None:
            yield from self._end_reopening()  # the client has left meanwhile
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
        self._clock.forget(self.stream_id)
        exchange.failure, exchange.again, exchange.answer = failure, None, None
        yield PoolRecoverHook(self.flow)
        if (yield from self.check_killed(True)):
            return True
        if exchange.again is None:
            return False
        if self.holds:
            yield from self._break_off()
            self._fresh_connection = not self._on_http2
        else:
            self._fresh_connection = failure is not None or self._about_to_close()
            yield from self._take_back()
        yield from self._send_again()
        return True

    def _take_back(self) -> layer.CommandGenerator[None]:
        """What of a refused request is still to go up over HTTP/2 would take the next attempt's room."""
        server = self.context.server
        if self._on_http2 and self._layer.number_of(server, self._upstream_id) is not None:
            yield SendHttp(RequestProtocolError(self.stream_id, REPLACED, ErrorCode.CANCEL), server)

    def check_body_size(self, request: bool) -> layer.CommandGenerator[bool]:
        """A body that is to be sent again, and a refusal that is to be read, are not streamed away for being large."""
        exchange, response = self._exchange, self.flow.response
        refusal = response is not None and response.status_code >= FIRST_REFUSAL
        if exchange is not None and exchange.route is not None and (request or refusal):
            return False
        return (yield from super().check_body_size(request))

    def _about_to_close(self) -> bool:
        """Whether the upstream can be expected to drop the HTTP/1 connection behind this refusal, announced or not.

        Seen after refused upgrades and bad credentials; and who refuses a large request may not have read it all, and
        read no more. Another connection that dies before a byte of its answer is replaced all the same, so this guess
        costs time at worst.
        """
        request, response = self.flow.request, self.flow.response
        if self._on_http2 or response is None:
            return False
        is_large = len(request.raw_content or b"") > READ_AHEAD
        return response.status_code == 401 or "upgrade" in request.headers or is_large

    # -- the places where an attempt ends without an answer that the client should see

    def send_response(self, already_streamed: bool = False) -> layer.CommandGenerator[None]:
        """Deliver the answer, unless it is a refusal and the pool has something better."""
        response = self.flow.response
        assert response is not None
        if not already_streamed and response.status_code >= FIRST_REFUSAL and (yield from self._recover(None)):
            return
        if self._reopening is not None:
            yield from self._end_reopening()
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
        if self.holds and isinstance(event, ResponseProtocolError):
            if not (yield from self._replaced(BROKE_OFF)):
                yield from self._let_go()
                yield from super().handle_protocol_error(event)
            return
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
        if self._reopening is not None:
            yield from self._end_reopening()
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
        self._layer.command_sources[timer] = cast("layer.Layer", self._clock)

    def _overdue(self) -> layer.CommandGenerator[None]:
        """Outside of `_handle_event`: most of what takes long has paused this stream."""
        opening = self._layer.opening(self._asked)
        if opening is not None:
            if opening.timestamp_start is None:
                # It has its turn when one of the client's other connections to this address is over.
                self._clock.watch(self.stream_id, self._clock.limits.connect_s)
                return
            self._gave_up = True
            yield commands.CloseConnection(opening)
        elif self.holds:
            if self._paused is None:
                yield from self._translated(self._let_go())
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
            exchange = self._exchange
            return self._is_handshake or (exchange is not None and exchange.asks_for_stream(self.flow.request))
        return bool(self.server_state == self.state_consume_response_body)


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
