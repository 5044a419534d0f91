"""Which conversation is on which account, and what leaving would cost.

A prompt cache belongs to one account and dies some minutes after its last use (codex.md 2.3). While it lives, another
account would read everything again; once it is gone a conversation is as free as a new one. What only its owner can
read holds longer than the cache: that is the demand's to say (`Demand.bound`).
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from enum import StrEnum

import msgspec
from msgspec.structs import replace


class Sticking(StrEnum):
    """How much a warm prompt cache counts against another account's quota."""

    ALWAYS = "always"
    """More than any quota, while it is warm and its account has some left."""
    AUTO = "auto"
    """As much as reading it again would cost."""
    DISABLED = "disabled"
    """Nothing."""


WARM_S = 300.0
"""A cache lives so long after its last use (codex.md 8 holds for as long)."""
FADES_S = 60.0
"""Within the last minute of it the cache may be gone already: it counts less and less."""
TYPICAL_TOKENS = 40_000
"""What a conversation holds of which nobody has told."""
NEW_TOKENS = 15_000
"""What one begins with: instructions, tools, the first files."""
BONUS_TOKENS = 10.0
"""So many cached tokens count as much as their account's whole merit.

That is much, as the simulation has it: merits come and go while a conversation goes on, and following them loses more
to cold caches than it finds. With 30 a tenth more tokens are read again and as many requests refused, with 1,000 twice
as many tokens are read again and more requests refused.
"""


class Held(msgspec.Struct, frozen=True, gc=False):
    """Where a conversation is. Times in seconds since the epoch."""

    account_id: int
    at: float
    """Its last success."""
    tokens: int
    """What the account's cache holds of it, as far as is known."""
    told: int = 0
    """The same where upstream has told since the conversation went there and has been going on; 0 where it has not."""
    written_at: float = 0.0
    """When others were told last that it is there."""
    written: int = 0
    """What they were told of `told`."""

    def warmth(self, now: float) -> float:
        """How much of the cache is to be counted on, 0.0 to 1.0."""
        return min(max((self.at + WARM_S - now) / FADES_S, 0.0), 1.0)

    def bonus(self, now: float, strength: float) -> float:
        """By what its account's merit is to be multiplied: 1.0 for a cold cache."""
        return 1.0 + strength * self.warmth(now) * self.tokens / BONUS_TOKENS


class Conversations:
    """Where each of them is, by its key. Times in seconds since the epoch.

    There are many, and each is kept for weeks: so it stands in one place alone, in as few objects as may be.
    """

    def __init__(self) -> None:
        self.sticking = Sticking.AUTO
        self.strength = 1.0
        self.ttl_s = 30 * 24 * 3600.0
        """One that has been quiet for longer is forgotten."""
        self.limit = 10_000
        """Of more than so many those that have been quiet longest are forgotten."""
        self._warm: OrderedDict[str, Held] = OrderedDict()
        """Those that are going on, latest success last; what is heard late, of another process, ends after what came
        before it."""
        self._quiet: OrderedDict[str, Held] = OrderedDict()
        """The others, in the order in which they became so."""
        self._expected: OrderedDict[str, Held] = OrderedDict()
        """Those that were sent to an account and not served there yet."""
        self._load: Counter[int] = Counter()

    def held(self, conversation: str | None, now: float) -> Held | None:
        """Where a conversation is, if that is remembered."""
        found = self._find(conversation) if conversation is not None else None
        return found if found is not None and found.at + self.ttl_s > now else None

    def remember(self, conversation: str, account_id: int, now: float, tokens: int | None = None) -> bool:
        """Note that an account served a conversation; `tokens` is None where nobody has told.

        Returns whether that is one more conversation for the account.
        """
        warm = self._warm.get(conversation)
        before = warm if warm is not None else self._quiet.pop(conversation, None)
        stayed = before if before is not None and before.account_id == account_id else None
        told = tokens or 0
        if tokens is None:
            tokens = before.tokens if before is not None else TYPICAL_TOKENS
            if stayed is not None and stayed.at + WARM_S > now:
                told = stayed.told
        self._end(conversation)
        written = (stayed.written_at, stayed.written) if stayed is not None else (0.0, 0)
        self._warm[conversation] = Held(account_id, now, tokens, told, *written)
        self._load[account_id] += tokens
        while len(self._warm) + len(self._quiet) > self.limit:
            self._forget_oldest()
        return warm is None or stayed is None

    def wrote(self, conversation: str) -> None:
        """Others were told where it is, and what is known of its cache."""
        for known in (self._warm, self._quiet):
            held = known.get(conversation)
            if held is not None:
                known[conversation] = replace(held, written_at=held.at, written=held.told)

    def expect(self, conversation: str, account_id: int, now: float) -> None:
        """A request goes to an account: until it is served there its conversation counts as one that begins there.

        Else everybody who asks before the first answer would be sent to the same account.
        """
        warm = self._warm.get(conversation)
        if warm is None or warm.account_id != account_id:
            self._forget(self._expected, conversation)
            tokens = warm.tokens if warm is not None else NEW_TOKENS
            self._expected[conversation] = Held(account_id, now, tokens)
            self._load[account_id] += tokens

    def weigh(self, conversation: str, account_id: int, sent: int, cached: int | None) -> int | None:
        """What the account's cache holds of it after an answer to `sent` tokens, of which `cached` were read from it.

        None where the conversation is elsewhere by now. All that was sent; unless the cache was to help, and gave
        nothing. But a conversation's agents and its housekeeping come under its name as well, and bring little of it:
        so one answer takes away half of what was known at most.
        """
        held = self._find(conversation)
        if held is None or held.account_id != account_id:
            return None
        missed = cached == 0 and held.told > 0
        return max(0 if missed else sent, held.told // 2)

    def load(self, account_id: int, now: float) -> int:
        """Tokens of the conversations that are going on on an account, or about to."""
        for going_on in (self._warm, self._expected):
            while going_on:
                conversation, held = next(iter(going_on.items()))
                if held.at + WARM_S > now:
                    break
                self._forget(going_on, conversation)
                if going_on is self._warm:
                    self._quiet[conversation] = held
        return self._load[account_id]

    def age(self, righted: Callable[[float], float]) -> None:
        """The clock was set; `righted`: what a moment of before is called now, which others have not been told."""
        for known in (self._warm, self._quiet, self._expected):
            for conversation, held in known.items():
                known[conversation] = replace(held, at=righted(held.at), written_at=0.0, written=0)

    def _find(self, conversation: str) -> Held | None:
        return self._warm.get(conversation) or self._quiet.get(conversation)

    def _forget_oldest(self) -> None:
        if self._quiet:
            self._quiet.popitem(last=False)
            return
        self._end(next(iter(self._warm)))

    def _end(self, conversation: str) -> None:
        self._forget(self._warm, conversation)
        self._forget(self._expected, conversation)

    def _forget(self, going_on: OrderedDict[str, Held], conversation: str) -> None:
        held = going_on.pop(conversation, None)
        if held is not None:
            self._load[held.account_id] -= held.tokens
