"""`seatpool login ...`: what a person may ask for, and what they get to see in the end."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import click
import msgspec
from rich.console import Console

from seatpool.cli.common import INTERRUPTED, PlainGroup, console, open_store, with_database
from seatpool.cli.login.screen import LoginScreen
from seatpool.cli.login.signing import Login, check_name, check_store
from seatpool.cli.network import with_network
from seatpool.cli.status.status import status_rows, status_table
from seatpool.clock import utcnow
from seatpool.core.model import CredentialKind, ProviderName
from seatpool.providers.codex import signin as codex_signin
from seatpool.providers.copilot import signin as copilot_signin
from seatpool.providers.copilot.auth import GITHUB
from seatpool.providers.copilot.found import ATTR_APP, DIRECT_ONLY, limits
from seatpool.service.network.transport import TransportSettings
from seatpool.store import BadName


@click.group(cls=PlainGroup)
def login() -> None:
    """Sign in to an account and put it into the pool, with a login of the pool's own.

    Signing in again to the same account renews it. Proxy variables of the environment are ignored, since they may
    point at the pool itself; name a proxy with --proxy where one is needed.

    \b
    seatpool login codex --name work
    seatpool login copilot --host octo.ghe.com
    """


def _name(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not (value.strip() and value.strip().isprintable()):
        raise click.BadParameter(str(BadName(value)))
    return value.strip() if value is not None else None


def _host(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    issuer = copilot_signin.issuer_of(value)
    if issuer is None:
        raise click.BadParameter(f"{value!r} signs nobody in; name github.com or TENANT.ghe.com")
    return issuer


def _common[F: Callable[..., Any]](command: F) -> F:
    """The options of every sign-in."""
    for option in reversed(
        (
            click.option("--name", callback=_name, help="What to call the account. [default: from the login]"),
            click.option("--json", "as_json", is_flag=True, help="Print its row of `account list --json`."),
        )
    ):
        command = option(command)
    return with_database(with_network(command))


@login.command()
@click.option("--device", is_flag=True, help="Show a code to type in a browser on any machine.")
@click.option("--no-browser", is_flag=True, help="Print the address and open no browser.")
@_common
def codex(device: bool, no_browser: bool, name: str | None, as_json: bool, ca: str | None, proxy: str | None) -> None:
    """Sign in with ChatGPT, for Codex.

    Opens a browser on this machine and waits for it to come back to port 1455, or to 1457 where that is taken. On a
    machine without a browser, use --device.

    \b
    seatpool login codex --name work
    seatpool login codex --device
    """

    def begin(session: Login) -> Coroutine[None, None, None]:
        if device:
            return session.by_code(codex_signin.device(utcnow), codex_signin.may_receive)
        return session.by_browser(
            lambda redirect_uri: codex_signin.browser(redirect_uri, utcnow),
            codex_signin.may_receive,
            codex_signin.REDIRECTS,
            opens=not no_browser,
        )

    _run(begin, ProviderName.CODEX, None, name, as_json, TransportSettings(trusted_ca=ca, upstream_proxy=proxy))


@login.command()
@click.option("--host", callback=_host, help="github.com or TENANT.ghe.com. [default: NAME's, or github.com]")
@click.option(
    "--app",
    type=click.Choice(list(copilot_signin.APPS)),
    help="What the account is to serve: `editor` for editors and their plugins, `cli` for the Copilot CLI."
    " [default: what NAME serves, or editor]",
)
@_common
def copilot(
    host: str | None, app: str | None, name: str | None, as_json: bool, ca: str | None, proxy: str | None
) -> None:
    """Sign in with GitHub, for Copilot.

    Shows a code to type in a browser on any machine. With the name of an account that is there, it is signed in again
    where it was, for what it served.

    \b
    seatpool login copilot --name work
    seatpool login copilot --host octo.ghe.com
    seatpool login copilot --app cli
    """

    issuer, kind = _as_before(name, host, app)

    def begin(session: Login) -> Coroutine[None, None, None]:
        flow = copilot_signin.device(issuer, utcnow, copilot_signin.APPS[kind])
        return session.by_code(flow, copilot_signin.may_receive)

    _run(begin, ProviderName.COPILOT, issuer, name, as_json, TransportSettings(trusted_ca=ca, upstream_proxy=proxy))


def _as_before(name: str | None, host: str | None, app: str | None) -> tuple[str, str]:
    """Issuer and app, where nobody says them: those of the account of this name, whose tokens another app's would not
    stand in for."""
    if name is None or (host and app):
        return host or GITHUB, app or "editor"
    with open_store() as store:
        held = next((a for a in store.accounts() if (a.name, a.provider) == (name, ProviderName.COPILOT)), None)
        login = store.credentials(held.id).get(CredentialKind.GITHUB_OAUTH) if held is not None else None
    direct = login is not None and limits(login.attributes.get(ATTR_APP, ""), login.token) == DIRECT_ONLY
    return host or (held.issuer if held is not None else GITHUB), app or ("cli" if direct else "editor")


def _run(
    begin: Callable[[Login], Coroutine[None, None, None]],
    provider: ProviderName,
    issuer: str | None,
    name: str | None,
    as_json: bool,
    settings: TransportSettings,
) -> None:
    """Sign in and show the account. What can be found wrong before a person is sent to a browser, is."""
    session: Login | None = None
    try:
        with open_store() as store:
            check_store(store)
            check_name(store, name, provider, issuer)
            with LoginScreen(Console(stderr=True, highlight=False)) as screen:
                session = Login(store, screen, settings, name)
                asyncio.run(begin(session))
            now = utcnow()
            rows = [row for row in status_rows(store, now) if row.id == session.account.id]
    except KeyboardInterrupt:
        if session is not None and session.saved is not None:
            ended = f"Ended, but {session.account.name} was signed in and stored already."
        else:
            ended = "Ended; nobody was signed in, nothing was stored."
        click.echo(ended, err=True)
        click.get_current_context().exit(INTERRUPTED)
    held = session.account
    plan = f", {held.plan}" if held.plan else ""
    click.echo(f"{'added' if session.added else 'renewed'} {held.name} ({held.provider}{plan})", err=as_json)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(rows[0]), indent=2))
    else:
        console().print(status_table(rows, now))
