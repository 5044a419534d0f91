"""Counts what comes by that seatpool does not know: hosts, and kinds of requests on pooled hosts."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from seatpool.clock import utcnow
from seatpool.setup import strangers

logger = logging.getLogger(__name__)

WRITE_EVERY = timedelta(minutes=1)
"""How often what was counted is written, at most."""


class Counting:
    """One kind of names, with the file in which they are counted."""

    def __init__(self, file: Callable[[], Path], first: str) -> None:
        """`first` is what the log says of each name once; `%s` stands for the name."""
        self._file = file
        self._first = first
        self._told: set[str] = set()
        self._unwritten: Counter[str] = Counter()
        self._write_at: datetime | None = None
        self._writing: asyncio.Future[None] | None = None

    @property
    def unwritten(self) -> dict[str, int]:
        """What the file does not have yet."""
        return dict(self._unwritten)

    def note(self, name: str) -> None:
        """One more."""
        if name not in self._told and len(self._told) < strangers.AT_MOST:
            self._told.add(name)
            self._write_at = None
            logger.warning(self._first, name)
        if name in self._told:
            self._unwritten[name] += 1
        now = utcnow()
        if self._write_at is None or now >= self._write_at:
            self._write_at = now + WRITE_EVERY
            self._writing = asyncio.get_running_loop().run_in_executor(None, self.write)

    def write(self) -> None:
        """Add what was counted since the last time to the file."""
        counted, self._unwritten = self._unwritten, Counter()
        try:
            if counted:
                strangers.add(self._file(), counted, utcnow())
        except OSError as error:
            logger.warning("action=count reason=%s: what is unknown is not kept", type(error).__name__)
