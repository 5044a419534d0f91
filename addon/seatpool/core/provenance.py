"""Who gave out what only its giver can read: hashes of ids, ciphers and signatures, by account.

A conversation holds hundreds of them, and a person has hundreds of conversations; so they are kept in plain arrays of
16 bytes each, eight places to a shelf, in which the one that was learnt longest ago makes room for the newest.
"""

from array import array
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from enum import StrEnum

SHELVES = 8_192
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
    """65,536 of them at most, in one megabyte; nothing before the first is learnt. Times in seconds since the epoch."""

    def __init__(self) -> None:
        self._keys = array("Q")
        self._accounts = array("I")
        self._minutes = array("I")

    def __bool__(self) -> bool:
        """Whether anything was ever learnt."""
        return bool(self._keys)

    def learn(self, keys: Iterable[int], account_id: int, now: float) -> tuple[int, ...]:
        """Note whose these are. Returns those that were not known as theirs."""
        if not self._keys:
            self._keys = array("Q", bytes(8 * SHELVES * PLACES))
            self._accounts, self._minutes = (array("I", bytes(4 * SHELVES * PLACES)) for _ in range(2))
        minute, news = int(now) // 60, []
        for key in keys:
            shelf = key % SHELVES * PLACES
            try:
                place = self._keys.index(key, shelf, shelf + PLACES)
            except ValueError:
                place = min(range(shelf, shelf + PLACES), key=self._minutes.__getitem__)
                self._keys[place], self._accounts[place] = key, account_id
                news.append(key)
            else:
                if self._accounts[place] != account_id:
                    self._accounts[place] = account_id
                    news.append(key)
            self._minutes[place] = minute
        return tuple(news)

    def giver(self, key: int, now: float, ttl_s: float) -> int | None:
        """Whose it is; None where nobody knows, or it was learnt too long ago."""
        if not self._keys:
            return None
        shelf = key % SHELVES * PLACES
        try:
            place = self._keys.index(key, shelf, shelf + PLACES)
        except ValueError:
            return None
        return self._accounts[place] if self._minutes[place] * 60 + ttl_s > now else None

    def forget_all_but(self, account_ids: AbstractSet[int]) -> None:
        """Accounts were removed: theirs are nobody's that is here."""
        for place, account_id in enumerate(self._accounts):
            if account_id != NOBODY and account_id not in account_ids:
                self._accounts[place] = NOBODY
