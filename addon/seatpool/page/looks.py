"""Reads what is to be shown. Blocking: for a thread."""

import time
from collections.abc import Callable

import msgspec

from seatpool.clock import utcnow
from seatpool.core.ended import Recorded
from seatpool.core.tail import Line, line
from seatpool.page.foresight import Foresight
from seatpool.service.telling import reporting
from seatpool.store import Store, StoreError, Wanted

SHOWN = 200
"""Requests at most that a viewer is told of when it comes."""
AT_A_TIME = 40
"""And later, with each look: where more have ended, the newest."""
EVERY_S = 0.25
SETTLED_S = 5.0
"""A report is made anew after so long even where nothing was written: time passes."""
AT_MOST = 0.012
"""Share of a processor that looking may take: what is costly is rare. Forecasts see to themselves."""
AWAY = "the pool's database is away"


class Look(msgspec.Struct, frozen=True):
    """What is new since the last one: JSON, encoded; None where nothing is."""

    rest_s: float = EVERY_S
    """When it is time for the next one."""
    report: bytes | None = None
    requests: bytes | None = None
    """Those that have ended."""
    place: int = 0
    """Of the last of them."""
    forecasts: bytes | None = None
    problem: str | None = None
    """Why nothing could be read."""


class Looks:
    """One for all viewers; they are shown the same."""

    def __init__(self, store: Callable[[], Store | None]) -> None:
        """`store`: None while the database is away."""
        self._store = store
        self._revision = self._place = -1
        self._settled = 0.0
        self._foresight = Foresight()

    def first(self, after: int | None) -> Look:
        """All there is, for somebody who has seen the requests up to the place `after`, or none."""
        store = self._store()
        if store is None:
            return Look(problem=AWAY)
        try:
            report = reporting.read(store, utcnow())
            place, recorded = store.past.newest_ended(Wanted(), SHOWN)
            if after is not None and 0 <= place - after <= SHOWN:
                place, recorded = store.past.ended_after(after, Wanted(), SHOWN)
            requests = msgspec.json.encode(_lines(store, recorded))
            return Look(EVERY_S, msgspec.json.encode(report), requests, place, self._foresight.told)
        except StoreError as error:
            return Look(problem=str(error))

    def look(self) -> Look:
        """What is new. Cheap where nothing is."""
        store = self._store()
        if store is None:
            self._settled = 0.0
            return Look(problem=AWAY)
        before = time.thread_time()
        try:
            requests = self._ended(store)
            revision = store.revision()
            if requests is None and revision == self._revision and time.monotonic() < self._settled:
                return Look()
            self._revision, self._settled = revision, time.monotonic() + SETTLED_S
            report = reporting.read(store, utcnow())
            encoded = msgspec.json.encode(report)
            rest_s = max(EVERY_S, (time.thread_time() - before) / AT_MOST)
            return Look(rest_s, encoded, requests, self._place, self._foresight.look(store, report))
        except StoreError as error:
            self._settled = 0.0
            return Look(problem=str(error))

    def _ended(self, store: Store) -> bytes | None:
        if self._place < 0:
            self._place, _ = store.past.newest_ended(Wanted(), 1)
            return None
        place, recorded = store.past.ended_after(self._place, Wanted(), AT_A_TIME)
        if len(recorded) == AT_A_TIME:
            place, recorded = store.past.newest_ended(Wanted(), AT_A_TIME)
        self._place = place
        return msgspec.json.encode(_lines(store, recorded)) if recorded else None


def _lines(store: Store, recorded: tuple[Recorded, ...]) -> tuple[Line, ...]:
    accounts = {account.id: account for account in store.accounts()} if recorded else {}
    return tuple(line(each, accounts) for each in recorded)
