"""What a request says otherwise than its editor wrote it, where the person wants that: two members, no other byte."""

import msgspec

from seatpool.core.silence import silent
from seatpool.providers.jsonparts import Member, members
from seatpool.providers.tolerant import read_json

TIER = "service_tier"
PRIORITY = "priority"
"""Fast mode, as Codex 0.169 asks for it itself (codex.md 2.3)."""
_TIERS = frozenset({TIER, "serviceTier"})
"""Whatever stands there, null as well, is the caller's own word."""

_CREATE = "response.create"


class Wish(msgspec.Struct, frozen=True):
    """What one attempt is to say."""

    asked: str | None = None
    """The model that the editor wrote."""
    model: str | None = None
    """The one to ask for in its place; None leaves it."""
    fast: bool = False
    """Ask for being served faster, where the request does not say how it wants to be served."""


NOTHING = Wish()


class Rewritten(msgspec.Struct, frozen=True):
    """What of a request may differ from what the editor wrote."""

    path: str
    headers: tuple[tuple[str, str], ...] = ()
    """New values of headers that it has; names in lower case."""
    body: bytes = b""
    """Decoded; the very same object where nothing is changed."""

    __repr__ = silent("body")


def rewrite_body(content: bytes, wish: Wish) -> tuple[bytes, Wish]:
    """The body as it is wished, and what of the wish that grants; as it was where it cannot be read."""
    found = members(content)
    return _rewritten(content, found, wish) if found is not None else (content, NOTHING)


def rewrite_frame(content: bytes, wish: Wish) -> bytes:
    """The same for a client's message, where that begins a turn."""
    found = members(content)
    kind = found.get("type") if found is not None else None
    if found is None or kind is None or _read(content, kind) != _CREATE:
        return content
    return _rewritten(content, found, wish)[0]


def _rewritten(content: bytes, found: dict[str, Member], wish: Wish) -> tuple[bytes, Wish]:
    model, fast = None, wish.fast and _TIERS.isdisjoint(found)
    if fast:  # behind everything else, so that what stands before it stays where it is
        end = max((member.value[1] for member in found.values()), default=content.index(b"{") + 1)
        comma = b"," if found else b""
        content = b'%b%b"%b":"%b"%b' % (content[:end], comma, TIER.encode(), PRIORITY.encode(), content[end:])
    named = found.get("model")
    if wish.model is not None and named is not None and _read(content, named) == wish.asked:
        model = wish.model
        start, end = named.value
        content = content[:start] + msgspec.json.encode(model) + content[end:]
    return content, Wish(wish.asked, model, fast)


def _read(content: bytes, member: Member) -> object:
    return read_json(content[slice(*member.value)])
