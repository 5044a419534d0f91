"""What was played for a release, run by run: a million worlds are more than anybody plays at once.

Runs of several commits are of the same code where these changed nothing of the product that a world has to do with.
Where a world broke by a mistake of whoever judged it, its entry gets an `excused` by hand, with that mistake, once the
seed holds with the judge put right and the product as it was.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from io import StringIO
from itertools import takewhile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from scripts.benchmark.keeping import index, version

from seatpool.cli.version import version as described

NAME = "proof"
_SUMS = ("worlds", "steps", "requests", "served", "rotations", "crashes")

Run = Mapping[str, Any]


def played() -> str:
    """What is played: a release, or a commit."""
    return described()


def add(figures: Run, product: str, results: Path) -> Path:
    """One more run, beside those that are kept. Returns the file with all of them."""
    folder = results / version()
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{NAME}.json"
    runs = json.loads(kept.read_text())["runs"] if kept.exists() else []
    broken = [{name: world[name] for name in ("seed", "broken", "why")} for world in figures["broken"]]
    runs.append({"date": datetime.now(UTC).date().isoformat(), "seatpool": product, **figures, "broken": broken})
    kept.write_text(json.dumps({"runs": runs}, indent=1) + "\n")
    (folder / f"{NAME}.txt").write_text(_report(runs))
    (results / "README.md").write_text(index(results))
    return kept


def _report(runs: Sequence[Run]) -> str:
    table = Table("", "code", *_SUMS, "broken", box=None, show_footer=True)
    for column in table.columns[2:]:
        column.justify = "right"
    for run in runs:
        table.add_row(f"{run['date']}, {run['seatpool']}", run["code"], *_sums([run]))
    last = runs[-1]["code"]
    latest = "all of the code that was played last", last, *_sums([run for run in runs if run["code"] == last])
    whole = list(takewhile(lambda run: all("excused" in world for world in run["broken"]), reversed(runs)))
    table.add_section()
    table.add_row(*latest)
    table.add_row("all since the product was last at fault, of whatever code", "", *_sums(whole))
    for column, text in zip(table.columns, ("all", "", *_sums(runs)), strict=True):
        column.footer = text
    written = StringIO()
    Console(file=written, width=200).print(table)
    lines = [line.rstrip() for line in written.getvalue().splitlines()]
    for run in runs:
        lines += [f"{run['seatpool']}: seed {world['seed']} {_told(world)}" for world in run["broken"]]
    return "\n".join(lines) + "\n"


def _told(world: Mapping[str, Any]) -> str:
    excuse = f" (the judge's mistake: {world['excused']})" if "excused" in world else ""
    return f"breaks {world['broken']}: {world['why']}{excuse}"


def _sums(runs: Sequence[Run]) -> tuple[str, ...]:
    broken = sum(len(run["broken"]) for run in runs)
    return *(f"{sum(run[name] for run in runs):,}" for name in _SUMS), str(broken)
