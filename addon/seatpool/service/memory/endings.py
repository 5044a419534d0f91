"""What each request took in all, from its arrival to the end of its answer, whoever served it.

On a socket each turn is a request; its handshake belongs to the first. What came of each attempt is in `records`.
"""

import time
from collections.abc import Callable
from datetime import timedelta

from seatpool.clock import utcnow
from seatpool.core.ended import Ended
from seatpool.service.trail import Trail


class Endings:
    """Makes the rows."""

    def __init__(self, note: Callable[[Ended], None]) -> None:
        """`note` returns at once."""
        self._note = note

    def begins(self, trail: Trail) -> None:
        """The client gets the first of its answer; of a turn it may be told several times."""
        if trail.first_ms is None:
            trail.first_ms = (time.monotonic() - trail.began) * 1000

    def over(self, trail: Trail) -> None:
        """The request is over, if there was one that is not told yet."""
        number = trail.number + trail.turns
        if number > trail.told:
            self._put(trail, trail.told + 1, number)

    def unsent(self, trail: Trail) -> None:
        """Nobody could be asked, or nobody must be."""
        halted = trail.halted.account.id if trail.halted is not None else None
        if trail.number == trail.told:
            self._put(trail, trail.told + 1, trail.told, halted)

    def _put(self, trail: Trail, first: int, number: int, halted: int | None = None) -> None:
        total_ms = (time.monotonic() - trail.began) * 1000
        began_at = utcnow() - timedelta(milliseconds=total_ms)
        account_id = trail.asked_of if number >= first else halted
        sent_at = trail.sent_at or began_at
        self._note(Ended(trail.flow_id, first, number, account_id, began_at, trail.first_ms, total_ms, sent_at))
        trail.told, trail.first_ms, trail.sent_at = number, None, None
