"""`seatpool account export`, and the way back: accounts with their logins, sealed with a passphrase."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import click

from seatpool.cli import outfile
from seatpool.cli.common import ending_cleanly, open_store, with_database
from seatpool.cli.written import first_line
from seatpool.clock import utcnow
from seatpool.core.model import Account, CredentialKind
from seatpool.providers.sidecalls import OWNER
from seatpool.store import Store, export

SHORTEST = 8
"""Characters of a new passphrase: whoever has the file may guess as long as they like."""
ONE_POOL = "A Codex login that can be renewed works in one pool only: whoever renews it signs the others out."


@click.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--force", is_flag=True, help="Replace FILE where it exists.")
@click.option("--passphrase-file", type=click.File("rb"), help="Its first line; - for standard input. [default: ask]")
@with_database
def export_(file: Path, names: tuple[str, ...], force: bool, passphrase_file: IO[bytes] | None) -> None:
    """Write the accounts NAME..., or all, with their logins to FILE, encrypted with a passphrase.

    `seatpool account import FILE` reads it, in another pool or on another machine. Nobody can without the passphrase.

    \b
    seatpool account export pool.seatpool
    seatpool account export work.seatpool work --passphrase-file secret.txt
    """
    with ending_cleanly(list), open_store() as store:
        _check_free(file, force)
        wanted = [account.name for account in _chosen(store, names)]
        seal = export.sealer(_new_passphrase(passphrase_file))
        _check_free(file, force)
        with outfile.replacing(file) as write:
            chosen = store.team.exported(wanted, lambda found: write(seal(found)))
    click.echo(f"exported {', '.join(each.account.name for each in chosen)} to {file}")
    if _one_pool(chosen):
        click.echo(f"{ONE_POOL} Once imported elsewhere, remove them here: seatpool account remove NAME")


def import_export(
    store: Store,
    content: bytes,
    passphrase_file: IO[bytes] | None,
    name: str | None,
    *,
    as_json: bool,
    saved: list[str],
) -> None:
    """Add the accounts of an export. Names of those that were stored go into `saved` one by one."""
    accounts = export.unseal(content, _passphrase(passphrase_file))
    if name is not None and len(accounts) != 1:
        raise click.UsageError(f"--name {name}: the export holds {len(accounts)} accounts; import it without --name")
    rows = []
    for each in accounts:
        account, added = _save(store, each, name)
        saved.append(account.name)
        result = "added" if added else "renewed"
        rows.append({"result": result, "account": account.name, "provider": account.provider.value})
        if not as_json:
            plan = f", {account.plan}" if account.plan else ""
            click.echo(f"{result} {account.name} ({account.provider}{plan})")
            _complain_of_lost_owners(each)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    elif _one_pool(accounts):
        click.echo(f"{ONE_POOL} Remove them from the pool that they came from.")


def _save(store: Store, exported: export.Exported, name: str | None) -> tuple[Account, bool]:
    """A new account comes as it was; one that is here already keeps what its person has set here."""
    told = exported.account
    account, added = store.save_login(
        provider=told.provider,
        identity=told.identity,
        handle=told.handle,
        name=name or told.name,
        explicit_name=name is not None,
        issuer=told.issuer,
        plan=told.plan,
        credentials=exported.credentials,
        now=utcnow(),
    )
    if added and told.priority != account.priority:
        store.set_priority(account.name, told.priority)
    if added and told.weight != account.weight:
        store.set_weight(account.name, told.weight)
    if added and told.keeping is not account.keeping:
        store.set_keeping(account.name, told.keeping)
    if added and told.owner is not None:
        store.team.set_owner(account.name, told.owner, told.people)
    if added and told.paused:
        store.set_paused(account.name, True, utcnow())
    return account, added


def _complain_of_lost_owners(exported: export.Exported) -> None:
    for credential in exported.credentials:
        owner = credential.attributes.get(OWNER)
        if owner is not None and credential.kind is CredentialKind.CODEX_OAUTH and not Path(owner).exists():
            click.echo(f"  it follows {owner}, which is not on this machine; sign in with: seatpool login codex")


def _chosen(store: Store, names: Sequence[str]) -> list[Account]:
    named = [store.account(name) for name in dict.fromkeys(names)]
    learnt = [account.name for account in named if account.learnt]
    if learnt:
        raise click.UsageError(
            f"{learnt[0]} was learnt from an editor's traffic; the pool has no login of it to export"
        )
    accounts = named or [account for account in store.accounts() if not account.learnt]
    if not accounts:
        raise click.UsageError("there is no account to export")
    return accounts


def _one_pool(accounts: Sequence[export.Exported]) -> bool:
    held = (credential for each in accounts for credential in each.credentials)
    return any(c.kind is CredentialKind.CODEX_OAUTH and c.refresh_token is not None for c in held)


# -- the passphrase


def _new_passphrase(file: IO[bytes] | None) -> str:
    passphrase = _given(file)
    if passphrase is None:
        passphrase = click.prompt("passphrase", hide_input=True, confirmation_prompt="once more", err=True)
    if len(passphrase) < SHORTEST:
        raise click.UsageError(f"the passphrase is too short: {SHORTEST} characters at least")
    return passphrase


def _passphrase(file: IO[bytes] | None) -> str:
    passphrase = _given(file)
    return passphrase if passphrase is not None else click.prompt("passphrase", hide_input=True, err=True)


def _given(file: IO[bytes] | None) -> str | None:
    """The first line of a file; None where a person is to be asked."""
    if file is not None:
        try:
            return first_line(file, 4096)
        except UnicodeError:
            raise click.UsageError("the passphrase file holds no text") from None
    if not sys.stdin.isatty():
        raise click.UsageError("nobody is there to be asked for a passphrase: add --passphrase-file FILE")
    return None


# -- the file


def _check_free(file: Path, force: bool) -> None:
    if file.exists() and not force:
        raise click.UsageError(f"{file} exists already; add --force to replace it")
