"""What accounts have upstream: quota windows that fill and reset, and prompt caches that die when left alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.sim.workload import Turn

CACHE_S = 300.0
"""A prompt cache lives so long after its last use."""
CACHED_COST, OUTPUT_COST = 0.1, 8.0
"""Beside an uncached token's: what token-billed plans charge (copilot.md 6)."""


@dataclass(slots=True)
class Meter:
    """One quota window. Times in seconds, sizes in the cost of an uncached token."""

    bucket: str
    length_s: float
    size: float
    ends: float | None
    """None while it is untouched: it begins with its first use."""
    rolling: bool
    used: float = 0.0
    told_from: float = 0.0
    """Share used from which on answers tell of it (copilot.md 5.1: half)."""
    tells_length: bool = True
    """Copilot's monthly window does not."""

    @property
    def full(self) -> bool:
        return self.used >= self.size

    def reset(self, now: float) -> Sequence["Expiry"]:
        """Let the window end when its time has come. Returns what was lost with it."""
        lost = []
        while self.ends is not None and self.ends <= now:
            lost.append(Expiry(self.ends, self.length_s, max(0.0, self.size - self.used)))
            self.used = 0.0
            self.ends = None if self.rolling else self.ends + self.length_s
        return lost


@dataclass(frozen=True, slots=True)
class Expiry:
    """Capacity that a reset has taken."""

    at: float
    length_s: float
    unused: float


@dataclass(frozen=True, slots=True)
class Told:
    """A window as an answer tells it."""

    bucket: str
    used_share: float
    length_s: float | None
    resets_in_s: float
    dormant: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """The head of an answer."""

    refused_until: float | None
    """Of a 429; None: it streams."""
    told: tuple[Told, ...]
    cached: int = 0
    """Tokens read from the prompt cache; told at the end of the stream."""


@dataclass(slots=True)
class Seat:
    """One account upstream."""

    plan: str
    meters: list[Meter]
    step: float = 0.01
    """What shares are rounded to: Codex tells whole percent, Copilot tenths."""
    caches: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Conversation: tokens held, and until when."""
    expired: list[Expiry] = field(default_factory=list)

    @property
    def main(self) -> Meter:
        return max(self.meters, key=lambda m: m.length_s)

    def ask(self, turn: Turn, now: float) -> Reply:
        """Answer a request; what it costs is charged at its end."""
        self.settle(now)
        full = [m.ends for m in self.meters if m.full and m.ends is not None]
        if full:
            return Reply(max(full), self.told(now))
        for meter in self.meters:
            meter.ends = meter.ends if meter.ends is not None else now + meter.length_s
        cached = min(turn.known, self.warm(turn.conversation, now))
        self.caches[turn.conversation] = (turn.context + turn.output, now + CACHE_S)
        return Reply(None, self.told(now), cached)

    def charge(self, cost: float, now: float) -> None:
        """The answer has ended."""
        self.settle(now)
        for meter in self.meters:
            meter.ends = meter.ends if meter.ends is not None else now + meter.length_s
            meter.used += cost

    def warm(self, conversation: str, now: float) -> int:
        """Tokens of a conversation that its cache holds."""
        held, until = self.caches.get(conversation, (0, 0.0))
        return held if until > now else 0

    def told(self, now: float) -> tuple[Told, ...]:
        """What an answer, or the usage endpoint, tells of the windows."""
        self.settle(now)
        return tuple(self._tell(m, now) for m in self.meters if m.used >= m.told_from * m.size)

    def settle(self, now: float) -> None:
        """Let windows end whose time has come."""
        for meter in self.meters:
            if meter.ends is not None and meter.ends <= now:
                lost = meter.reset(now)
                if meter is self.main:
                    self.expired += lost

    def _tell(self, meter: Meter, now: float) -> Told:
        share = min(1.0, int(meter.used / meter.size / self.step) * self.step)
        ahead = meter.length_s if meter.ends is None else meter.ends - now
        length = meter.length_s if meter.tells_length else None
        return Told(meter.bucket, 1.0 if meter.full else share, length, ahead, meter.used <= 0 and meter.ends is None)


def cost(turn: Turn, cached: int) -> float:
    """What a turn takes from every window of its account."""
    return (turn.context - cached) + CACHED_COST * cached + OUTPUT_COST * turn.output
