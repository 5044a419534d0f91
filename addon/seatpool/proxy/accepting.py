"""A proxy goes on listening, whoever comes and leaves, and has files enough for those who stay."""

import asyncio
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

logger = logging.getLogger(__name__)

AGAIN_S = 0.05
"""After a client that could not be accepted: what goes on failing is not to take the processor for itself."""
FILES = 8192
"""Open at the same time: two connections for each request, and what the database takes. macOS gives a process 256, and
systemd its services 1,024; more than 10,240 macOS may refuse to anybody."""

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


def make_room() -> None:
    """Let this process have `FILES` open, as far as it may have; what it may have at most stays as it is."""
    if sys.platform == "win32":
        return  # which counts no sockets
    import resource

    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if most == resource.RLIM_INFINITY else min(FILES, most)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
