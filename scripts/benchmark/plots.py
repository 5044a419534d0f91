"""Pictures of what was measured, as SVG."""

import io
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

POOL, BARE, LIMIT, AIM = "#1f77b4", "#b0b8c0", "#d62728", "#2ca02c"
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",  # letters stay letters
    "svg.hashsalt": "seatpool",  # the same figures make the same bytes
}
PANEL = 2.6, 2.1
"""In inches."""
AT_ONCE = 4
"""Panels in a row."""


def plots(figures: Mapping[str, Any]) -> dict[str, str]:
    """By name."""
    with mpl.rc_context(STYLE):
        return dict(_pictures(figures))


def _pictures(figures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if goals := figures.get("goals"):
        yield "goals", _goals(goals)
    for name, axis in figures.get("axes", {}).items():
        yield name, _axis(axis)
    if peer := figures.get("peer"):
        yield f"peer-{peer['measured']['peer']}", _peer(peer["measured"])


def _peer(seen: Mapping[str, Any]) -> str:
    """Bars for everybody in one panel for each measure."""
    names = [name for name in seen["memory_mb"] if name in seen["load"]]
    cpu = {name: median(one["cpu_s"] / one["requests"] * 1000 for one in seen["load"][name]) for name in names}
    panels = {"CPU per request, ms": cpu}
    for title, key in (("added first byte p50, ms", "first_ms"), ("added p50, ms", "whole_ms")):
        panels[title] = {name: median(seen[key][name]) - median(seen[key]["direct"]) for name in names}
    panels["memory, MB"] = seen["memory_mb"]
    figure = Figure(figsize=(PANEL[0] * len(panels), PANEL[1]), layout="constrained")
    for plot, (title, values) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        bars = plot.bar(names, [values[name] for name in names], color=[POOL if n == "pool" else BARE for n in names])
        plot.bar_label(bars, fmt="{:.1f}")
        plot.set_title(title, fontsize=8)
    return _svg(figure)


def _goals(goals: Sequence[Mapping[str, Any]]) -> str:
    """A bar for each ratio, with what it must be and what is aimed at."""
    figure = Figure(figsize=(8, 0.3 * len(goals) + 0.8), layout="constrained")
    plot: Axes = figure.subplots()
    for place, goal in enumerate(goals):
        plot.barh(place, goal["ratio"], 0.6, color=POOL if goal["met"] else LIMIT)
        for key, color in (("must", LIMIT), ("aim", AIM)):
            if goal[key] is not None:
                plot.vlines(goal[key], place - 0.4, place + 0.4, color=color, linewidth=1.6)
        plot.text(goal["ratio"] + 0.01, place, f" {goal['ratio']:.2f}", va="center")
    plot.set_yticks(range(len(goals)), [goal["name"] for goal in goals])
    plot.invert_yaxis()
    plot.set_xlabel("ratio; red: must not be passed, green: aimed at")
    return _svg(figure)


def _axis(axis: Mapping[str, Any]) -> str:
    """A panel for each column."""
    columns: Mapping[str, str] = axis["columns"]
    down = -(-len(columns) // AT_ONCE)
    across = min(len(columns), AT_ONCE)
    figure = Figure(figsize=(PANEL[0] * across, PANEL[1] * down), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False).flat
    for plot, (key, title) in zip(panels, columns.items(), strict=False):
        seen = [(row["at"], row[key]) for row in axis["rows"] if key in row]
        plot.plot(
            *zip(*seen, strict=True), "o-", color=BARE if "bare" in title and "x" not in title else POOL, markersize=3
        )
        _scale(plot, [at for at, _ in seen])
        plot.set_ylim(0, max(1.05 if title == "x bare" else 0, *(value for _, value in seen)) * 1.15 or 1)
        if title == "x bare":
            plot.axhline(1, color=BARE, linewidth=0.8)
        plot.set_title(title, fontsize=8)
        plot.set_xlabel(axis["along"])
    for plot in list(figure.axes)[len(columns) :]:
        plot.remove()
    return _svg(figure)


def _scale(plot: Axes, at: Sequence[float]) -> None:
    """By factors where they span more than a few of them."""
    if max(at) > 20 * max(min(at), 1):
        plot.set_xscale("symlog" if min(at) < 1 else "log")


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"
