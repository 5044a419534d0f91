"""`seatpool rules ...`: what the rules file says, and what it would do."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from seatpool.cli.common import PlainGroup, console, folding, open_store, with_database
from seatpool.core.locks import RULES
from seatpool.core.model import Account, ProviderName
from seatpool.core.repositories import normalised
from seatpool.core.rulefile import read
from seatpool.core.rules import NO_RULES, Asked, Rule, Rules, meant
from seatpool.service.flows.rulebook import LOCKED, RulesError, default_path, rules_in
from seatpool.store import Store

OF_ADMINS = "these are locked for every proxy on this database: seatpool lock list"
_file = click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(cls=PlainGroup)
def rules() -> None:
    """Look at the rules that say which accounts may serve what.

    Without FILE it is rules.toml in your configuration directory, as for the proxy, or what an admin has locked.

    \b
    seatpool rules check
    seatpool rules show rules.toml
    seatpool rules test --provider codex --repository git@github.com:acme/widgets.git
    """


@rules.command()
@_file
def check(file: Path | None) -> None:
    """Read FILE and tell every mistake as FILE:LINE; exit code 1 where there is one.

    \b
    seatpool rules check
    seatpool rules check rules.toml && cp rules.toml ~/.config/seatpool/
    """
    path = file or default_path()
    found = _read(path, named=file is not None)
    if not found.rules and not path.exists():
        click.echo(f"there are no rules: {path} is not there")
        return
    count = len(found.rules)
    click.echo(f"{path}: {count} rule{'s' if count != 1 else ''}, no mistake")


@rules.command()
@_file
@_json
@with_database
def show(file: Path | None, as_json: bool) -> None:
    """Show the rules in their order, and the accounts that each one means now.

    \b
    seatpool rules show
    seatpool rules show --json | jq '.[] | select(.accounts == []) | .name'
    """
    with open_store() as store:
        accounts = store.accounts()
        found, where = _in_force(store, file)
    if as_json:
        click.echo(json.dumps([_as_json(rule, accounts) for rule in found.rules], indent=2))
        return
    table = folding("line", "rule", "when", "then", "accounts")
    for rule in found.rules:
        cells = (rule.name, _when(rule), _then(rule), "\n".join(_named(rule, accounts)) or "none")
        table.add_row(str(rule.line), *map(escape, cells))
    if where is None:
        console().print(OF_ADMINS)
    console().print(table if found.rules else "no rules: every account may serve everything")


@rules.command()
@_file
@click.option(
    "--provider", required=True, type=click.Choice([name.value for name in ProviderName]), help="Who is asked."
)
@click.option("--model", help="As the request names it.")
@click.option("--client", help="Program, such as codex_vscode or neovim.")
@click.option("--repository", "remotes", multiple=True, metavar="REMOTE", help="host/owner/name or a remote's URL.")
@_json
@with_database
def test(
    file: Path | None, provider: str, model: str | None, client: str | None, remotes: tuple[str, ...], as_json: bool
) -> None:
    """Tell which rule decides about such a request, and which accounts may serve it.

    What is not said is taken as not told by the request.

    \b
    seatpool rules test --provider codex --repository git@github.com:acme/widgets.git
    seatpool rules test --provider copilot --model gpt-5.4 --client neovim --json
    """
    repositories = tuple(normalised(remote) or remote.lower() for remote in remotes)
    asked = Asked(ProviderName(provider), model, client.lower() if client else None, repositories)
    with open_store() as store:
        found, path = _in_force(store, file)
        accounts = [account for account in store.accounts() if account.provider is asked.provider]
    rule = found.first(asked)
    if as_json:
        decided = _as_json(rule, accounts) if rule is not None else None
        click.echo(json.dumps({"rule": decided, "repositories": repositories}, indent=2))
    elif rule is None:
        click.echo(f"no rule decides: every {provider} account may serve it")
    else:
        click.echo(f'rule "{rule.name}" ({path or LOCKED}:{rule.line}) decides: {_then(rule)}')
        names = ", ".join(_named(rule, accounts))
        others = "an answer that names the rule, and no other account" if rule.binding else "any other account"
        click.echo(f"accounts: {names or 'none'}; where none of them can serve: {others}")


def _in_force(store: Store, file: Path | None) -> tuple[Rules, Path | None]:
    """Those of the file, or else those that are locked, or else those of the default place; and where they stand."""
    locked = next((lock for lock in store.team.locks() if lock.name == RULES), None) if file is None else None
    if locked is not None and locked.value is not None:
        return read(locked.value.encode()), None
    path = file or default_path()
    return _read(path, named=file is not None), path


def _read(path: Path, *, named: bool) -> Rules:
    """Of the file; no file is none, unless a person has named it."""
    if not named and not path.exists():
        return NO_RULES
    try:
        return rules_in(path)
    except RulesError as error:
        for line in error.lines:
            click.echo(line, err=True)
        raise click.exceptions.Exit(1) from None


def _named(rule: Rule, accounts: Iterable[Account]) -> list[str]:
    """The accounts that a rule means, in the order of their names."""
    fitting = (a for a in accounts if not rule.providers or a.provider in rule.providers)
    return sorted(account.name for account in meant(rule.only or rule.prefer, fitting))


def _when(rule: Rule) -> str:
    fields = (
        ("provider", rule.providers),
        ("model", rule.models),
        ("client", rule.clients),
        ("repository", rule.repositories),
    )
    lines = [f"{name} {' or '.join(value or 'not told' for value in values)}" for name, values in fields if values]
    return "\n".join(lines) or "always"


def _then(rule: Rule) -> str:
    return f"only {', '.join(rule.only)}" if rule.binding else f"prefer {', '.join(rule.prefer)}"


def _as_json(rule: Rule, accounts: Iterable[Account]) -> dict[str, Any]:
    return {
        "name": rule.name,
        "line": rule.line,
        "provider": list(rule.providers),
        "model": list(rule.models),
        "client": list(rule.clients),
        "repository": list(rule.repositories),
        "only": list(rule.only),
        "prefer": list(rule.prefer),
        "accounts": _named(rule, accounts),
    }
