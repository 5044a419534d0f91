"""`seatpool forecast`: when each window runs out, as things go on."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from seatpool.cli.common import console, folding, open_store, with_database
from seatpool.clock import utcnow
from seatpool.core.backtest import Horizon, Result, backtest
from seatpool.core.empty import EMPTY_POOL
from seatpool.core.forecast import Forecast, Forecaster
from seatpool.core.model import Account, QuotaWindow
from seatpool.core.spans import closely
from seatpool.core.telling import limit
from seatpool.core.usage import ROUNDING
from seatpool.store import Store

NOTHING_SEEN = "no limited window was seen yet; one is with the first answer that tells of it"
LEGEND = "error: mean distance in points of what is left; in range: 80% is what the range is made for"
AHEAD = {Horizon.HOUR: "in an hour", Horizon.RESET: "at the reset"}


class Outlook(msgspec.Struct, frozen=True):
    """A window of an account, and what is known of how it is used up."""

    account: Account
    window: QuotaWindow
    forecaster: Forecaster


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--backtest", "tested", is_flag=True, help="Score earlier forecasts by what was seen afterwards.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; times in UTC, shares from 0.0 to 1.0.")
@with_database
def forecast(names: tuple[str, ...], tested: bool, as_json: bool) -> None:
    """Say when the quota of NAME, or of every account, runs out at the present pace.

    The range holds eight cases of ten, by what earlier forecasts were out by.

    \b
    seatpool forecast
    seatpool forecast work --backtest
    """
    now = utcnow()
    with open_store() as store:
        outlooks = tuple(_outlooks(store, names, now))
        empty = not store.accounts()
    if as_json:
        rows = [_tested_json(each) if tested else _json(each, now) for each in outlooks]
        click.echo(json.dumps(rows, indent=2))
    elif not outlooks:
        console().print(EMPTY_POOL if empty else NOTHING_SEEN)
    else:
        console().print(_tested_table(outlooks) if tested else _table(outlooks, now))
        if tested:
            console().print(LEGEND)


def _outlooks(store: Store, names: Sequence[str], now: datetime) -> Iterator[Outlook]:
    wanted = {store.account(name).id for name in names}
    accounts = [account for account in store.accounts() if not wanted or account.id in wanted]
    history = store.past.window_history([account.id for account in accounts])
    for account in sorted(accounts, key=lambda a: (a.provider, a.priority, a.name)):
        for window in store.windows(account.id):
            if not window.unlimited:
                past = history.get((account.id, window.bucket), [])
                seen = [*(w for w in past if w.observed_at < window.observed_at), window]
                yield Outlook(account, window, Forecaster(seen, max(now, window.observed_at)))


def _table(outlooks: Sequence[Outlook], now: datetime) -> Table:
    table = folding("account", "window", "left", "resets in", "runs out", "range")
    for each in outlooks:
        told = each.forecaster.at(each.forecaster.now)
        left, resets = f"{told.left:.0%}", closely(told.until - now)
        if each.window.resets_at is None:
            resets = "unknown"
        elif each.window.resets_at <= now:
            resets = "reset since"
        row = (
            each.account.name,
            limit(each.window.bucket, each.window.length_s),
            left,
            resets,
            _when(told.runs_out_at, told, now),
            _range(told, now),
        )
        table.add_row(*map(escape, row))
    return table


def _when(moment: datetime | None, told: Forecast, now: datetime) -> str:
    if moment is None:
        return "lasts"
    return "is empty" if told.left <= ROUNDING else f"in {closely(moment - now)}"


def _range(told: Forecast, now: datetime) -> str:
    if told.left <= ROUNDING:
        return "-"
    if not told.points:
        return "too little history"
    if told.earliest is None:
        return f"lasts, {told.at_reset.least:.0%} to {told.at_reset.most:.0%} left"
    if told.latest is None:
        return f"in {closely(told.earliest - now)}, or lasts"
    return f"in {closely(told.earliest - now)} to {closely(told.latest - now)}"


def _tested_table(outlooks: Sequence[Outlook]) -> Table:
    table = folding("account", "window", "forecast of", "cases", "error", "straight line", "in range")
    for each in outlooks:
        for result in backtest(each.forecaster):
            row = (each.account.name, each.window.bucket, AHEAD[result.horizon], str(result.cases), *_scored(result))
            table.add_row(*map(escape, row))
    return table


def _scored(result: Result) -> tuple[str, str, str]:
    if result.error is None or result.straight_error is None or result.covered is None:
        return "too little history", "-", "-"
    return f"{result.error * 100:.1f}", f"{result.straight_error * 100:.1f}", f"{result.covered:.0%}"


def _json(each: Outlook, now: datetime) -> dict[str, Any]:
    told = each.forecaster.at(each.forecaster.now)
    over = each.window.resets_at is not None and each.window.resets_at <= now
    return {
        "account": each.account.name,
        "window": each.window.bucket,
        "left": told.left,
        "resets_at": _iso(None if over else each.window.resets_at),
        "lasts": told.runs_out_at is None,
        "runs_out_at": _iso(told.runs_out_at),
        "earliest": _iso(told.earliest) if told.points else None,
        "latest": _iso(told.latest) if told.points else None,
        "left_at_reset": told.at_reset.likely,
        "left_at_reset_range": [told.at_reset.least, told.at_reset.most] if told.points else None,
        "points": told.points,
    }


def _tested_json(each: Outlook) -> dict[str, Any]:
    return {
        "account": each.account.name,
        "window": each.window.bucket,
        "horizons": {
            result.horizon: {
                "cases": result.cases,
                "mean_absolute_error": result.error,
                "straight_line_error": result.straight_error,
                "coverage": result.covered,
            }
            for result in backtest(each.forecaster)
        },
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
