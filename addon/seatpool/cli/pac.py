"""`seatpool pac`: the file by which browsers choose their way."""

from pathlib import Path

import click

from seatpool import inplace
from seatpool.providers.registry import pooled_patterns
from seatpool.setup import address
from seatpool.setup import pac as files


def _proxy(_ctx: click.Context, _param: click.Parameter, value: str) -> address.Address:
    try:
        named = address.parse(value)
    except address.NoProxy as error:
        raise click.BadParameter(str(error)) from None
    if named.has_login:
        raise click.BadParameter("a PAC file cannot name a password; name http://HOST:PORT")
    return named


@click.command()
@click.option(
    "--proxy",
    "proxy",
    metavar="URL",
    default=address.proxy_url(),
    show_default=True,
    callback=_proxy,
    help="Where the proxy listens.",
)
@click.option("--file", type=click.Path(dir_okay=False, path_type=Path), help="Write it there, and print nothing.")
def pac(proxy: address.Address, file: Path | None) -> None:
    """Print a PAC file: pooled hosts through the proxy, or directly while it does not answer; all else directly.

    A running proxy serves the same at http://127.0.0.1:8080/seatpool.pac.

    \b
    seatpool pac
    seatpool pac --file ~/seatpool.pac
    chromium --proxy-pac-url=http://127.0.0.1:8080/seatpool.pac
    """
    text = files.pac(pooled_patterns(), proxy)
    if file is None:
        click.echo(text, nl=False)
    else:
        with inplace.named(file):
            file.write_text(text)
