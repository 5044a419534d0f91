"""A script for mitmdump beside the pool: says over a Unix socket who has requests under way.

One line in: `look`, `forget` (which accounts met a throttle without a name lately), or `rest NAME` (that account is
limited for an hour). One line of JSON out.
"""

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from mitmproxy import ctx

from seatpool.core.egress import Egress
from seatpool.core.model import WHOLE_ACCOUNT

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


async def _rest(name: str) -> None:
    knowledge = ctx.master.addons.get("pool").service.knowledge
    account = next(account for account in knowledge.state.accounts.values() if account.name == name)
    await knowledge.cool(account, WHOLE_ACCOUNT, "test", datetime.now(UTC) + timedelta(hours=1))


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    order, _, name = (await reader.readline()).decode().strip().partition(" ")
    if order == "forget":
        _forget()
    elif order == "rest":
        await _rest(name)
    writer.write(json.dumps(_look()).encode() + b"\n")
    await writer.drain()
    writer.close()


async def _listen() -> None:
    _kept.append(await asyncio.start_unix_server(_serve, os.environ[PATH]))


def running() -> None:
    """mitmproxy's hook."""
    _kept.append(asyncio.create_task(_listen()))
