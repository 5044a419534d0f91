"""Forecasts of every limited window, a few at a time: one takes some hundredths of a second. Blocking: for a thread."""

import time
from collections import deque

import msgspec

from seatpool.core.outlook import Outlook, outlooks
from seatpool.core.report import AccountRow, Report
from seatpool.store import Store

EVERY_S = 30.0
"""They are made anew so often at most."""
AT_ONCE_S = 0.1
"""Of a processor: so long is gone on, the first time. Afterwards it is one account at a time."""
AT_MOST = 0.006
"""Share of a processor that they may take: the costlier, the later the next one."""


class Foresight:
    """One for all viewers."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[Outlook, ...]] = {}
        """By account."""
        self._due: deque[int] = deque()
        self._seen: dict[int, int] = {}
        """How many limited windows each account has."""
        self._next = self._round = 0.0

    @property
    def told(self) -> bytes:
        """What is known by now: JSON, encoded."""
        return msgspec.json.encode([each for made in self._made.values() for each in made])

    def look(self, store: Store, report: Report) -> bytes | None:
        """Make those whose turn it is. What is known then; None where nothing is new."""
        now = time.monotonic()
        rows = {row.id: row for row in report.accounts}
        seen = {row.id: _limited(row) for row in report.accounts}
        first = not self._made
        if seen != self._seen or (not self._due and now >= self._round):
            again = seen == self._seen
            new = [i for i, count in seen.items() if count and (again or count != self._seen.get(i))]
            self._due.extend(i for i in new if i not in self._due)
            self._made = {i: self._made[i] for i in rows if i in self._made}
            self._seen, self._round = seen, now + EVERY_S
        if not self._due or now < self._next:
            return None
        before = time.thread_time()
        while self._due:
            row = rows.get(self._due.popleft())
            if row is not None:
                self._made[row.id] = outlooks([row], store.past.window_history([row.id]), report.at)
            if time.thread_time() - before > (AT_ONCE_S if first else 0.0):
                break
        if not first:
            self._next = now + (time.thread_time() - before) / AT_MOST
        return self.told


def _limited(row: AccountRow) -> int:
    return sum(not window.unlimited for window in row.windows)
