"""`seatpool tail`: a line for each request that is over, as it ends."""

import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from datetime import time as time_of_day

import click
import msgspec
from rich.text import Text

from seatpool.cli import schemas
from seatpool.cli.common import INTERRUPTED, Whole, console, open_store, printable, with_database
from seatpool.clock import here, utcnow
from seatpool.core.ended import UNANSWERED, Recorded
from seatpool.core.model import Account
from seatpool.core.outcome import OK
from seatpool.core.story import SHORT
from seatpool.core.tail import Line, line, sendings
from seatpool.store import Store, Wanted

SHOWN = 10
EVERY_S = 0.25
PAGE = 500
"""Requests that are read at a time."""
_UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400}
_SPAN = re.compile(r"(\d{1,6})\s*(s|min|m|h|d)")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})")
_LEFT = {"left", "cut", UNANSWERED}
NOBODY = "nobody"
WIDEST = 16
"""Characters up to which names of accounts are aligned."""


def moment(_ctx: click.Context, _param: click.Parameter, value: str | None) -> datetime | None:
    """How long ago, a time of today, or a date and time."""
    if value is None:
        return None
    text, now = value.strip(), utcnow()
    try:
        if span := _SPAN.fullmatch(text):
            return now - timedelta(seconds=int(span[1]) * _UNITS[span[2]])
        if at := _CLOCK.fullmatch(text):
            day, hour = now.astimezone().date(), time_of_day(int(at[1]), int(at[2]))
            today = here(day, hour)
            return today if today <= now else here(day - timedelta(days=1), hour)
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError):
        raise click.BadParameter(f"{text!r} is no moment: say 30s, 15min, 2h, 1d, 14:30 or 2026-11-21T14:30") from None


@click.command()
@click.option("-n", "--lines", "count", type=Whole(0, 1_000_000), metavar="N", help="Begin with the last N.")
@click.option("--follow/--no-follow", "-f/ ", default=True, help="Go on until Ctrl-C, or do not. [default: go on]")
@click.option("--account", "names", multiple=True, metavar="NAME", help="Only requests that it was asked for last.")
@click.option("--since", callback=moment, metavar="WHEN", help="Only requests that began then or later: 15min, 14:30.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, an object in each line; times in UTC.")
@click.option("--schema", "as_schema", is_flag=True, help="Print the JSON Schema of --json.")
@with_database
def tail(
    count: int | None, follow: bool, names: tuple[str, ...], since: datetime | None, as_json: bool, as_schema: bool
) -> None:
    """Show each request in a line when it is over: its account and why that one, attempts, times, tokens.

    Begins with the last ten, or with all since WHEN. `seatpool why REQUEST` tells the whole of one.

    \b
    seatpool tail
    seatpool tail -n 50 --no-follow --account work
    seatpool tail --since 2h --json | jq .total_ms
    """
    if as_schema:
        click.echo(schemas.TAIL.read_text(), nl=False)
        return
    try:
        with open_store() as store:
            ids = frozenset(store.account(name).id for name in names) if names else None
            for found in _batches(store, Wanted(ids, since), count, follow=follow):
                accounts = {account.id: account for account in store.accounts()}
                _print([line(each, accounts) for each in found], accounts.values(), as_json=as_json)
    except KeyboardInterrupt:
        click.get_current_context().exit(INTERRUPTED)


def _batches(store: Store, wanted: Wanted, count: int | None, *, follow: bool) -> Iterator[Sequence[Recorded]]:
    """What there is, and then what comes."""
    place = 0
    if count is not None or wanted.since is None:
        place, found = store.past.newest_ended(wanted, SHOWN if count is None else count)
        yield found
    while True:
        before = place
        place, found = store.past.ended_after(place, wanted, PAGE)
        if found:
            yield found
        if place == before:
            if not follow:
                return
            time.sleep(EVERY_S)


def _print(lines: Sequence[Line], accounts: Iterable[Account], *, as_json: bool) -> None:
    if as_json:
        for each in lines:
            click.echo(msgspec.json.encode(each))
        return
    here, wide = console(), max(map(len, (NOBODY, *(account.name for account in accounts))))
    for each in lines:
        here.print(as_text(each, min(wide, WIDEST)), soft_wrap=True)
    sys.stdout.flush()


def as_text(each: Line, wide: int) -> Text:
    """For a person; `wide`: characters that names of accounts have at most."""
    outcome = " ".join(filter(None, (str(each.status or ""), each.outcome)))
    sent = sendings(each)
    text = Text()
    text.append(_when(each.began_at), "dim")
    text.append(f" {each.request[:SHORT]} ", "dim")
    text.append((each.account or NOBODY).ljust(wide), "bold")
    text.append(f" {outcome:<6}", "green" if each.outcome == OK.code else "yellow" if each.outcome in _LEFT else "red")
    text.append(f" x{sent}" if sent > 1 else "   ", "yellow")
    text.append(f" {_seconds(each.first_byte_ms):>6} {_seconds(each.total_ms):>6}")
    for part in filter(None, (_tokens(each), each.model, each.repository)):
        text.append(f"  {printable(part)}")
    text.append(f"  {printable(each.why)}", "dim")
    return text


def _when(moment: datetime) -> str:
    local = moment.astimezone()
    return f"{local:%H:%M:%S}" if local.date() == utcnow().astimezone().date() else f"{local:%Y-%m-%d %H:%M:%S}"


def _seconds(took_ms: float | None) -> str:
    return f"{took_ms / 1000:.2f}s" if took_ms is not None else "-"


def _tokens(each: Line) -> str:
    sent = f"{each.input_tokens:,} in" if each.input_tokens is not None else ""
    cached = f" ({each.cached_tokens:,} cached)" if each.cached_tokens else ""
    told = f"{each.output_tokens:,} out" if each.output_tokens is not None else ""
    return ", ".join(filter(None, (sent + cached, told)))
