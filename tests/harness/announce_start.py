"""A mitmproxy script that says when start-up is over.

The line about the open port comes earlier: an error found after it still makes mitmdump exit.
"""

import asyncio
import logging

from mitmproxy import ctx

LINE = "start-up is over"
_tasks: list[asyncio.Task[None]] = []


async def _announce() -> None:
    checker = ctx.master.addons.get("errorcheck").logger
    while checker in logging.getLogger().handlers:  # taken away once no error was found
        await asyncio.sleep(0.005)
    print(LINE, flush=True)


def running() -> None:
    """mitmproxy's hook."""
    _tasks.append(asyncio.create_task(_announce()))
