"""Ratios beside what they must be and what they are to be one day, and tables of text."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Goal:
    """One row: a ratio, and what it must not exceed."""

    name: str
    reference: str
    """What it is compared with, with its unit."""
    seen: str
    ratio: float
    must: float
    aim: float | None = None
    """None where there is nothing beyond `must`."""

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.ratio <= self.must

    @property
    def aim_met(self) -> bool | None:
        """Whether the aim is; None without one."""
        return None if self.aim is None else self.ratio <= self.aim

    def as_json(self) -> dict[str, Any]:
        """With the verdicts."""
        return {**asdict(self), "met": self.met, "aim_met": self.aim_met}


def ratio(value: float, reference: float) -> float:
    """Infinite where there is nothing to compare with: too little was measured."""
    return value / reference if reference > 0 else float("inf")


def judged(goals: Sequence[Goal], reference: str = "bare") -> list[str]:
    """A table of them, and what it comes to."""
    rows: list[tuple[str, ...]] = [("", reference, "pool", "ratio", "must", "aim", "")]
    for goal in goals:
        aim = "" if goal.aim is None else f"{goal.aim:.2f}"
        met = "NOT MET" if not goal.met else "aim met" if goal.aim_met else "met"
        rows.append((goal.name, goal.reference, goal.seen, f"{goal.ratio:.2f}", f"{goal.must:.2f}", aim, met))
    aimed = [goal for goal in goals if goal.aim is not None]
    missed = [goal.name for goal in aimed if not goal.aim_met]
    summary = f"must: {sum(goal.met for goal in goals)} of {len(goals)} met"
    summary += f"; aim: {len(aimed) - len(missed)} of {len(aimed)} met" if aimed else ""
    return [*table(rows), summary + (f", not yet: {'; '.join(missed)}" if missed else "")]


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns beside each other; the first is a text, the others are figures."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
