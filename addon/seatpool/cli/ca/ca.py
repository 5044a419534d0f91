"""`seatpool ca ...`: the certificate authority, and who trusts it."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from seatpool.cli.ca.trust import NONE, roots_of, trust, untrust
from seatpool.cli.common import PlainGroup, open_store, with_database
from seatpool.clock import utcnow
from seatpool.providers.registry import certified_names
from seatpool.setup import trust as trusting
from seatpool.setup.authority import Authority, AuthorityError, default_folder, switches_at
from seatpool.setup.pair import Pair
from seatpool.setup.trust import Machine

STOLEN = "if somebody may have read it: seatpool ca rotate --now"


class _Group(PlainGroup):
    """One line for what is wrong with the authority, too."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except AuthorityError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group)
def ca() -> None:
    """Look after the certificate authority that your editor is to trust: it can vouch for the pooled hosts alone.

    \b
    seatpool ca create
    seatpool ca trust
    seatpool ca show
    """


def _tenant(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not certified_names([value])[len(certified_names([])) :]:
            raise click.BadParameter(f"{value!r} is no GHE.com tenant; name TENANT.ghe.com")
    return values


_HOSTS = click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="TENANT.ghe.com",
    callback=_tenant,
    help="A tenant that it is for as well; those of accounts in the pool are known.",
)


@ca.command()
@_HOSTS
@with_database
def create(hosts: tuple[str, ...]) -> None:
    """Make the authority, where there is none yet. `seatpool run` does it at its first start.

    \b
    seatpool ca create
    seatpool ca create --host octo.ghe.com
    """
    authority = Authority(default_folder())
    names = _names(hosts)
    current = authority.current()
    if current is None:
        authority.keep(names, utcnow())
        current = authority.current()
        assert current is not None
        _tell(_row(authority, current))
        click.echo("Let your programs trust it: seatpool ca trust, or certs-howto.md")
        return
    if missing := current.missing(names):
        command = " ".join(("seatpool ca rotate --now", *(f"--host {host}" for host in hosts)))
        raise click.ClickException(f"there is one already, not for {missing[0]}; another, and at once: {command}")
    click.echo(f"there is one already: {authority.trusted}, until {current.ends:%Y-%m-%d}")


@ca.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_database
def show(as_json: bool) -> None:
    """Tell what it is for, until when, and who trusts it.

    \b
    seatpool ca show
    seatpool ca show --json | jq -r .trusted_by
    """
    authority = Authority(default_folder())
    current = authority.current()
    if current is None:
        raise click.ClickException(NONE)
    row = _row(authority, current)
    if as_json:
        click.echo(json.dumps(row, indent=2))
        return
    _tell(row)
    for path in authority.open_to_others():
        mode = 700 if path == authority.folder else 600
        click.echo(f"Note: others can read {path}: chmod {mode} it; {STOLEN}", err=True)


@ca.command()
@_HOSTS
@click.option("--now", is_flag=True, help="Use the new one at once: the old key was seen by somebody, or a name lacks.")
@with_database
def rotate(hosts: tuple[str, ...], now: bool) -> None:
    """Make the next one, to be trusted beside the present one until that ends. `seatpool run` does it in time.

    \b
    seatpool ca rotate && seatpool ca trust
    seatpool ca rotate --now
    """
    authority = Authority(default_folder())
    names = _names(hosts)
    if now:
        pair = authority.replace({*names, *_present_names(authority)}, utcnow())
        click.echo(
            f"{pair.tag} is in use; {authority.trusted} has its root alone. Programs that trusted the former one"
        )
        click.echo("through that file have to be started again; stores follow with: seatpool ca trust")
        return
    current = authority.current()
    if current is None:
        raise click.ClickException(NONE)
    pair = authority.prepare({*names, *current.names}, utcnow())
    click.echo(
        f"{pair.tag} follows {current.tag} on {switches_at(current, pair):%Y-%m-%d}; {authority.trusted} has both."
    )
    click.echo("Let stores trust it by then: seatpool ca trust")


def pool_names() -> tuple[str, ...]:
    """The names that the authority has to be for, by the accounts of this database."""
    with open_store() as store:
        return certified_names(account.issuer for account in store.accounts())


def _names(hosts: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*pool_names(), *certified_names(hosts))))


def _present_names(authority: Authority) -> tuple[str, ...]:
    """Of a pair that is to be replaced, whatever state it is in."""
    try:
        current = authority.current()
    except AuthorityError:
        return ()
    return current.names if current else ()


def _row(authority: Authority, current: Pair) -> dict[str, Any]:
    following = authority.next()
    now = utcnow()
    present = {pair.tag for pair in (current, following) if pair}
    roots = [root for root in roots_of(authority) if root.tag in present]
    return {
        **_pair(current, now),
        "next": _pair(following, now) | {"from": switches_at(current, following).isoformat()} if following else None,
        "names": list(current.names),
        "trust_file": str(authority.trusted),
        "key_file": str(authority.in_use),
        "trusted_by": [
            {"store": store.title, "kind": store.kind, "root": root.tag}
            for store in trusting.stores(Machine())
            for root in roots
            if store.trusts(root)
        ],
    }


def _pair(pair: Pair, now: datetime) -> dict[str, Any]:
    return {
        "root": pair.tag,
        "sha256": pair.fingerprint,
        "not_before": pair.root.not_valid_before_utc.isoformat(),
        "not_after": pair.ends.isoformat(),
        "expired": pair.ends <= now,
    }


def _tell(row: dict[str, Any]) -> None:
    until = row["not_after"][:10]
    following = row["next"]
    stores = [f"{each['store']} ({each['root']})" for each in row["trusted_by"]]
    lines = {
        "root": f"{row['root']}, SHA-256 {row['sha256']}",
        "until": f"{until}, which is over: seatpool run makes a new one" if row["expired"] else until,
        "then": following and f"{following['root']}, from {following['from'][:10]}, SHA-256 {following['sha256']}",
        "for": ", ".join(row["names"]) + ", with what is below them; no address",
        "give": f"{row['trust_file']} to programs that are to trust it",
        "keep": f"{row['key_file']}, with the issuing key; the root's own was thrown away",
        "trusted by": "\n            ".join(stores) or "no store of this machine: seatpool ca trust",
    }
    for name, line in lines.items():
        if line:
            click.echo(f"{name:<11} {line}")


for command in (trust, untrust):
    ca.add_command(command)
