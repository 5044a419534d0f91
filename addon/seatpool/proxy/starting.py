"""A proxy starts with the pool or not at all: without it, it would decrypt whatever passes, and ask for no password.

mitmproxy ends at its start where an error was logged. But an `OptionsError` while a script is loaded it does not log:
it ends the task that loads and follows the script, and the proxy goes on without that.

And it stays: mitmproxy looks every second whether the script's file has changed, or is gone, and then takes out what it
gave. While a newer version is being installed there is none for a moment, and what was loaded goes on anyway.
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


def watch(master: Master, is_configured: Callable[[], bool]) -> Callable[[], object]:
    """See to it that a start ends where whoever loads the addon now fails before it is configured.

    Returns what keeps that one from looking at the file again, to be called once the proxy runs.
    """
    loading = asyncio.current_task(master.event_loop)
    if loading is None:  # without a loop, whoever loads it gets what is raised
        return lambda: None
    loading.add_done_callback(partial(_look, is_configured))
    return loading.cancel


def _look(is_configured: Callable[[], bool], loading: asyncio.Task[Any]) -> None:
    if loading.cancelled() or is_configured():
        return
    error = loading.exception()
    if error is not None:
        refuse(f"seatpool was not loaded: {error or type(error).__name__}")
