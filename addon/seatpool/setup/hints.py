"""What to set in an editor and a shell so that their requests come through the proxy."""

from pathlib import Path

CA_FILE = Path("~/.mitmproxy/mitmproxy-ca-cert.pem")
"""mitmproxy writes it at its first start."""


def hints(port: int) -> str:
    """A few lines for a person who has just started the proxy on this loopback port."""
    proxy = f"http://127.0.0.1:{port}"
    return (
        f"seatpool listens on {proxy}; its certificate authority is {CA_FILE} (how to trust it: certs-howto.md)\n"
        f'  VS Code, settings.json   "http.proxy": "{proxy}", "http.proxySupport": "override"\n'
        f"  Codex, ~/.codex/.env     HTTPS_PROXY={proxy}\n"
        f"                           SSL_CERT_FILE={CA_FILE.expanduser()}\n"
        f"  a shell                  export HTTPS_PROXY={proxy} NODE_EXTRA_CA_CERTS={CA_FILE}"
        f" CODEX_CA_CERTIFICATE={CA_FILE}"
    )
