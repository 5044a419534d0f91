"""What to set in an editor and a shell so that their requests come through the proxy."""

import shlex
from pathlib import Path

from seatpool.setup.address import proxy_url
from seatpool.setup.authority import TRUSTED, default_folder


def hints(port: int, trusted: Path | None = None) -> str:
    """A few lines for a person who has just started the proxy on this loopback port; `trusted` has its roots."""
    proxy = proxy_url(port)
    ca = str(trusted or default_folder() / TRUSTED)
    quoted = f'"{ca}"' if " " in ca else ca
    return (
        f"seatpool listens on {proxy}; its certificate authority is {ca} (how to trust it: certs-howto.md)\n"
        f'  VS Code, settings.json   "http.proxy": "{proxy}", "http.proxySupport": "override"\n'
        f"  Codex, ~/.codex/.env     HTTPS_PROXY={proxy}\n"
        f"                           SSL_CERT_FILE={quoted}\n"
        f"  a shell                  export HTTPS_PROXY={proxy} NODE_EXTRA_CA_CERTS={shlex.quote(ca)}"
        f" CODEX_CA_CERTIFICATE={shlex.quote(ca)}"
    )
