"""The options of commands that ask an issuer."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click


def _authority(_ctx: click.Context, _param: click.Parameter, value: Path | None) -> str | None:
    if value is None:
        return None
    try:
        ssl.create_default_context(cafile=value)
    except ssl.SSLError:
        raise click.BadParameter(f"{value} holds no certificate in PEM form") from None
    return str(value)


def _proxy(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        good = parts.scheme == "http" and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise click.BadParameter("name it as http://HOST:PORT, or as http://USER:PASSWORD@HOST:PORT")
    return value


def with_network[F: Callable[..., Any]](command: F) -> F:
    """Add `--ca` and `--proxy`: they go into `TransportSettings`."""
    trusted = click.option(
        "--ca",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        callback=_authority,
        help="PEM file of the authorities to trust in place of the system's.",
    )
    through = click.option(
        "--proxy",
        metavar="URL",
        callback=_proxy,
        help="HTTP proxy to ask the issuer through; variables such as HTTPS_PROXY are ignored.",
    )
    return trusted(through(command))
