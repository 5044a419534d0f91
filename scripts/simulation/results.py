"""Averages over seeds: a table for each scenario, what the default gains, and everything as JSON."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any

from tests.sim.contestants import DEFAULT, REFERENCE, ROTATION
from tests.sim.measures import Measures
from tests.sim.scenario import Scenario

Runs = Mapping[str, Sequence[Measures]]
"""By contestant; one for each seed, in the order of the seeds."""
Share = tuple[int, int]
"""A part, and the whole."""
BEFORE = (REFERENCE, ROTATION)
"""What the default is to beat."""


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of a run."""

    title: str
    show: str
    of: Callable[[Measures], float]


COLUMNS: tuple[Column, ...] = (
    Column("refused %", "{:.2f}", lambda m: 100 * m.refused_share),
    Column("wasted %", "{:.2f}", lambda m: 100 * m.wasted),
    Column("switches", "{:.2f}", lambda m: m.switches_per_conversation),
    Column("re-read after a move", "{:.1f}", lambda m: m.moved / max(1, m.served)),
    Column("all re-read", "{:.0f}", lambda m: m.cold / max(1, m.served)),
    Column("429s met", "{:.2f}", lambda m: m.limits_per_1000),
)
CLAIMED = tuple(column for column in COLUMNS if column.title in ("refused %", "re-read after a move", "all re-read"))
MEANING = """\
refused: requests that the client saw refused. wasted: share of the long windows that expired unused though it was
missed within their next length. switches: of the account, per conversation. re-read: tokens, per request served, that
had been sent before and were in no cache of the account; after a move, another account's cache still held them. 429s:
of the upstream, per thousand requests.
"""


def table(scenario: Scenario, runs: Runs) -> str:
    """A scenario's figures, as text."""
    requests = round(mean(m.requests for m in next(iter(runs.values()))))
    head = f"{scenario.name}: {requests} requests in {7 * scenario.weeks:.0f} days"
    rows = [("", *(column.title for column in COLUMNS))]
    for name, seen in runs.items():
        rows.append((name, *(column.show.format(mean(map(column.of, seen))) for column in COLUMNS)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.rjust(width) if place else cell.ljust(width) for place, (cell, width) in enumerate(cells))
        for cells in (tuple(zip(row, widths, strict=True)) for row in rows)
    ]
    return "\n".join((head, *lines))


def claims(everything: Mapping[Scenario, Runs]) -> str:
    """What the default gains on each of the others over all scenarios, and where it loses to what there was before."""
    names = list(next(iter(everything.values())))
    if DEFAULT not in names:
        return ""
    lines = [f"{DEFAULT}, over all of these, beside"]
    for name in names:
        if name != DEFAULT:
            refused, moved, cold = (_less(everything, name, of) for of in (_refusals, _moved, _cold))
            lines.append(f"  {name}: refuses {refused}, reads {moved} again after a move and {cold} in all")
        if name in BEFORE:
            lines += [f"    but {loss}" for loss in _losses(everything, name)]
    return "\n".join(lines)


def _losses(everything: Mapping[Scenario, Runs], name: str) -> list[str]:
    """Single scenarios in which the default is behind another one."""
    found = []
    for scenario, runs in everything.items():
        for column in CLAIMED:
            ours, theirs = (mean(map(column.of, runs[who])) for who in (DEFAULT, name))
            if ours > theirs:
                shown = column.show.format(ours), column.show.format(theirs)
                found.append(f"{scenario.name}: {column.title} {shown[0]}, and not {shown[1]}")
    return found


def overall(everything: Mapping[Scenario, Runs], column: Column) -> dict[str, float]:
    """A figure of each contestant: the mean of all scenarios, each of which counts once."""
    names = next(iter(everything.values()))
    return {name: mean(mean(map(column.of, runs[name])) for runs in everything.values()) for name in names}


def _less(everything: Mapping[Scenario, Runs], name: str, of: Callable[[Measures], Share]) -> str:
    """Over all requests, whatever scenario they belong to."""
    ours, theirs = (_ratio([of(m) for runs in everything.values() for m in runs[who]]) for who in (DEFAULT, name))
    if not theirs:
        return "as much" if not ours else "more"
    change = 100 * (ours / theirs - 1)
    return f"{abs(change):.0f} % {'less' if change <= 0 else 'more'}"


def _ratio(shares: Sequence[Share]) -> float:
    return sum(part for part, _ in shares) / max(1, sum(whole for _, whole in shares))


def _refusals(m: Measures) -> Share:
    return m.refusals, m.requests


def _moved(m: Measures) -> Share:
    return m.moved, m.served


def _cold(m: Measures) -> Share:
    return m.cold, m.served


def as_json(everything: Mapping[Scenario, Runs], seeds: Mapping[Scenario, Sequence[int]]) -> list[dict[str, Any]]:
    """Every single run."""
    return [
        {**asdict(scenario), "contestant": name, **asdict(seen), "seed": seed}
        for scenario, runs in everything.items()
        for name, all_seen in runs.items()
        for seed, seen in zip(seeds[scenario], all_seen, strict=True)
    ]
