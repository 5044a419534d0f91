"""`seatpool status` and `seatpool cooldown`: how the pool stands, with or without a running proxy."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import click
import msgspec
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from seatpool.cli import schemas
from seatpool.cli.common import (
    PlainGroup,
    console,
    database,
    is_plain,
    open_store,
    printable,
    printable_lines,
    with_database,
)
from seatpool.cli.status import health, strays, watching
from seatpool.cli.status.needs import needs
from seatpool.clock import utcnow
from seatpool.core import telling
from seatpool.core.empty import EMPTY_POOL
from seatpool.core.report import AccountRow, Report
from seatpool.core.spans import ago
from seatpool.service.telling import reporting
from seatpool.store import Store, StoreError

LOW, SOME = 0.1, 0.3
"""Shares of a window below which its bar is red, and yellow."""
WHOLE = ("account", "provider", "plan")
"""Columns whose words are not broken."""
ROOMY = ("quota left", "in flight", "today", "last used")
"""Those whose lines are not where there is room."""
GAP = 2
"""Spaces around each column."""
WIDEST = 16
"""Characters of a name that is not broken where there is little room; a third of a line where that is more."""
ROOM = 110
"""Characters in a line of a terminal from which on there is."""
DISPENSABLE = {"plan": ROOM, "today": ROOM, "in flight": 70, "last used": 70, "provider": 50}
"""Those that are left out, and from how many characters on they are not."""


@click.command()
@click.option("--watch", "watched", is_flag=True, help="Go on until Ctrl-C; piped: a line for each change.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; times in UTC, shares from 0.0 to 1.0.")
@click.option("--schema", "as_schema", is_flag=True, help="Print the JSON Schema of --json.")
@click.option("--strays", "only_strays", is_flag=True, help="Show what came by that seatpool does not know, instead.")
@with_database
def status(watched: bool, as_json: bool, as_schema: bool, only_strays: bool) -> None:
    """Show every account: state, quota left, cooldowns, requests under way and today, last use.

    \b
    seatpool status
    seatpool status --watch
    seatpool status --json | jq '.accounts[] | select(.state == "ready") | .name'
    seatpool status --strays
    """
    if watched and (only_strays or as_schema):
        raise click.UsageError("--watch goes with --json alone")
    if as_schema:
        click.echo(schemas.STATUS.read_text(), nl=False)
        return
    if only_strays:
        strays.show(as_json=as_json)
        return
    now = utcnow()
    try:
        with open_store() as store:
            told = reporting.read(store, now)
            health.say(database(), store, now)
            if watched:
                watching.watch(lambda: reporting.read(store, utcnow()), view, as_json=as_json)
    except StoreError:
        health.say(database(), None, now)
        raise
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(told), indent=2))
        return
    console().print(view(told))
    hint = strays.hint()
    if hint is not None:
        console().print(hint)


def view(told: Report) -> Table | Text:
    """For a person."""
    locked = telling.locked(told)
    if not told.accounts and locked is None:
        return Text(EMPTY_POOL)
    whole = Table.grid()
    whole.add_row(status_table(told.accounts, told.at) if told.accounts else Text(EMPTY_POOL))
    if locked is not None:
        whole.add_row(escape(locked))
    for need in needs(told.accounts, told.at):
        whole.add_row(Text(f"{printable(need.text)}\n  to do: {printable(need.command)}"))
    if told.waited and told.last_waited_at is not None:
        some = f"{told.waited} request{'s' if told.waited != 1 else ''}"
        last = ago(told.last_waited_at, told.at)
        whole.add_row(Text(f"{some} waited for an account in 24 h, the last {last}: seatpool why --list 20"))
    return whole


def status_rows(store: Store, now: datetime) -> tuple[AccountRow, ...]:
    """Every account as it stands in the database."""
    return reporting.read(store, now).accounts


def status_table(rows: Iterable[AccountRow], now: datetime) -> Table:
    """The rows for a person."""
    here = console()
    roomy = here.width >= ROOM
    rows, plain = tuple(rows), is_plain(here)
    cells = [telling.cells(row, now, plain=plain) for row in rows]
    columns = [name for name in telling.COLUMNS if here.width >= DISPENSABLE.get(name, 0)]
    if roomy and not _fit(columns, cells, here.width):
        columns = [name for name in columns if DISPENSABLE.get(name, 0) < ROOM]
        roomy = _fit(columns, cells, here.width)
    table = Table(*columns, box=None)
    for column in table.columns:
        column.overflow = "fold"  # nothing is cut off: a reason is to be read whole
        column.no_wrap = column.header in WHOLE or (column.header in ROOMY and roomy)
    about, widest = table.columns[0], max(WIDEST, here.width // 3)
    if not roomy and any(len(row.name) > widest for row in rows):
        about.no_wrap, about.width = False, widest  # else it would leave nothing for the others
    for row, told in zip(rows, cells, strict=True):
        shown: dict[str, str | Text] = dict(zip(telling.COLUMNS, map(escape, told), strict=True))
        if row.windows:
            shown["quota left"] = _quota(row, told, now)
        table.add_row(*(shown[name] for name in columns))
    return table


def _fit(columns: Sequence[str], cells: Sequence[tuple[str, ...]], width: int) -> bool:
    """Whether the lines of all columns but the state's are whole beside the longest of its words."""
    wide = 0
    for place, name in enumerate(telling.COLUMNS):
        if name in columns:
            said = "\n".join((name, *(row[place] for row in cells)))
            wide += GAP + max(map(len, said.split() if name == "state" else said.split("\n")))
    return wide <= width


def _quota(row: AccountRow, cells: tuple[str, ...], now: datetime) -> Text:
    """The same words, with the bars in colour where there are colours."""
    text = Text(printable_lines(cells[telling.COLUMNS.index("quota left")]))
    start = 0
    for w, line in zip(row.windows, text.plain.splitlines(), strict=True):
        left = 1.0 if w.unlimited or telling.is_over(w, now) else w.left
        style = "dim" if w.stale else "red" if left < LOW else "yellow" if left < SOME else "green"
        text.stylize(style, start, start + telling.WIDE)
        start += len(line) + 1
    return text


@click.group(cls=PlainGroup)
def cooldown() -> None:
    """Look after accounts that are resting."""


@cooldown.command()
@click.argument("name", required=False)
@with_database
def clear(name: str | None) -> None:
    """Let NAME be asked again at once, or every account without NAME.

    A limit that really stands is met again, and rested for again, with the next request.
    """
    with open_store() as store:
        count = store.clear_cooldowns(store.account(name).id if name is not None else None)
    click.echo(f"cleared {count} cooldown{'s' if count != 1 else ''}")
