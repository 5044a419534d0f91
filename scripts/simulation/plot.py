"""Bars: over all scenarios for the terminal, and for each of them in an SVG file, which needs no library to write."""

from collections.abc import Mapping
from html import escape
from statistics import mean

from scripts.simulation.results import COLUMNS, Column, Runs, overall

from tests.sim.contestants import DEFAULT
from tests.sim.scenario import Scenario

SHOWN = ("refused %", "re-read after a move")
BAR, GAP, LABELS, PANEL, HEAD = 14, 4, 120, 320, 44
"""In pixels: a bar's height, what is between two, the names' width, a panel's width, and a scenario's heading."""

WIDEST = 50
"""In characters, on a terminal."""


def bars(everything: Mapping[Scenario, Runs]) -> str:
    """The means of all scenarios, as text."""
    lines = []
    for column in COLUMNS:
        if column.title in SHOWN:
            values = overall(everything, column)
            scale = WIDEST / max(*values.values(), 1e-9)
            lines.append(f"{column.title}, mean of all scenarios")
            lines += [
                f"  {name:<15}{'#' * round(value * scale)} {column.show.format(value)}"
                for name, value in values.items()
            ]
    return "\n".join(lines)


def svg(everything: Mapping[Scenario, Runs]) -> str:
    """One row of panels for each scenario, one bar for each contestant."""
    columns = [column for column in COLUMNS if column.title in SHOWN]
    parts, y = [], 10.0
    for scenario, runs in everything.items():
        parts.append(_text(10, y + 14, scenario.name, weight="bold"))
        for place, column in enumerate(columns):
            parts += _panel(10 + place * (LABELS + PANEL), y + 18, column, runs)
        y += HEAD + len(runs) * (BAR + GAP) + 20
    width = 20 + len(columns) * (LABELS + PANEL)
    style = 'font-family="sans-serif" font-size="11"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y:.0f}" {style}>'
    return "\n".join((head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>\n"))


def _panel(x: float, y: float, column: Column, runs: Runs) -> list[str]:
    values = {name: mean(map(column.of, seen)) for name, seen in runs.items()}
    scale = (PANEL - 70) / max(*values.values(), 1e-9)
    parts = [_text(x + LABELS, y + 14, column.title, fill="#555")]
    for place, (name, value) in enumerate(values.items()):
        top = y + HEAD - 22 + place * (BAR + GAP)
        color = "#1f77b4" if name == DEFAULT else "#b0b8c0"
        parts.append(_text(x + LABELS - 6, top + 11, name, anchor="end"))
        length = max(value * scale, 1)
        parts.append(f'<rect x="{x + LABELS}" y="{top}" width="{length:.1f}" height="{BAR}" fill="{color}"/>')
        parts.append(_text(x + LABELS + length + 4, top + 11, column.show.format(value)))
    return parts


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal", fill: str = "#111") -> str:
    looks = f'text-anchor="{anchor}" font-weight="{weight}" fill="{fill}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {looks}>{escape(text)}</text>'
