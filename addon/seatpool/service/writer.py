"""Records that may be late: attempts, quota observations and last use go to the database in batches.

One thread owns these writes; the event loop only puts values into a queue. Cooldowns and credentials do not come here:
they are durable before anything follows from them.
"""

import logging
import queue
import threading
import time
from datetime import datetime

from seatpool.core.model import Attempt, QuotaWindow
from seatpool.store import Store

logger = logging.getLogger(__name__)

BATCH = 500
"""Rows in one transaction at most."""
GATHER_S = 0.2
"""How long a first row waits for company."""
BACKLOG = 20_000
"""Rows kept while the database is away; the oldest are dropped beyond that."""


Row = Attempt | tuple[int, QuotaWindow] | tuple[int, datetime]


class Writer:
    """The queue and its thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queue: queue.SimpleQueue[Row | threading.Event | None] = queue.SimpleQueue()
        self._pending: list[Row] = []
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="seatpool writer", daemon=True)
        self._thread.start()

    def put(self, row: Row) -> None:
        """Queue a row; returns at once."""
        self._queue.put(row)

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until everything queued so far was written, or given up on. Returns whether it was in time."""
        done = threading.Event()
        self._queue.put(done)
        return done.wait(timeout_s)

    def close(self) -> None:
        """Write what is queued and end the thread."""
        self._queue.put(None)
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            if isinstance(item, (threading.Event, type(None))):
                self._write()
                if item is None:
                    return
                item.set()
                continue
            self._pending.append(item)
            if not self._gather():
                return

    def _gather(self) -> bool:
        """Collect for a moment, then write. False when the end was asked for meanwhile."""
        ends = time.monotonic() + GATHER_S
        waiting: threading.Event | None = None
        while len(self._pending) < BATCH and (left := ends - time.monotonic()) > 0:
            try:
                item = self._queue.get(timeout=left)
            except queue.Empty:
                break
            if item is None:
                self._write()
                return False
            if isinstance(item, threading.Event):
                waiting = item
                break
            self._pending.append(item)
        self._write()
        if waiting is not None:
            waiting.set()
        return True

    def _write(self) -> None:
        if not self._pending:
            return
        attempts = [row for row in self._pending if isinstance(row, Attempt)]
        windows: dict[tuple[int, str], tuple[int, QuotaWindow]] = {}
        used: dict[int, datetime] = {}
        for row in self._pending:
            if isinstance(row, Attempt):
                used[row.account_id] = row.started_at
            elif isinstance(row[1], QuotaWindow):
                windows[row[0], row[1].bucket] = (row[0], row[1])
            else:
                used[row[0]] = row[1]
        try:
            self._store.record(attempts=attempts, windows=list(windows.values()), used=used)
        except Exception as error:  # noqa: BLE001 # a record lost is a log line; the thread must live on
            if not self._failing:
                logger.warning("action=record-failed reason=%s: %s", type(error).__name__, error)
            self._failing = True
            del self._pending[: max(0, len(self._pending) - BACKLOG)]
            return
        self._failing = False
        self._pending.clear()
