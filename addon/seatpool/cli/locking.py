"""`seatpool lock ...`: what has one value in every proxy on a database."""

import json
from pathlib import Path

import click
from rich.markup import escape

from seatpool.cli.common import PlainGroup, console, folding, open_store, with_database
from seatpool.clock import utcnow
from seatpool.core.locks import LOCKABLE, PREFIX, RULES, Lock
from seatpool.core.spans import ago
from seatpool.service.flows.rulebook import RulesError, rules_in


@click.group(cls=PlainGroup)
def lock() -> None:
    """Fix options of every proxy on this database, whatever is set there; running ones follow at once.

    \b
    seatpool lock set rotate_on_limit false
    seatpool lock set rules team-rules.toml
    seatpool lock list
    seatpool lock clear rotate_on_limit
    """


@lock.command("set")
@click.argument("option")
@click.argument("value")
@with_database
def set_(option: str, value: str) -> None:
    """Fix OPTION to VALUE; of `rules` the value is a FILE, whose rules then count in the place of everybody's own.

    \b
    seatpool lock set rotate_on_limit false
    seatpool lock set on_failure block
    seatpool lock set rules team-rules.toml
    """
    if option.lower().removeprefix(PREFIX) == RULES:
        value = _text(Path(value))
    with open_store() as store:
        store.team.lock(option, value)
        locks, admins = store.team.locks(), store.team.admins()
    name = option.lower().removeprefix(PREFIX)
    click.echo(f"locked {next(_shown(each) for each in locks if each.name == name)}")
    if not admins:
        click.echo("everybody may change that while there is no admin: seatpool admin add PERSON")


@lock.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; rules as their text.")
@with_database
def list_(as_json: bool) -> None:
    """Show what is locked, to what, by whom and since when."""
    with open_store() as store:
        locks = store.team.locks()
    if as_json:
        rows = [{"name": k.name, "value": k.value, "by": k.person, "since": k.at.isoformat()} for k in locks]
        click.echo(json.dumps(rows, indent=2))
        return
    table = folding("option", "value", "by", "since")
    for each in locks:
        name, _, value = _shown(each).partition("=")
        table.add_row(*map(escape, (name, value, each.person, ago(each.at, utcnow()))))
    lockable = ", ".join((*LOCKABLE, RULES))
    console().print(table if locks else f"nothing is locked; what can be: {lockable}")


@lock.command()
@click.argument("option")
@with_database
def clear(option: str) -> None:
    """Leave OPTION to each proxy again."""
    with open_store() as store:
        before = store.team.unlock(option)
    click.echo(f"{before.name} is no longer locked" if before is not None else "it was not locked")


def _text(path: Path) -> str:
    """The rules of a file, which were read and have no mistake."""
    try:
        rules_in(path)
    except RulesError as error:
        for line in error.lines:
            click.echo(line, err=True)
        raise click.exceptions.Exit(1) from None
    return path.read_text("utf-8")


def _shown(each: Lock) -> str:
    value = each.value or ""
    return f"{each.name}={len(value.splitlines())} lines" if each.name == RULES else f"{each.name}={value}"
