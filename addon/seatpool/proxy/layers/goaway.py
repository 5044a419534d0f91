"""A server that takes its leave finishes what it has begun (RFC 9113, 6.8), if it is let.

Servers say GOAWAY after so many requests, or when they are to be replaced, and go on with the streams that they have
taken. mitmproxy's client, and the HTTP/2 library below it, take that for the end of everything: an answer in the middle
of its stream would be cut. So a leave-taking without an error is kept from both of them; streams that the server has
not taken fail at once, those that it has end as they end, and then the connection is closed.

A client may take its leave as well, and still wait for answers: Node.js does where a program closes its session. It
asks for nothing new then, and closes the connection itself.

It replaces one entry of a table of one connection, and stands aside where there is no such table.
"""

from collections.abc import Callable, Generator
from typing import Any

from h2.errors import ErrorCodes
from h2.events import Event
from hyperframe.frame import GoAwayFrame
from mitmproxy.connection import Connection
from mitmproxy.proxy import commands
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import ErrorCode, ResponseProtocolError
from mitmproxy.proxy.layers.http._http2 import Http2Client, Http2Connection

UNTOUCHED = "HTTP/2 connection closed: <ConnectionTerminated error_code:0, last_stream_id:{}, additional_data:None>"
"""In mitmproxy's words, which `failures` knows."""

Events = Generator[commands.Command, None, bool]


class Leaving(Event):
    """The server takes no further stream than the last one that it names."""

    def __init__(self, last_stream_id: int) -> None:
        self.last_stream_id = last_stream_id


def stay(client: Http2Client, leaving: Callable[[Connection], None]) -> None:
    """Have a new connection to a server end well. `leaving` is told once that it is no longer to be used."""

    def takes(frame: GoAwayFrame) -> bool:
        return any(number <= frame.last_stream_id for number in client.streams)

    def left(frame: GoAwayFrame) -> list[Event]:
        if not isinstance(getattr(client.handle_h2_event, "__self__", None), Farewell):
            client.handle_h2_event = Farewell(client).handle  # type: ignore[method-assign] # of this connection alone
            leaving(client.conn)
        return [Leaving(frame.last_stream_id)]

    _replace(client, takes, left)


def hear_out(server: Http2Connection) -> None:
    """Have a client that takes its leave get the answers that it waits for."""

    def waits(_: GoAwayFrame) -> bool:
        return not all(map(server.is_closed, server.streams))

    _replace(server, waits, lambda _: [])


def _replace(
    speaker: Http2Connection, goes_on: Callable[[GoAwayFrame], bool], left: Callable[[GoAwayFrame], list[Event]]
) -> None:
    """What becomes of a leave-taking without an error on a connection that goes on."""
    table: dict[Any, Any] = getattr(speaker.h2_conn, "_frame_dispatch_table", {})
    plain = table.get(GoAwayFrame)
    if plain is None:
        return

    def received(frame: GoAwayFrame) -> tuple[list[Any], list[Event]]:
        if frame.error_code != ErrorCodes.NO_ERROR or not goes_on(frame):
            plain_result: tuple[list[Any], list[Event]] = plain(frame)
            return plain_result
        return [], left(frame)

    table[GoAwayFrame] = received


class Farewell:
    """From the leave-taking to the end of the last stream."""

    def __init__(self, client: Http2Client) -> None:
        self._client = client
        self._plain = client.handle_h2_event

    def handle(self, event: Event) -> Events:
        """In the place of the client's own method; true: nothing more is to be processed."""
        if isinstance(event, Leaving):
            yield from self._turn_away(event.last_stream_id)
            return False
        if (yield from self._plain(event)):
            return True
        if self._client.streams:
            return False
        yield from self._client.close_connection("the server has taken its leave")
        return True

    def _turn_away(self, last: int) -> Events:
        client = self._client
        for waiting in list(client.stream_queue):
            del client.stream_queue[waiting]
            client.their_stream_id[-waiting] = waiting  # it was given no number, and is looked up by one
            yield self._failure(-waiting, last)
        for number in [each for each in client.streams if each > last]:
            del client.streams[number]
            yield self._failure(number, last)
        return False

    def _failure(self, number: int, last: int) -> ReceiveHttp:
        return ReceiveHttp(ResponseProtocolError(number, UNTOUCHED.format(last), ErrorCode.GENERIC_SERVER_ERROR))
