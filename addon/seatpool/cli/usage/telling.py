"""What was used, as a table, as CSV and as JSON."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

import msgspec
from rich.markup import escape
from rich.table import Table

from seatpool.core.ledger import By, Counts, Line

NOTHING = "nothing was used since {first}; requests are counted when they come through the proxy"
UNTOLD = "-"
PART = "reasoning"
"""It is in the output as well, so a small screen does without."""
DISPENSABLE = ("aborted", "failed", "cached", PART, "credits", "output", "input", "requests")
"""What a screen does without that has no room for all of it, one after the other."""
WIDEST, GAP = 16, 2
"""Characters of a name that numbers have to leave it; spaces around each column."""
ROOMY = 110
"""Columns of a screen that has room for numbers in full."""
UNKNOWN = "(not known)"
COLUMNS = (
    *("requests", "aborted", "failed", "untold", "input_tokens", "cached_tokens", "cache_written_tokens"),
    *("output_tokens", "reasoning_tokens", "ai_credits", "cost_usd"),
)
"""Of CSV and JSON, behind what is summed up for."""


class Report(msgspec.Struct, frozen=True):
    """Lines and their total, and of when they are."""

    by: By
    first: date
    last: date
    prices_of: str
    lines: list[Line]
    total: Line


def table(report: Report, width: int) -> Table:
    """For a person with a screen of so many columns."""
    show = _number if width >= ROOMY else _short
    total = _cells(report.total, show)
    rows = [(name(line), _cells(line, show)) for line in report.lines]
    told = [head for head, cell in total.items() if cell != UNTOLD and (width >= ROOMY or head != PART)]
    wide = {
        head: GAP + max(len(cells[head]) for cells in ({head: head}, total, *(row[1] for row in rows))) for head in told
    }
    longest = max(map(len, (report.by, "total", *(row[0] for row in rows))))
    heads = _fitting(wide, width - GAP - min(WIDEST, longest))
    room = max(WIDEST, width - GAP - sum(wide[head] for head in heads))
    found = Table(box=None, show_footer=True)
    found.add_column(str(report.by), "total", overflow="fold", width=min(longest, room))
    for head in heads:
        found.add_column(head, total[head], justify="right", no_wrap=True)
    for named_so, cells in rows:
        found.add_row(escape(named_so), *(cells[head] for head in heads))
    return found


def _fitting(wide: Mapping[str, int], room: int) -> list[str]:
    """The columns that have room, by how wide they are; what was used by whom goes before all of them."""
    kept = dict(wide)
    for head in DISPENSABLE:
        if sum(kept.values()) > room:
            kept.pop(head, None)
    return list(kept)


def notes(report: Report) -> Iterator[str]:
    """What has to be known of the numbers."""
    yield (
        f"{report.first} to {report.last}, local days; cost: in USD, had the tokens been bought one by one at the "
        f"list prices of {report.prices_of}"
    )
    if report.total.unpriced:
        named = ", ".join(sorted(model or "of an unknown model" for model in report.total.unpriced))
        yield f"without a price, and not in the cost: {escape(named)}"
    untold = _untold(report.total.counts)
    if untold:
        yield f"no tokens were told of {untold:,} request{'s' if untold != 1 else ''}"


def as_json(report: Report) -> str:
    """For a program. What is not known is null."""
    told = {
        "by": report.by,
        "since": report.first.isoformat(),
        "until": report.last.isoformat(),
        "days": "local",
        "prices_of": report.prices_of,
        "rows": [{report.by: line.key, **_values(line)} for line in report.lines],
        "total": _values(report.total),
        "models_without_price": sorted(filter(None, report.total.unpriced)),
    }
    return json.dumps(told, indent=2)


def as_csv(report: Report) -> str:
    """For a spreadsheet. What is not known is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((report.by, *COLUMNS))
    writer.writerows([line.key, *_values(line).values()] for line in report.lines)
    return out.getvalue()


def name(line: Line) -> str:
    """What it is the sum of."""
    return line.key or UNKNOWN


def _untold(counts: Counts) -> int:
    return counts.requests - counts.told


def _values(line: Line) -> dict[str, Any]:
    counts, tokens = line.counts, line.counts.tokens
    cost = round(line.cost_usd, 6) if line.cost_usd is not None else None
    values = (
        *(counts.requests, counts.aborted, counts.failed, _untold(counts), tokens.input, tokens.cached),
        *(tokens.written, tokens.output, tokens.reasoning, counts.credits, cost),
    )
    return dict(zip(COLUMNS, values, strict=True))


def _cells(line: Line, show: Callable[[int | None], str]) -> dict[str, str]:
    """By the column's head."""
    counts, tokens = line.counts, line.counts.tokens
    cost = f"${line.cost_usd:,.2f}" if line.cost_usd is not None else "no price" if line.unpriced else UNTOLD
    more = "+" if line.cost_usd is not None and line.unpriced else ""
    return {
        "requests": show(counts.requests),
        "aborted": show(counts.aborted),
        "failed": show(counts.failed),
        "input": show(tokens.input),
        "cached": show(tokens.cached),
        "output": show(tokens.output),
        "reasoning": show(tokens.reasoning),
        "credits": f"{counts.credits:,.2f}" if counts.credits is not None else UNTOLD,
        "cost": cost + more,
    }


def _number(count: int | None) -> str:
    return f"{count:,}" if count is not None else UNTOLD


def _short(count: int | None) -> str:
    """To two figures or more."""
    for unit, size in (("G", 10**9), ("M", 10**6)):
        if count is not None and count >= size:
            return f"{count / size:,.2f}{unit}"
    return f"{count / 1000:,.0f}k" if count is not None and count >= 10_000 else _number(count)
