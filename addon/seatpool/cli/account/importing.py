"""`seatpool account import`: takes over the logins that are on this machine already."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec.structs import replace

from seatpool.cli.account import choosing, loginfiles
from seatpool.cli.account.identifying import Known, identified, in_the_pool
from seatpool.cli.account.loginfiles import Candidate, Gathered, shown
from seatpool.cli.account.telling import Told, described, note, show, who
from seatpool.cli.account.transfer import import_export
from seatpool.cli.common import ending_cleanly, open_store, with_database
from seatpool.cli.network import with_network
from seatpool.cli.saving import save
from seatpool.providers.copilot.login import BARE_TOKEN
from seatpool.providers.copilot.signin import issuer_of
from seatpool.providers.logins import ImportedLogin, NotALogin
from seatpool.service.network.transport import TransportSettings
from seatpool.setup import places
from seatpool.store import Store
from seatpool.store.export import is_export

NOT_CHOSEN = 2
"""Exit code of a list that nobody could be asked about."""


class Wish(msgspec.Struct, frozen=True):
    """What the person said."""

    name: str | None
    own: bool
    yes: bool
    as_json: bool
    host: str | None
    settings: TransportSettings


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
@click.option("--passphrase-file", type=click.File("rb"), help="Of an export: its first line; - for standard input.")
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

    Reads the files of Codex, opencode, pi, Copilot's editors, the Copilot CLI and gh, and what `account export`
    wrote; tells them apart by content. A folder is searched; - is standard input, where a token alone will do.
    Importing the same login again renews it.

    A ChatGPT login of Codex, opencode or pi goes on being renewed by that program: the pool follows its file. With
    --own the pool renews it, and any other program that uses it, or signs in or out there, ends it for both.

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
            found = _named(paths, wish) if paths else _chosen(store, wish, told)
            _save(store, identified(store, found, wish.settings, told, strict=bool(paths)), wish, told)
    told.finish()


# -- which


def _the_export(paths: Sequence[Path]) -> bytes | None:
    """What `account export` wrote, where that is what was named."""
    contents = [loginfiles.beginning_of(path) for path in paths if path.is_file()]
    if not any(map(is_export, contents)):
        return None
    if len(paths) > 1:
        raise click.UsageError("import an export by itself, without other files")
    return loginfiles.content_of(paths[0])


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
    note(found.complaints)
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
    known = in_the_pool(store, found.candidates)
    if not wish.as_json:
        show(found.candidates, known)
    note(found.complaints)
    if wish.yes:
        return found.candidates
    if wish.as_json or not sys.stdin.isatty():
        for candidate in found.candidates:
            told.row(candidate, "found", account=known.get(id(candidate)))
        told.finish()
        click.echo("nothing was imported: add --yes to take all of it, or name the files", err=True)
        click.get_current_context().exit(NOT_CHOSEN)
    candidates, _ = choosing.one_each(found.candidates)
    return [each for each in candidates if click.confirm(f"import {described(each)}?", default=True)]


# -- into the pool


def _save(store: Store, known: Sequence[Known], wish: Wish, told: Told) -> None:
    """Everything was read and asked before; everything is judged before the first login is stored."""
    best, passed = choosing.one_each(each.candidate for each in known)
    stored = [(each, choosing.as_stored(each, own=wish.own)) for each in best]
    windows = {id(each.candidate): each.windows for each in known}
    for double in passed:
        reason = f"the login in {shown(double.better.path)} serves at least as much"
        told.row(double.candidate, "duplicate", f"skipped {shown(double.candidate.path)}: {reason}", reason=reason)
    for each, login in stored:
        _save_one(store, Known(replace(each, login=login), windows[id(each)]), wish, told)


def _save_one(store: Store, known: Known, wish: Wish, told: Told) -> None:
    login = known.candidate.login
    held = choosing.held_account(login, store.accounts())
    if held is not None and (reason := choosing.reason_to_keep(held, store.credentials(held.id), login)):
        told.row(known.candidate, "kept", f"kept {held.name} as it is: {reason}", account=held.name, reason=reason)
        return
    account, added = save(store, login, wish.name)
    told.saved.append(account.name)
    store.record(windows=[(account.id, window) for window in known.windows])
    result = "added" if added else "renewed"
    plan = f", {account.plan}" if account.plan else ""
    lines = [f"{result} {account.name} ({account.provider}{plan})", *_remarks(known.candidate, wish)]
    told.row(known.candidate, result, "\n  ".join(lines), account=account.name)


def _remarks(candidate: Candidate, wish: Wish) -> Iterator[str]:
    login = candidate.login
    if login.note:
        yield login.note
    if login.shared and wish.own:
        yield (
            f"the pool renews it from now on: a program that goes on using {shown(candidate.path)}, or that signs in or"
            " out there, ends it for both"
        )
    elif login.shared:
        yield (
            f"shared with {login.program}: the pool follows {shown(candidate.path)} and never renews it;"
            " for a login of its own: seatpool login codex"
        )
