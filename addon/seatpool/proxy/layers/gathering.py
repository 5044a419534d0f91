"""What one read brought of an answer's body goes on in one piece.

An upstream that is faster than its client's proxy writes many chunks or frames before they are read. mitmproxy hands
each of them by itself through its layers, into a TLS record and a system call; that is most of what a long answer
costs. Nobody waits here: what is joined has been read already, and where one piece comes at a time it goes on as it is.

It wraps one method of one connection's reader.
"""

from collections.abc import Iterable
from itertools import groupby

from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import ResponseData


def gather(client: layer.Layer) -> None:
    """Have an upstream connection's reader hand on in one piece what came at once."""
    plain = client._handle_event  # noqa: SLF001 # the public one was bound by whoever made the reader

    def handle_event(event: events.Event) -> layer.CommandGenerator[None]:
        follows = plain(event)
        return _gathered(follows) if type(event) is events.DataReceived else follows

    client._handle_event = handle_event  # type: ignore[method-assign] # noqa: SLF001 # of this connection alone


def _gathered(follows: Iterable[commands.Command]) -> layer.CommandGenerator[None]:
    """What follows from a read: a reader of answers waits for nothing, so no command is replied to."""
    for stream_id, group in groupby(follows, _stream_of):
        if stream_id is None:
            yield from group
        else:
            yield ReceiveHttp(ResponseData(stream_id, b"".join(_data(group))))


def _stream_of(command: commands.Command) -> int | None:
    """Whose body it is a piece of, if it is one."""
    if type(command) is ReceiveHttp and type(command.event) is ResponseData:
        return command.event.stream_id
    return None


def _data(pieces: Iterable[commands.Command]) -> Iterable[bytes]:
    return (piece.event.data for piece in pieces)  # type: ignore[attr-defined] # see `_stream_of`
