"""Tells every viewer what has changed, as server-sent events. While nobody looks nothing is done.

Viewers cost a request nothing: what they are told is read from the store, where it is written anyway.
"""

import asyncio
import logging
from contextlib import suppress

import msgspec

from seatpool.page.looks import Look, Looks
from seatpool.service.threads import apart

logger = logging.getLogger(__name__)

MOST = 16
"""Viewers at the same time."""
STILL_HERE_S = 15.0
"""After so long without news a viewer is told that there is none: who has left is noticed then."""
AT_MOST = 1 << 20
"""Bytes for one viewer; then it has to ask again. One that has stopped reading costs no more than this."""
AGAIN_MS = 1000
"""When a browser asks again whose stream has ended."""
STILL_HERE = b"event: here\ndata: {}\n\n"
"""An event, since a page hears of no comment: what is gone without a word is told by it."""


class Viewer:
    """One that looks: a `visit.Stream`."""

    def __init__(self, board: "Board") -> None:
        self._board = board
        self._due: dict[str, bytes] = {"retry": b"retry: %d\n\n" % AGAIN_MS}
        """The newest of each kind."""
        self._requests: list[bytes] = []
        self._news = asyncio.Event()
        self._sent = 0
        self.over = False

    async def next(self) -> bytes | None:
        """Events, within seconds; None: that was all."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STILL_HERE_S):
                await self._news.wait()
        if self.over:
            return None
        self._news.clear()
        piece = b"".join((*self._due.values(), *self._requests)) or STILL_HERE
        self._due.clear()
        self._requests.clear()
        self._sent += len(piece)
        if self._sent > AT_MOST:
            self.close()
        return piece

    def close(self) -> None:
        """Nobody looks any more."""
        self.over = True
        self._news.set()
        self._board.leave(self)

    def tell(self, look: Look) -> None:
        """Put what is new where `next` takes it."""
        for kind in ("report", "forecasts"):
            content = getattr(look, kind)
            if content is not None:
                self._due[kind] = _event(kind, content)
        if look.requests is not None:
            self._requests.append(_event("requests", look.requests, look.place))
        if look.problem is not None:
            self._due["trouble"] = _event("trouble", msgspec.json.encode({"problem": look.problem}))
        if sum(map(len, self._requests)) > AT_MOST:
            self.close()  # it does not read
        elif self._due or self._requests:
            self._news.set()


class Board:
    """One per proxy."""

    def __init__(self, looks: Looks) -> None:
        self._looks = looks
        self._viewers: set[Viewer] = set()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._viewers)

    async def open(self, after: int | None) -> Viewer | None:
        """Somebody looks who has seen the requests up to the place `after`, or none. None: there are too many."""
        if len(self._viewers) >= MOST:
            return None
        viewer = Viewer(self)
        self._viewers.add(viewer)
        try:
            look = await apart(self._looks.first, after)
        except BaseException:
            viewer.close()
            raise
        viewer.tell(look)
        if self._task is None and not viewer.over:
            self._task = asyncio.create_task(self._watch(), name="seatpool page")
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """It looks no longer."""
        self._viewers.discard(viewer)

    async def close(self) -> None:
        """End every stream."""
        for viewer in tuple(self._viewers):
            viewer.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        problem: str | None = None
        try:
            while self._viewers:
                look = await apart(self._looks.look)
                if look.problem is None or look.problem != problem:
                    for viewer in tuple(self._viewers):
                        viewer.tell(look)
                problem = look.problem
                await asyncio.sleep(look.rest_s)
        except Exception:  # told once; who looks asks again, and then it is tried again
            logger.exception("action=page-failed")
            for viewer in tuple(self._viewers):
                viewer.close()
        finally:
            self._task = None


def _event(kind: str, content: bytes, place: int | None = None) -> bytes:
    number = f"id: {place}\n" if place is not None else ""
    return f"{number}event: {kind}\ndata: ".encode() + content + b"\n\n"
