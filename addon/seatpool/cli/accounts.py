"""`seatpool account ...`: who is in the pool."""

import json
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from seatpool.cli.common import EMPTY_POOL, PlainGroup, console, open_store, with_database
from seatpool.clock import utcnow
from seatpool.core import report
from seatpool.core.model import Account
from seatpool.providers.base import ImportedLogin, NotALogin
from seatpool.providers.registry import PROVIDERS

LOGIN_FILES = ("auth.json", "apps.json", "hosts.json")
"""Looked for when a directory is given: Codex's, and those of Copilot's editors."""


@click.group(cls=PlainGroup)
def account() -> None:
    """Add, list, pause and remove the accounts of the pool.

    \b
    seatpool account import ~/.codex/auth.json --name work
    seatpool account import ~/.config/github-copilot
    seatpool account pause work
    """


@account.command("import")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--name", help="What to call the account. [default: from the login]")
@with_database
def import_(path: Path, name: str | None) -> None:
    """Add the login that another program has written to PATH.

    Reads Codex's auth.json and Copilot's apps.json and hosts.json, and tells them apart by content; a directory is
    searched for them. Importing the same login again renews it.

    A Codex login works for one program at a time: whoever refreshes it next signs the other one out. Sign in once more
    for the pool alone, e.g. `CODEX_HOME=~/.codex-work codex login`, and import that.

    \b
    seatpool account import ~/.codex-work/auth.json --name work
    seatpool account import ~/.config/github-copilot/apps.json
    """
    logins = [login for file in _files(path) for login in _read(file)]
    if name is not None and len({login.identity for login in logins}) > 1:
        found = ", ".join(login.name for login in logins)
        raise click.UsageError(
            f"--name {name}: {path} holds several logins ({found}); import it without --name, then rename"
        )
    now = utcnow()
    with open_store() as store:
        for login in logins:
            if login.identity is None:
                raise NotALogin(f"{path} does not say whose login it holds")
            saved, created = store.save_login(
                provider=login.provider,
                identity=login.identity,
                name=name or login.name,
                explicit_name=name is not None,
                issuer=login.issuer,
                plan=login.plan,
                credentials=login.credentials,
                now=now,
            )
            click.echo(f"{'added' if created else 'renewed'} {saved.name} ({saved.provider}{_plan(saved)})")


@account.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_database
def list_(as_json: bool) -> None:
    """Show the accounts in the order in which they are asked."""
    now = utcnow()
    with open_store() as store:
        rows = report.rows(store.accounts(), {}, store.cooldowns(now), now)
    if as_json:
        click.echo(json.dumps([report.as_json(row) for row in rows], indent=2))
        return
    table = Table("account", "provider", "plan", "priority", "state", box=None)
    for row in rows:
        held = row.account
        state = f"disabled: {held.disabled}" if held.disabled else row.state
        table.add_row(escape(held.name), held.provider, held.plan or "-", str(held.priority), escape(state))
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
        store.set_paused(name, False, utcnow())
    click.echo(f"resumed {name}")


@account.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_database
def remove(name: str, yes: bool) -> None:
    """Delete NAME with its tokens, for good."""
    with open_store() as store:
        store.account(name)
        if not yes:
            click.confirm(f"delete {name} and its tokens from the pool?", abort=True)
        store.remove(name)
    click.echo(f"removed {name}")


@account.command()
@click.argument("name")
@click.argument("number", type=click.IntRange(0, 1_000_000))
@with_database
def priority(name: str, number: int) -> None:
    """Ask NAME before accounts of a higher NUMBER (new ones have 100)."""
    with open_store() as store:
        store.set_priority(name, number)
    click.echo(f"{name} has priority {number}")


@account.command()
@click.argument("name")
@click.argument("new_name")
@with_database
def rename(name: str, new_name: str) -> None:
    """Call NAME by NEW_NAME."""
    with open_store() as store:
        store.rename(name, new_name)
    click.echo(f"{name} is now {new_name}")


def _plan(account_: Account) -> str:
    return f", {account_.plan}" if account_.plan else ""


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = [path / name for name in LOGIN_FILES if (path / name).is_file()]
    if not found:
        raise NotALogin(f"{path}: no login here; looked for {', '.join(LOGIN_FILES)}")
    return found


def _read(file: Path) -> tuple[ImportedLogin, ...]:
    content = file.read_bytes()
    for provider in PROVIDERS.values():
        logins = provider.read_login(file.name, content)
        if logins is not None:
            return logins
    raise NotALogin(f"{file}: not a login of Codex (auth.json) or Copilot (apps.json, hosts.json); nothing was changed")
