"""What was used, and how it adds up. What nobody has told stays None; it is never taken for nothing."""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType

import msgspec

from seatpool.core.model import ProviderName, Tokens
from seatpool.core.prices import Prices

NANO = 10**9
NO_TOKENS = Tokens(None, None, None)


class Counts(msgspec.Struct, frozen=True):
    """Requests, and what was counted of them."""

    requests: int = 0
    """That were answered, or under way until somebody broke off; a turn on a socket is one."""
    aborted: int = 0
    """Those of them that their client left or their upstream cut."""
    failed: int = 0
    """Beside them: sendings that were refused, or got no answer."""
    told: int = 0
    """Those of the requests of which upstream has told anything."""
    tokens: Tokens = NO_TOKENS

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.requests + other.requests,
            self.aborted + other.aborted,
            self.failed + other.failed,
            self.told + other.told,
            Tokens(*map(both, self.tokens, other.tokens)),
        )

    @property
    def credits(self) -> float | None:
        """AI credits that Copilot has charged."""
        return self.tokens.nano_credits / NANO if self.tokens.nano_credits is not None else None


class Used(msgspec.Struct, frozen=True):
    """What one account, model, repository and client have used on one day."""

    day: str
    """`2026-11-21`, by the clock of the machine whose proxy has served it."""
    account_id: int
    account: str
    provider: ProviderName
    model: str | None
    repository: str | None
    client: str | None
    counts: Counts


class By(StrEnum):
    """What is summed up for each of."""

    ACCOUNT = "account"
    MODEL = "model"
    DAY = "day"
    REPOSITORY = "repository"
    CLIENT = "client"


KEYS: Mapping[By, Callable[[Used], str | None]] = MappingProxyType(
    {
        By.ACCOUNT: lambda used: used.account,
        By.MODEL: lambda used: used.model,
        By.DAY: lambda used: used.day,
        By.REPOSITORY: lambda used: used.repository,
        By.CLIENT: lambda used: used.client,
    }
)


class Line(msgspec.Struct):
    """A sum."""

    key: str | None
    """None: it is not known; of the total as well."""
    counts: Counts = Counts()
    cost_usd: float | None = None
    """Of what has a price; None where nothing has."""
    unpriced: set[str] = msgspec.field(default_factory=set)
    """Models without a price of which tokens were counted; empty text: one that is not known."""

    def add(self, used: Used, prices: Prices) -> None:
        """Count this in."""
        self.counts += used.counts
        price = prices.of(used.model)
        cost = price.cost(used.counts.tokens) if price is not None else None
        if cost is not None:
            self.cost_usd = (self.cost_usd or 0.0) + cost
        elif used.counts.tokens != NO_TOKENS:
            self.unpriced.add(used.model or "")


def summed(everything: Iterable[Used], by: By, prices: Prices) -> tuple[list[Line], Line]:
    """A line for each, days in order and of anything else the largest first; and the total."""
    key, lines, total = KEYS[by], dict[str | None, Line](), Line(None)
    for used in everything:
        for line in (lines.setdefault(key(used), Line(key(used))), total):
            line.add(used, prices)
    if by is By.DAY:
        return sorted(lines.values(), key=lambda line: line.key or ""), total
    return sorted(lines.values(), key=lambda line: (-size(line), -line.counts.requests, line.key or "")), total


def size(line: Line) -> int:
    """All tokens that were counted."""
    return (line.counts.tokens.input or 0) + (line.counts.tokens.output or 0)


def both(one: int | None, other: int | None) -> int | None:
    """The sum of what is known."""
    return one if other is None else other + (one or 0)
