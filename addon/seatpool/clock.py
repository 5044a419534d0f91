"""The one place that asks what time it is, so that core never does and freezegun reaches everybody."""

import time
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from typing import NamedTuple

JUMP = timedelta(seconds=5)
"""More than a clock that is kept in time is ever set by; less than a limit that matters."""


def utcnow() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def here(day: date, at: time_of_day = time_of_day.min) -> datetime:
    """That moment of a day in this machine's time zone, aware; by its clocks of then, which may differ from now's."""
    return datetime.combine(day, at).astimezone()


def elapsed() -> timedelta:
    """Since some moment, whatever the clock was set to; while the machine sleeps as well, where the system tells."""
    clock_id = getattr(time, "CLOCK_BOOTTIME", None) or getattr(time, "CLOCK_MONOTONIC", None)
    return timedelta(seconds=time.clock_gettime(clock_id) if clock_id is not None else time.monotonic())


class Jump(NamedTuple):
    """The clock was set."""

    by: timedelta
    within: timedelta
    """How long ago at most."""


class Watch:
    """Notices that the clock was set."""

    def __init__(self) -> None:
        self._asked_at = elapsed()
        self._offset: timedelta | None = None

    def jumped(self, now: datetime) -> Jump | None:
        """How it was set since this was last asked; None where it was not."""
        up = elapsed()
        offset = timedelta(seconds=now.timestamp()) - up
        before, self._offset = self._offset, offset
        asked_at, self._asked_at = self._asked_at, up
        by = offset - before if before is not None else timedelta()
        return Jump(by, up - asked_at) if abs(by) > JUMP else None
