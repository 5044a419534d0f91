"""What happens on a connection is handled in turns, none of which waits for a lock.

mitmproxy handles an event of a connection under a lock, since a task that it starts meanwhile runs at once, up to its
first wait, and may come back with the next event. Nearly every hook does so: it has run, finds the lock taken, and
sleeps until another round of the event loop. Here what comes while an event is being handled is kept in a queue, in
the order in which the lock would have let it in, and mitmproxy's own method handles one after the other.

It wraps one method of one class, and stands aside where that is not the one it knows.
"""

import logging
from collections import deque
from collections.abc import Callable, Coroutine
from functools import wraps
from inspect import iscoroutinefunction
from types import FunctionType
from typing import Any

from mitmproxy.proxy.events import Event
from mitmproxy.proxy.server import ConnectionHandler

logger = logging.getLogger(__name__)

KNOWN_BEGINNING = ("_server_event_lock", "timeout_watchdog", "register_activity", "layer", "handle_event")
"""What the method refers to at first: it takes the lock, and then handles the event without another wait."""

ServerEvent = Callable[[ConnectionHandler, Event], Coroutine[Any, Any, None]]


def install() -> bool:
    """Wrap `ConnectionHandler.server_event`, once. False, with nothing done, where it is not as expected."""
    method = ConnectionHandler.server_event
    if hasattr(method, "__wrapped__"):
        return True
    if not fits(method):
        logger.info("action=plain-turns reason=unknown-connection-handler")
        return False
    ConnectionHandler.server_event = in_turns(method)  # type: ignore[method-assign, assignment] # the point
    return True


def fits(method: object) -> bool:
    """Whether it is mitmproxy's method as it is known."""
    return (
        isinstance(method, FunctionType)
        and iscoroutinefunction(method)
        and method.__code__.co_varnames[: method.__code__.co_argcount] == ("self", "event")
        and method.__code__.co_names[: len(KNOWN_BEGINNING)] == KNOWN_BEGINNING
    )


def in_turns(handle: ServerEvent) -> ServerEvent:
    """The same, where an event that comes during another one waits in a queue instead of in a task."""
    under_way: dict[ConnectionHandler, deque[Event]] = {}

    @wraps(handle)
    async def server_event(self: ConnectionHandler, event: Event) -> None:
        waiting = under_way.get(self)
        if waiting is not None:
            waiting.append(event)
            return
        waiting = under_way[self] = deque((event,))
        try:
            while waiting:
                await handle(self, waiting.popleft())
        finally:
            del under_way[self]

    return server_event
