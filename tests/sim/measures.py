"""What is counted in a run."""

from collections import Counter
from dataclasses import dataclass, field

from tests.sim.upstream import Expiry, Reply, Seat, cost
from tests.sim.workload import Turn


@dataclass(frozen=True, slots=True)
class Measures:
    """One run, reduced. Tokens are counted whole; shares lie between 0 and 1."""

    requests: int
    refusals: int
    """Requests that the client saw refused."""
    refused_cost: float
    """What they would have cost with a perfect cache."""
    wasted: float
    """Share of the long windows' capacity that expired unused though it was missed within its next length."""
    conversations: int
    switches: int
    """Turns served by another account than the turn before."""
    cold: int
    """Tokens that had been sent before and were not read from a cache."""
    moved: int
    """Of these: tokens that the cache of another account still held."""
    cached: int
    uncached: int
    """Tokens read anew, the cold ones among them."""
    output: int
    limits_met: int
    """429s of the upstream."""
    charged: float

    @property
    def refused_share(self) -> float:
        return self.refusals / max(1, self.requests)

    @property
    def served(self) -> int:
        """Requests that were answered: whoever refuses more reads less, which is no merit."""
        return self.requests - self.refusals

    @property
    def switches_per_conversation(self) -> float:
        return self.switches / max(1, self.conversations)

    @property
    def limits_per_1000(self) -> float:
        return 1000 * self.limits_met / max(1, self.requests)


@dataclass(slots=True)
class Meterman:
    """Counts while a run goes on."""

    seats: list[Seat]
    requests: int = 0
    refused: list[tuple[float, float]] = field(default_factory=list)
    """When, and what it would have cost."""
    switches: int = 0
    limits_met: int = 0
    charged: float = 0.0
    tokens: Counter[str] = field(default_factory=Counter)
    _on: dict[str, int] = field(default_factory=dict)
    _been: dict[str, set[int]] = field(default_factory=dict)
    """Where a conversation was served: nobody else can have a cache of it."""

    def warmest(self, turn: Turn, now: float) -> int:
        """Tokens of a turn that the best cache holds; to be asked before it is served."""
        been = self._been.get(turn.conversation, ())
        return min(turn.known, max((self.seats[place].warm(turn.conversation, now) for place in been), default=0))

    def serve(self, turn: Turn, account: int, reply: Reply, warmest: int) -> None:
        """A request was answered."""
        self.switches += self._on.get(turn.conversation, account) != account
        self._on[turn.conversation] = account
        self._been.setdefault(turn.conversation, set()).add(account)
        self.tokens["cold"] += turn.known - reply.cached
        self.tokens["moved"] += warmest - reply.cached
        self.tokens["cached"] += reply.cached
        self.tokens["uncached"] += turn.context - reply.cached
        self.tokens["output"] += turn.output

    def refuse(self, turn: Turn, now: float) -> None:
        """A request was not."""
        self.refused.append((now, cost(turn, turn.known)))

    def reduce(self) -> Measures:
        """The run is over."""
        capacity = sum(seat.main.size for seat in self.seats)
        expired = [expiry for seat in self.seats for expiry in seat.expired]
        return Measures(
            requests=self.requests,
            refusals=len(self.refused),
            refused_cost=sum(price for _, price in self.refused),
            wasted=missed(expired, self.refused) / capacity,
            conversations=len(self._on),
            switches=self.switches,
            cold=self.tokens["cold"],
            moved=self.tokens["moved"],
            cached=self.tokens["cached"],
            uncached=self.tokens["uncached"],
            output=self.tokens["output"],
            limits_met=self.limits_met,
            charged=self.charged,
        )


def missed(expired: list[Expiry], refused: list[tuple[float, float]]) -> float:
    """How much of what expired was missed: had it been used, others' quota would have been there for what was refused.

    Each refused request draws on what expired before it, at most one length of the window ago, the oldest first;
    nothing is drawn twice.
    """
    left = [[e.at, e.at + e.length_s, e.unused] for e in sorted(expired, key=lambda e: e.at)]
    total = 0.0
    for at, price in refused:
        for entry in left:
            if price <= 0:
                break
            if entry[0] <= at < entry[1] and entry[2] > 0:
                drawn = min(price, entry[2])
                entry[2] -= drawn
                price -= drawn
                total += drawn
    return total
