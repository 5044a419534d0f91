"""Where the parts of a JSON text stand, so that one value can be changed and every other byte stays as it is."""

import re

import msgspec

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Member(msgspec.Struct, frozen=True):
    """Where a member of an object stands, as byte offsets."""

    value: tuple[int, int]
    whole: tuple[int, int]
    """With its key and exactly one of the commas beside it."""


_KEY = re.compile(rb'[ \t\r\n]*("(?:[^"\\]|\\.)*+"[ \t\r\n]*:[ \t\r\n]*)', re.DOTALL)
_AFTER = re.compile(rb"[ \t\r\n]*([,}])")


def members(content: bytes) -> dict[str, Member] | None:
    """Where the members of an object stand; None where it is not one, or names a key twice.

    The decoder yields each value's very bytes, so only keys and punctuation between them are walked over here.
    """
    try:
        values = _decode_members(content)
    except (ValueError, RecursionError):
        return None
    found: dict[str, Member] = {}
    position = content.index(b"{") + 1
    comma, more = position, False
    for name, raw in values.items():
        key = _KEY.match(content, position)
        if key is None:
            return None
        start, end = key.end(), key.end() + len(raw_bytes := bytes(raw))
        after = _AFTER.match(content, end)
        if after is None or content[start:end] != raw_bytes:
            return None
        more = after[1] == b","
        # The first member takes the comma behind it along, every other one the comma before it.
        whole = (comma, end) if found else (key.start(1), after.end() if more else end)
        found[name] = Member((start, end), whole)
        comma, position = after.start(1), after.end()
    return None if more else found  # a comma is left over where a key came twice
