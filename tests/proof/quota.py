"""What upstream tells of its accounts' quota, and how that is there again before its time.

Some of it speaks against a limit that holds: what counts is told late, or by another server than the one that refuses.
"""

import math
from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType

from seatpool.core.model import ProviderName
from tests.proof.issuer import Seat
from tests.proof.loop import Loop

LENGTH_S = 5 * 3600
WINDOW: Mapping[ProviderName, str] = MappingProxyType({ProviderName.CODEX: "primary", ProviderName.COPILOT: "session"})
"""What it is called."""
AGAIN_S = 4.0
"""So long after it was spent it is there again at most, where it is before its time."""
PLENTY, NOTHING = 70, 0
"""Percent that are left."""


class Quota:
    """Of all accounts. Its chances are its own: where it tells nothing, worlds are as they would be without it."""

    def __init__(self, loop: Loop, chance: Random, returned: float, mistaken: float) -> None:
        """`returned`: how often it is there again before its time; `mistaken`: how often it is told to be."""
        self._loop = loop
        self._chance = chance
        self._returned = returned
        self._mistaken = mistaken
        self.tells = chance.choice((False, True))
        """By all that can be asked about it."""
        self.in_answers = chance.choice((False, True))
        """In the heads of answers as well."""
        self.scarce = chance.choice((0.0, 0.1, 0.3)) if self.tells else 0.0
        """Share of the requests that spend it, at least."""
        self.named: set[str] = set()
        """Accounts whose quota's next beginning was told, and is the end of their limit."""
        self.shown: Callable[[Seat], None] = lambda seat: None
        """To be called when somebody else looks at an account's, and leaves in the database what is told."""

    def spend(self, seat: Seat, until: float) -> None:
        """There is none left before that, as it is now."""
        seat.limited_until = max(seat.limited_until, until)
        seat.spent_until, seat.is_back = seat.limited_until, False
        if not self.tells:
            return
        if self._chance.random() < self._returned:
            self._post(self._give_back, seat, seat.spent_until)
        for _ in range(self._chance.choice((0, 0, 1, 3))):
            self._post(self.shown, seat)

    def _post(self, what: Callable[..., None], *args: object) -> None:
        self._loop.post(self._loop.world, self._chance.random() * AGAIN_S, what, *args)

    def _give_back(self, seat: Seat, until: float) -> None:
        if seat.spent_until == until:
            self._loop.note(f"the quota of {seat.name} is there again")
            seat.limited_until, seat.spent_until, seat.is_back = -math.inf, -math.inf, True
            if self._chance.random() < 0.5:
                self._post(self.shown, seat)

    def head(self, seat: Seat | None, now: float) -> dict[str, str]:
        """Fields of an answer. Copilot's are others, which nothing here is about."""
        if seat is None or seat.provider is not ProviderName.CODEX or not (self.tells and self.in_answers):
            return {}
        left, ends = self.left(seat, now)
        stem = "x-codex-primary"
        told = {"used-percent": 100 - left, "window-minutes": LENGTH_S // 60, "reset-at": ends}
        return {f"{stem}-{name}": str(value) for name, value in told.items()}

    def usage(self, seat: Seat, now: float) -> dict[str, object] | None:
        """What is answered to whoever asks for it."""
        if not self.tells:
            return None
        left, ends = self.left(seat, now)
        window = {"used_percent": 100 - left, "limit_window_seconds": LENGTH_S, "reset_at": ends}
        limit = {"allowed": left > 0, "limit_reached": left <= 0, "primary_window": window, "secondary_window": None}
        return {"plan_type": "plus", "rate_limit": limit}

    def left(self, seat: Seat, now: float) -> tuple[int, int]:
        """What is told: in percent, and until when."""
        if seat.spent_until > now and self._chance.random() >= self._mistaken:
            self.named.add(seat.name)
            return NOTHING, int(seat.spent_until) + 1
        return PLENTY, int(now) + LENGTH_S
