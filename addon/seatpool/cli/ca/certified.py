"""What a start of the proxy needs of the certificate authority: one that is there, and in its time."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
import msgspec

from seatpool.beside import Beside, NotYet
from seatpool.cli.ca.ca import STOLEN, pool_names
from seatpool.cli.handed_on import CONFIG
from seatpool.clock import utcnow
from seatpool.providers.registry import certified_names
from seatpool.setup import bundle
from seatpool.setup.authority import TRUSTED, Authority, AuthorityError, Change, default_folder, switches_at
from seatpool.store import StoreError

NAMES_S = 5.0
"""How long is waited for the database, whose key may be in a keyring that asks its person first."""


class Certified(msgspec.Struct, frozen=True):
    """Arguments for mitmdump, and what programs have to trust."""

    arguments: tuple[str, ...]
    trusted: Path


def certified(confdir: Path | None) -> Certified:
    """Make or renew the authority where that is due; a `confdir` that the person names wins, and is left alone."""
    if confdir is not None:
        return Certified((), confdir / TRUSTED)
    authority = Authority(default_folder())
    for path in authority.open_to_others():
        click.echo(f"Note: others could read {path}; it is shut now; {STOLEN}", err=True)
    try:
        names = _names()
        change = authority.keep(names, utcnow())
        _tell(authority, change, names)
        bundle.keep(authority.folder, authority.trusted.read_bytes(), os.environ)
    except AuthorityError as error:
        raise click.ClickException(str(error)) from error
    _tell_of_config(authority)
    return Certified(("--set", f"confdir={authority.folder}"), authority.trusted)


def _names() -> tuple[str, ...]:
    try:
        return Beside(partial(_asked, click.get_current_context()), "names").got(NAMES_S)
    except (StoreError, NotYet):
        return certified_names(())  # the proxy says what is wrong with the database, and goes on without it


def _asked(context: click.Context) -> tuple[str, ...]:
    with context.scope(cleanup=False):  # which each thread has of its own
        return pool_names()


def _tell(authority: Authority, change: Change, names: Sequence[str]) -> None:
    current, following = authority.current(), authority.next()
    assert current is not None
    if change is Change.MADE:
        click.echo(
            f"made a certificate authority that can vouch for {', '.join(current.names)} alone, until "
            f"{current.ends:%Y-%m-%d}; let your programs trust it: seatpool ca trust"
        )
    elif change is Change.SWITCHED:
        click.echo(f"the certificate authority {current.tag} has taken over, until {current.ends:%Y-%m-%d}")
    if following is not None:
        click.echo(
            f"the certificate authority {following.tag} takes over on {switches_at(current, following):%Y-%m-%d}: what "
            f"reads {authority.trusted} is to be started again before, stores follow with: seatpool ca trust"
        )
    for name in current.missing(names):
        click.echo(
            f"Note: the certificate authority is not for {name}, which passes untouched therefore: "
            "seatpool ca rotate --now, then seatpool ca trust",
            err=True,
        )


def _tell_of_config(authority: Authority) -> None:
    """mitmproxy reads its options from its `confdir`."""
    for name in CONFIG:
        usual = Path("~/.mitmproxy").expanduser() / name
        if usual.exists() and not (authority.folder / name).exists():
            click.echo(
                f"Note: {usual} is not read; copy it into {authority.folder} if its options are to count", err=True
            )
