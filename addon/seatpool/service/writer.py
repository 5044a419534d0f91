"""Records that may be late: attempts, choices, observations, affinities, carriers, beats go to the database in batches.

One thread owns these writes; the event loop only puts values into a queue. Cooldowns and credentials do not come here:
they are durable before anything follows from them.
"""

import logging
import threading
from collections import deque

import msgspec

from seatpool.core.explain import Choice, Glimpse, explain
from seatpool.core.model import Affinity, Attempt, Carried, Cooldown, QuotaWindow, UnderWay
from seatpool.core.usage import worth_keeping
from seatpool.store import Store

logger = logging.getLogger(__name__)

BATCH = 500
"""Rows in one transaction at most."""
GATHER_S = 1.0
"""How long a first row waits for company: waking the thread for every row would cost more than the row."""
BACKLOG = 20_000
"""Rows kept while the database is away; the oldest are dropped beyond that."""


class Lifted(msgspec.Struct, frozen=True):
    """A cooldown that was ended or forgotten, unless another process has replaced it meanwhile."""

    cooldown: Cooldown


Row = Affinity | Attempt | Carried | Glimpse | Lifted | UnderWay | tuple[int, QuotaWindow]


class Writer:
    """The queue and its thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows: deque[Row] = deque(maxlen=BACKLOG)
        self._news = threading.Event()
        self._hurry = threading.Event()
        """Somebody waits: do not gather."""
        self._idle = threading.Condition()
        self._busy = False
        self._closing = False
        self._failing = False
        self._kept: dict[tuple[int, str], QuotaWindow] = {}
        """The last observation of each window that went into the history."""
        self._thread = threading.Thread(target=self._run, name="seatpool writer", daemon=True)
        self._thread.start()

    def put(self, row: Row) -> None:
        """Queue a row; returns at once."""
        self._rows.append(row)
        if not self._news.is_set():
            self._news.set()

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until everything queued so far was written. Returns whether it was in time."""
        self._hurry.set()
        self._news.set()
        with self._idle:
            return self._idle.wait_for(lambda: not self._rows and not self._busy, timeout_s)

    def close(self) -> None:
        """Write what is queued and end the thread."""
        self._closing = True
        self._hurry.set()
        self._news.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not (self._closing and (self._failing or not self._rows)):
            self._news.wait()
            self._hurry.wait(GATHER_S)
            self._hurry.clear()
            self._news.clear()
            self._busy = True
            while self._rows and self._write([self._rows.popleft() for _ in range(min(BATCH, len(self._rows)))]):
                pass
            with self._idle:
                self._busy = False
                self._idle.notify_all()

    def _write(self, rows: list[Row]) -> bool:
        """One transaction. False when the rows had to go back to the queue, until there is news again."""
        attempts = [row for row in rows if isinstance(row, Attempt)]
        used = {row.account_id: row.started_at for row in attempts}
        choices = self._explained(rows)
        lifted = [row.cooldown for row in rows if isinstance(row, Lifted)]
        affinities = {row.conversation: row for row in rows if isinstance(row, Affinity)}
        beats = [row for row in rows if isinstance(row, UnderWay)]
        others = Affinity | Attempt | Carried | Glimpse | Lifted | UnderWay
        windows = {(row[0], row[1].bucket): row[1] for row in rows if not isinstance(row, others)}
        kept = {key: seen for key, seen in windows.items() if worth_keeping(self._kept.get(key), seen)}
        try:
            self._store.record(
                attempts=attempts,
                windows=[(key[0], seen) for key, seen in windows.items()],
                used=used,
                choices=choices,
                history=[(key[0], seen) for key, seen in kept.items()],
                lifted=lifted,
                affinities=list(affinities.values()),
                carriers=[row for row in rows if isinstance(row, Carried)],
                under_way=beats[-1] if beats else None,
            )
        except Exception as error:  # noqa: BLE001 # a record lost is a log line; the thread must live on
            if not self._failing:
                logger.warning("action=record-failed reason=%s: %s", type(error).__name__, error)
            self._failing = True
            self._rows.extendleft(reversed(rows[-max(0, BACKLOG - len(self._rows)) :]))
            return False
        self._kept |= kept
        self._failing = False
        return True

    def _explained(self, rows: list[Row]) -> list[Choice]:
        """What cannot be explained is left out: a fault there must not keep the other rows from being written."""
        try:
            return [explain(row) for row in rows if isinstance(row, Glimpse)]
        except Exception:
            logger.exception("action=choices-lost")
            return []
