"""`seatpool key ...`: the key that seals the tokens in the database."""

import json
from pathlib import Path
from typing import BinaryIO

import click

from seatpool.cli import outfile
from seatpool.cli.common import PlainGroup, database, open_store, with_database
from seatpool.cli.written import as_utf8
from seatpool.store import KeyPlace, located
from seatpool.store.sealing.carrying import take_in

_LONGEST = 10_000


@click.group(cls=PlainGroup)
def key() -> None:
    """Look after the key that the tokens in the database are encrypted with.

    \b
    seatpool key show
    seatpool key rotate
    seatpool key export FILE
    seatpool key import FILE
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

    Proxies that are running on this machine go on with the new key; other machines on the same database need it from
    `seatpool key export`. Copies of the database that were made before need the key of then.

    \b
    seatpool key rotate
    """
    with open_store() as store:
        count = store.keys.rotate()
        place = store.keys.place()
        shared = "://" in located(database())
    click.echo(f"{count} credential{'s' if count != 1 else ''} encrypted with a new key, kept in {_in_words(place)}")
    if shared:
        click.echo("other machines on this database need it now: seatpool key export, and seatpool key import there")


@key.command()
@click.argument("file", metavar="FILE|-")
@with_database
def export(file: str) -> None:
    """Write the key into a new file (-: to standard output), for another machine on the same database.

    Whoever has it and can read the database can read every token. Delete the file when the other machine has it.

    \b
    seatpool key export pool.key
    seatpool key export - | ssh other seatpool key import -
    """
    with open_store() as store:
        if file == "-":
            click.echo(store.keys.copy().decode())  # noted before: what is said cannot be taken back
            return
        with outfile.new(Path(file)) as write:
            store.keys.copy(lambda key: write(key + b"\n"))
    click.echo(f"the key is in {file}; on the other machine: seatpool key import {file}, then delete both files")


@key.command("import")
@click.argument("file", type=click.File("rb"), metavar="FILE|-")
@with_database
def import_(file: BinaryIO) -> None:
    """Keep the key that another machine has exported, if it is the one of this database.

    \b
    seatpool key import pool.key
    seatpool --db postgresql+psycopg://me@db/pool key import pool.key
    """
    place = take_in(database(), as_utf8(file.read(_LONGEST)))
    click.echo(f"the key opens the tokens, and is kept in {_in_words(place)}")


def _in_words(place: KeyPlace) -> str:
    return f"the file {place.file}" if place.file else f"the system's keyring as {place.service}, {place.name}"
