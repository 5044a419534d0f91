"""`seatpool page`: where the page is, and the token for acting on it."""

import json

import click

from seatpool.providers.registry import OWN_HOST
from seatpool.setup import address, page_token
from seatpool.setup.doctor.asking import Proxy, Told

THROUGH = f"http://{OWN_HOST}/"


def _proxy(_ctx: click.Context, _param: click.Parameter, value: str) -> address.Address:
    try:
        return address.parse(value)
    except address.NoProxy as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.option(
    "--proxy",
    metavar="URL",
    default=address.proxy_url(),
    show_default=True,
    callback=_proxy,
    help="Where the proxy listens.",
)
@click.option("--new-token", is_flag=True, help="Make another token: the former counts no longer.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def page(proxy: address.Address, new_token: bool, as_json: bool) -> None:
    """Say where a browser finds the pool's page, and show the token that it asks for before it pauses an account.

    \b
    seatpool page
    chromium --proxy-server=http://127.0.0.1:8080 http://seatpool.test/
    seatpool run -- --set pool_page_port=8099
    """
    file = page_token.default_file()
    token = page_token.renew(file) if new_token else page_token.token(file)
    told = Proxy(proxy, OWN_HOST).about()
    own = [str(each) for each in (told.told or {}).get("page", ())]
    if as_json:
        printed = {"through_proxy": THROUGH, "proxy": address.shown(proxy.url), "addresses": own, "token": token}
        click.echo(json.dumps(printed, indent=2))
        return
    click.echo(f"{THROUGH}  in a browser that goes through {address.shown(proxy.url)}")
    for each in own or ("(elsewhere: with --set pool_page_port=8099, also at http://127.0.0.1:8099/)",):
        click.echo(each)
    click.echo(f"token: {token}")
    wrong = _wrong(told)
    if wrong is not None:
        click.echo(f"now nobody answers there: {wrong}", err=True)


def _wrong(told: Told) -> str | None:
    if told.told is not None:
        return None
    if told.nobody:
        return "the proxy does not run, or listens elsewhere (--proxy URL)"
    return "it asks for a password: --proxy http://NAME:PASSWORD@HOST:PORT" if told.password else told.words
