"""Who is answered.

A browser that can reach the page runs scripts of other origins too. They can neither read an answer (no answer has a
header that permits it) nor change anything: what acts needs a token that no browser sends by itself, and says where it
comes from. A foreign name that was made to resolve to this machine (DNS rebinding) is told by the Host header.
"""

import hmac
from collections.abc import Collection

from seatpool.page.visit import Answer, Visit, words

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_OURS = ("", "same-origin")
_OPENING = ("none", "same-site", "cross-site")
"""How a person comes to the page: by its address, or by a link elsewhere."""


def refusal(visit: Visit, hosts: Collection[str]) -> Answer | None:
    """Why a visit is not answered; None where it may be. `hosts`: our names, in lower case, with their port."""
    host = visit.hosts[0].lower() if len(visit.hosts) == 1 else ""
    if host.removesuffix(_DEFAULT_PORTS.get(visit.scheme, "")) not in hosts:
        return words(421, "This is reached by its own names alone.")
    origin = visit.headers.get("origin")
    if origin is not None and _plain(origin) != _plain(f"{visit.scheme}://{host}"):
        return words(403, "Other origins are not answered.")
    site = visit.headers.get("sec-fetch-site", "")
    if site in _OURS or (site in _OPENING and _opens_the_page(visit)):
        return None
    return words(403, "Other origins are not answered.")


def acting(visit: Visit, token: str) -> Answer | None:
    """Why a visit that `refusal` lets through may not change anything; None where it may."""
    if not visit.token:
        return words(401, "This needs the token that `seatpool page` shows.")
    if not hmac.compare_digest(visit.token.encode(), token.encode()):
        return words(403, "This is not the token that `seatpool page` shows.")
    return None


def _opens_the_page(visit: Visit) -> bool:
    """A person who looks, and in no frame of somebody else's."""
    kind = (visit.headers.get("sec-fetch-mode"), visit.headers.get("sec-fetch-dest"))
    by_address = visit.headers.get("sec-fetch-site") == "none"
    return visit.method in ("GET", "HEAD") and (by_address or (visit.path == "/" and kind == ("navigate", "document")))


def _plain(origin: str) -> str:
    """Without the port where that is the scheme's own."""
    scheme, _, host = origin.lower().partition("://")
    return f"{scheme}://{host.removesuffix(_DEFAULT_PORTS.get(scheme, ''))}"
