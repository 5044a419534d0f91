"""`seatpool transparent ...`: what this machine's programs send to the pooled hosts is redirected to a proxy.

What does it needs Linux or macOS, and is loaded when it is asked for (`capturing`).
"""

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from seatpool.cli.common import PlainGroup, Whole, database, open_store, with_database
from seatpool.providers.registry import NAMED, pooled_names, provider_of
from seatpool.setup.transparent import PORT, TransparentError
from seatpool.store import StoreError

if TYPE_CHECKING:
    from types import ModuleType

BACKENDS = ("nft", "iptables", "pf")


class _Group(PlainGroup):
    """One line for what firewalls and processes say, too."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except TransparentError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Group)
def transparent() -> None:
    """Redirect what this machine's own programs send to the pooled hosts: no program needs a setting for it.

    \b
    sudo ./scripts/transparent on
    ./scripts/transparent status
    sudo ./scripts/transparent off
    """


def _known(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if provider_of(value) is None:
            raise click.BadParameter(f"{value!r} is no host that seatpool decrypts; see `How it works` in README.md")
    return values


_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@transparent.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--port", "-p", metavar="PORT", default=PORT, show_default=True, type=Whole(1, 65_535), help="Port on loopback."
)
@click.option("--host", "hosts", multiple=True, callback=_known, help="Another pooled host; the usual ones are known.")
@click.option("--backend", type=click.Choice(BACKENDS), help="[default: nft, else iptables; on macOS pf]")
@click.option("--dry-run", is_flag=True, help="Print the rules that would be loaded, and change nothing.")
@click.argument("mitmdump_arguments", nargs=-1, type=click.UNPROCESSED)
@with_database
def on(
    port: int, hosts: tuple[str, ...], backend: str | None, dry_run: bool, mitmdump_arguments: tuple[str, ...]
) -> None:
    """Start a proxy for redirected connections, as you, and redirect. Again: resolve the hosts' names anew.

    More MITMDUMP_ARGUMENTS are handed on to the proxy.

    \b
    sudo ./scripts/transparent on
    sudo ./scripts/transparent on -- --set pool_strategy=drain
    ./scripts/transparent on --dry-run
    """
    meant = (*NAMED, *hosts)
    if dry_run:
        click.echo(_capturing().dry_run((*pooled_hosts(), *hosts), port, backend), nl=False)
    else:
        _capturing().switch_on(meant, port, backend, mitmdump_arguments, database())


@transparent.command()
def off() -> None:
    """Take the rules out and end that proxy; also after a crash.

    \b
    sudo ./scripts/transparent off
    """
    _capturing().switch_off()


@transparent.command()
@_JSON
def status(as_json: bool) -> None:
    """Tell what is redirected where. Exit code 0: it is on; 3: off; 1: something has died, which root mends by this.

    \b
    ./scripts/transparent status
    ./scripts/transparent status --json | jq -r .state
    """
    click.get_current_context().exit(_capturing().show(as_json=as_json))


@transparent.command()
@_JSON
@with_database
def hosts(as_json: bool) -> None:
    """Tell the names whose addresses are redirected.

    \b
    seatpool transparent hosts
    """
    found = pooled_hosts()
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for name in found:
        click.echo(name)


def pooled_hosts() -> tuple[str, ...]:
    """By the accounts of this database, where it can be read."""
    try:
        with open_store() as store:
            return pooled_names(account.issuer for account in store.accounts())
    except StoreError:
        return NAMED


def _capturing() -> "ModuleType":
    if sys.platform == "win32":
        raise TransparentError("transparent mode is for Linux and macOS; on Windows: seatpool setup")
    from seatpool.cli import capturing

    return capturing
