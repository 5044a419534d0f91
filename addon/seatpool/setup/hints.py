"""What to set in an editor and a shell so that their requests come through the proxy."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from seatpool.setup.address import VARIABLES, proxy_url, same
from seatpool.setup.authority import TRUSTED, default_folder
from seatpool.setup.code import PACKAGE
from seatpool.setup.shell import here


def hints(proxy: str | None, trusted: Path | None = None) -> str:
    """A few lines for a person who has just started the proxy at this address; `trusted` has its roots.

    None: in modes of mitmproxy whose clients are told of no HTTP proxy.
    """
    ca = trusted or default_folder() / TRUSTED
    authority = f"its certificate authority is {ca} (how to trust it: certs-howto.md)"
    if proxy is None:
        return f"seatpool starts in the mode that you name; {authority}"
    named = {name: str(ca) for name in ("NODE_EXTRA_CA_CERTS", "CODEX_CA_CERTIFICATE")}
    command = "seatpool setup" + ("" if proxy == proxy_url() else f" --proxy {proxy}")
    return (
        f"seatpool listens on {proxy}; {authority}\n"
        f"  what comes through it    {command}; with codex, vscode, shell, ...: sets that up, and asks before\n"
        f'  VS Code by hand          "http.proxy": "{proxy}" in settings.json; seatpool ca trust\n'
        f"  a shell by hand          {here().setting({'HTTPS_PROXY': proxy, **named})}"
    )


def typed_as() -> str | None:
    """A line for who has a clone, where no `seatpool` is found of the commands that are named; None where one is."""
    script = PACKAGE.parents[1] / "scripts" / "seatpool"
    if os.name == "nt" or shutil.which("seatpool") is not None or not script.exists():  # it is a script for sh
        return None
    return f"what is called seatpool here is {here().quote(str(script))}"


def not_followed(environ: Mapping[str, str], proxy: str) -> str | None:
    """A line for who starts the proxy at this address in a shell that names another one as its way to the world.

    mitmproxy heeds no such variable (mitmproxy#1821), since it may lead to itself; where it is the only way out,
    nothing else would say why nothing is reached.
    """
    name = next((name for name in VARIABLES if environ.get(name)), None)
    if name is None:
        return None
    scheme, sign, rest = environ[name].partition("://")
    login, _, place = (rest if sign else scheme).rpartition("@")
    way = f"{scheme.lower() if sign else 'http'}://{place.partition('/')[0]}"
    if not way.startswith(("http://", "https://")) or any(same(way, own) for own in (proxy, proxy_url())):
        return None
    told = " --upstream-auth USER:PASSWORD" if login else ""
    return f"  where {name} is the only way out: seatpool run -- --mode upstream:{here().quote(way)}{told}"
