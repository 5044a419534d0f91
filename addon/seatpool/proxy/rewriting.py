"""One sending's own path, headers and body, where it is to say something else than the flow does.

The flow keeps the editor's bytes: a replay begins with them, and they are what `mitmweb` and a dump show.
"""

from mitmproxy import http
from mitmproxy.net import encoding

from seatpool.providers.base import Edits, Provider, Route
from seatpool.providers.http import HeaderView
from seatpool.providers.rewriting import Rewritten, Wish
from seatpool.proxy.hiding import FieldList

CODINGS = frozenset({"identity", "gzip", "deflate", "br", "zstd"})
"""What a body may be wrapped in that is to be opened and wrapped again."""


def edited(fields: FieldList, edits: Edits, *, lowered: bool) -> FieldList:
    """The fields with an account's login in the places of the editor's; new ones at the end, by `lowered` names."""
    removed = {name.lower().encode() for name in edits.remove_headers}
    changed = {name.lower().encode(): (name.encode(), value.encode()) for name, value in edits.set_headers}
    found = []
    for name, value in fields:
        lower = name.lower()
        if lower in removed:
            continue
        if lower in changed:
            value = changed.pop(lower)[1]
            removed.add(lower)  # a second one of the editor's would go along with another account's
        found.append((name, value))
    return found + [(lower if lowered else name, value) for lower, (name, value) in changed.items()]


def rewrite(
    provider: Provider,
    route: Route,
    headers: HeaderView,
    request: http.Request,
    head: http.Request,
    wish: Wish | None,
    repaired: bytes | None = None,
) -> bytes | None:
    """Have the head that is about to be sent say what is wished. Returns the body to send, None for the flow's own.

    `headers` are the editor's own, `repaired` is what its decoded body was made into, None where nothing was. Where
    its body cannot be read, nothing is changed at all.
    """
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    raw = request.raw_content or b""
    if coding not in CODINGS:
        return None
    try:
        content = encoding.decode(raw, coding)
    except ValueError:
        return None
    assert isinstance(content, bytes)
    mended = content if repaired is None else repaired
    said = provider.rewrite(route, request.path, headers, mended, wish) if wish is not None else None
    said = said or Rewritten(request.path, body=mended)
    body: bytes | None = encoding.encode(said.body, coding) if said.body is not content else None
    head.path = said.path
    for name, value in said.headers:
        if name in head.headers:
            head.headers[name] = value
    if body is not None and "content-length" in head.headers:
        head.headers["content-length"] = str(len(body))
    return body
