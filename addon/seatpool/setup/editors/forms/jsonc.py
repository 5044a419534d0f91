"""JSON with comments and trailing commas, as VS Code and the Copilot CLI keep their settings in.

Written here because nothing fits: json-five keeps comments in a model that has to be edited around them, takes all of
JSON5 for good and an empty file for an error; jsonc-edit needs Node and downloads a package; the rest drop comments.
Only members of the outermost object are changed; the whole text is read, so that nothing is written into a broken one.

New members go to the top: there no other line changes, so that a diff shows nothing of a person's other settings.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import ClassVar

import msgspec

from seatpool.setup.editors.content import Unreadable, line_end
from seatpool.setup.editors.forms.value import Value

_GAP = re.compile(r"(?:[ \t\r\n]++|//[^\r\n]*+|/\*.*?\*/)*+", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*+"')
_SCALAR = re.compile(r"(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.])")
_REST_OF_LINE = re.compile(r"[ \t]*(?://[^\r\n]*)?(?=\r?\n)")
_INDENT = "    "
_DEEPEST = 200


class Member(msgspec.Struct, frozen=True):
    """Where one stands."""

    key: str
    start: int
    value_start: int
    end: int


class Document(msgspec.Struct, frozen=True):
    """The outermost object."""

    opening: int
    """Behind its brace; -1 where there is no object yet."""
    members: tuple[Member, ...]

    def last(self, key: str) -> Member | None:
        """Of several with one name the one that counts."""
        return next((member for member in reversed(self.members) if member.key == key), None)


class Jsonc(msgspec.Struct, frozen=True, tag=True):
    """The form; see the package."""

    whole: ClassVar[bool] = False
    mark: ClassVar[bytes] = b""

    def read(self, text: str) -> dict[str, Value | None]:
        return {member.key: _read(text, member) for member in parse(text).members}

    def put(self, text: str, settings: Mapping[str, Value]) -> str:
        document = parse(text)
        if document.opening < 0:
            nl = line_end(text)
            body = f",{nl}".join(_INDENT + _written(*item) for item in settings.items())
            gap = nl if text and not text.endswith("\n") else ""
            return f"{text}{gap}{{{nl}{body}{nl}}}{nl}"
        present = [(member, settings[key]) for key in settings if (member := document.last(key))]
        for member, value in sorted(present, key=lambda each: each[0].start, reverse=True):
            text = text[: member.value_start] + _changed(text, member, value) + text[member.end :]
        new = {key: value for key, value in settings.items() if document.last(key) is None}
        return _inserted(text, document, new) if new else text

    def take(self, text: str, settings: Mapping[str, Value], former: str) -> str:
        before = parse(former)
        for key, value in settings.items():
            member, old = parse(text).last(key), before.last(key)
            if member is None:
                continue
            if isinstance(value, tuple):
                gone = set(value) - set(_strings(former, old))
                text = _listed_less(text, member, gone, former[old.value_start : old.end] if old else None)
                continue
            if _read(text, member) != value:
                continue
            if old is not None:
                text = text[: member.value_start] + former[old.value_start : old.end] + text[member.end :]
            else:
                text = _without(text, member)
        return text


def parse(text: str) -> Document:
    """Raises `Unreadable`."""
    position = _gap(text, 0)
    if position == len(text):
        return Document(-1, ())
    if text[position] != "{":
        raise Unreadable.at(text, position, "settings begin with {")
    members: list[Member] = []
    end = _object(text, position, 0, members)
    rest = _gap(text, end)
    if rest != len(text):
        raise Unreadable.at(text, rest, "there is something behind the last }")
    return Document(position + 1, tuple(members))


def _gap(text: str, position: int) -> int:
    match = _GAP.match(text, position)
    assert match is not None
    if text.startswith("/*", match.end()):
        raise Unreadable.at(text, match.end(), "this comment has no end")
    return match.end()


def _object(text: str, position: int, depth: int, members: list[Member] | None = None) -> int:
    at = _gap(text, position + 1)
    while not text.startswith("}", at):
        key = _STRING.match(text, at)
        if key is None:
            raise Unreadable.at(text, at, "here a name in quotes or a } is missing")
        colon = _gap(text, key.end())
        if not text.startswith(":", colon):
            raise Unreadable.at(text, colon, f"after {key[0]} a : is missing")
        start = _gap(text, colon + 1)
        end = _value(text, start, depth)
        if members is not None:
            members.append(Member(json.loads(key[0]), at, start, end))
        at = _next(text, end, "}")
    return at + 1


def _list(text: str, position: int, depth: int) -> int:
    at = _gap(text, position + 1)
    while not text.startswith("]", at):
        at = _next(text, _value(text, at, depth), "]")
    return at + 1


def _next(text: str, end: int, closing: str) -> int:
    """Behind the comma after a value, or at what closes."""
    at = _gap(text, end)
    if text.startswith(",", at):
        return _gap(text, at + 1)
    if not text.startswith(closing, at):
        raise Unreadable.at(text, min(at, len(text) - 1), f"here a comma or a {closing} is missing")
    return at


def _value(text: str, position: int, depth: int) -> int:
    if depth > _DEEPEST:
        raise Unreadable.at(text, position, "this is nested too deeply")
    if text.startswith("{", position):
        return _object(text, position, depth + 1)
    if text.startswith("[", position):
        return _list(text, position, depth + 1)
    match = _STRING.match(text, position) or _SCALAR.match(text, position)
    if match is None:
        raise Unreadable.at(text, position, "here a value is missing or broken")
    return match.end()


def _read(text: str, member: Member) -> Value | None:
    """None for what is neither text nor truth nor a list."""
    if text.startswith("[", member.value_start):
        return tuple(_strings(text, member))
    if text.startswith("{", member.value_start):
        return None
    value = json.loads(text[member.value_start : member.end])
    return value if isinstance(value, str | bool) else None


def _elements(text: str, member: Member | None) -> Iterator[tuple[int, int]]:
    """Where those of a list stand; none of what is no list."""
    if member is None or not text.startswith("[", member.value_start):
        return
    at = _gap(text, member.value_start + 1)
    while not text.startswith("]", at):
        end = _value(text, at, 0)
        yield at, end
        at = _next(text, end, "]")


def _strings(text: str, member: Member | None) -> list[str]:
    return [json.loads(text[start:end]) for start, end in _elements(text, member) if text[start] == '"']


def _changed(text: str, member: Member, value: Value) -> str:
    """A value in the place of another one; what a list lacks is put in front of what it has."""
    former = text[member.value_start : member.end]
    if not isinstance(value, tuple) or not former.startswith("["):
        return json.dumps(value, ensure_ascii=False)
    present = _strings(text, member)
    lacking = "".join(f"{json.dumps(each)}, " for each in value if each not in present)
    return f"[{lacking}{former[1:]}" if any(_elements(text, member)) else f"[{lacking.removesuffix(', ')}{former[1:]}"


def _listed_less(text: str, member: Member, gone: Collection[str], former: str | None) -> str:
    """A list without some of its words; where nothing is left of it, and no list was there before, what was there."""
    if not text.startswith("[", member.value_start):
        return text
    while (place := _place_of(text, member, gone)) is not None:
        text = text[: place[0]] + text[place[1] :]
    left = parse(text).last(member.key)
    if left is None or any(_elements(text, left)) or (former or "").startswith("["):
        return text
    return _without(text, left) if former is None else text[: left.value_start] + former + text[left.end :]


def _place_of(text: str, member: Member, words: Collection[str]) -> tuple[int, int] | None:
    """Of the first of them in a list, with the comma behind it, or before it where it is the last."""
    places = list(_elements(text, member))
    found = (i for i, (start, end) in enumerate(places) if text[start] == '"' and json.loads(text[start:end]) in words)
    index = next(found, None)
    if index is None:
        return None
    start, end = places[index]
    if index + 1 < len(places):
        return start, places[index + 1][0]
    if index:
        return places[index - 1][1], end
    comma = _gap(text, end)
    return start, comma + 1 if text.startswith(",", comma) else end


def _written(key: str, value: Value) -> str:
    return f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"


def _inserted(text: str, document: Document, new: Mapping[str, Value]) -> str:
    """New members in front of the others, on lines of their own where those have some."""
    nl, first = line_end(text), document.members[0] if document.members else None
    written = [_written(*item) for item in new.items()]
    at = document.opening
    if first is not None and "\n" not in text[at : first.start]:
        return text[: first.start] + "".join(f"{each}, " for each in written) + text[first.start :]
    indent = _INDENT
    if first is not None:
        line = text.rfind("\n", 0, first.start) + 1
        before = text[line : first.start]
        indent = before[: len(before) - len(before.lstrip(" \t"))]
    rest = _REST_OF_LINE.match(text, at)
    at = rest.end() if rest else at
    lines = f",{nl}".join(indent + each for each in written)
    behind = "," if first is not None else "" if "\n" in text[at : _gap(text, at)] else nl
    return f"{text[:at]}{nl}{lines}{behind}{text[at:]}"


def _without(text: str, member: Member) -> str:
    """Without it, one of the commas beside it, and its line where nothing else is on that."""
    start, end = member.start, member.end
    comma = _gap(text, end)
    if text.startswith(",", comma):
        text = text[:comma] + text[comma + 1 :]
    else:
        before = _comma_before(text, member)
        if before is not None:
            text, start, end = text[:before] + text[before + 1 :], start - 1, end - 1
    line, line_after = text.rfind("\n", 0, start) + 1, text.find("\n", end) + 1
    if line_after and not text[line:start].strip() and not text[end:line_after].strip():
        return text[:line] + text[line_after:]
    if start == member.start:
        return text[:start] + text[end:].removeprefix(" ")
    return text[:start].removesuffix(" ") + text[end:]


def _comma_before(text: str, member: Member) -> int | None:
    """Where the comma stands that parts it from the one in front."""
    members = parse(text).members
    place = next(index for index, each in enumerate(members) if each.start == member.start)
    return _gap(text, members[place - 1].end) if place else None
