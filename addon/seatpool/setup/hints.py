"""What to set in an editor and a shell so that their requests come through the proxy."""

import shlex
from pathlib import Path

from seatpool.setup.address import proxy_url
from seatpool.setup.authority import TRUSTED, default_folder


def hints(proxy: str | None, trusted: Path | None = None) -> str:
    """A few lines for a person who has just started the proxy at this address; `trusted` has its roots.

    None: in modes of mitmproxy whose clients are told of no HTTP proxy.
    """
    ca = trusted or default_folder() / TRUSTED
    authority = f"its certificate authority is {ca} (how to trust it: certs-howto.md)"
    if proxy is None:
        return f"seatpool starts in the mode that you name; {authority}"
    quoted = shlex.quote(str(ca))
    command = "seatpool setup" + ("" if proxy == proxy_url() else f" --proxy {proxy}")
    return (
        f"seatpool listens on {proxy}; {authority}\n"
        f"  what comes through it    {command}; with codex, vscode, shell, ...: sets that up, and asks before\n"
        f'  VS Code by hand          "http.proxy": "{proxy}" in settings.json; seatpool ca trust\n'
        f"  a shell by hand          export HTTPS_PROXY={proxy} NODE_EXTRA_CA_CERTS={quoted}"
        f" CODEX_CA_CERTIFICATE={quoted}"
    )
