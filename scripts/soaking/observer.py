"""A script for mitmdump beside the pool: says over a Unix socket who has requests under way, as JSON."""

import asyncio
import json
import os
from typing import Any

from mitmproxy import ctx

PATH = "SOAK_OBSERVER"
"""Environment variable: where to listen."""
_kept: list[Any] = []


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    pool = ctx.master.addons.get("pool")
    state = pool.service.knowledge.state
    busy = {state.accounts[i].name: count for i, count in state.in_flight.items() if count and i in state.accounts}
    seen = {"busy": busy, "waiting": pool.service.waiting, "open": len(pool.exchanges)}
    writer.write(json.dumps(seen).encode() + b"\n")
    await writer.drain()
    writer.close()


async def _listen() -> None:
    _kept.append(await asyncio.start_unix_server(_serve, os.environ[PATH]))


def running() -> None:
    """mitmproxy's hook."""
    _kept.append(asyncio.create_task(_listen()))
