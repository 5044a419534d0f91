"""`seatpool audit`: who has done what to the pool."""

import json
from collections.abc import Iterable
from datetime import datetime

import click
from rich.markup import escape
from rich.table import Table

from seatpool.cli.common import console, folding, open_store, with_database
from seatpool.cli.tail import moment
from seatpool.core.deeds import Actor, Deed


@click.command()
@click.option("--since", callback=moment, metavar="WHEN", help="Only what was done then or later: 7d, 2h, 2026-11-21.")
@click.option("--account", "name", metavar="NAME", help="Only what was done to the account that has or had this name.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; times in UTC.")
@with_database
def audit(since: datetime | None, name: str | None, as_json: bool) -> None:
    """Show what people have done to accounts, locks, admins and the key: who, when, from what to what.

    Each was noted together with what was done. It is kept for good, and holds no token.

    \b
    seatpool audit --since 7d
    seatpool audit --account work --json
    """
    with open_store() as store:
        deeds = store.team.deeds(since, name)
    if as_json:
        click.echo(json.dumps([_as_json(deed) for deed in deeds], indent=2))
    else:
        console().print(_table(deeds) if deeds else "nothing was done so far, or nothing that fits")


def _table(deeds: Iterable[Deed]) -> Table:
    table = folding("when", "who", "what", "account", "from", "to")
    for deed in deeds:
        when = f"{deed.at.astimezone():%Y-%m-%d %H:%M:%S}"
        told = (deed.account or "-", deed.before or "-", deed.after or "-")
        table.add_row(*map(escape, (when, _who(deed.actor), deed.did, *told)))
    return table


def _who(actor: Actor) -> str:
    if actor.person == actor.user:
        return f"{actor.user}@{actor.host}"
    return f"{actor.person} ({actor.user}@{actor.host})"


def _as_json(deed: Deed) -> dict[str, str | None]:
    return {
        "at": deed.at.isoformat(),
        "person": deed.actor.person,
        "user": deed.actor.user,
        "host": deed.actor.host,
        "did": deed.did,
        "account": deed.account,
        "before": deed.before,
        "after": deed.after,
    }
