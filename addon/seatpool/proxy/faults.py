"""What goes wrong in a hook, and with the database: told once in the log, and left for `seatpool status`."""

import asyncio
import logging
import sys
import threading
from collections.abc import Iterable
from datetime import datetime

from seatpool.clock import utcnow
from seatpool.setup import troubles

logger = logging.getLogger(__name__)

AT_MOST = 20
"""Faults that are told of."""


class Faults:
    """One per proxy."""

    def __init__(self) -> None:
        self.database = ""
        """Where it is."""
        self._told: dict[str, datetime] = {}
        """What is wrong, and since when."""
        self._away: str | None = None
        self._overruled: frozenset[str] = frozenset()
        self._writing: set[asyncio.Future[None]] = set()
        self._one_at_a_time = threading.Lock()

    def note(self, hook: str, action: str) -> None:
        """The exception that is being handled: its kind and place are told the first time that it comes."""
        kind, error, trace = sys.exc_info()
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}" if trace is not None else "?"
        fault = f"{kind.__name__ if kind else 'fault'} in {place}, hook {hook}"
        if fault in self._told or len(self._told) >= AT_MOST:
            return
        logger.error("action=%s hook=%s: told once, later ones like it are not", action, hook, exc_info=error)
        self._told[fault] = utcnow()
        self._leave()

    def database_is(self, problem: str | None) -> None:
        """Why it is away; None: it is there. The log has it already."""
        if self._away is not None:
            self._told.pop(self._away, None)
        self._away = problem
        if problem is not None:
            self._told[problem] = utcnow()
        self._leave()

    def overruled(self, told: Iterable[str]) -> None:
        """What is set here and does not count, because something else is locked. The log has it already."""
        before, self._overruled = self._overruled, frozenset(told)
        for gone in before - self._overruled:
            self._told.pop(gone, None)
        for new in self._overruled - before:
            self._told[new] = utcnow()
        if before != self._overruled:
            self._leave()

    async def end(self) -> None:
        """The process goes."""
        self._told.clear()
        self._leave()
        await asyncio.gather(*self._writing, return_exceptions=True)

    def _leave(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # while it starts
            self._write()
            return
        future = loop.run_in_executor(None, self._write)
        self._writing.add(future)
        future.add_done_callback(self._writing.discard)

    def _write(self) -> None:
        try:
            with self._one_at_a_time:  # there is one file, and the last word is to stand
                troubles.leave(self.database, dict(self._told))
        except OSError as error:
            logger.debug("action=trouble-not-left reason=%s", error)
