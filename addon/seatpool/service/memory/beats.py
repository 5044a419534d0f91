"""Tells other processes how many requests this one has under way at each account, and hears it from them.

Nothing happens on a request's way: the follower looks a few times a second, and what it finds goes to the writer. So
others know within about three seconds: a limit that is shared can be passed by as many as come in that time.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from seatpool.core.model import UnderWay
from seatpool.core.slots import BEAT
from seatpool.core.state import PoolState
from seatpool.store import Changes

AT_MOST_EVERY = timedelta(seconds=1)
"""However busy a process is."""
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Beats:
    """One per process."""

    def __init__(self, state: PoolState, write: Callable[[UnderWay], None], owner: str) -> None:
        """`write` returns at once; `owner` names this process, and no other one."""
        self._state = state
        self._write = write
        self._told = UnderWay(owner, NEVER, {})

    def look(self, now: datetime) -> None:
        """Tell what is new, and while anything is under way that it still is; forget who is heard no longer."""
        counts = {i: count for i, count in self._state.in_flight.items() if count}
        pause = AT_MOST_EVERY if counts != self._told.counts else BEAT
        # A clock that was set back must not silence us until it has caught up.
        if (counts or self._told.counts) and not timedelta() <= now - self._told.beat_at < pause:
            self._tell(counts, now)
        self._state.recount(self._state.elsewhere.fade(now), now)

    def hear(self, changes: Changes, now: datetime) -> None:
        """What the store has, of all processes."""
        if changes.under_way is not None:
            others = (told for told in changes.under_way if told.owner != self._told.owner)
            self._state.recount(self._state.elsewhere.hear(others, now), now)

    def end(self, now: datetime) -> None:
        """This process goes: nothing is under way any more."""
        if self._told.counts:
            self._tell({}, now)

    def _tell(self, counts: dict[int, int], now: datetime) -> None:
        self._told = UnderWay(self._told.owner, now, counts)
        self._write(self._told)
