"""A PAC file: browsers, and editors that are made of one, ask it for each host which way to go.

Pooled hosts go through the proxy, and directly where that does not answer: a dead proxy stops nobody. Everything else
goes directly.
"""

from collections.abc import Sequence

from seatpool.setup.address import Address

PATH = "/seatpool.pac"
"""Where a running proxy serves it."""
CONTENT_TYPE = "application/x-ns-proxy-autoconfig"
_TEXT = """\
// {title}: the pooled hosts through the proxy while it answers, all else directly.
function FindProxyForURL(url, host) {{
  var pooled = {pattern};
  if (url.substring(0, 6) !== "https:" && url.substring(0, 4) !== "wss:") return "DIRECT";
  return pooled.test(host.toLowerCase()) ? "PROXY {proxy}; DIRECT" : "DIRECT";
}}
"""


def pac(hosts: Sequence[str], proxy: Address) -> str:
    """For hosts as regular expressions, such as the providers'; these mean the same in JavaScript."""
    pattern = f"/^(?:{'|'.join(hosts)})$/"
    return _TEXT.format(title=f"seatpool at {place(proxy)}", pattern=pattern, proxy=place(proxy))


def place(proxy: Address) -> str:
    """As PAC files name a proxy."""
    return f"[{proxy.host}]:{proxy.port}" if ":" in proxy.host else f"{proxy.host}:{proxy.port}"
