"""`seatpool status` and `seatpool cooldown`: how the pool stands, with or without a running proxy."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta

import click
from rich.markup import escape
from rich.table import Table

from seatpool.cli import health, strays
from seatpool.cli.common import EMPTY_POOL, PlainGroup, console, database, open_store, with_database
from seatpool.cli.spans import ago, span
from seatpool.clock import utcnow
from seatpool.core import report
from seatpool.core.model import QuotaWindow
from seatpool.store import Store, StoreError

SUBSTITUTED_WITHIN = timedelta(days=1)
"""For so long is said what was served with another model than was asked for, and what had to wait."""
UNKNOWN_WITHIN = timedelta(days=7)
"""For so long is said what upstream refused in a way that no table knows."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON; times in UTC, shares from 0.0 to 1.0.")
@click.option("--strays", "only_strays", is_flag=True, help="Show what came by that seatpool does not know, instead.")
@with_database
def status(as_json: bool, only_strays: bool) -> None:
    """Show every account: state, quota left, cooldowns, last use.

    \b
    seatpool status
    seatpool status --json | jq '.[] | select(.state == "ready") | .name'
    seatpool status --strays
    """
    if only_strays:
        strays.show(as_json=as_json)
        return
    now = utcnow()
    try:
        with open_store() as store:
            rows = status_rows(store, now)
            waited, last = store.held(now - SUBSTITUTED_WITHIN)
            health.say(database(), store, now)
    except StoreError:
        health.say(database(), None, now)
        raise
    if as_json:
        click.echo(json.dumps([report.as_json(row) for row in rows], indent=2))
        return
    console().print(status_table(rows, now) if rows else EMPTY_POOL)
    if waited and last is not None:
        some = f"{waited} request{'s' if waited != 1 else ''}"
        console().print(f"{some} waited for an account in 24 h, the last {ago(last, now)}: seatpool why --list 20")
    hint = strays.hint()
    if hint is not None:
        console().print(hint)


def status_rows(store: Store, now: datetime) -> tuple[report.AccountRow, ...]:
    """Every account as it stands in the database."""
    changes = store.changes(None)
    windows: dict[int, list[QuotaWindow]] = {}
    for account_id, window in changes.windows:
        windows.setdefault(account_id, []).append(window)
    instead, unknown = store.substituted(now - SUBSTITUTED_WITHIN), store.unknown(now - UNKNOWN_WITHIN)
    return report.rows(changes.accounts, windows, changes.cooldowns, now, instead, unknown)


def status_table(rows: Iterable[report.AccountRow], now: datetime) -> Table:
    """The rows for a person."""
    table = Table("account", "provider", "plan", "state", "quota left", "last used", box=None)
    for row in rows:
        table.add_row(
            escape(row.account.name),
            row.account.provider,
            row.account.plan or "-",
            escape(_state(row, now)),
            escape("\n".join(_window(w, now, stale=w.bucket in row.stale) for w in row.windows) or "not seen yet"),
            ago(row.account.last_used_at, now),
        )
    return table


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


def _state(row: report.AccountRow, now: datetime) -> str:
    if row.account.disabled:
        return f"disabled: {row.account.disabled}"
    parts = [row.state] if row.state != "cooling" else []
    for held in row.cooldowns:
        part = f"{held.scope.value} " if held.scope.value else ""
        parts.append(f"{part}cooling {span(held.until - now)}: {held.reason}")
    instead = (f"{s.model} for {s.asked}: {s.requests} in 24 h, last {ago(s.last_at, now)}" for s in row.substituted)
    unknown = (
        f"unknown refusal {u.status or 'in a message'} {u.code}: {u.requests} in 7 days, last {ago(u.last_at, now)}"
        for u in row.unknown
    )
    return "\n".join((*parts, *instead, *unknown))


def _window(window: QuotaWindow, now: datetime, *, stale: bool) -> str:
    if window.unlimited:
        return f"{window.bucket} unlimited"
    if window.resets_at is not None and window.resets_at <= now:
        return f"{window.bucket} reset since"
    resets = f", resets in {span(window.resets_at - now)}" if window.resets_at is not None else ""
    seen = f"seen {ago(window.observed_at, now)}{', stale' if stale else ''}"
    return f"{window.bucket} {window.left:.0%}{resets} ({seen})"
