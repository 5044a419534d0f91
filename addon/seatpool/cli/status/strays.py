"""`seatpool status --strays`: what came by that seatpool does not know. All of it went through untouched."""

import json

import click
from rich.markup import escape

from seatpool.cli.common import console, folding
from seatpool.clock import utcnow
from seatpool.core.spans import ago
from seatpool.setup import strangers

NOTHING = "nothing came by that seatpool does not know"
_KINDS = (("host", strangers.default_file), ("request", strangers.paths_file))


def _rows() -> list[tuple[str, strangers.Stranger]]:
    return [(kind, row) for kind, file in _KINDS for row in strangers.read(file())]


def hint() -> str | None:
    """Where to look, for whoever has something to look at."""
    count = len(_rows())
    return f"{count} hosts or kinds of requests came by that seatpool does not know: status --strays" if count else None


def show(*, as_json: bool) -> None:
    """Hosts first, then kinds of requests; the latest first."""
    rows = _rows()
    if as_json:
        told = [
            {
                "kind": kind,
                "name": row.host,
                "count": row.connections,
                "first": row.first.isoformat(),
                "last": row.last.isoformat(),
            }
            for kind, row in rows
        ]
        click.echo(json.dumps(told, indent=2))
        return
    if not rows:
        console().print(NOTHING)
        return
    table = folding("what", "name", "times", "last")
    for kind, row in rows:
        table.add_row(kind, escape(row.host), str(row.connections), ago(row.last, utcnow()))
    console().print(table)
