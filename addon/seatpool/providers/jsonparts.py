"""Where the parts of a JSON text stand, so that some can be changed and every other byte stays as it is."""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import msgspec

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Member(msgspec.Struct, frozen=True):
    """Where a member of an object stands, as byte offsets."""

    value: tuple[int, int]
    whole: tuple[int, int]
    """With its key and exactly one of the commas beside it."""


class Part(NamedTuple):
    """A member of an object or an element of an array, as byte offsets of the whole text."""

    start: int
    """Of a member's key."""
    value: int
    end: int


_KEY = re.compile(rb'[ \t\r\n]*("(?:[^"\\]|\\.)*+"[ \t\r\n]*:[ \t\r\n]*)', re.DOTALL)
_AFTER = re.compile(rb"[ \t\r\n]*([,}\]])")
_SPACE = re.compile(rb"[ \t\r\n]*")


def members(content: bytes) -> dict[str, Member] | None:
    """Where the members of an object stand; None where it is not one, or names a key twice."""
    found = fields(content)
    if found is None:
        return None
    placed: dict[str, Member] = {}
    comma = 0
    for name, part in found.items():
        after = _AFTER.match(content, part.end)
        assert after is not None
        # The first member takes the comma behind it along, every other one the comma before it.
        whole = (comma, part.end) if placed else (part.start, after.end() if after[1] == b"," else part.end)
        placed[name] = Member((part.value, part.end), whole)
        comma = after.start(1)
    return placed


def fields(content: bytes, start: int = 0, end: int | None = None) -> dict[str, Part] | None:
    """The members of the object that stands there; None where there is none, or a key comes twice.

    The decoder yields each value's very bytes, so only keys and punctuation between them are walked over here.
    """
    end = len(content) if end is None else end
    try:
        values = _decode_members(memoryview(content)[start:end])
    except (ValueError, RecursionError):
        return None
    found: dict[str, Part] = {}
    position, more = content.index(b"{", start) + 1, False
    for name, raw in values.items():
        key = _KEY.match(content, position, end)
        if key is None:
            return None
        part = Part(key.start(1), key.end(), key.end() + len(raw_bytes := bytes(raw)))
        after = _AFTER.match(content, part.end, end)
        if after is None or content[part.value : part.end] != raw_bytes:
            return None
        found[name], position, more = part, after.end(), after[1] == b","
    return None if more else found  # a comma is left over where a key came twice


def elements(content: bytes, start: int, end: int) -> list[Part] | None:
    """The elements of the array that stands there; None where there is none."""
    try:
        values = _decode_elements(memoryview(content)[start:end])
    except (ValueError, RecursionError):
        return None
    found: list[Part] = []
    position = content.index(b"[", start) + 1
    for raw in values:
        space = _SPACE.match(content, position, end)
        assert space is not None
        begin = space.end()
        part = Part(begin, begin, begin + len(bytes(raw)))
        after = _AFTER.match(content, part.end, end)
        assert after is not None
        found.append(part)
        position = after.end()
    return found


Change = tuple[int, int, bytes]
"""From where to where, and what comes in its place."""


def removed(parts: Sequence[Part], gone: Collection[int]) -> list[Change]:
    """What takes these of an object's or array's parts away, by their numbers, with as many commas."""
    if not gone:
        return []
    if len(gone) == len(parts):
        return [(parts[0].start, parts[-1].end, b"")]
    first = next(number for number in range(len(parts)) if number not in gone)
    changes = [(parts[0].start, parts[first].start, b"")] if first else []
    behind = (number for number in sorted(gone) if number > first)
    return changes + [(parts[number - 1].end, parts[number].end, b"") for number in behind]


def changed(content: bytes, changes: Iterable[Change]) -> bytes:
    """The text with these changes, none of which touches another; the very object where there is none."""
    pieces: list[bytes] = []
    position = 0
    for start, end, instead in sorted(changes):
        pieces += (content[position:start], instead)
        position = end
    return b"".join((*pieces, content[position:])) if pieces else content
