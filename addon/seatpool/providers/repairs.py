"""Requests without what the account that is to serve them cannot read: the parts go, every other byte stays.

How each dialect is repaired is in its package's `repair`; here is what they have in common. A repair asks of each
carrier that it finds whether it is foreign, in the order of the request, so it tells what a request holds as well.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from heapq import merge

import msgspec

from seatpool.core.silence import silent
from seatpool.providers.carriers import Carrier
from seatpool.providers.jsonparts import Change, Part, changed, elements, fields, removed
from seatpool.providers.tolerant import read_json

Foreign = Callable[[Carrier, int], bool]
"""Whether a carrier, known by its `digest`, is to go."""

CAUSES: Mapping[str, frozenset[Carrier]] = {
    "item-id": frozenset({Carrier.ITEM}),
    "invalid_encrypted_content": frozenset({Carrier.CIPHER, Carrier.SIGNATURE}),
    "thinking-signature": frozenset({Carrier.SIGNATURE}),
    "vision_attachment_not_accessible": frozenset({Carrier.UPLOAD}),
    "previous_response_not_found": frozenset({Carrier.PREVIOUS}),
}
"""What a refusal is about, by its outcome's code. Of auto mode's session token it is none of these."""


class Repaired(msgspec.Struct, frozen=True):
    """What became of a request."""

    content: bytes
    """The very object where nothing was changed."""
    items: int = 0
    """How many parts were changed or taken away."""
    kinds: frozenset[Carrier] = frozenset()
    stuck: frozenset[Carrier] = frozenset()
    """Foreign, but never to be touched: a compaction's history would be lost with it (codex.md 2.3)."""

    __repr__ = silent("content")


Repair = Callable[[bytes, Foreign], Repaired]


class Handling(msgspec.Struct, frozen=True):
    """How one route's carriers are found, known again and repaired."""

    repair: Repair
    marks: tuple[bytes, ...] = ()
    """What stands in every event of an answer that gives one out, and in hardly any other; two at most."""
    issued: tuple[re.Pattern[bytes], ...] = ()
    """What gives one out in such an event, or in an answer that is no stream."""
    words: tuple[bytes, ...] = ()
    """Names of the members that hold them in a request."""
    certain: frozenset[Carrier] = frozenset()
    """Foreign ones of these kinds are refused every time (copilot.md 4)."""


def digest(value: bytes) -> int:
    """By this a carrier is known again: eight bytes of a hash, never its contents. `value` is a JSON text's inside."""
    if b"\\" in value:  # upstream and editor may escape it differently
        said = read_json(b'"%b"' % value)
        value = said.encode("utf-8", "surrogatepass") if isinstance(said, str) else value
    return int.from_bytes(blake2b(value, digest_size=8).digest())


def named(*names: bytes) -> re.Pattern[bytes]:
    """A member of one of these names, with something in it."""
    return re.compile(rb'"(?:%b)"\s*:\s*"((?:[^"\\]|\\.)++)"' % b"|".join(names))


_VALUE = re.compile(rb'\s*:\s*"((?:[^"\\]|\\.)++)"')
_CIPHER = b'"encrypted_content"'
_ID = b'"id"'
_REASONING = b'"reasoning"'


def issued(content: bytes, handling: Handling) -> set[int]:
    """Digests of what an answer, or the marked part of it, gives out."""
    return {digest(found) for pattern in handling.issued for found in pattern.findall(content)}


def newest(content: bytes, handling: Handling) -> Iterator[int]:
    """Digests of what a request may hold, the last of it first. Nothing is parsed, so some may be something else."""
    places = merge(*(_backwards(content, word) for word in handling.words), reverse=True)
    return (digest(found[1]) for place in places if (found := _VALUE.match(content, place)) is not None)


def _backwards(content: bytes, word: bytes) -> Iterator[int]:
    at = content.rfind(word)
    while at >= 0:
        yield at + len(word)
        at = content.rfind(word, 0, at)


class Changes:
    """What a repair is collecting."""

    def __init__(self, content: bytes, foreign: Foreign) -> None:
        self.content = content
        self.foreign = foreign
        self.changes: list[Change] = []
        self.items = 0
        self.kinds: set[Carrier] = set()
        self.stuck: set[Carrier] = set()

    def done(self) -> Repaired:
        """What comes of it."""
        kinds, stuck = frozenset(self.kinds), frozenset(self.stuck)
        return Repaired(changed(self.content, self.changes), self.items, kinds, stuck)

    def gone(self, kind: Carrier, count: int = 1) -> None:
        """So many of them go."""
        self.items += count
        self.kinds.add(kind)

    def within(self, part: Part, *words: bytes) -> bool:
        """Whether one of these stands in a part."""
        return any(self.content.find(word, part.value, part.end) >= 0 for word in words)

    def text(self, part: Part | None) -> bytes | None:
        """The inside of a JSON text; None where there is none, or nothing in it."""
        if part is None or self.content[part.value : part.value + 1] != b'"':
            return None
        return self.content[part.value + 1 : part.end - 1] or None

    def list_in(self, name: str) -> list[Part]:
        """The elements of the body's member of this name."""
        top = fields(self.content)
        part = top.get(name) if top is not None else None
        return (elements(self.content, part.value, part.end) or []) if part is not None else []


def repair_items(content: bytes, foreign: Foreign, *, ids: bool) -> Repaired:
    """`input` of the Responses API: reasoning with a foreign cipher goes whole, of other items the `id` where bound.

    Nothing else that is encrypted is touched, nor its id, to which it is bound (codex.md 2.3).
    """
    made = Changes(content, foreign)
    items = made.list_in("input")
    gone: set[int] = set()
    for number, item in enumerate(items):
        if not made.within(item, _CIPHER) and not (ids and made.within(item, _ID)):
            continue
        inner = fields(content, item.value, item.end)
        if inner is None:
            continue
        cipher, name = made.text(inner.get("encrypted_content")), made.text(inner.get("id")) if ids else None
        kind = inner.get("type")
        is_thought = kind is not None and content[kind.value : kind.end] == _REASONING
        sealed = made.within(item, _CIPHER) and not is_thought
        unread = [Carrier.CIPHER] * _foreign_ciphers(made, item, cipher)
        unread += [Carrier.ITEM] * (name is not None and foreign(Carrier.ITEM, digest(name)))
        if sealed and (cipher is not None or Carrier.CIPHER in unread):
            made.stuck.update(unread)
        elif Carrier.CIPHER in unread:
            gone.add(number)
            made.gone(Carrier.CIPHER)
        elif unread:
            made.changes += removed(list(inner.values()), [list(inner).index("id")])
            made.gone(Carrier.ITEM)
    made.changes += removed(items, gone)
    return made.done()


_ANY_CIPHER = named(b"encrypted_content")


def _foreign_ciphers(made: Changes, item: Part, own: bytes | None) -> bool:
    """Whether an item's own cipher is foreign, or where it has none of its own, any that stands deeper in it."""
    if own is not None:
        return made.foreign(Carrier.CIPHER, digest(own))
    found = _ANY_CIPHER.finditer(made.content, item.value, item.end)
    return sum(made.foreign(Carrier.CIPHER, digest(each[1])) for each in found) > 0  # each is asked about
