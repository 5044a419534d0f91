"""Guesses at how long a limit lasts, each of which may be taken back, and the limits with a time that it hides.

An account's part has one cooldown, that which ends last. Where that is a guess, a limit of which upstream has told the
end can be behind it, and holds on when the guess turns out to be wrong.
"""

import msgspec

from seatpool.core.model import Cooldown, Scope


class _Guess(msgspec.Struct, frozen=True):
    made: Cooldown
    hides: Cooldown | None
    """The limit with a time."""


class Guesses:
    """Those that are in force. Mutable, yet pure."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, Scope], _Guess] = {}

    def note(self, cooldown: Cooldown, held: Cooldown | None, *, guessed: bool) -> None:
        """A cooldown is about to be added to what is `held` of its account and scope."""
        key = cooldown.account_id, cooldown.scope
        known = self._made.pop(key, None)
        known = known if known is not None and known.made == held else None
        told = known.hides if known is not None else held
        told = told if told is not None and told.until > cooldown.created_at else None
        counts = held is None or held.until < cooldown.until
        if guessed and counts:
            self._made[key] = _Guess(cooldown, told)
        elif known is not None and not counts:
            behind = [each for each in (told, None if guessed else cooldown) if each is not None]
            self._made[key] = _Guess(known.made, max(behind, key=lambda c: c.until, default=None))

    def take_back(self, held: Cooldown) -> tuple[bool, Cooldown | None]:
        """Whether what is in force is a guess, and the limit that holds without it, be it over by now or not."""
        key = held.account_id, held.scope
        known = self._made.get(key)
        if known is None or known.made != held:
            return False, None
        del self._made[key]
        return True, known.hides
