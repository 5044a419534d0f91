"""`seatpool admin ...`: who may lock options, and change other people's accounts."""

import json

import click

from seatpool.cli.common import PlainGroup, open_store, with_database

NOBODY = "there is no admin: everybody may do everything; seatpool admin add PERSON"


@click.group(cls=PlainGroup)
def admin() -> None:
    """Say who looks after this database. Until the first admin is named, everybody does.

    From then on admins alone lock options, rotate the key and change other people's accounts, and who adds an account
    is its owner.

    \b
    seatpool admin add alice
    seatpool admin list
    """


@admin.command()
@click.argument("person")
@with_database
def add(person: str) -> None:
    """Make PERSON an admin."""
    with open_store() as store:
        new = store.team.appoint(person)
        known, me = store.team.admins(), store.team.person
    click.echo(f"{person} is an admin" if new else f"{person} is an admin already")
    if me not in known:
        click.echo(f"you yourself are none: you are {me}, unless SEATPOOL_PERSON says otherwise")


@admin.command()
@click.argument("person")
@with_database
def remove(person: str) -> None:
    """Make PERSON an admin no longer; after the last one, everybody is again."""
    with open_store() as store:
        was, known = store.team.dismiss(person), store.team.admins()
    click.echo(f"{person} is no longer an admin" if was else f"{person} is no admin")
    if not known:
        click.echo(NOBODY)


@admin.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_database
def list_(as_json: bool) -> None:
    """Show the admins."""
    with open_store() as store:
        known = store.team.admins()
    click.echo(json.dumps(known, indent=2) if as_json else "\n".join(known) or NOBODY)
