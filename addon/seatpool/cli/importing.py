"""`seatpool account import`: takes over the logins that are on this machine already."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from seatpool.cli import choosing, loginfiles
from seatpool.cli.common import console, ending_cleanly, open_store, with_database
from seatpool.cli.identifying import identify
from seatpool.cli.loginfiles import Candidate, Gathered, shown
from seatpool.cli.network import with_network
from seatpool.cli.transfer import import_export
from seatpool.clock import utcnow
from seatpool.core.model import Account, QuotaWindow
from seatpool.providers.base import ImportedLogin, NotALogin
from seatpool.providers.copilot.login import BARE_TOKEN
from seatpool.providers.copilot.signin import issuer_of
from seatpool.providers.signin import NotSignedIn
from seatpool.service.transport import TransportSettings
from seatpool.setup import places
from seatpool.store import Store
from seatpool.store.export import is_export

NOT_CHOSEN = 2
"""Exit code of a list that nobody could be asked about."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the person said."""

    name: str | None
    own: bool
    yes: bool
    as_json: bool
    host: str | None
    settings: TransportSettings


@dataclass(slots=True)
class Told:
    """What came of it, for a person line by line, for a program at the end."""

    as_json: bool
    rows: list[dict[str, Any]] = field(default_factory=list)
    saved: list[str] = field(default_factory=list)

    def row(self, candidate: Candidate, result: str, line: str = "", account: str | None = None) -> None:
        """One login and its fate; `line` goes to the person."""
        login = candidate.login
        self.rows.append(
            {
                "result": result,
                "account": account,
                "provider": login.provider.value,
                "program": login.program,
                "file": shown(candidate.path),
                "who": who(login),
                "plan": login.plan,
                "shared": login.shared,
                "note": login.note or None,
            }
        )
        if line and not self.as_json:
            click.echo(line)

    def finish(self) -> None:
        """The rows, where a program asked."""
        if self.as_json:
            click.echo(json.dumps(self.rows, indent=2))


def _host(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    issuer = issuer_of(value)
    if issuer is None:
        raise click.BadParameter(f"{value!r} signs nobody in; name github.com or TENANT.ghe.com")
    return issuer


@click.command("import")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, allow_dash=True, path_type=Path), metavar="[PATH]...")
@click.option("--name", help="What to call the account. [default: from the login]")
@click.option("--own", is_flag=True, help="No other program uses these logins any more: the pool renews them itself.")
@click.option("--yes", is_flag=True, help="Without PATH: take everything that is found.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: every login, and what was done with it.")
@click.option("--host", callback=_host, help="Who issued a token that stands alone. [default: github.com]")
@click.option("--passphrase-file", type=click.File("r"), help="Of an export: its first line; - for standard input.")
@with_network
@with_database
def import_(
    paths: tuple[Path, ...],
    name: str | None,
    own: bool,
    yes: bool,
    as_json: bool,
    host: str | None,
    passphrase_file: Any,
    ca: str | None,
    proxy: str | None,
) -> None:
    """Add the logins that other programs have written to PATH, or to their usual places.

    Reads the files of Codex, opencode, Copilot's editors, the Copilot CLI and gh, and what `account export` wrote;
    tells them apart by content. A folder is searched; - is standard input, where a token alone will do. Importing
    the same login again renews it.

    A login of Codex or opencode goes on being renewed by that program: the pool follows its file. With --own the pool
    renews it, and any other program that uses it is signed out.

    \b
    seatpool account import
    seatpool account import ~/.config/github-copilot
    seatpool account import ~/.codex-work/auth.json --name work --own
    gh auth token | seatpool account import -
    """
    wish = Wish(name, own, yes, as_json, host, TransportSettings(trusted_ca=ca, upstream_proxy=proxy))
    told = Told(as_json)
    with ending_cleanly(lambda: told.saved):
        exported = _the_export(paths)
        with open_store() as store:
            if exported is not None:
                import_export(store, exported, passphrase_file, name, as_json=as_json, saved=told.saved)
                return
            if paths:
                _save(store, _named(paths, wish), wish, told)
            else:
                _save(store, _chosen(store, wish, told), wish, told)
    told.finish()


# -- which


def _the_export(paths: Sequence[Path]) -> bytes | None:
    """What `account export` wrote, where that is what was named."""
    contents = [loginfiles.beginning_of(path) for path in paths if path.is_file()]
    if not any(map(is_export, contents)):
        return None
    if len(paths) > 1:
        raise click.UsageError("import an export by itself, without other files")
    return paths[0].read_bytes()


def _named(paths: Sequence[Path], wish: Wish) -> list[Candidate]:
    """Every login of the files that were named. Anything that is wrong with one of them stops all of it."""
    found = Gathered()
    for path in paths:
        if path.is_dir():
            inside = loginfiles.search(path)
            found.candidates.extend(inside.candidates)
            found.complaints.extend(inside.complaints)
        else:
            logins, complaints = loginfiles.parse(path, loginfiles.content_of(path))
            found.candidates.extend(Candidate(_at_host(login, wish), path) for login in logins)
            found.complaints.extend(complaints)
    for complaint in found.complaints:
        click.echo(f"Note: {complaint}", err=True)
    persons = {who(each.login) for each in found.candidates}
    if wish.name is not None and len(persons) > 1:
        raise click.UsageError(
            f"--name {wish.name}: these are several logins ({', '.join(sorted(persons))});"
            " import them without --name, then rename"
        )
    return found.candidates


def _at_host(login: ImportedLogin, wish: Wish) -> ImportedLogin:
    return replace(login, issuer=wish.host) if wish.host and login.program == BARE_TOKEN else login


def _chosen(store: Store, wish: Wish, told: Told) -> list[Candidate]:
    """Of what is in the usual places, what the person wants."""
    if wish.name is not None:
        raise click.UsageError("--name needs the PATH of the login that it is for")
    found = loginfiles.gather(places.known(os.environ, Path.home(), windows=os.name == "nt"))
    if not found.candidates:
        looked = ", ".join(place.program for place in places.PLACES)
        because = "".join(f"; {complaint}" for complaint in found.complaints)
        raise NotALogin(
            f"no login found of {looked}{because}; sign in with: seatpool login codex, or seatpool login copilot"
        )
    candidates, passed = choosing.one_each(found.candidates)
    known = _in_the_pool(store, candidates)
    if not wish.as_json:
        _show([*candidates, *(each.candidate for each in passed)], known)
    for complaint in found.complaints:
        click.echo(f"Note: {complaint}", err=True)
    if wish.yes:
        return found.candidates
    if wish.as_json or not sys.stdin.isatty():
        for candidate in found.candidates:
            told.row(candidate, "found", account=known.get(id(candidate)))
        told.finish()
        click.echo("nothing was imported: add --yes to take all of it, or name the files", err=True)
        click.get_current_context().exit(NOT_CHOSEN)
    return [each for each in candidates if click.confirm(f"import {_described(each)}?", default=True)]


def _in_the_pool(store: Store, candidates: Sequence[Candidate]) -> Mapping[int, str]:
    """Names of the accounts that logins are of, by `id` of the candidate."""
    accounts = store.accounts()
    found = {id(each): choosing.held_account(_recognised(store, each.login), accounts) for each in candidates}
    return {key: account.name for key, account in found.items() if account is not None}


def _show(candidates: Sequence[Candidate], known: Mapping[int, str]) -> None:
    table = Table("program", "who", "plan", "in the pool", "file", box=None)
    for each in candidates:
        login = each.login
        row = (login.program, who(login), login.plan or "-", known.get(id(each), "no"), shown(each.path))
        table.add_row(*map(escape, row))
    console().print(table)


def who(login: ImportedLogin) -> str:
    """The person, as far as the login says."""
    if login.identity is None:
        return f"somebody at {login.issuer}"
    return login.handle or login.name


def _described(candidate: Candidate) -> str:
    login = candidate.login
    plan = f", {login.plan}" if login.plan else ""
    note = f"; it {login.note}" if login.note else ""
    return f"{who(login)} ({login.provider}{plan}) from {login.program}{note}"


# -- whose


def _recognised(store: Store, login: ImportedLogin) -> ImportedLogin:
    """With the identity of the account that holds this very token already, where the login says none itself."""
    if login.identity is not None:
        return login
    tokens = {c.token: held for held, kinds in store.every_credential().items() for c in kinds.values()}
    account_id = tokens.get(login.credentials[0].token)
    account = next((a for a in store.accounts() if a.id == account_id), None)
    if account is None:
        return login
    return replace(login, identity=account.identity, handle=account.handle, name=account.name, plan=account.plan)


def _identified(
    store: Store, candidates: Sequence[Candidate], wish: Wish, told: Told
) -> tuple[list[Candidate], dict[str, tuple[QuotaWindow, ...]]]:
    """Every login with its owner, and the quota that was told on the way, by identity.

    With files that were named, one that cannot be identified ends all of it; else it is left out.
    """
    candidates = [replace(each, login=_recognised(store, each.login)) for each in candidates]
    asked = [each for each in candidates if each.login.identity is None]
    answers = dict(zip(map(id, asked), identify([each.login for each in asked], wish.settings), strict=True))
    known: list[Candidate] = []
    windows: dict[str, tuple[QuotaWindow, ...]] = {}
    refusals: list[str] = []
    for each in candidates:
        answer = answers.get(id(each))
        if isinstance(answer, NotSignedIn):
            told.row(each, "refused")
            refusals.append(f"{shown(each.path)}: {answer.message}")
            continue
        if answer is not None:
            login = each.login
            each = replace(each, login=replace(answer.login, program=login.program, note=login.note))
            windows[str(each.login.identity)] = answer.windows
            for doubt in answer.doubts:
                click.echo(f"Note: {doubt}", err=True)
        known.append(each)
    if refusals and (not known or not wish.yes):
        raise NotALogin(refusals[0])
    for refusal in refusals:
        click.echo(f"Note: {refusal}", err=True)
    return known, windows


# -- into the pool


def _save(store: Store, candidates: Sequence[Candidate], wish: Wish, told: Told) -> None:
    """Everything is read, asked and judged before the first login is stored."""
    candidates, windows = _identified(store, candidates, wish, told)
    best, passed = choosing.one_each(candidates)
    stored = [(each, choosing.as_stored(each, own=wish.own)) for each in best]
    for double in passed:
        line = f"skipped {who(double.candidate.login)} of {double.candidate.login.program}:"
        told.row(double.candidate, "duplicate", f"{line} the login of {double.better.login.program} serves as well")
    for each, login in stored:
        _save_one(store, each, login, wish, told, windows.get(str(login.identity), ()))


def _save_one(
    store: Store, candidate: Candidate, login: ImportedLogin, wish: Wish, told: Told, windows: Sequence[QuotaWindow]
) -> None:
    held = choosing.held_account(login, store.accounts())
    if held is not None and (reason := choosing.reason_to_keep(held, store.credentials(held.id), login)):
        told.row(candidate, "kept", f"kept {held.name} as it is: {reason}", held.name)
        return
    account, added = _store(store, login, wish.name)
    if windows:
        store.record(windows=[(account.id, window) for window in windows])
    told.saved.append(account.name)
    result = "added" if added else "renewed"
    plan = f", {account.plan}" if account.plan else ""
    told.row(candidate, result, f"{result} {account.name} ({account.provider}{plan})", account.name)
    for line in _remarks(candidate, login):
        if not told.as_json:
            click.echo(f"  {line}")


def _store(store: Store, login: ImportedLogin, name: str | None) -> tuple[Account, bool]:
    assert login.identity is not None
    return store.save_login(
        provider=login.provider,
        identity=login.identity,
        handle=login.handle,
        name=name or login.name,
        explicit_name=name is not None,
        issuer=login.issuer,
        plan=login.plan,
        credentials=login.credentials,
        now=utcnow(),
    )


def _remarks(candidate: Candidate, login: ImportedLogin) -> list[str]:
    remarks = [login.note] if login.note else []
    if login.shared:
        remarks.append(
            f"shared with {login.program}: the pool follows {candidate.path} and never renews it;"
            " for a login of its own: seatpool login codex"
        )
    return remarks
