"""Says in the provider's own words what mitmproxy would say with an error page of its own.

Clients read JSON with a code in it; a page of HTML they show as it is, or try to parse. Such a page comes where a
request is malformed or too large, where an answer is, and where a connection fails while a body still streams up. What
mitmproxy has noticed is told in fixed sentences: its own may quote what the client sent, a credential among it.
"""

from collections.abc import Mapping
from types import MappingProxyType

from mitmproxy import http
from mitmproxy.connection import ConnectionState
from mitmproxy.net.http import http1
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import SendHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._http1 import Http1Server

from seatpool.providers.base import Provider, RequestFacts, Route
from seatpool.providers.registry import provider_of
from seatpool.proxy.answers import as_response

WORDS: Mapping[ErrorCode, str] = MappingProxyType(
    {
        ErrorCode.GENERIC_CLIENT_ERROR: "this request is malformed",
        ErrorCode.REQUEST_VALIDATION_FAILED: "this request's head is malformed",
        ErrorCode.DESTINATION_UNKNOWN: "this request names no host",
        ErrorCode.REQUEST_TOO_LARGE: "this request is larger than body_size_limit allows",
        ErrorCode.RESPONSE_TOO_LARGE: "the answer is larger than body_size_limit allows",
        ErrorCode.RESPONSE_VALIDATION_FAILED: "the answer's head is malformed",
        ErrorCode.CONNECT_FAILED: "upstream could not be reached",
        ErrorCode.GENERIC_SERVER_ERROR: "upstream broke off",
    }
)
"""Of every code for which mitmproxy has a page."""
ABSENT = (404, 405, 501)
MALFORMED = 400
UNREACHABLE = 502


def say(provider: Provider, status: int, words: str) -> http.Response:
    """An answer of ours to a request of which nothing need be known."""
    facts = RequestFacts(Route(provider.name, "other", "api"), ())
    return as_response(provider.unavailable(facts, status, f"seatpool: {words}"))


def no_such_surface(provider: Provider, facts: RequestFacts, response: http.Response) -> http.Response | None:
    """What an editor gets where upstream has a page for the lack of a path that moves; None: it gets the answer itself.

    Not every plan, tenant or host has every surface. That is no account's fault, and another one is not asked for it.
    """
    page = response.headers.get("content-type", "").startswith("text/html")
    if response.status_code not in ABSENT or not page:
        return None
    words = f"seatpool: the account's upstream has no such surface ({facts.route.name})"
    return as_response(provider.unavailable(facts, response.status_code, words))


def word_refused_connect(flow: http.HTTPFlow) -> None:
    """Where a CONNECT for a pooled host was refused because the host cannot be reached; not for want of a password."""
    provider = provider_of(flow.request.pretty_host)
    if provider is not None and flow.response is not None and flow.response.status_code == UNREACHABLE:
        flow.response = say(provider, UNREACHABLE, WORDS[ErrorCode.CONNECT_FAILED])


def in_place_of(command: SendHttp, provider: Provider | None, context: Context) -> list[SendHttp]:
    """What goes to the client for mitmproxy's news of a failure: the same, or an answer and then its end.

    To be asked only while nothing of an answer is out.
    """
    event = command.event
    if provider is None or not isinstance(event, ResponseProtocolError):
        return [command]
    if not context.client.state & ConnectionState.CAN_WRITE:
        return [command]
    status, words = event.code.http_status_code(), WORDS.get(event.code)
    if status is None or words is None:
        return [command]
    response = say(provider, status, words)
    over_http1 = context.client.alpn not in (b"h2", b"h3")
    if over_http1:
        response.headers["connection"] = "close"
    parts = (
        ResponseHeaders(event.stream_id, response),
        ResponseData(event.stream_id, response.raw_content or b""),
        # Over HTTP/1 the connection ends as well, since nobody reads the rest of the request.
        event if over_http1 else ResponseEndOfMessage(event.stream_id),
    )
    return [SendHttp(part, command.connection) for part in parts]


class WordedHttp1Server(Http1Server):
    """mitmproxy's reader of HTTP/1 requests; what it cannot read it answers in the provider's words."""

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        """As its parent. All that this sends by itself is its page about a head that it cannot read."""
        for command in super().read_headers(event):
            if type(command) is commands.SendData:
                provider = provider_of(self.context.client.sni or "")
                if provider is not None:
                    answer = say(provider, MALFORMED, WORDS[ErrorCode.GENERIC_CLIENT_ERROR])
                    answer.headers["connection"] = "close"
                    command = commands.SendData(command.connection, http1.assemble_response(answer))
            yield command
