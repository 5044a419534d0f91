"""Going on showing how the pool stands: redrawn on a terminal, a line for each change anywhere else. Ends by Ctrl-C."""

import time
from collections.abc import Callable, Iterator
from typing import NoReturn

import click
import msgspec
from rich.console import RenderableType
from rich.live import Live

from seatpool.cli.common import INTERRUPTED, console
from seatpool.core.report import Report
from seatpool.core.telling import gist

EVERY_S = 1.0


def watch(look: Callable[[], Report], view: Callable[[Report], RenderableType], *, as_json: bool) -> NoReturn:
    """Until Ctrl-C, which ends the program with 130."""
    try:
        if as_json or not console().is_terminal:
            _tell_changes(look, as_json=as_json)
        else:
            with Live(view(look()), console=console(), auto_refresh=False, vertical_overflow="crop") as live:
                for told in _looks(look):
                    live.update(view(told), refresh=True)
    except KeyboardInterrupt:
        pass
    click.get_current_context().exit(INTERRUPTED)


def _looks(look: Callable[[], Report]) -> Iterator[Report]:
    while True:
        yield look()
        time.sleep(EVERY_S)


def _tell_changes(look: Callable[[], Report], *, as_json: bool) -> None:
    """Of the passing of time nothing is said; JSON is a whole document in each line."""
    before: dict[int, str] | None = None
    names: dict[int, str] = {}
    for told in _looks(look):
        gists = {row.id: gist(row, told.at) for row in told.accounts}
        if gists != before and as_json:
            click.echo(msgspec.json.encode(told))
        elif gists != before:
            at = f"{told.at:%Y-%m-%dT%H:%M:%SZ}"
            gone = [f"{at} {names[i]}: removed" for i in (before or {}) if i not in gists]
            for text in (*gone, *(f"{at} {g}" for i, g in gists.items() if (before or {}).get(i) != g)):
                click.echo(text)
        before, names = gists, {row.id: row.name for row in told.accounts}
