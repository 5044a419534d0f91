"""Which upstream connection a request goes out on: the half of the replay layer that knows mitmproxy's connections."""

from mitmproxy.connection import Connection
from mitmproxy.proxy import commands, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import GetHttpConnection, HttpLayer, HTTPMode, RegisterHttpConnection
from mitmproxy.proxy.layers.http._http2 import Http2Client

from seatpool.proxy.layers import goaway, interim, ways
from seatpool.proxy.layers.gathering import gather


class FreshHttpConnection(GetHttpConnection):
    """Like its parent, but never the connection that failed, nor an HTTP/1 connection that carried a request before.

    Over HTTP/2 streams that failed together share one new connection: mitmproxy opens five to one address.
    """

    former: Connection | None = None


class Connecting(HttpLayer):
    """mitmproxy's HTTP layer, with a choice of its own."""

    def __init__(self, context: Context, mode: HTTPMode) -> None:
        super().__init__(context, mode)
        self._unusable: set[Connection] = set()
        """Could not be opened, or are about to close."""

    def get_connection(self, event: GetHttpConnection, *, reuse: bool = True) -> layer.CommandGenerator[None]:
        """Get a connection; a fresh one where that was asked for, or where those that are there lead nowhere.

        mitmproxy takes the first that matches, and answers with its error for ever where that one failed to open.
        """
        gone = yield from self._leave_gone(event)
        if reuse and (gone or self._unusable or isinstance(event, FreshHttpConnection)):
            good = (c for c in self.connections if c not in gone and self._is_good(c, event))
            best = next(good, None)
            reuse = best is not None
            if best is not None:
                self.connections = {best: self.connections[best], **self.connections}
        yield from super().get_connection(event, reuse=reuse)

    def _leave_gone(self, event: GetHttpConnection) -> layer.CommandGenerator[list[Connection]]:
        """The connections on which the request would be lost. They are closed, once nobody waits on them any more.

        mitmproxy opens five to one address, so they would be in the way of those that are good.
        """
        matching = [c for c in self.connections if event.connection_spec_matches(c) and c.connected]
        gone = [connection for connection in matching if ways.is_gone(connection)]
        for connection in gone:
            if not self._is_busy(connection):
                yield commands.CloseConnection(self._carrier(connection))
        return gone

    def _carrier(self, connection: Connection) -> Connection:
        """What it goes through: the connection to the upstream proxy, or itself."""
        carrier: Connection = getattr(self.connections[connection], "tunnel_connection", connection)
        return carrier

    def _is_busy(self, connection: Connection) -> bool:
        client = self._http2(connection)
        if client is not None:
            return bool(client.streams or client.stream_queue)
        return getattr(self._top(connection), "stream_id", None) is not None

    def _is_good(self, connection: Connection, event: GetHttpConnection) -> bool:
        former = event.former if isinstance(event, FreshHttpConnection) else None
        if connection in self._unusable or connection is former or not event.connection_spec_matches(connection):
            return False
        if connection in self.waiting_for_establishment:
            return True
        if not connection.connected:
            return False
        return connection.alpn == b"h2" or not (former is not None or self.context.client.alpn == b"h2")

    def register_connection(self, command: RegisterHttpConnection) -> layer.CommandGenerator[None]:
        """A connection was opened, or could not be."""
        if command.err is not None:
            self._unusable.add(command.connection)
        else:
            ways.opened(command.connection, self._carrier(command.connection))
            client = self._top(command.connection)
            interim.drop(client)
            gather(client)
            if isinstance(client, Http2Client):
                goaway.stay(client, self._unusable.add)
        yield from super().register_connection(command)

    def opening(self, asked: GetHttpConnection | None) -> Connection | None:
        """The connection that is being opened because of this command."""
        if asked is None:
            return None
        waiting = self.waiting_for_establishment.items()
        return next((connection for connection, all_ in waiting if any(each is asked for each in all_)), None)

    def number_of(self, connection: Connection, stream_id: int) -> int | None:
        """The number of a stream on an HTTP/2 connection; None where it was never sent. 1 over HTTP/1."""
        client = self._http2(connection)
        return client.our_stream_id.get(stream_id) if client is not None else 1

    def unqueue(self, connection: Connection, stream_id: int) -> bool:
        """Take a stream back that waits until the upstream takes more at a time. False where it was sent."""
        client = self._http2(connection)
        return client is not None and client.stream_queue.pop(stream_id, None) is not None

    def _http2(self, connection: Connection) -> Http2Client | None:
        top = self._top(connection) if connection in self.connections else None
        return top if isinstance(top, Http2Client) else None

    def _top(self, connection: Connection) -> layer.Layer:
        return self.connections[connection].context.layers[-1]
