"""A line of the log about a request that goes on: said once that has gone out.

To put a line into words and onto a terminal takes as long as to choose an account, and who is asked next can think
about the request meanwhile.
"""

import asyncio
from collections.abc import Callable
from functools import partial


def say(level: Callable[..., None], line: str, *values: object) -> None:
    """`level` is a logger's method. On the event loop; lines keep their order."""
    asyncio.get_running_loop().call_soon(partial(level, line, *values))
