"""Notices that a SQLite file has changed, which SQLite tells nobody.

A connection of its own in a thread of its own asks for nothing but the number that changes with every commit of any
other connection: a hundredth of what a query through an engine costs, and nothing of it in the event loop.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from seatpool.store.databases.files import Opened, connect
from seatpool.store.errors import StoreUnavailable

logger = logging.getLogger(__name__)

EVERY_S = 0.15
"""Between two looks: what another process has stored is to be heard, and read, within 250 ms."""
AGAIN_S = 1.0
"""After a failure, or where the file is gone."""
BUSY_S = 5.0
"""How long a look waits for who has the whole file to himself."""


class Watcher:
    """An `Ear` (see `backend`)."""

    def __init__(self, path: Path, wake: Callable[[], None]) -> None:
        """`wake` is called in the watcher's thread: after every commit, and when there is a connection."""
        self._path = path
        self._wake = wake
        self.hearing = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="seatpool watcher", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hear no more."""
        self._over.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                with closing(connect(self._path, BUSY_S)) as db:
                    self._watch(db)
            except (sqlite3.Error, StoreUnavailable) as error:
                if self.hearing:
                    logger.info("action=not-hearing reason=%s", type(error).__name__)
            self.hearing = False
            if not self._over.is_set():
                self._wake()  # so that somebody looks, and sees that he has to go on looking
            self._over.wait(AGAIN_S)

    def _watch(self, db: Opened) -> None:
        seen = _version(db)
        self.hearing = True
        self._wake()  # for what was before
        while not self._over.wait(EVERY_S):
            db.must_stand()
            version = _version(db)
            if version != seen:
                seen = version
                self._wake()


def _version(db: sqlite3.Connection) -> int:
    number: int = db.execute("PRAGMA data_version").fetchone()[0]
    return number
