"""`seatpool ca trust` and `untrust`: the commands that change a machine's stores are shown, agreed to, and run."""

import sys
from collections.abc import Sequence

import click

from seatpool.cli import commands
from seatpool.cli.common import INTERRUPTED
from seatpool.setup import shell
from seatpool.setup import trust as trusting
from seatpool.setup.authority import Authority, default_folder
from seatpool.setup.trust import Command, Machine, Root, TrustStore

NONE = "no certificate authority yet; make one with: seatpool ca create"

_KINDS = click.argument("kinds", nargs=-1, type=click.Choice(trusting.KINDS), metavar="[system|nss]...")
_YES = click.option("--yes", is_flag=True, help="Do not ask.")
_PRINT = click.option("--print", "only_print", is_flag=True, help="Print the commands, and run none of them.")


@click.command()
@_KINDS
@_YES
@_PRINT
def trust(kinds: tuple[str, ...], yes: bool, only_print: bool) -> None:
    """Put the root into this machine's stores: the system's, and those of NSS (Chromium, VS Code on Linux).

    The commands are shown first. Roots whose time is over are taken out by the way.

    \b
    seatpool ca trust
    seatpool ca trust nss --yes
    seatpool ca trust --print
    """
    authority = Authority(default_folder())
    present = {pair.tag for pair in (authority.current(), authority.next()) if pair}
    if not present:
        raise click.ClickException(NONE)
    roots = roots_of(authority)
    plan: dict[TrustStore, list[Command]] = {}
    for store in _stores(kinds):
        put = [root for root in roots if root.tag in present and not store.trusts(root)]
        take = [root for root in roots if root.tag not in present and store.holds(root)]
        plan[store] = list(store.commands(put=put, take=take))
    _carry_out(plan, yes=yes, only_print=only_print, done="trusted by", nothing="trusted already by")
    if not only_print:
        forget(authority, roots)


@click.command()
@_KINDS
@_YES
@_PRINT
def untrust(kinds: tuple[str, ...], yes: bool, only_print: bool) -> None:
    """Take every root of seatpool's back out of the stores, and nothing else.

    \b
    seatpool ca untrust
    seatpool ca untrust system --print
    """
    authority = Authority(default_folder())
    roots = roots_of(authority)
    plan = {store: list(store.commands(take=[root for root in roots if store.holds(root)])) for store in _stores(kinds)}
    _carry_out(plan, yes=yes, only_print=only_print, done="no longer trusted by", nothing="not trusted by")
    if not only_print:
        forget(authority, roots)


def roots_of(authority: Authority) -> tuple[Root, ...]:
    return tuple(Root(certificate, file) for certificate, file in authority.roots())


def _stores(kinds: Sequence[str]) -> tuple[TrustStore, ...]:
    wanted = kinds or trusting.KINDS
    found = [store for store in trusting.stores(Machine()) if store.kind in wanted]
    if not found:
        raise click.ClickException(
            f"this machine has no store of this kind ({', '.join(wanted)}); certs-howto.md says what each program reads"
        )
    for store in found:
        if store.lacking:
            click.echo(f"Note: {store.title} is left alone, it takes {store.lacking}", err=True)
    return tuple(store for store in found if not store.lacking)


def _carry_out(plan: dict[TrustStore, list[Command]], *, yes: bool, only_print: bool, done: str, nothing: str) -> None:
    for store, each in plan.items():
        if not each:
            click.echo(f"{nothing} {store.title}", err=only_print)
            continue
        if not only_print:
            click.echo(f"for {store.title}:")
        for command in each:
            shown = shell.here().join(command)
            click.echo(shown if only_print else f"  {shown}")
    if only_print or not any(plan.values()) or not _agreed(yes=yes):
        return
    for store, each in plan.items():
        for command in each:
            commands.carry_out(command, see="seatpool ca show")
        if each:
            click.echo(f"{done} {store.title}")


def _agreed(*, yes: bool) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        click.echo("nothing was changed: add --yes to run these commands, or run them yourself", err=True)
        click.get_current_context().exit(2)
    try:
        agreed = click.confirm("Run these?")
    except click.Abort:
        click.echo("\nEnded; nothing was changed.", err=True)
        click.get_current_context().exit(INTERRUPTED)
    if not agreed:
        click.echo("Nothing was changed.")
    return agreed


def forget(authority: Authority, roots: Sequence[Root]) -> None:
    """Files of roots that were, once nobody trusts them."""
    everywhere = trusting.stores(Machine())
    for root in roots:
        if not any(store.holds(root) for store in everywhere):
            authority.forget(root.file)
