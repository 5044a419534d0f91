"""The PAC file, served to whoever asks the proxy itself for it: `http://127.0.0.1:8080/seatpool.pac`.

Browsers do not take it from a file. It holds no secret, and says nothing but where it was got from.
"""

from mitmproxy import ctx, http

from seatpool.providers.registry import pooled_patterns
from seatpool.proxy.listening import is_ours
from seatpool.setup import pac
from seatpool.setup.address import parse, proxy_url


class PacFile:
    """An addon of its own: it has to answer before anybody finds that the way leads back into this proxy."""

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """A request without TLS for ourselves, and for this path."""
        request = flow.request
        if request.path != pac.PATH or flow.client_conn.tls or flow.response is not None:
            return
        if request.method not in ("GET", "HEAD") or not is_ours((request.host, request.port), _listening()):
            return
        proxy = parse(proxy_url(request.port, request.host))
        headers = {"content-type": pac.CONTENT_TYPE, "cache-control": "no-cache", "x-content-type-options": "nosniff"}
        flow.response = http.Response.make(200, pac.pac(pooled_patterns(), proxy), headers)


def _listening() -> list[tuple[str, int]]:
    return [address[:2] for address in ctx.master.addons.get("proxyserver").listen_addrs()]
