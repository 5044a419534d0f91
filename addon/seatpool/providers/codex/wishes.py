"""A Codex request that asks for another model, or for being served faster: body, message and routing hint together.

`x-codex-routing-hint: model=<slug>[;tier=<t>]` says ahead what the body says (codex.md 2.1). With fast mode of its own
Codex 0.169 writes `model=<slug>;tier=priority` there, and `"service_tier":"priority"` into the body, or into every
`response.create` of the socket, the one that only warms it up included.
"""

from seatpool.providers.base import Route
from seatpool.providers.codex.continuity import ROUTING_HINT
from seatpool.providers.http import HeaderView
from seatpool.providers.rewriting import PRIORITY, Rewritten, Wish, rewrite_body

REPLACEABLE = frozenset({"responses", "responses-ws", "compact"})
HASTENED = frozenset({"responses", "responses-ws"})
MODEL_NAMES = frozenset({b"openai-model"})
"""Of another model than it has asked for Codex says that the account was flagged for what it did (openai/codex issue
12003), whatever the reason."""


def rewrite(route: Route, path: str, headers: HeaderView, body: bytes, wish: Wish) -> Rewritten:
    """A handshake has no body: its hint tells what its messages will be made to say."""
    granted = wish
    if not route.websocket:
        body, granted = rewrite_body(body, wish)
    hint = headers.get(ROUTING_HINT)
    told = _hinted(hint, granted) if hint is not None else None
    return Rewritten(path, ((ROUTING_HINT, told),) if told is not None and told != hint else (), body)


def _hinted(hint: str, granted: Wish) -> str:
    """The hint, consistent with what was granted; every other part of it stays as it is."""
    parts = hint.split(";")
    names = [part.partition("=")[0].strip() for part in parts]
    if granted.model is not None:
        asked = f"model={granted.asked}"
        parts = [f"model={granted.model}" if part.strip() == asked else part for part in parts]
    if granted.fast and "tier" not in names:
        parts.append(f"tier={PRIORITY}")
    return ";".join(parts)
