"""`seatpool account ...`: who is in the pool."""

import click
import msgspec
from rich.markup import escape

from seatpool.cli.account.importing import import_
from seatpool.cli.account.people import owner, share, unshare
from seatpool.cli.account.transfer import export_
from seatpool.cli.common import PlainGroup, Whole, confirmed, console, folding, open_store, with_database
from seatpool.cli.status import needs
from seatpool.clock import utcnow
from seatpool.core.empty import EMPTY_POOL
from seatpool.core.model import Keeping
from seatpool.core.reasons import out_of_use
from seatpool.core.selection import RENEWAL
from seatpool.service.telling import reporting


@click.group(cls=PlainGroup)
def account() -> None:
    """Add, list, pause and remove the accounts of the pool.

    \b
    seatpool account import
    seatpool account import ~/.codex-work/auth.json --name work --own
    seatpool account export pool.seatpool
    seatpool account pause work
    """


@account.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_database
def list_(as_json: bool) -> None:
    """Show the accounts in the order in which they are asked."""
    with open_store() as store:
        rows = reporting.read(store, utcnow()).accounts
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2))
        return
    team = any(row.owner is not None for row in rows)
    heads = ("account", "provider", "plan", "priority", "weight", "policy", "state")
    table = folding(*heads, *(("owner", "shared with") if team else ()))
    for row in rows:
        state = out_of_use(row.disabled_reason) if row.disabled_reason is not None else row.state
        state = "not yours to use" if row.state == "foreign" else state
        how = (str(row.priority), f"{row.weight:g}", row.policy)
        whose = (row.owner or "everybody", ", ".join(row.people) or "-") if team else ()
        table.add_row(escape(row.name), row.provider, row.plan or "-", *how, *map(escape, (state, *whose)))
    console().print(table if rows else EMPTY_POOL)


@account.command()
@click.argument("name")
@with_database
def pause(name: str) -> None:
    """Take NAME out of the choice until `resume`."""
    with open_store() as store:
        store.set_paused(name, True, utcnow())
    click.echo(f"paused {name}")


@account.command()
@click.argument("name")
@with_database
def resume(name: str) -> None:
    """Put NAME back, also after it was disabled."""
    with open_store() as store:
        before = store.account(name)
        store.set_paused(name, False, utcnow())
    click.echo(f"resumed {name}")
    if before.disabled is not None and before.disabled.startswith(RENEWAL):
        _, command = needs.of_disabled(name, before.provider, before.disabled)
        click.echo(f"its login was over; if it still is: {command}")


@account.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_database
def remove(name: str, yes: bool) -> None:
    """Delete NAME with its tokens, for good."""
    with open_store() as store:
        store.account(name)
        if not yes and not confirmed(f"delete {name} and its tokens from the pool?", "add --yes to delete it"):
            raise click.Abort
        store.remove(name)
    click.echo(f"removed {name}")


@account.command()
@click.argument("name")
@click.argument("number", type=Whole(0, 1_000_000))
@with_database
def priority(name: str, number: int) -> None:
    """Ask NAME before accounts of a higher NUMBER (new ones have 100)."""
    with open_store() as store:
        store.set_priority(name, number)
    click.echo(f"{name} has priority {number}")


@account.command()
@click.argument("name")
@click.argument("number", type=float)
@with_database
def weight(name: str, number: float) -> None:
    """Give NAME so many requests for each one of an account of weight 1, where pool_strategy=weighted.

    \b
    seatpool account weight work 3
    seatpool account weight home 0.5
    """
    with open_store() as store:
        store.set_weight(name, number)
    click.echo(f"{name} has weight {number:g}")


@account.command()
@click.argument("name")
@click.argument("keeping", type=click.Choice([each.value for each in Keeping]))
@with_database
def policy(name: str, keeping: str) -> None:
    """Say how free you are with the quota of NAME, whatever the strategy: `normal`, as new ones are, `expendable` to
    have it used before the others', `preserved` to have it used only when no other account can serve.

    \b
    seatpool account policy trial expendable
    seatpool account policy work preserved
    """
    with open_store() as store:
        store.set_keeping(name, Keeping(keeping))
    click.echo(f"{name} is {keeping}")


@account.command()
@click.argument("name")
@click.argument("new_name")
@with_database
def rename(name: str, new_name: str) -> None:
    """Call NAME by NEW_NAME."""
    with open_store() as store:
        store.rename(name, new_name)
    click.echo(f"{name} is now {new_name}")


for command in (export_, import_, owner, share, unshare):
    account.add_command(command)
