"""`seatpool usage`: what was used, by whom and for what, and what it would have cost."""

import tomllib
from datetime import date, timedelta
from pathlib import Path

import click

from seatpool.cli.common import Whole, console, is_plain, open_store, with_database
from seatpool.cli.usage import plotting, telling
from seatpool.cli.usage.telling import Report
from seatpool.clock import utcnow
from seatpool.core import prices
from seatpool.core.ledger import By, summed

OURS = Path(__file__).with_name("prices.toml")
DAYS = 30
TERMINAL = "-"
"""`--plot` without a file."""


def _day(_ctx: click.Context, _param: click.Parameter, value: str | None) -> date | None:
    try:
        return date.fromisoformat(value) if value is not None else None
    except ValueError:
        raise click.BadParameter(f"{value!r} is no day: say 2026-11-01") from None


@click.command()
@click.option("--by", type=click.Choice([each.value for each in By]), default=By.ACCOUNT.value, show_default=True)
@click.option("--days", type=Whole(1), metavar="N", help=f"The last N days, today included. [default: {DAYS}]")
@click.option("--since", callback=_day, metavar="DATE", help="From that day on: 2026-11-01.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, without the total.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--plot",
    is_flag=False,
    flag_value=TERMINAL,
    metavar="[FILE.png]",
    help="Draw bars: in the terminal, or into a file (which needs matplotlib).",
)
@click.option(
    "--prices",
    "priced",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Prices of yours, in the place of those of this release.",
)
@with_database
def usage(
    by: str,
    days: int | None,
    since: date | None,
    as_csv: bool,
    as_json: bool,
    plot: str | None,
    priced: Path | None,
) -> None:
    """Sum up requests and tokens as upstream has counted them, and what an API would have charged for them.

    Days are this machine's own. What upstream has not told of is not guessed.

    \b
    seatpool usage
    seatpool usage --by model --days 7
    seatpool usage --by day --since 2026-11-01 --csv > usage.csv
    seatpool usage --by repository --plot usage.png
    """
    _check(days, since, plot, [as_csv, as_json, plot is not None])
    first = _first(days, since)
    known = _prices(priced or OURS)
    with open_store() as store:
        used = store.past.usage(first)
    report = Report(By(by), first, _today(), known.date, *summed(used, By(by), known))
    if as_json:
        click.echo(telling.as_json(report))
    elif as_csv:
        click.echo(telling.as_csv(report), nl=False)
    elif not report.lines:
        console().print(telling.NOTHING.format(first=first))
    elif plot is None or plot == TERMINAL:
        here = console()
        here.print(telling.table(report, here.width) if plot is None else plotting.bars(report, plain=is_plain(here)))
        for note in telling.notes(report):
            console().print(note, soft_wrap=True)
    else:
        plotting.png(Path(plot), report)
        click.echo(f"drawn into {plot}")


def _check(days: int | None, since: date | None, plot: str | None, forms: list[bool]) -> None:
    if days is not None and since is not None:
        raise click.UsageError("give --days or --since, not both")
    if sum(forms) > 1:
        raise click.UsageError("give one of --csv, --json and --plot")
    if plot not in (None, TERMINAL) and Path(str(plot)).suffix.lower() != ".png":
        raise click.UsageError(f"--plot {plot}: name a file that ends in .png, or none for bars in the terminal")


def _first(days: int | None, since: date | None) -> date:
    try:
        return since if since is not None else _today() - timedelta(days=(days or DAYS) - 1)
    except OverflowError:
        return date.min


def _today() -> date:
    return utcnow().astimezone().date()


def _prices(path: Path) -> prices.Prices:
    try:
        return prices.read(tomllib.loads(path.read_text("utf-8")))
    except ValueError as error:
        raise click.ClickException(f"{path}: these are no prices: {error}") from error
