"""An answer as it arrives at a client, with the time of every piece."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any


class BrokenOff(Exception):
    """The answer ended before it was complete."""


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event. `at` is Unix time in seconds, as in the fakes' journal."""

    at: float
    name: str
    data: str

    @property
    def json(self) -> dict[str, Any]:
        """The data, read as JSON."""
        value: dict[str, Any] = json.loads(self.data)
        return value

    @property
    def delta(self) -> str | None:
        """The text that a Responses event adds; None for other events."""
        return self.json.get("delta") if self.name.endswith("output_text.delta") else None


class Incoming:
    """Head first, then pieces."""

    def __init__(self) -> None:
        self.status = 0
        self.fields: list[tuple[str, str]] = []
        self.head_at = 0.0
        self._head = asyncio.Event()
        self._pieces: asyncio.Queue[tuple[float, bytes] | BrokenOff | None] = asyncio.Queue()
        self._failed: BrokenOff | None = None

    async def head(self) -> int:
        """The status, once it is there. `BrokenOff` when the answer never began."""
        await self._head.wait()
        if not self.status and self._failed is not None:
            raise self._failed
        return self.status

    @property
    def headers(self) -> dict[str, str]:
        """By lower-case name; the first of several wins."""
        return {name.lower(): value for name, value in reversed(self.fields)}

    async def pieces(self) -> AsyncIterator[tuple[float, bytes]]:
        """The body as it comes. `BrokenOff` when it ends early."""
        await self.head()
        while (piece := await self._pieces.get()) is not None:
            if isinstance(piece, BrokenOff):
                raise piece
            yield piece

    async def events(self) -> AsyncIterator[Event]:
        """Server-sent events as they come."""
        rest = b""
        async for at, piece in self.pieces():
            *whole, rest = (rest + piece).split(b"\n\n")
            for block in whole:
                yield _event(at, block.decode())

    async def body(self) -> bytes:
        """The whole body."""
        return b"".join([piece async for _, piece in self.pieces()])

    async def json(self) -> Any:
        """The whole body, read as JSON."""
        return json.loads(await self.body())

    async def text(self) -> str:
        """All that a Responses stream said; the body itself for anything else."""
        await self.head()
        if "event-stream" not in self.headers.get("content-type", "event-stream"):
            return (await self.body()).decode()
        return "".join([event.delta or "" async for event in self.events()])

    def begin(self, status: int, fields: list[tuple[str, str]]) -> None:
        """For clients: the head is here."""
        self.status, self.fields, self.head_at = status, fields, time.time()
        self._head.set()

    def feed(self, piece: bytes) -> None:
        """For clients: a piece of the body is here."""
        self._pieces.put_nowait((time.time(), piece))

    def finish(self, broken: str | None = None) -> None:
        """For clients: nothing more will come."""
        self._failed = BrokenOff(broken) if broken is not None else None
        self._pieces.put_nowait(self._failed)
        self._head.set()


def _event(at: float, block: str) -> Event:
    name, data = "", []
    for line in block.split("\n"):
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
    return Event(at, name, "\n".join(data))
