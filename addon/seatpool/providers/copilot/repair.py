"""What is done about things in a Copilot request that only another account can read (copilot.md 4).

====================================  =======================================================================
`id` of an earlier answer's item      the member is taken away; the refusal is certain
reasoning with `encrypted_content`    taken away, item and all; whether it is refused is not known
compaction, or anything else sealed   never touched, nor its id: it is the history
thinking with a `signature`           the block is taken away; the refusal is certain
`reasoning_opaque`, Gemini's          the member is taken away; whether it is refused is not known
`thought_signature`
`previous_response_id` on a socket    the client is told to ask elsewhere, and sends everything
a picture that was uploaded           nothing: it exists at its uploader alone
====================================  =======================================================================
"""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from seatpool.providers.carriers import Carrier
from seatpool.providers.jsonparts import Part, elements, fields, removed
from seatpool.providers.repairs import Changes, Foreign, Handling, Repaired, digest, named, repair_items

_DEEPEST = 16
"""So deep a signature is looked for in a message; Gemini's stands five deep."""

_UNSAID = b'[{"type":"text","text":"..."}]'
"""What an assistant's message holds that had nothing but thoughts, and cannot go: a content must not be empty, and the
person's messages on both sides of it must not meet."""

_OPAQUE = ("reasoning_opaque", "thought_signature", "thoughtSignature")
_OPAQUE_WORDS = tuple(f'"{name}"'.encode() for name in _OPAQUE)


def repair_messages(content: bytes, foreign: Foreign) -> Repaired:
    """`/v1/messages`: foreign thoughts go, and a message that had nothing else where the others still alternate."""
    made = Changes(content, foreign)
    messages = made.list_in("messages")
    emptied: dict[int, Part] = {}
    roles: list[bytes | None] = []
    for number, message in enumerate(messages):
        inner = fields(content, message.value, message.end) or {}
        roles.append(made.text(inner.get("role")))
        said = inner.get("content")
        if said is None or not made.within(said, b'"signature"', b'"redacted_thinking"'):
            continue
        blocks = elements(content, said.value, said.end) or []
        gone = {place for place, block in enumerate(blocks) if _is_foreign_thought(made, block)}
        if not gone:
            continue
        made.gone(Carrier.SIGNATURE, len(gone))
        if len(gone) == len(blocks):
            emptied[number] = said
        else:
            made.changes += removed(blocks, gone)
    _take_away(made, messages, emptied, roles)
    return made.done()


def _is_foreign_thought(made: Changes, block: Part) -> bool:
    inner = fields(made.content, block.value, block.end) or {}
    held = {b"thinking": "signature", b"redacted_thinking": "data"}.get(made.text(inner.get("type")) or b"")
    value = made.text(inner.get(held)) if held is not None else None
    return value is not None and made.foreign(Carrier.SIGNATURE, digest(value))


def _take_away(made: Changes, messages: list[Part], emptied: dict[int, Part], roles: list[bytes | None]) -> None:
    gone: set[int] = set()
    for number, said in emptied.items():
        before = next((roles[i] for i in range(number - 1, -1, -1) if i not in gone), None)
        behind = roles[number + 1] if number + 1 < len(roles) else None
        if before is not None and before == behind:
            made.changes.append((said.value, said.end, _UNSAID))
        else:
            gone.add(number)
    made.changes += removed(messages, gone)


def repair_chat(content: bytes, foreign: Foreign) -> Repaired:
    """`/chat/completions`: foreign opaque members of messages go, as deep as they stand."""
    made = Changes(content, foreign)
    for message in made.list_in("messages"):
        _drop_opaque(made, message, _DEEPEST)
    return made.done()


def _drop_opaque(made: Changes, part: Part, depth: int) -> None:
    if depth == 0 or not made.within(part, *_OPAQUE_WORDS):
        return
    opening = made.content[part.value : part.value + 1]
    if opening == b"[":
        for element in elements(made.content, part.value, part.end) or ():
            _drop_opaque(made, element, depth - 1)
        return
    inner = (fields(made.content, part.value, part.end) or {}) if opening == b"{" else {}
    gone = set()
    for number, (name, value) in enumerate(inner.items()):
        said = made.text(value) if name in _OPAQUE else None
        if said is not None and made.foreign(Carrier.SIGNATURE, digest(said)):
            gone.add(number)
        elif said is None:
            _drop_opaque(made, value, depth - 1)
    if gone:
        made.gone(Carrier.SIGNATURE, len(gone))
        made.changes += removed(list(inner.values()), gone)


_RESPONSES = Handling(
    partial(repair_items, ids=True),
    marks=(b"output_item.",),
    issued=(named(b"encrypted_content"), named(b"id")),
    words=(b'"encrypted_content"', b'"id"'),
    certain=frozenset({Carrier.ITEM}),
)

HANDLING: Mapping[str, Handling] = MappingProxyType(
    {
        "responses": _RESPONSES,
        "responses-ws": _RESPONSES,
        "messages": Handling(
            repair_messages,
            marks=(b'"signature"', b'"redacted_thinking"'),
            issued=(named(b"signature"), named(b"data")),
            words=(b'"signature"',),
            certain=frozenset({Carrier.SIGNATURE}),
        ),
        "chat-completions": Handling(
            repair_chat,
            marks=(b'"reasoning_opaque"', b"ignature"),
            issued=(named(*(name.encode() for name in _OPAQUE)),),
            words=_OPAQUE_WORDS,
        ),
    }
)
"""An item's id may be another one when the item begins than when it is done, so both of its events are marked."""
