"""Which conversation is on which account, and what leaving would cost.

A prompt cache belongs to one account and dies some minutes after its last use (codex.md 2.3). While it lives, another
account would read everything again; once it is gone a conversation is as free as a new one. What only its owner can
read holds longer than the cache: that is the demand's to say (`Demand.bound`).
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass
from enum import StrEnum


class Sticking(StrEnum):
    """How much a warm prompt cache counts against another account's quota."""

    ALWAYS = "always"
    """More than any quota, while it is warm and its account has some left."""
    AUTO = "auto"
    """As much as reading it again would cost."""
    DISABLED = "disabled"
    """Nothing."""


WARM_S = 300.0
"""A cache lives so long after its last use (codex.md 8: 300 s as well)."""
FADES_S = 60.0
"""Within the last minute it may be gone already: it counts less and less."""
TYPICAL_TOKENS = 40_000
"""What a conversation holds of which nobody has told."""
NEW_TOKENS = 15_000
"""What one begins with: instructions, tools, the first files."""
BONUS_TOKENS = 1_000.0
"""So many cached tokens are outweighed only by as much again as their account's merit.

Large, as the simulation has it: while a conversation goes on, differences in quota come and go, and following them
with less than a hundredfold reason for a full context costs more quota than it finds.
"""


@dataclass(frozen=True, slots=True)
class Held:
    """Where a conversation is."""

    account_id: int
    at: float
    """Its last success, in seconds since the epoch."""
    tokens: int
    """That the account's cache holds of it, as far as is known."""

    def warmth(self, now: float) -> float:
        """How much of the cache is to be counted on, 0.0 to 1.0."""
        return min(max((self.at + WARM_S - now) / FADES_S, 0.0), 1.0)

    def bonus(self, now: float) -> float:
        """By what its account's merit is to be multiplied: 1.0 for a cold cache."""
        return 1.0 + self.tokens / BONUS_TOKENS * self.warmth(now)


class Affinity:
    """Conversations by their keys, the latest last. Times in seconds since the epoch."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._warm: OrderedDict[str, Held] = OrderedDict()
        self._load: Counter[int] = Counter()

    def held(self, conversation: str | None, now: float, ttl_s: float) -> Held | None:
        """Where a conversation was, at most `ttl_s` ago."""
        found = self._held.get(conversation) if conversation is not None else None
        return found if found is not None and found.at + ttl_s > now else None

    def remember(self, conversation: str, account_id: int, now: float, limit: int, tokens: int | None) -> bool:
        """Note that an account served a conversation; `tokens` is None where nobody told.

        Returns whether the account holds a conversation now that it did not hold.
        """
        before = self._held.get(conversation)
        if tokens is None:
            tokens = before.tokens if before is not None else TYPICAL_TOKENS
        self._cool(conversation)
        held = self._held[conversation] = self._warm[conversation] = Held(account_id, now, tokens)
        self._held.move_to_end(conversation)
        self._load[account_id] += held.tokens
        while len(self._held) > limit:
            self._cool(self._held.popitem(last=False)[0])
        return before is None or before.account_id != account_id or before.at + WARM_S <= now

    def load(self, account_id: int, now: float) -> int:
        """Tokens of the conversations that are going on on an account."""
        while self._warm:
            conversation = next(iter(self._warm))
            if self._warm[conversation].at + WARM_S > now:
                break
            self._cool(conversation)
        return self._load[account_id]

    def _cool(self, conversation: str) -> None:
        held = self._warm.pop(conversation, None)
        if held is not None:
            self._load[held.account_id] -= held.tokens
            if not self._load[held.account_id]:
                del self._load[held.account_id]
