"""`seatpool account owner`, `share` and `unshare`: who may use which account."""

import click

from seatpool.cli.common import open_store, with_database
from seatpool.core.model import Account

_who = click.argument("persons", nargs=-1, required=True, metavar="PERSON...")


@click.command()
@click.argument("name")
@click.argument("person", required=False)
@click.option("--nobody", is_flag=True, help="It is everybody's again.")
@with_database
def owner(name: str, person: str | None, nobody: bool) -> None:
    """Say whose NAME is: only proxies of PERSON use it then, and of those it is shared with.

    A proxy runs as pool_person, SEATPOOL_PERSON, or the system's user name.

    \b
    seatpool account owner work alice
    seatpool account owner work --nobody
    """
    if nobody == (person is not None):
        raise click.UsageError("give PERSON or --nobody")
    with open_store() as store:
        account = store.team.set_owner(name, person)
    click.echo(_told(account))


@click.command()
@click.argument("name")
@_who
@with_database
def share(name: str, persons: tuple[str, ...]) -> None:
    """Let these people use NAME beside its owner.

    \b
    seatpool account share work bob carol
    """
    with open_store() as store:
        account = store.team.share(name, persons)
    click.echo(_told(account))


@click.command()
@click.argument("name")
@_who
@with_database
def unshare(name: str, persons: tuple[str, ...]) -> None:
    """Let these people use NAME no longer; what they have under way there ends as it would.

    \b
    seatpool account unshare work bob
    """
    with open_store() as store:
        account = store.team.unshare(name, persons)
    click.echo(_told(account))


def _told(account: Account) -> str:
    if account.owner is None:
        return f"{account.name} is everybody's"
    others = f", and {', '.join(account.people)} may use it" if account.people else ", and nobody else may use it"
    return f"{account.name} is {account.owner}'s{others}"
