"""What was used, as bars: in the terminal, and as a picture where matplotlib is there."""

import importlib
import os
from datetime import date, timedelta
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from seatpool import inplace
from seatpool.cli.usage.telling import Report, name
from seatpool.core import telling
from seatpool.core.ledger import By, Line, size

WIDTH = 40
"""In characters, of the longest bar."""
EIGHTHS = " ▏▎▍▌▋▊▉"
SHOWN = 20
"""Bars in a picture; days are all shown."""
LONGEST, DATES = 16.0, 50
"""Of a picture: inches, and days that are named."""
PARTS = (("input", "#7fb3d5"), ("cached input", "#d4e6f1"), ("output", "#e67e22"))
MISSING = "a picture needs matplotlib: pip install matplotlib (in a clone: .venv/bin/pip ...)"


def bars(report: Report, *, plain: bool = False) -> Table:
    """A bar of all tokens for each line; `plain`: with characters that every terminal has."""
    lines = _lines(report)
    longest = max(map(size, lines)) or 1
    found = Table(str(report.by), "tokens", box=None)
    found.add_column("", justify="right")
    for line in lines:
        found.add_row(escape(name(line)), _bar(size(line) / longest, plain=plain), f"{size(line):,}")
    return found


def _lines(report: Report) -> list[Line]:
    """Days without any use as well, between the first and the last that have some."""
    if report.by is not By.DAY:
        return report.lines
    known = {date.fromisoformat(line.key or ""): line for line in report.lines}
    first = min(known)
    days = (first + timedelta(days=n) for n in range((max(known) - first).days + 1))
    return [known.get(day) or Line(day.isoformat()) for day in days]


def _bar(share: float, *, plain: bool) -> str:
    if plain:
        return telling.PLAIN[0] * round(share * WIDTH)
    eighths = round(share * WIDTH * 8)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def png(path: Path, report: Report) -> None:
    """Draw into this file. One line where there is nothing to draw with."""
    try:
        matplotlib, figures = map(importlib.import_module, ("matplotlib", "matplotlib.figure"))
    except ImportError as error:
        raise click.ClickException(MISSING) from error
    matplotlib.rcParams["text.parse_math"] = False  # a `$` in a name is one
    upright = report.by is By.DAY
    lines = _lines(report) if upright else report.lines[:SHOWN]
    long = min(1.5 + 0.3 * len(lines), LONGEST)
    figure = figures.Figure(figsize=(max(6.0, long), 4.5) if upright else (9.0, long + 0.6), layout="constrained")
    axes = figure.subplots()
    places, ends = range(len(lines)), [0.0] * len(lines)
    for which, (part, colour) in enumerate(PARTS):
        counts = [_parts(line)[which] for line in lines]
        where = {"bottom": ends} if upright else {"left": ends}
        (axes.bar if upright else axes.barh)(places, counts, label=part, color=colour, **where)
        ends = [end + count for end, count in zip(ends, counts, strict=True)]
    if upright:
        every = -(-len(lines) // DATES)
        axes.set_xticks(places[::every], [name(line) for line in lines[::every]], rotation=90)
    else:
        axes.set_yticks(places, [name(line) for line in lines])
        axes.invert_yaxis()
    (axes.yaxis if upright else axes.xaxis).set_major_formatter(lambda count, _: f"{count:,.0f}")
    axes.set_title(f"tokens by {report.by}, {report.first} to {report.last}")
    figure.legend(loc="outside lower center", ncols=len(PARTS))
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        figure.savefig(partial, format="png")
        inplace.put(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _parts(line: Line) -> tuple[int, int, int]:
    tokens = line.counts.tokens
    cached = tokens.cached or 0
    return max(0, (tokens.input or 0) - cached), cached, tokens.output or 0
