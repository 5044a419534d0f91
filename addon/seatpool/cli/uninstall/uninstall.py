"""`seatpool uninstall`: everything that seatpool has put on this machine is taken back, in a table of steps."""

import json
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from seatpool.cli import commands
from seatpool.cli import service as staying
from seatpool.cli.ca.trust import forget, roots_of
from seatpool.cli.common import INTERRUPTED, database, with_database
from seatpool.cli.uninstall import footprint, inventory
from seatpool.service.flows.rulebook import default_path as rules_file
from seatpool.setup import shell
from seatpool.setup import trust as trusting
from seatpool.setup.authority import Authority, AuthorityError, default_folder
from seatpool.setup.editors.change import Unchangeable, carry_back, undo_all
from seatpool.setup.editors.journal import Damaged, Journal
from seatpool.setup.staying.job import program
from seatpool.setup.trust import Command, Machine, TrustStore
from seatpool.store import located
from seatpool.store.sealing import removal


class Step(msgspec.Struct, frozen=True):
    """One kind of things that are taken back."""

    name: str
    plan: Callable[[], list[str]]
    """What it would do now, line by line; nothing where there is nothing to do."""
    carry_out: Callable[[], None]
    is_data: bool = False
    """What cannot be had again: logins, and what the person has written."""


# -- the service


def _service_plan() -> list[str]:
    keeper = staying.here()
    return staying.removal(keeper) if keeper else []


def _service_end() -> None:
    keeper = staying.here()
    if keeper is not None:
        staying.take_back(keeper)


# -- transparent mode


def _transparent_plan() -> list[str]:
    if sys.platform == "win32":
        return []
    from seatpool.setup.transparent import state

    return [shlex.join(_transparent_off())] if state.read() is not None else []


def _transparent_off() -> Command:
    return (*Machine().sudo, *program(), "transparent", "off")


def _transparent_end() -> None:
    if _transparent_plan():
        commands.carry_out(_transparent_off(), see="seatpool transparent status")


# -- settings of editors and shells


def _settings_plan() -> list[str]:
    plans = undo_all(Journal().entries())
    return [f"take back {each.title}: {each.file}" + (f" ({each.note})" if each.note else "") for each in plans]


def _settings_end() -> None:
    carry_back(undo_all(Journal().entries()), Journal())


# -- stores of roots


def _untrusting() -> Iterator[tuple[TrustStore, list[Command]]]:
    roots = roots_of(Authority(default_folder()))
    for store in trusting.stores(Machine()):
        if not store.lacking:
            yield store, list(store.commands(take=[root for root in roots if store.holds(root)]))


def _trust_plan() -> list[str]:
    return [shell.here().join(command) for _, each in _untrusting() for command in each]


def _trust_end() -> None:
    authority = Authority(default_folder())
    roots = roots_of(authority)
    for _, each in list(_untrusting()):
        for command in each:
            commands.carry_out(command, see="seatpool ca show")
    forget(authority, roots)


# -- the data directory


def _databases() -> tuple[str, ...]:
    """The one that the person has named, the default one, and others in the data directory, as far as they are there.

    Databases on servers are not among them.
    """
    named = (database(), "", *map(str, removal.databases(inventory.data())))
    return tuple(dict.fromkeys(located(url) for url in named if removal.files(url)))


def _sealed() -> list[Path]:
    """The databases' files, with the keys beside them."""
    return [path for url in _databases() for path in removal.files(url)]


def _keys() -> list[Path]:
    """The other keys. Of which database each is cannot be told, and without it that one's logins are lost."""
    beside = _sealed()
    return [path for path in removal.key_files() if path not in beside]


def _written() -> list[Path]:
    return [*([rules_file()] if rules_file().exists() else []), *inventory.written()]


def _kept() -> set[Path]:
    """What belongs to accounts and rules."""
    return {*_sealed(), *_keys(), *_written()}


def _rest() -> list[Path]:
    """What goes unasked: files, or in place of all that is in a folder the folder."""
    going = set(inventory.made()) - _kept()
    whole = {folder for folder in inventory.folders() if going.issuperset(folder.iterdir())}
    return sorted(whole | {path for path in going if path.parent not in whole})


def _foreign() -> list[Path]:
    """What is in the data directory, and neither goes nor is asked for."""
    ours = {*inventory.made(), *_kept(), footprint.file()}
    return [path for path in inventory.everything() if path not in ours]


def _files_plan() -> list[str]:
    return [f"delete {path}" for path in _rest()]


def _files_end() -> None:
    for path in _rest():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    _sweep()


def _sweep() -> None:
    """Folders of ours in which nothing is any more, the data directory, and the folders that were made for it."""
    for folder in inventory.folders():
        _fold(folder)
    data = inventory.data()
    if data.is_dir() and any(path != footprint.file() for path in data.iterdir()):
        return
    above = footprint.made()
    footprint.file().unlink(missing_ok=True)
    for folder in (data, *above):
        _fold(folder)


def _fold(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        pass  # it was not there, or something else is in it


# -- accounts, logins, rules


def _accounts_plan() -> list[str]:
    keys = [f"delete {path}, {_whose(path)}" for path in _keys()]
    return [f"delete {path}" for path in (*_sealed(), *_written())] + keys


def _whose(key: Path) -> str:
    return "the key of a database on a server, which stays" if removal.is_of_server(key) else "the key of a database"


def _accounts_end() -> None:
    for url in _databases():
        removal.delete(url)
    for path in (*_keys(), *_written()):
        path.unlink()
    _fold(rules_file().parent)
    _sweep()


STEPS = (
    Step("service", _service_plan, _service_end),
    Step("transparent", _transparent_plan, _transparent_end),
    Step("settings", _settings_plan, _settings_end),
    Step("trust", _trust_plan, _trust_end),
    Step("files", _files_plan, _files_end),
    Step("accounts", _accounts_plan, _accounts_end, is_data=True),
)
"""In this order: each needs what a later one deletes."""
_ENDING = ("service", "transparent")
"""What ends proxies."""


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--yes", is_flag=True, help="Do not ask; accounts, logins and rules stay.")
@click.option("--data", is_flag=True, help="Accounts with their logins, and your rules, as well; with --yes, unasked.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_database
def uninstall(dry_run: bool, yes: bool, data: bool, as_json: bool) -> None:
    """Take back everything that seatpool has put on this machine: service, settings, trust, files.

    Accounts with their logins go only if you say so.

    \b
    seatpool uninstall --dry-run
    seatpool uninstall
    seatpool uninstall --yes --data
    """
    told: dict[str, dict[str, Any]] = {}
    try:
        plans = {step.name: step.plan() for step in STEPS}
        wanted = _agreed(plans, dry_run=dry_run, yes=yes, data=data, quiet=as_json)
        for step in STEPS:
            done = step.name in wanted and not dry_run
            if done:
                _nobody_uses_it(step, plans)
                if plans[step.name] or not step.is_data:
                    step.carry_out()
            result = ("done" if done else "shown" if dry_run else "kept") if plans[step.name] else "nothing"
            told[step.name] = {"name": step.name, "result": result, "actions": plans[step.name]}
    except (Unchangeable, Damaged, AuthorityError) as error:
        raise click.ClickException(str(error)) from None
    then = _program()
    foreign = [str(path) for path in _foreign()]
    if as_json:
        click.echo(json.dumps({"steps": list(told.values()), "left": foreign, "then": then}, indent=2))
        return
    for path in foreign:
        click.echo(f"left alone, it is not seatpool's: {path}")
    if not dry_run:
        for row in told.values():
            if row["result"] == "kept":
                click.echo(f"kept: {row['name']} (seatpool uninstall --data)")
        click.echo(f"done; what is left is the program itself: {then}")


def _agreed(plans: dict[str, list[str]], *, dry_run: bool, yes: bool, data: bool, quiet: bool) -> set[str]:
    """The steps that the person wants; ends where that is none."""
    context = click.get_current_context()
    first = {step.name for step in STEPS if not step.is_data}
    if not quiet:
        _show(plans, {step.name for step in STEPS} if dry_run or data else first)
    if dry_run or yes:
        return first | (set(plans) if data or dry_run else set())
    if not sys.stdin.isatty():
        click.echo("nothing was changed: add --yes to do this, or --dry-run to only see it", err=True)
        context.exit(2)
    try:
        if any(plans[name] for name in first) and not click.confirm("Do this?", err=True):
            click.echo("Nothing was changed.", err=True)
            context.exit(0)
        question = f"Delete your accounts with their logins, for good?\n{_listed(plans['accounts'])}\nDelete them?"
        if plans["accounts"] and click.confirm(question, err=True):
            return set(plans)
    except click.Abort:
        click.echo("\nEnded; nothing was changed.", err=True)
        context.exit(INTERRUPTED)
    return first


def _show(plans: dict[str, list[str]], names: set[str]) -> None:
    if not any(plans[name] for name in names):
        click.echo("nothing of seatpool's is here to take back")
    for name in plans:
        if name in names and plans[name]:
            click.echo(f"{name}:\n{_listed(plans[name])}")


def _listed(lines: list[str]) -> str:
    return "\n".join(f"  {line}" for line in lines)


def _nobody_uses_it(step: Step, plans: dict[str, list[str]]) -> None:
    """A proxy that runs needs its files. One that is kept running is ended by the first steps."""
    if step.name in _ENDING and any(plans[name] for name in _ENDING):
        return
    for url in _databases():
        if removal.in_use(url):
            raise click.ClickException(
                f"a seatpool is running on {removal.files(url)[0]}: end it, and say this again; {step.name} and what "
                "follows were left alone"
            )


def _program() -> str:
    """How it is removed that this very program is: it cannot do that while it runs."""
    place = Path(sys.prefix)
    if "pipx" in place.parts:
        return "pipx uninstall seatpool"
    if {"uv", "tools"} <= set(place.parts):
        return "uv tool uninstall seatpool"
    if place.name == ".venv" and (place.parent / "addon" / "pool.py").exists():
        return f"delete {place.parent}"
    return f"{sys.executable} -m pip uninstall seatpool"
