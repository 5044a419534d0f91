"""`seatpool setup`: programs are told of the proxy and the authority; shown before, agreed to, and taken back."""

import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from seatpool.cli.ca.trust import NONE, roots_of
from seatpool.cli.common import INTERRUPTED, console, folding
from seatpool.homes import expanded
from seatpool.setup import address, bundle
from seatpool.setup import trust as trusting
from seatpool.setup.authority import Authority, AuthorityError, default_folder
from seatpool.setup.editors import Person, State, Target, Wish, default_wish, targets
from seatpool.setup.editors.change import Plan, Unchangeable, carry_back, carry_out, plan_all, undo_all
from seatpool.setup.editors.journal import Damaged, Journal
from seatpool.setup.trust import NSS, Machine

_BY_NAME = {target.name: target for target in targets()}


def _wish(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Wish:
    try:
        return default_wish(value)
    except address.NoProxy as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(tuple(_BY_NAME)), metavar=f"[{'|'.join(_BY_NAME)}]...")
@click.option("--undo", is_flag=True, help="Take back what was written; without a name all of it.")
@click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--proxy",
    "wish",
    metavar="URL",
    callback=_wish,
    help=f"Where the proxy listens. [default: {address.proxy_url()}]",
)
@click.option(
    "--file",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="This file, instead of those in the usual places.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def setup(
    names: tuple[str, ...], undo: bool, dry_run: bool, yes: bool, wish: Wish, file: Path | None, as_json: bool
) -> None:
    """Let programs come through the proxy: shows what it would write into their settings, asks, writes it.

    Without a name it tells which of them do.

    \b
    seatpool setup
    seatpool setup codex vscode
    seatpool setup shell --dry-run
    seatpool setup vscode --undo
    """
    if file is not None and (len(names) != 1):
        raise click.UsageError("--file takes one name: whose file it is")
    chosen = [_BY_NAME[name] for name in dict.fromkeys(names)]
    where = expanded(file).absolute() if file else None
    told = _Told(as_json)
    try:
        if undo:
            _take_back(chosen, where, told, dry_run=dry_run, yes=yes)
        elif chosen:
            _set_up(chosen, where, wish, told, dry_run=dry_run, yes=yes)
        else:
            _list(wish, as_json=as_json)
    except (Unchangeable, Damaged, AuthorityError) as error:
        raise click.ClickException(str(error)) from None


class _Told:
    """What came of it: line by line to a person, at the end to a program."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def line(self, text: str = "") -> None:
        """For a person."""
        if not self._as_json:
            click.echo(text)

    def show(self, plans: Sequence[Plan], unchanged: str) -> None:
        """What would change."""
        for each in plans:
            name = f"{each.title}: {each.file}"
            self.line(name + (f" ({each.note})" if each.note else "") if each.changes else f"{unchanged} in {name}")
            for line in each.diff().splitlines() if each.changes else ():
                colour = {"+": "green", "-": "red"}.get(line[:1])
                self.line(click.style(f"  {line}", fg=colour))

    def finish(self, plans: Sequence[Plan], done: str, then: Sequence[str] = ()) -> None:
        """For a program."""
        if not self._as_json:
            return
        rows = [
            {
                "target": each.entry.target,
                "title": each.title,
                "file": str(each.file),
                "result": done if each.changes else "unchanged",
                "note": each.note or None,
                "diff": each.diff() if each.changes else None,
            }
            for each in plans
        ]
        click.echo(json.dumps({"files": rows, "then": list(then)}, indent=2))


def _list(wish: Wish, *, as_json: bool) -> None:
    person = Person()
    rows = [_row(target, person, wish) for target in targets()]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    table = folding("name", "state", "program", "command")
    for row in rows:
        mend = row["mend"] if row["state"] not in (State.CONFIGURED, State.ABSENT) else ""
        table.add_row(*map(escape, (row["target"], row["state"], row["title"], mend)))
    console().print(table)


def _row(target: Target, person: Person, wish: Wish) -> dict[str, Any]:
    return {
        "target": target.name,
        "title": target.title,
        "state": target.state(person, wish).value,
        "mend": target.mend,
        "files": [
            {
                "title": found.spot.title,
                "file": str(found.file),
                "state": found.state.value,
                "proxy": found.proxy,
                "complaint": found.complaint,
            }
            for found in target.findings(person, wish)
        ],
    }


def _set_up(chosen: Sequence[Target], file: Path | None, wish: Wish, told: _Told, *, dry_run: bool, yes: bool) -> None:
    authority = Authority(default_folder())
    if authority.current() is None:
        raise click.ClickException(NONE)
    person = Person()
    asked = []
    for target in chosen:
        pairs = [(target.spot_of(file), file)] if file else target.files(person)
        if not pairs:
            raise click.ClickException(f"{target.missing}; if it is elsewhere, name its settings with --file")
        if wish.proxy.has_login and not target.takes_login:
            raise click.ClickException(
                f"{target.title} keep a proxy's login elsewhere: leave it out of --proxy, they will ask for it"
            )
        asked += [(target, spot, path) for spot, path in pairs]
    plans = plan_all(asked, wish, Journal())
    told.show(plans, "nothing to change")
    if not dry_run and any(each.changes for each in plans):
        _agree(yes)
    if not dry_run:
        _make_bundle(authority, plans, wish)
        carry_out([each for each in plans if each.changes], Journal())
    changed = {each.entry.target for each in plans if each.changes}
    then = _then([t for t in chosen if t.name in changed], authority, elsewhere=any(each.displaces for each in plans))
    then += [f"{each.title}: {each.then}" for each in plans if each.then]
    for each in plans if not dry_run else ():
        if each.changes:
            told.line(f"written: {each.file}")
    for line in then:
        told.line(line)
    told.finish(plans, "shown" if dry_run else "written", then)


def _make_bundle(authority: Authority, plans: Sequence[Plan], wish: Wish) -> None:
    """What a setting names has to be there before it."""
    if any(str(wish.bundle) in each.settings for each in plans):
        bundle.write(authority.folder, authority.trusted.read_bytes(), os.environ)


def _then(chosen: Sequence[Target], authority: Authority, *, elsewhere: bool) -> list[str]:
    """What is left to a person."""
    lines = []
    if elsewhere:
        lines.append(
            "if seatpool itself needs the proxy that was named there: seatpool run -- --mode upstream:http://HOST:PORT"
        )
    present = {pair.tag for pair in (authority.current(), authority.next()) if pair}
    roots = [root for root in roots_of(authority) if root.tag in present]
    for target in chosen:
        stores = [store for store in trusting.stores(Machine()) if store.kind in target.trusts]
        lacking = [store.title for store in stores if not all(store.trusts(root) for root in roots)]
        if lacking:
            lines.append(f"{target.name}: let {', '.join(lacking)} trust the authority: seatpool ca trust")
        if platform.system() == "Linux" and NSS in target.trusts and not any(s.kind == NSS for s in stores):
            lines.append(f"{target.name}: no NSS database is here yet; after its first start: seatpool ca trust nss")
        lines += [f"{target.name}: {line}" for line in target.then]
        lines.append(f"{target.name}: to see that it works: {target.check}")
    return lines


def _take_back(chosen: Sequence[Target], file: Path | None, told: _Told, *, dry_run: bool, yes: bool) -> None:
    names = {target.name for target in chosen} or set(_BY_NAME)
    entries = [e for e in Journal().entries() if e.target in names and (file is None or e.file == file)]
    plans = undo_all(entries)
    if not plans:
        told.line("nothing to take back: seatpool has written nothing there")
    told.show(plans, "nothing to take back")
    if not dry_run and any(each.changes for each in plans):
        _agree(yes)
    if not dry_run:
        carry_back(plans, Journal())
        for each in plans:
            if each.changes:
                told.line(f"{'removed' if each.after is None else 'taken back'}: {each.file}")
    told.finish(plans, "shown" if dry_run else "taken back")


def _agree(yes: bool) -> None:
    """Return where the person does; end otherwise."""
    context = click.get_current_context()
    if yes:
        return
    if not sys.stdin.isatty():
        click.echo("nothing was changed: add --yes to write this, or --dry-run to only see it", err=True)
        context.exit(2)
    try:
        agreed = click.confirm("Write this?", err=True)
    except click.Abort:
        click.echo("\nEnded; nothing was changed.", err=True)
        context.exit(INTERRUPTED)
    if not agreed:
        click.echo("Nothing was changed.", err=True)
        context.exit(0)
