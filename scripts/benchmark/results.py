"""What the figures say: ratios beside their goals, as tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from scripts.benchmark.choosing import CHOICES_US
from scripts.benchmark.client import percentile
from scripts.benchmark.goals import Goal, judged, ratio, table
from scripts.benchmark.measures import FEW, LOADED, Measured
from scripts.benchmark.plan import Plan
from scripts.benchmark.turns import Round, cpu_ms, over
from scripts.benchmark.wire import EVENTS, Kind

TITLES = {
    Kind.JSON: "small JSON",
    Kind.SHORT: f"{EVENTS[Kind.SHORT]}-event stream",
    Kind.LONG: f"{EVENTS[Kind.LONG]}-event stream",
}


def goals(seen: Measured, plan: Plan) -> list[Goal]:
    """Every goal, in the order of the table."""
    aims = (0.75, 0.80, 0.95)
    found = [
        _cpu(TITLES[kind], seen.load[kind]["bare"], seen.load[kind]["pool"], 1.05, aim)
        for kind, aim in zip(LOADED, aims, strict=True)
    ]
    found.append(_cpu("small JSON, the page watched", seen.watched["alone"], seen.watched["watched"], 1.02))
    for what, times in (("added", seen.whole_ms), ("added first byte", seen.first_ms)):
        for name, share, must, aim in (("p50", 0.5, 1.10, 0.80), ("p99", 0.99, 1.25, 1.0)):
            bare, pool = (added_ms(times[Kind.SHORT], target, share) for target in ("bare", "pool"))
            title = f"{what}, {TITLES[Kind.SHORT]}, {name}"
            found.append(Goal(title, f"{bare:.2f} ms", f"{pool:.2f} ms", ratio(pool, bare), must, aim))
    whole, plain, refused = (median(seen.failover_ms[name]) for name in ("bare", "pool", "refused"))
    title, extra = "failover, extra over a bare short stream", refused - plain
    found.append(Goal(title, f"{whole:.2f} ms", f"{extra:.2f} ms", ratio(extra, whole), 0.75, 0.30))
    title = f"small JSON, {plan.crowd} accounts over {min(FEW, plan.crowd)}"
    found.append(_cpu(title, seen.crowd["few"], seen.crowd["crowd"], 1.05, 1.02))
    for accounts, must_us in CHOICES_US.items():
        took = seen.choice_us[accounts]
        found.append(Goal(f"choice among {accounts}", f"{must_us:.0f} us", f"{took:.1f} us", took / must_us, 1.0))
    start = _both(seen.start_s, median)
    found.append(Goal(f"start, {plan.accounts} accounts", *_shown(start, "{:.2f} s"), ratio(*start[::-1]), 1.5, 1.2))
    served = _both(seen.served_kb, lambda kb: kb / 1024)
    title = f"memory after {seen.served} requests"
    found.append(Goal(title, *_shown(served, "{:.0f} MB"), ratio(*served[::-1]), 1.25, 1.15))
    stream = _both(seen.stream_kb, float)
    title = f"memory per stream, {plan.streams} open"
    found.append(Goal(title, *_shown(stream, "{:.0f} kB"), ratio(*stream[::-1]), 1.1, 1.0))
    return found


def added_ms(times: Mapping[str, Sequence[float]], target: str, share: float) -> float:
    """How much later something comes than without a proxy; `times` are by target, `direct` among them."""
    return percentile(times[target], share) - percentile(times["direct"], share)


def report(seen: Measured, plan: Plan) -> str:
    """Both tables, as text."""
    titles = ("", "requests/s", "CPU ms/request", "added first byte p50", "p99, ms", "added p50", "p99, ms")
    figures: list[tuple[str, ...]] = [titles]
    for kind in LOADED:
        for target, rounds in seen.load[kind].items():
            cost = ["-"] * 5
            if target != "direct":
                both = seen.first_ms[kind], seen.whole_ms[kind]
                later = [added_ms(times, target, share) for times in both for share in (0.5, 0.99)]
                cost = [f"{ms:.2f}" for ms in (cpu_ms(rounds), *later)]
            speed = f"{median(r.requests / r.wall_s for r in rounds):.0f}"
            figures.append((f"{TITLES[kind]}, {target}", speed, *cost))
    return "\n".join((*table(figures), "", *judged(goals(seen, plan))))


def as_json(seen: Measured, plan: Plan) -> dict[str, Any]:
    """Goals, plan and every single figure."""
    return {
        "goals": [goal.as_json() for goal in goals(seen, plan)],
        "plan": asdict(plan),
        "measured": seen.as_json(),
    }


def _cpu(
    title: str, reference: Sequence[Round], rounds: Sequence[Round], must: float, aim: float | None = None
) -> Goal:
    shown = [f"{cpu_ms(some):.2f} ms" for some in (reference, rounds)]
    return Goal(f"CPU per request, {title}", shown[0], shown[1], over(rounds, reference), must, aim)


def _both(values: dict[str, Any], reduce: Callable[[Any], float]) -> tuple[float, float]:
    return reduce(values["bare"]), reduce(values["pool"])


def _shown(values: tuple[float, float], form: str) -> tuple[str, str]:
    return form.format(values[0]), form.format(values[1])
