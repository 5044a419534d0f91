"""How much is measured."""

from dataclasses import dataclass, replace

from scripts.benchmark.wire import Kind


@dataclass(frozen=True, slots=True)
class Plan:
    """Counts; every one is per proxy."""

    rounds: int
    """Of load: each asks direct, bare and pool the same number of requests, in another order every time."""
    small: int
    """Requests of a round, by kind of answer."""
    short: int
    long: int
    latency: int
    """Timed one after the other, without load, of each kind; a tenth of it for the long stream."""
    failovers: int
    soak: int
    """Requests that each proxy has served when its memory is read, at least."""
    streams: int
    """Open at the same time."""
    starts: int
    accounts: int
    """In the pool."""
    crowd: int
    """In the large pool that is compared with one of ten accounts."""
    connections: int = 8
    """That the load is spread over."""

    def requests(self, kind: Kind) -> int:
        """Of one round."""
        return {Kind.JSON: self.small, Kind.SHORT: self.short, Kind.LONG: self.long}[kind]

    def timed(self, kind: Kind) -> int:
        """Of the rounds without load."""
        return max(1, self.latency // 10) if kind is Kind.LONG else self.latency


FULL = Plan(
    rounds=7,
    small=600,
    short=400,
    long=80,
    latency=1000,
    failovers=160,
    soak=25_000,
    streams=500,
    starts=7,
    accounts=100,
    crowd=10_000,
)
AXES = replace(FULL, rounds=5, small=300, short=150, starts=5)
"""For `--axes`, which measures at many places."""
PEER = replace(FULL, rounds=5, short=200, latency=300, accounts=30)
"""For `--peer`; refusals take accounts out, so there are fewer of them than accounts."""
QUICK = Plan(
    rounds=3,
    small=300,
    short=200,
    long=40,
    latency=300,
    failovers=60,
    soak=0,
    streams=100,
    starts=3,
    accounts=100,
    crowd=2_000,
)
