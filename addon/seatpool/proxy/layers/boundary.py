"""The boundary of a stream: towards the client it speaks for the flow, towards an upstream for one attempt.

HTTP/2 maps a client's stream id to an upstream's once and for all, so every further attempt runs under a fresh, even id
(clients use odd ones); ids are translated where events come in and commands go out. So late news of a former attempt
are told from those of the present one, over HTTP/1 as well. Credentials come into the copy that is sent, here alone.
"""

from typing import cast

from mitmproxy import http
from mitmproxy.connection import Connection, Server
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import DropStream, HttpStream, SendHttp
from mitmproxy.proxy.layers.http._events import (
    RequestData,
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
    ResponseTrailers,
)
from mitmproxy.proxy.layers.http._hooks import (
    HttpErrorHook,
    HttpRequestHeadersHook,
    HttpResponseHeadersHook,
    HttpResponseHook,
)

from seatpool.providers.registry import provider_of
from seatpool.proxy.exchange import Exchange, Exchanges
from seatpool.proxy.layers.limits import Clock
from seatpool.proxy.layers.wording import in_place_of

FROM_UPSTREAM = (ResponseHeaders, ResponseData, ResponseTrailers, ResponseEndOfMessage, ResponseProtocolError)

AT_ONCE = (HttpRequestHeadersHook, HttpResponseHeadersHook, HttpResponseHook, HttpErrorHook)
"""Hooks for which addons hardly ever wait."""

FIRST_REFUSAL = 400
"""Statuses from here on may be answered by another attempt."""


class Boundary(HttpStream):
    """mitmproxy's stream of one request: the client knows it by one id, upstreams by one for each attempt."""

    def __init__(self, context: Context, stream_id: int, exchanges: Exchanges, clock: Clock) -> None:
        super().__init__(context, stream_id)
        self._exchanges = exchanges
        self._clock = clock
        self._exchange: Exchange | None = None
        self._upstream_id = stream_id
        self._answering = False
        """The head of an answer is out."""
        self._dropped = False
        """The layer knows this stream no more."""

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Take in an event. While a hook is waited for, mitmproxy keeps it for later: but who left need not wait."""
        if isinstance(event, RequestProtocolError) and self._exchange is not None:
            self._exchange.gone = True
            self._exchange.left()
        return super().handle_event(event)

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, FROM_UPSTREAM):
            if event.stream_id != self._upstream_id:
                return nothing()  # late news of an attempt that is over
            if type(event) is ResponseData and self._streams():
                # The bulk of a stream: nothing that follows from it needs translation, so no generator stands between.
                tap = self._exchange.tap if self._exchange is not None else None
                if tap is not None and tap.alone:
                    return self._pass_on(tap(event.data))
                return cast("layer.CommandGenerator[None]", super()._handle_event(event))
            if isinstance(event, ResponseHeaders) and self._exchange is not None:
                self._exchange.receive(event.response)
                if event.response.status_code < FIRST_REFUSAL:
                    self._clock.forget(self.stream_id)
        return self._translated(super()._handle_event(event))

    def _streams(self) -> bool:
        unheld = self._exchange is None or self._exchange.opening is None
        return unheld and bool(self.server_state == self.state_stream_response_body)

    def _pass_on(self, data: bytes) -> layer.CommandGenerator[None]:
        """What mitmproxy's own state does with streamed data that nobody changes or keeps, at half the cost."""
        yield SendHttp(ResponseData(self.stream_id, data), self.context.client)

    def _translated(self, generator: layer.CommandGenerator[None]) -> layer.CommandGenerator[None]:
        reply = None
        while True:
            try:
                command = generator.send(reply)
            except StopIteration:
                if self._dropped:
                    self._let_loose()
                return
            if type(command) is SendHttp:
                if type(command.event) is ResponseProtocolError and not self._answering:
                    yield from self._instead_of(command)
                    reply = None
                else:
                    reply = yield self._renumber(command)
                continue
            if type(command) is DropStream and command.stream_id == self.stream_id:
                self._dropped = True
                self._clock.forget(self.stream_id)
                if self._upstream_id != self.stream_id:
                    yield DropStream(self._upstream_id)
            command = self._translate(command)
            if isinstance(command, AT_ONCE) and self._exchanges.at_once is not None:
                reply, rest = None, self._exchanges.at_once(command)
                if rest is not None:
                    yield rest
            else:
                reply = yield command

    def _let_loose(self) -> None:
        """It is over. What refers to itself would stay, and its flow with it, until garbage is looked for."""
        self.context.layers.clear()  # a list of this stream alone
        self.client_state = self.server_state = over

    def _instead_of(self, error: SendHttp) -> layer.CommandGenerator[None]:
        known = self._exchange.provider if self._exchange is not None else None
        for part in in_place_of(error, known or provider_of(self.context.client.sni or ""), self.context):
            yield self._renumber(part) if type(part) is SendHttp else part

    def _translate(self, command: commands.Command) -> commands.Command:
        if type(command) is HttpRequestHeadersHook:
            host = self.flow.request.pretty_host  # mitmproxy looks it up in the headers each time
            provider = provider_of(host)
            if provider is not None:
                self._exchange = self._exchanges.begin(self.flow, provider, host)
        return command

    def _renumber(self, command: SendHttp) -> SendHttp:
        event, exchange = command.event, self._exchange
        if command.connection is not self.context.client:
            event.stream_id = self._upstream_id
            if isinstance(event, RequestHeaders):
                event.request = self._wire(event.request, command.connection)
            elif isinstance(event, RequestData) and exchange is not None:
                event.data = exchange.take_body(event.data)
            return command
        event.stream_id = self.stream_id
        if isinstance(event, ResponseHeaders):
            self._answering = True
            if exchange is not None:
                event.response = exchange.deliver(event.response)
        elif isinstance(event, ResponseData) and exchange is not None:
            event.data = exchange.hidden_body or event.data
        return command

    def passthrough(self, event: events.Event) -> layer.CommandGenerator[None]:
        """An open WebSocket's bytes, under the id of the attempt that opened it."""
        relayed = super().passthrough(event)
        return relayed if self._upstream_id == self.stream_id else self._renumbered(relayed)

    def _renumbered(self, relayed: layer.CommandGenerator[None]) -> layer.CommandGenerator[None]:
        for command in relayed:
            if isinstance(command, SendHttp) and command.connection is self.context.server:
                command.event.stream_id = self._upstream_id
            yield command

    def _wire(self, request: http.Request, connection: Connection) -> http.Request:
        if self._exchange is None:
            return request
        assert isinstance(connection, Server)
        host, port = connection.address or ("", 0)
        upstream = f"{'https' if connection.tls else 'http'}://{connection.sni or host}:{port}"
        return self._exchange.wire(request, upstream)


def over(_event: events.Event) -> layer.CommandGenerator[None]:
    """The state of a stream that is no more."""
    return nothing()


def nothing() -> layer.CommandGenerator[None]:
    """Nothing follows."""
    yield from ()
