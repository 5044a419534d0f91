"""`seatpool key ...`: the key that seals the tokens in the database."""

import json

import click

from seatpool.cli.common import PlainGroup, open_store, with_database
from seatpool.store import KeyPlace


@click.group(cls=PlainGroup)
def key() -> None:
    """Look after the key that the tokens in the database are encrypted with.

    \b
    seatpool key show
    seatpool key rotate
    """


@key.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_database
def show(as_json: bool) -> None:
    """Tell where the key is kept, never the key.

    Keep a copy of the database together with its key: without it the tokens in the copy cannot be read.

    \b
    seatpool key show
    seatpool key show --json | jq -r .file
    """
    with open_store() as store:
        place = store.keys.place()
    if as_json:
        kept = {
            "kept_in": "file" if place.file else "keyring",
            "file": str(place.file) if place.file else None,
            "service": place.service,
            "name": place.name,
        }
        click.echo(json.dumps(kept, indent=2))
    else:
        click.echo(f"the key is kept in {_in_words(place)}")


@key.command()
@with_database
def rotate() -> None:
    """Make a new key, encrypt every token with it, and delete the old key.

    Proxies that are running go on with the new key. Copies of the database that were made before need the key of then.

    \b
    seatpool key rotate
    """
    with open_store() as store:
        count = store.keys.rotate()
        place = store.keys.place()
    click.echo(f"{count} credential{'s' if count != 1 else ''} encrypted with a new key, kept in {_in_words(place)}")


def _in_words(place: KeyPlace) -> str:
    return f"the file {place.file}" if place.file else f"the system's keyring as {place.service}, {place.name}"
