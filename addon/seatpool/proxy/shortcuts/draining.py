"""Who waits until what was written has left: readers of the client for upstreams, readers of upstreams for the client.

So a side that is slow slows down the one whose data it is to get. In mitmproxy every reader waits for every writer, one
after the other, and so for its own connection's as well: while a large request is on its way up, nobody reads what the
upstream says. A server that refuses a body before it has read it all, and reads no more (413 or 401 of nginx, HAProxy
and others, RFC 9112, 9.3), is not heard then: its connection breaks, and the refusal is lost.

It replaces one method of one class, and stands aside where that is not the one it knows.
"""

import asyncio
import logging
from inspect import iscoroutinefunction
from types import FunctionType

from mitmproxy.proxy.server import ConnectionHandler

logger = logging.getLogger(__name__)

KNOWN_NAMES = ("_drain_lock", "list", "transports", "values", "writer", "drain", "OSError", "handler", "cancel")
"""Everything that the method refers to, in order."""


def install() -> bool:
    """Replace the method, once. False, with nothing done, where it is not as expected."""
    method = ConnectionHandler.drain_writers
    if method is drain_writers:
        return True
    if not fits(method):
        logger.info("action=plain-draining reason=unknown-connection-handler")
        return False
    ConnectionHandler.drain_writers = drain_writers  # type: ignore[method-assign] # the point
    return True


def fits(method: object) -> bool:
    """Whether it is mitmproxy's method as it is known."""
    return isinstance(method, FunctionType) and iscoroutinefunction(method) and method.__code__.co_names == KNOWN_NAMES


async def drain_writers(self: ConnectionHandler) -> None:
    """Wait for those whom the data that was just read may have gone to."""
    client = self.transports.get(self.client)
    from_client = client is not None and client.handler is asyncio.current_task()
    for connection, transport in list(self.transports.items()):
        if transport.writer is None or (connection is self.client) is from_client:
            continue
        try:
            await transport.writer.drain()
        except OSError as error:
            if transport.handler is not None:
                transport.handler.cancel(f"Error sending data: {error}")
