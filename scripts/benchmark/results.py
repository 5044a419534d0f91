"""What the figures say: ratios beside their goals, as tables."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from scripts.benchmark.choosing import CHOICES_US
from scripts.benchmark.client import percentile
from scripts.benchmark.measures import FEW, LOADED, Measured, Round
from scripts.benchmark.plan import Plan
from scripts.benchmark.wire import EVENTS, Kind

TITLES = {
    Kind.JSON: "small JSON",
    Kind.SHORT: f"{EVENTS[Kind.SHORT]}-event stream",
    Kind.LONG: f"{EVENTS[Kind.LONG]}-event stream",
}


@dataclass(frozen=True, slots=True)
class Goal:
    """One row: a ratio, and what it must not exceed."""

    name: str
    reference: str
    """What it is compared with, with its unit."""
    seen: str
    ratio: float
    must: float

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.ratio <= self.must


def goals(seen: Measured, plan: Plan) -> list[Goal]:
    """Every goal, in the order of the table."""
    found = [_cpu(TITLES[kind], seen.load[kind]["bare"], seen.load[kind]["pool"], 1.05) for kind in LOADED]
    found.append(_cpu("small JSON, the page watched", seen.watched["alone"], seen.watched["watched"], 1.02))
    for name, share, must in (("p50", 0.5, 1.10), ("p99", 0.99, 1.25)):
        bare, pool = (added_ms(seen, Kind.SHORT, target, share) for target in ("bare", "pool"))
        title = f"added first byte, {TITLES[Kind.SHORT]}, {name}"
        found.append(Goal(title, f"{bare:.2f} ms", f"{pool:.2f} ms", _ratio(pool, bare), must))
    whole, plain, refused = (median(seen.failover_ms[name]) for name in ("bare", "pool", "refused"))
    extra = refused - plain
    found.append(
        Goal(
            "failover, extra over a bare short stream", f"{whole:.2f} ms", f"{extra:.2f} ms", _ratio(extra, whole), 0.75
        )
    )
    found.append(
        _cpu(
            f"small JSON, {plan.crowd} accounts over {min(FEW, plan.crowd)}",
            seen.crowd["few"],
            seen.crowd["crowd"],
            1.05,
        )
    )
    pairs: tuple[tuple[str, float, float, Callable[[float], str], float], ...] = (
        (f"start, {plan.accounts} accounts", *_both(seen.start_s, median), lambda s: f"{s:.2f} s", 1.5),
        (f"memory after {seen.served} requests", *_both(seen.served_kb, float), lambda kb: f"{kb / 1024:.0f} MB", 1.25),
        (f"memory per stream, {plan.streams} open", *_both(seen.stream_kb, float), lambda kb: f"{kb:.0f} kB", 1.1),
    )
    for accounts, must_us in CHOICES_US.items():
        took = seen.choice_us[accounts]
        found.append(Goal(f"choice among {accounts}", f"{must_us:.0f} us", f"{took:.1f} us", took / must_us, 1.0))
    found += [Goal(n, show(bare), show(pool), _ratio(pool, bare), must) for n, bare, pool, show, must in pairs]
    return found


def added_ms(seen: Measured, kind: Kind, target: str, share: float) -> float:
    """How much later the first byte comes than without a proxy."""
    times = seen.first_ms[kind]
    return percentile(times[target], share) - percentile(times["direct"], share)


def report(seen: Measured, plan: Plan) -> str:
    """Both tables, as text."""
    figures: list[tuple[str, ...]] = [("", "requests/s", "CPU ms/request", "added first byte p50", "p99, ms")]
    for kind in LOADED:
        for target, rounds in seen.load[kind].items():
            cpu = f"{median(r.cpu_ms for r in rounds):.2f}" if target != "direct" else "-"
            added = [f"{added_ms(seen, kind, target, share):.2f}" if cpu != "-" else "-" for share in (0.5, 0.99)]
            speed = f"{median(r.requests / r.wall_s for r in rounds):.0f}"
            figures.append((f"{TITLES[kind]}, {target}", speed, cpu, *added))
    compared = [("", "bare", "pool", "ratio", "must", "")]
    for goal in goals(seen, plan):
        met = "met" if goal.met else "NOT MET"
        compared.append((goal.name, goal.reference, goal.seen, f"{goal.ratio:.2f}", f"{goal.must:.2f}", met))
    return "\n".join((*_table(figures), "", *_table(compared)))


def as_json(seen: Measured, plan: Plan) -> dict[str, Any]:
    """Goals, plan and every single figure."""
    return {
        "goals": [{**asdict(goal), "met": goal.met} for goal in goals(seen, plan)],
        "plan": asdict(plan),
        "measured": seen.as_json(),
    }


def _cpu(title: str, reference: Sequence[Round], rounds: Sequence[Round], must: float) -> Goal:
    """Round by round, since rounds of one number ran in the same weather."""
    ratio = median(_ratio(ours.cpu_ms, theirs.cpu_ms) for ours, theirs in zip(rounds, reference, strict=True))
    shown = [f"{median(r.cpu_ms for r in some):.2f} ms" for some in (reference, rounds)]
    return Goal(f"CPU per request, {title}", shown[0], shown[1], ratio, must)


def _ratio(value: float, reference: float) -> float:
    """Infinite where there is nothing to compare with: too little was measured."""
    return value / reference if reference > 0 else float("inf")


def _both(values: dict[str, Any], reduce: Callable[[Any], float]) -> tuple[float, float]:
    return reduce(values["bare"]), reduce(values["pool"])


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
