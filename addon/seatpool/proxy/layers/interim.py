"""What an HTTP/1 server may send beside its answer: interim answers before it, trailers behind it.

mitmproxy takes an interim answer (100, 102, 103) for the answer itself (mitmproxy#2229), and does not read trailers:
either ends its layers in an exception, and the client waits for ever. Over HTTP/2 it drops the first of them. So they
are dropped here as well: clients can do without both (RFC 9110, 15.2 and 6.5.1).

It wraps two methods of one connection's reader.
"""

from typing import Any

import h11
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import ResponseHeaders
from mitmproxy.proxy.layers.http._http1 import Http1Client

INTERIM = range(100, 200)
SWITCHING = 101
"""The one of them that is an answer."""


class _Untrailed:
    """A reader of a body that tells of no trailers."""

    def __init__(self, reader: Any) -> None:
        self._read = reader
        self.read_eof = reader.read_eof

    def __call__(self, buf: Any) -> Any:
        event = self._read(buf)
        return h11.EndOfMessage() if isinstance(event, h11.EndOfMessage) else event


def drop(client: layer.Layer) -> None:
    """Have an upstream connection that has just been opened tell of answers alone."""
    if not isinstance(client, Http1Client):
        return
    plain_head, plain_body = client.read_headers, client.read_body

    def read_headers(event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        while (yield from _but_interim(client, plain_head(event))):
            event = events.DataReceived(client.conn, b"")  # what has come along

    def read_body(event: events.Event) -> layer.CommandGenerator[None]:
        if not isinstance(client.body_reader, _Untrailed):
            client.body_reader = _Untrailed(client.body_reader)  # type: ignore[assignment] # called as they are
        return plain_body(event)

    client.read_headers = client.state = read_headers  # type: ignore[method-assign] # of this connection alone
    client.read_body = read_body  # type: ignore[method-assign] # the same


def _but_interim(client: Http1Client, follows: layer.CommandGenerator[None]) -> layer.CommandGenerator[bool]:
    """What follows from a read, unless it is an interim answer. True: it was, and is forgotten."""
    for command in follows:
        if _is_interim(command):
            follows.close()
            client.response = None
            return True
        yield command
    return False


def _is_interim(command: commands.Command) -> bool:
    if type(command) is not ReceiveHttp or type(command.event) is not ResponseHeaders:
        return False
    status = command.event.response.status_code
    return status in INTERIM and status != SWITCHING
