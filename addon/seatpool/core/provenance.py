"""Who gave out what only its giver can read: hashes of ids, ciphers and signatures, by account.

A conversation holds hundreds of them, and a person has hundreds of conversations; so they are kept in plain arrays of
16 bytes each, eight places to a shelf. Where a shelf is full there are twice as many of them from then on; once there
are `SHELVES`, the one that was learnt longest ago makes room for the newest.
"""

from array import array
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from enum import StrEnum

SHELVES = 8_192
FIRST_SHELVES = 32
PLACES = 8
NOBODY = 0
"""Stands for accounts of which no more is known than that none of those we asked is one of them."""


class Moving(StrEnum):
    """What becomes of a request whose contents only an account can read that cannot serve now."""

    NEVER = "never"
    """It is told that account's limit."""
    REPAIR = "repair"
    """It goes to another one, without what that one cannot read."""
    ASK_UPSTREAM = "ask-upstream"
    """It goes to another one as it is; where that one cannot read it, it is told the owner's limit."""


class Provenance:
    """65,536 of them at most, in one megabyte; in less while there are fewer. Times in seconds since the epoch."""

    def __init__(self) -> None:
        self._shelves = FIRST_SHELVES
        self._keys = array("Q", bytes(8 * FIRST_SHELVES * PLACES))
        self._accounts, self._minutes = (array("I", bytes(4 * FIRST_SHELVES * PLACES)) for _ in range(2))
        self._any = False

    def __bool__(self) -> bool:
        """Whether anything was ever learnt."""
        return self._any

    def learn(self, keys: Iterable[int], account_id: int, now: float) -> tuple[int, ...]:
        """Note whose these are. Returns those that were not known as theirs."""
        minute, news = int(now) // 60, []
        for key in keys:
            place = self._place(key)
            if place is None:
                place = self._room(key)
                self._keys[place], self._accounts[place] = key, account_id
                news.append(key)
            elif self._accounts[place] != account_id:
                self._accounts[place] = account_id
                news.append(key)
            self._minutes[place] = minute
            self._any = True
        return tuple(news)

    def giver(self, key: int, now: float, ttl_s: float) -> int | None:
        """Whose it is; None where nobody knows, or it was learnt too long ago."""
        place = self._place(key)
        if place is None or self._minutes[place] * 60 + ttl_s <= now:
            return None
        return self._accounts[place]

    def forget_all_but(self, account_ids: AbstractSet[int]) -> None:
        """Accounts were removed: theirs are nobody's that is here."""
        for place, account_id in enumerate(self._accounts):
            if account_id != NOBODY and account_id not in account_ids:
                self._accounts[place] = NOBODY

    def _place(self, key: int) -> int | None:
        shelf = key % self._shelves * PLACES
        try:
            return self._keys.index(key, shelf, shelf + PLACES)
        except ValueError:
            return None

    def _room(self, key: int) -> int:
        """A place for one that has none: an empty one, or that of a copy, or the oldest."""
        while True:
            number = key % self._shelves
            places = range(number * PLACES, (number + 1) * PLACES)
            for place in places:
                if not self._minutes[place] or self._keys[place] % self._shelves != number:
                    return place
            if self._shelves == SHELVES:
                return min(places, key=self._minutes.__getitem__)
            # Every shelf twice: of the two copies of a key one is where it is looked for, the other one is in the way
            # of nobody. So a request never waits for thousands of them to be moved.
            self._shelves *= 2
            for column in (self._keys, self._accounts, self._minutes):
                column.extend(column)
