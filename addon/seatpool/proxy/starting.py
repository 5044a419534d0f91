"""A proxy starts with the pool or not at all: without it, it would decrypt whatever passes, and ask for no password.

mitmproxy ends at its start where an error was logged. But an `OptionsError` while a script is loaded it does not log:
it ends the task that loads and follows the script, and the proxy goes on without that.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from mitmproxy.master import Master

logger = logging.getLogger(__name__)


def refuse(problem: str) -> None:
    """Say in one line what is wrong; a start ends with that."""
    logger.error("%s", problem)


def watch(master: Master, is_configured: Callable[[], bool]) -> None:
    """See to it that a start ends where whoever loads the addon now fails before it is configured."""
    loading = asyncio.current_task(master.event_loop)
    if loading is not None:  # without a loop, whoever loads it gets what is raised
        loading.add_done_callback(partial(_look, is_configured))


def _look(is_configured: Callable[[], bool], loading: asyncio.Task[Any]) -> None:
    if loading.cancelled() or is_configured():
        return
    error = loading.exception()
    if error is not None:
        refuse(f"seatpool was not loaded: {error or type(error).__name__}")
