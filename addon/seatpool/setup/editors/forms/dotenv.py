"""`KEY=value` lines, as Codex reads them from its `.env` (dotenvy's way: `$` and `\\` mean something outside '...')."""

import re
from collections.abc import Mapping
from typing import ClassVar

import msgspec

from seatpool.setup.editors.content import line_end
from seatpool.setup.editors.forms.value import Value

_LINE = re.compile(
    r"^(?P<before>[ \t]*(?:export[ \t]+)?)(?P<key>[A-Za-z_][A-Za-z0-9_.]*)[ \t]*=[ \t]*(?P<value>.*?)[ \t]*$"
)
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,-]+")


class Dotenv(msgspec.Struct, frozen=True, tag=True):
    """The form; see the package. Of a key that stands there twice the last line counts, and all are changed."""

    whole: ClassVar[bool] = False
    mark: ClassVar[bytes] = b""

    def read(self, text: str) -> dict[str, Value | None]:
        matches = (_LINE.match(line) for line in text.splitlines())
        return {match["key"]: _unquoted(match["value"]) for match in matches if match}

    def put(self, text: str, settings: Mapping[str, Value]) -> str:
        nl, missing = line_end(text), dict(settings)
        lines = text.splitlines(keepends=True)
        for index, line in enumerate(lines):
            match = _LINE.match(line.rstrip("\r\n"))
            if match and match["key"] in settings:
                missing.pop(match["key"], None)
                if _unquoted(match["value"]) != settings[match["key"]]:
                    lines[index] = f"{match['before']}{_written(match['key'], settings[match['key']])}{_end(line)}"
        if missing and lines and not _end(lines[-1]):
            lines[-1] += nl
        return "".join(lines) + "".join(f"{_written(*item)}{nl}" for item in missing.items())

    def take(self, text: str, settings: Mapping[str, Value], former: str) -> str:
        before = {match["key"]: line for line in former.splitlines() if (match := _LINE.match(line))}
        kept = []
        for line in text.splitlines(keepends=True):
            match = _LINE.match(line.rstrip("\r\n"))
            if match and match["key"] in settings and _unquoted(match["value"]) == settings[match["key"]]:
                if match["key"] in before:
                    kept.append(before[match["key"]] + _end(line))
            else:
                kept.append(line)
        return "".join(kept)


def _end(line: str) -> str:
    return line[len(line.rstrip("\r\n")) :]


def _written(key: str, value: Value) -> str:
    text = str(value)
    if _PLAIN.fullmatch(text):
        return f"{key}={text}"
    if "'" not in text:
        return f"{key}='{text}'"
    return f'{key}="' + re.sub(r'([\\"$])', r"\\\1", text) + '"'


def _unquoted(raw: str) -> str:
    if len(raw) > 1 and raw[0] == raw[-1] == "'":
        return raw[1:-1]
    if len(raw) > 1 and raw[0] == raw[-1] == '"':
        return re.sub(r"\\(.)", r"\1", raw[1:-1])
    return raw.partition(" #")[0].rstrip()
