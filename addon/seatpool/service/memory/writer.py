"""Records that may be late: attempts, choices, observations, affinities, carriers, beats go to the database in batches.

One thread owns these writes; the event loop only puts values into a queue. Cooldowns and what disables an account come
here only where the database was away when they were to be durable before anything follows from them.

While it is away the thread goes on trying, every few seconds: it is the one that finds it back.
"""

import logging
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec

from seatpool.core.ended import Ended
from seatpool.core.explain import Choice, Glimpse, explain
from seatpool.core.model import Affinity, Attempt, Carried, Cooling, QuotaWindow, UnderWay
from seatpool.core.usage import worth_keeping
from seatpool.store import Store, StoreUnavailable, UnknownAccount

logger = logging.getLogger(__name__)

BATCH = 500
"""Rows in one transaction at most."""
GATHER_S = 1.0
"""How long a first row waits for company: waking the thread for every row would cost more than the row."""
BACKLOG = 20_000
"""Rows kept while the database is away; the oldest are dropped beyond that."""
USED_EVERY = timedelta(minutes=1)
"""When an account was used last is stored that often at most: with many of them each request has another one."""
AGAIN_S = 1.0
"""After a failure. An attempt that meets a lock waits for five seconds by itself."""


class Disabled(msgspec.Struct, frozen=True):
    """An account that is out of use until a person acts."""

    account_id: int
    reason: str
    at: datetime


Stored = Affinity | Attempt | Carried | Choice | Cooling | Disabled | Ended | UnderWay | tuple[int, QuotaWindow]
Row = Stored | Glimpse


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
        self.dropped = 0
        """Rows that were lost since the database went away, being the oldest of too many."""
        self._kept: dict[str, QuotaWindow] = {}
        """The last observation of each window that went into the history; by a word, see `meters.Count`."""
        self._used: dict[int, datetime] = {}
        """When each account was used last, as it is stored."""
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Have a thread do the steps, where none does already; until then rows wait."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="seatpool writer", daemon=True)
            self._thread.start()

    def put(self, row: Row) -> None:
        """Queue a row; returns at once."""
        if len(self._rows) >= BACKLOG:
            self.dropped += 1
        self._rows.append(row)
        if not self._news.is_set():
            self._news.set()

    def look(self) -> None:
        """Somebody else's write has failed: find out whether the database is still away."""
        self._news.set()

    @property
    def waiting(self) -> int:
        """Rows that are not written yet."""
        return len(self._rows)

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
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while not (self._closing and not self._rows):
            self._news.wait(AGAIN_S if self._failing else None)
            last = self._closing  # then this is the last attempt
            self._hurry.wait(GATHER_S)
            self._hurry.clear()
            self._news.clear()
            self.step()
            if last and self._failing:
                logger.error("action=records-lost rows=%d", len(self._rows))
                return

    def step(self) -> None:
        """Write what is queued, or find out whether that can be done again: what the thread does, over and over."""
        self._busy = True
        if not self._rows and self._store.trouble is not None:
            self._write([])
        left = len(self._rows)  # what comes meanwhile gathers for the next time
        while left and self._write([self._rows.popleft() for _ in range(min(BATCH, left))]):
            left -= min(BATCH, left)
        with self._idle:
            self._busy = False
            self._idle.notify_all()

    def _write(self, queued: list[Row]) -> bool:
        """One transaction. False when the rows had to go back to the queue, until there is news again."""
        rows = self._explained(queued)
        try:
            self._store_rows(rows)
        except StoreUnavailable as error:
            if not self._failing:
                logger.info("action=record-failed reason=%s", error)
            self._failing = True
            self._put_back(rows)
            return False
        except Exception:  # noqa: BLE001 # told of when it is known which row it was
            self._without_the_bad_one(rows)
        self._failing = False
        return True

    def _store_rows(self, rows: Sequence[Stored]) -> None:
        for row in rows:
            if isinstance(row, Disabled):
                with suppress(UnknownAccount):
                    self._store.disable(row.account_id, row.reason, row.at, patient=True)
        attempts = [row for row in rows if isinstance(row, Attempt)]
        beats = [row for row in rows if isinstance(row, UnderWay)]
        windows = {(row[0], row[1].bucket): row[1] for row in rows if isinstance(row, tuple)}
        news = [(key[0], seen) for key, seen in windows.items() if worth_keeping(self._kept.get(_word(*key)), seen)]
        last = {row.account_id: row.started_at for row in attempts}
        used = {id_: at for id_, at in last.items() if not _just_now(self._used.get(id_), at)}
        self._store.record(
            attempts=attempts,
            windows=[(key[0], seen) for key, seen in windows.items()],
            used=used,
            choices=[row for row in rows if isinstance(row, Choice)],
            history=news,
            coolings=[row for row in rows if isinstance(row, Cooling)],
            affinities=list({row.conversation: row for row in rows if isinstance(row, Affinity)}.values()),
            carriers=[row for row in rows if isinstance(row, Carried)],
            under_way=beats[-1] if beats else None,
            ended=[row for row in rows if isinstance(row, Ended)],
        )
        self._kept.update((_word(account_id, seen.bucket), seen) for account_id, seen in news)
        self._used.update(used)

    def _put_back(self, rows: Sequence[Stored]) -> None:
        room = max(0, BACKLOG - len(self._rows))
        self.dropped += max(0, len(rows) - room)
        self._rows.extendleft(reversed(rows[len(rows) - min(room, len(rows)) :]))

    def _without_the_bad_one(self, rows: Sequence[Stored]) -> None:
        """A row that no database would take is left out; it must not keep the others from being written."""
        half = len(rows) // 2
        for part in filter(None, (rows[:half], rows[half:])):
            try:
                self._store_rows(part)
            except StoreUnavailable:
                self._put_back(part)
            except Exception:
                if len(part) == 1:
                    logger.exception("action=record-lost kind=%s", type(part[0]).__name__)
                else:
                    self._without_the_bad_one(part)

    def _explained(self, rows: Iterable[Row]) -> list[Stored]:
        """What cannot be explained is left out: a fault there must not keep the other rows from being written."""
        found: list[Stored] = []
        for row in rows:
            try:
                found.append(explain(row) if isinstance(row, Glimpse) else row)
            except Exception:
                logger.exception("action=choices-lost")
        return found


def _just_now(before: datetime | None, now: datetime) -> bool:
    """Never where the clock was set back between."""
    return before is not None and timedelta(0) <= now - before < USED_EVERY


def _word(account_id: int, bucket: str) -> str:
    return f"{account_id} {bucket}"
