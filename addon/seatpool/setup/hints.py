"""What to set in an editor and a shell so that their requests come through the proxy."""

import shlex
from pathlib import Path

from seatpool.setup.address import PORT, proxy_url
from seatpool.setup.authority import TRUSTED, default_folder


def hints(port: int, trusted: Path | None = None) -> str:
    """A few lines for a person who has just started the proxy on this loopback port; `trusted` has its roots."""
    proxy = proxy_url(port)
    ca = trusted or default_folder() / TRUSTED
    quoted = shlex.quote(str(ca))
    command = "seatpool setup" + ("" if port == PORT else f" --proxy {proxy}")
    return (
        f"seatpool listens on {proxy}; its certificate authority is {ca} (how to trust it: certs-howto.md)\n"
        f"  what comes through it    {command}; with codex, vscode, shell, ...: sets that up, and asks before\n"
        f'  VS Code by hand          "http.proxy": "{proxy}" in settings.json; seatpool ca trust\n'
        f"  a shell by hand          export HTTPS_PROXY={proxy} NODE_EXTRA_CA_CERTS={quoted}"
        f" CODEX_CA_CERTIFICATE={quoted}"
    )
