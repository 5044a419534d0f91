"""People, accounts and the sizes of their windows, all from a seed.

Lengths of windows, ratios between them and between plans are the real ones; the absolute size is not known for any
plan, and with 20 people on two accounts nothing, with one on twenty everything would be served whoever chooses. So
sizes are scaled: `supply` is the pool's weekly quota over what the people's requests cost with a perfect cache.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from seatpool.core.model import ProviderName
from tests.sim.upstream import CACHE_S, Meter, Seat, cost
from tests.sim.workload import DAY_S, Turn, turns

H5_S, WEEK_S, MONTH_S = 5 * 3600.0, 7 * DAY_S, 30 * DAY_S
WEEK_PER_SESSION = 6.0
"""A week's quota in five-hour windows' (what users of Codex report lies between 3 and 8)."""
MONTH_PER_WEEK = 3.5
BEGAN_S = 1_790_553_600.0
"""Monday 2026-09-28 00:00 UTC: the month ends on the Wednesday night of the first week."""
MONTH_ENDS_S = 3 * DAY_S

PLANS: Mapping[ProviderName, tuple[tuple[str, float], ...]] = {
    ProviderName.CODEX: (("plus", 1.0), ("prolite", 5.0), ("plus", 1.0), ("pro", 20.0), ("plus", 1.0)),
    ProviderName.COPILOT: (("individual", 1.0), ("individual_pro", 5.0), ("individual", 1.0), ("business", 1.0)),
}
"""Plans in turn, with their size beside the smallest one's (codex.md 8, copilot.md 5)."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is simulated."""

    provider: ProviderName = ProviderName.CODEX
    people: int = 1
    accounts: int = 2
    weeks: float = 1.0
    supply: float = 1.0
    seed: int = 1

    @property
    def name(self) -> str:
        who = "1 person" if self.people == 1 else f"{self.people} people"
        return f"{self.provider}, {who}, {self.accounts} accounts"


@dataclass(frozen=True, slots=True)
class World:
    """A scenario made: what will be asked, and of whom."""

    scenario: Scenario
    turns: list[Turn]
    seats: list[Seat]
    """In the order of their priority."""


def demand(asked: list[Turn]) -> float:
    """What the turns cost where every conversation stays on one account."""
    total, last = 0.0, dict[str, float]()
    for turn in asked:
        warm = turn.at - last.get(turn.conversation, -CACHE_S) < CACHE_S
        last[turn.conversation] = turn.at
        total += cost(turn, turn.known if warm else 0)
    return total


def world(scenario: Scenario) -> World:
    """Make it; the same seed makes the same world."""
    random = Random(scenario.seed)
    asked = turns(random, scenario.people, scenario.weeks)
    plans = PLANS[scenario.provider]
    chosen = [plans[n % len(plans)] for n in range(scenario.accounts)]
    random.shuffle(chosen)
    unit = demand(asked) / scenario.weeks * scenario.supply / sum(size for _, size in chosen)
    make = _codex if scenario.provider is ProviderName.CODEX else _copilot
    return World(scenario, asked, [make(random, plan, size * unit) for plan, size in chosen])


def _codex(random: Random, plan: str, week: float) -> Seat:
    short = Meter("primary", H5_S, week / WEEK_PER_SESSION, None, rolling=True)
    return Seat(plan, [short, _begun(random, Meter("secondary", WEEK_S, week, 0.0, rolling=False))])


def _copilot(random: Random, plan: str, week: float) -> Seat:
    session = Meter("session", H5_S, week / WEEK_PER_SESSION, None, rolling=True, told_from=0.5)
    weekly = _begun(random, Meter("weekly", WEEK_S, week, 0.0, rolling=False, told_from=0.5))
    month = Meter("premium_interactions", MONTH_S, week * MONTH_PER_WEEK, MONTH_ENDS_S, rolling=False)
    month.tells_length = False
    month.used = month.size * (1 - MONTH_ENDS_S / MONTH_S) * random.uniform(0.7, 1.05)
    return Seat(plan, [session, weekly, month], step=0.001)


def _begun(random: Random, meter: Meter) -> Meter:
    """Somewhere in its time, and used about as far."""
    gone = random.random()
    meter.ends = (1 - gone) * meter.length_s
    meter.used = meter.size * min(0.95, gone * random.uniform(0.5, 1.2))
    return meter
