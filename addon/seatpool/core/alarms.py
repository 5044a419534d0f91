"""When to look at an account again: at a moment that is known, or when its score has aged.

A heap holds the moments. What is set to an earlier one leaves the later behind, which is found to be stale when its
turn comes.
"""

from collections import OrderedDict
from collections.abc import Iterator
from heapq import heappop, heappush

AGED_S = 120.0
"""Within this time the share of a five-hour window that is left of its time moves by less than one in a hundred."""
AGED_AT_ONCE = 16
"""Of those that have aged, so many are told at once: to score them takes 0.3 ms. All of ten thousand would be 170."""
AGED_IN_A_SECOND = 20.0
"""So many are told in a second, once these were: ten thousand in eight minutes, else their number would cost a request
in fifty. What was left undone while nobody asked is made up for."""


class Alarms:
    """By account id; times in seconds since the epoch. Mutable, yet pure."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int]] = []
        self._set: dict[int, float] = {}
        self._ageing: OrderedDict[int, float] = OrderedDict()
        """Since when, the oldest first."""
        self._next_at = 0.0
        """From when on one more that has aged may be told."""

    def set(self, account_id: int, moment: float) -> None:
        """Look at an account then, or earlier where that is set."""
        before = self._set.get(account_id)
        if before is None or moment < before:
            self._set[account_id] = moment
            heappush(self._due, (moment, account_id))

    def age(self, account_id: int, moment: float) -> None:
        """Its score is as old as that; an age that is known stays."""
        self._ageing.setdefault(account_id, moment)

    def ring(self, moment: float) -> Iterator[int]:
        """Ids of the accounts to look at now. What is set while they are told counts as well."""
        while self._due and self._due[0][0] <= moment:
            due, account_id = heappop(self._due)
            if self._set.get(account_id) == due:
                del self._set[account_id]
                yield account_id
        for _ in range(AGED_AT_ONCE):
            account_id, since = next(iter(self._ageing.items()), (0, moment))
            if since > moment - AGED_S:
                self._next_at = moment - AGED_AT_ONCE / AGED_IN_A_SECOND
                return
            if self._next_at > moment:
                return
            self._next_at += 1 / AGED_IN_A_SECOND
            del self._ageing[account_id]
            yield account_id

    def forget(self, account_id: int) -> None:
        """The account is gone."""
        self._set.pop(account_id, None)
        self._ageing.pop(account_id, None)

    def clear(self) -> None:
        """Whatever was set is told anew."""
        self._due.clear()
        self._set.clear()
        self._ageing.clear()
        self._next_at = 0.0
