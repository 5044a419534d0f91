"""A script for mitmdump beside the pool: says over a Unix socket who has requests under way.

One line in: `look`, or `forget` (which accounts met a throttle without a name lately). One line of JSON out.
"""

import asyncio
import json
import os
from typing import Any

from mitmproxy import ctx

from seatpool.core.egress import Egress

PATH = "FAULTS_OBSERVER"
"""Environment variable: where to listen."""
_kept: list[Any] = []


def _look() -> dict[str, Any]:
    pool = ctx.master.addons.get("pool")
    state = pool.service.knowledge.state
    busy = {state.accounts[i].name: count for i, count in state.in_flight.items() if count and i in state.accounts}
    return {"busy": busy, "waiting": pool.service.waiting, "open": len(pool.exchanges)}


def _forget() -> None:
    ctx.master.addons.get("pool").service._judge._egress = Egress()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if (await reader.readline()).strip() == b"forget":
        _forget()
    writer.write(json.dumps(_look()).encode() + b"\n")
    await writer.drain()
    writer.close()


async def _listen() -> None:
    _kept.append(await asyncio.start_unix_server(_serve, os.environ[PATH]))


def running() -> None:
    """mitmproxy's hook."""
    _kept.append(asyncio.create_task(_listen()))
