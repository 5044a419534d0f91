"""A proxy goes on listening, whoever comes and leaves."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

logger = logging.getLogger(__name__)

AGAIN_S = 0.05
"""After a client that could not be accepted: what goes on failing is not to take the processor for itself."""

Accept = Callable[[Any], Any]


def go_on(loop: asyncio.AbstractEventLoop) -> None:
    """Have the loop of Windows accept the next client where one could not be accepted; others do so by themselves.

    It takes any failure for the end of the socket that it listens on (python/cpython#93821). A client that has left
    before its turn is one, and a network that was away while the machine slept (mitmproxy/mitmproxy#7301): the process
    would go on, nobody would start it again, and no editor come through any more.
    """
    proactor = getattr(loop, "_proactor", None)
    if proactor is not None and not isinstance(proactor.accept, partial):
        proactor.accept = partial(_accepting, loop, proactor.accept)


def _accepting(loop: asyncio.AbstractEventLoop, accept: Accept, listener: Any) -> asyncio.Task[Any]:
    return loop.create_task(_next(accept, listener), name="seatpool accepting")


async def _next(accept: Accept, listener: Any) -> Any:
    """The next client that can be accepted. Raises `OSError` where the socket is closed."""
    while True:
        try:
            return await accept(listener)
        except OSError as error:
            if listener.fileno() == -1:
                raise
            logger.info("action=not-accepted reason=%s: the next client is waited for", error)
        await asyncio.sleep(AGAIN_S)
