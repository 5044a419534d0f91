"""What is measured along, its table and its goals; what every axis is given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scripts.benchmark.field import Field, Proxy
from scripts.benchmark.goals import Goal, judged, table
from scripts.benchmark.plan import Plan
from scripts.benchmark.starting import start_in_turns
from scripts.benchmark.turns import Contestant, Round, contestant, in_turns, rounds
from scripts.benchmark.wire import Kind

Say = Callable[[str], None]
FLAT = (1.05, 1.02)
"""What must not, and what should not be passed where nothing is to grow."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how much."""

    axis: str
    field: Field
    plan: Plan
    sizes: Sequence[int]
    say: Say

    async def bare(self) -> Proxy:
        """A running mitmdump without a pool, beside which everything is measured; it makes the CA that all share."""
        made = self.field.proxy(f"bare-{self.axis}", bare=True)
        (started,), _ = await start_in_turns(self.field, [made], 1)
        return started

    async def rounds(self, contestants: Sequence[Contestant], kind: Kind) -> dict[str, list[Round]]:
        """As the plan says, after one that warms up."""
        count, connections = self.plan.requests(kind), self.plan.connections
        await in_turns(contestants, kind, min(count, 100), connections)
        return await rounds(contestants, kind, count, connections, self.plan.rounds)

    async def beside(
        self, bares: Sequence[Proxy], pools: Sequence[Proxy], kind: Kind = Kind.JSON
    ) -> tuple[list[Round], list[Round]]:
        """The rounds of bare ones that share a load, and of pools that share the same."""
        seen = await self.rounds([contestant(*bares, name="bare"), contestant(*pools, name="pool")], kind)
        return seen["bare"], seen["pool"]


@dataclass(slots=True)
class Axis:
    """What was seen along one."""

    name: str
    along: str
    columns: Mapping[str, tuple[str, str]]
    """By key: the title with its unit, and how a figure is shown."""
    rows: list[dict[str, float]] = field(default_factory=list)
    """Under `at` where it was measured. A figure may be missing."""
    goals: list[Goal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def of(self, key: str) -> list[float]:
        """A column's figures."""
        return [row[key] for row in self.rows if key in row]

    def flat(self, key: str, what: str, *, since: int = 0, limits: tuple[float, float] = FLAT) -> None:
        """Add the goal that the last is not above the one at `since`; none where that is the same."""
        column, seen = self.columns[key], [(row["at"], row[key]) for row in self.rows[since:]]
        if len(seen) < 2:
            return
        first, *_, last = seen
        show = f"{column[1]} {column[0].rpartition(', ')[2]}"
        shown = show.format(first[1]), show.format(last[1])
        must, aim = limits
        ratio = last[1] / first[1] if first[1] > 0 else float("inf")
        self.goals.append(Goal(f"{what}, {last[0]:,.0f} over {first[0]:,.0f}", *shown, ratio, must, aim))

    def lines(self) -> list[str]:
        """As text."""
        head = (self.along, *(title for title, _ in self.columns.values()))
        rows = [head]
        for row in self.rows:
            cells = [form.format(row[key]) if key in row else "-" for key, (_, form) in self.columns.items()]
            rows.append((f"{row['at']:,.0f}", *cells))
        goals = ["", *judged(self.goals, "at first")] if self.goals else []
        return [*table(rows), *self.notes, *goals]

    def as_json(self) -> dict[str, Any]:
        """Everything, for `--json` and for plots."""
        columns = {key: title for key, (title, _) in self.columns.items()}
        judged_ = [goal.as_json() for goal in self.goals]
        return {"along": self.along, "columns": columns, "rows": self.rows, "goals": judged_, "notes": self.notes}
