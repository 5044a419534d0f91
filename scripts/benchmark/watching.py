"""Somebody who looks at the page while the proxy works."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from scripts.benchmark.client import Broken, Target

ASKED = b"GET http://seatpool.test/api/events HTTP/1.1\r\nHost: seatpool.test\r\n\r\n"
SETTLE_S = 0.8
"""What looking costs once, when it begins, is none of a request's."""


@asynccontextmanager
async def watching(target: Target) -> AsyncIterator[None]:
    """One viewer, for as long as the block takes. Raises `Broken` where it is told nothing."""
    raw = await asyncio.to_thread(target.connect, *target.address)
    raw.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=raw)
    writer.write(ASKED)
    heard = 0

    async def listen() -> None:
        nonlocal heard
        while piece := await reader.read(1 << 16):
            heard += piece.count(b"event: report")

    listening = asyncio.create_task(listen())
    try:
        await asyncio.sleep(SETTLE_S)
        yield
        if not heard:
            raise Broken(f"who looked at {target.name} was told nothing")
    finally:
        listening.cancel()
        writer.close()
        await asyncio.sleep(SETTLE_S / 4)
