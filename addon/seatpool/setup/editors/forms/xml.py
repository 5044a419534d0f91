"""A component of JetBrains' `<application>` files: `<option name="..." value="..." />`, at most one of each name."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

import msgspec

from seatpool.setup.editors.content import Unreadable, line_end
from seatpool.setup.editors.forms.value import Value

_VALUE = re.compile(rb"\bvalue\s*=\s*(\"[^\"]*\"|'[^']*')")
_STEP = "  "
_BLANKS = " \t\r\n"
"""What XML takes for such."""


class _Element(msgspec.Struct):
    start: int
    inner: int = 0
    """Behind its start tag."""
    inner_end: int = 0
    """At its end tag; where there is none (`<a />`) it is `inner`."""
    end: int = 0
    value: str = ""


class _Found(msgspec.Struct):
    """Byte offsets of what is looked for."""

    root: _Element | None = None
    component: _Element | None = None
    options: dict[str, _Element] = msgspec.field(default_factory=dict)


class Options(msgspec.Struct, frozen=True, tag=True):
    """The form; see the package. Truth is written as `true` and `false`."""

    whole: ClassVar[bool] = False
    mark: ClassVar[bytes] = b""

    component: str

    def read(self, text: str) -> dict[str, Value | None]:
        return {name: element.value for name, element in self._parse(text).options.items()}

    def put(self, text: str, settings: Mapping[str, Value]) -> str:
        found, raw, nl = self._parse(text), text.encode(), line_end(text)
        present = [(found.options[key], settings[key]) for key in settings if key in found.options]
        new = {key: value for key, value in settings.items() if key not in found.options}
        edits = [self._changed(raw, element, value) for element, value in present]
        if new:
            edits.append(self._added(raw, found, new, nl))
        for start, end, replacement in sorted(edits, reverse=True):
            raw = raw[:start] + replacement + raw[end:]
        return raw.decode()

    def take(self, text: str, settings: Mapping[str, Value], former: str) -> str:
        before = self.read(former)
        found, raw = self._parse(text), text.encode()
        edits = []
        for key, value in settings.items():
            element = found.options.get(key)
            if element is None or element.value != _text(value):
                continue
            old = before.get(key)
            edits.append(self._changed(raw, element, old) if old is not None else (*_line(raw, element), b""))
        for start, end, replacement in sorted(edits, reverse=True):
            raw = raw[:start] + replacement + raw[end:]
        return raw.decode()

    def _changed(self, raw: bytes, element: _Element, value: Value) -> tuple[int, int, bytes]:
        match = _VALUE.search(raw, element.start, element.inner)
        if match is None:
            return element.start + len(b"<option"), element.start + len(b"<option"), f" value={_quoted(value)}".encode()
        return match.start(1), match.end(1), _quoted(value).encode()

    def _added(self, raw: bytes, found: _Found, new: Mapping[str, Value], nl: str) -> tuple[int, int, bytes]:
        if found.component is not None:
            return _filled(
                raw, found.component, _options(new, _indent(raw, found.component) + _STEP, nl), "component", nl
            )
        root = found.root
        if root is None:
            body = _component(self.component, new, _STEP, nl)
            return len(raw), len(raw), f"<application>{nl}{body}</application>{nl}".encode()
        return _filled(raw, root, _component(self.component, new, _indent(raw, root) + _STEP, nl), "application", nl)

    def _parse(self, text: str) -> _Found:
        found, raw = _Found(), text.encode()
        if not text.strip(_BLANKS):
            return found
        parser = expat.ParserCreate("utf-8")
        open_elements: list[tuple[str, _Element, dict[str, str]]] = []

        def start(name: str, attributes: dict[str, str]) -> None:
            element = _Element(parser.CurrentByteIndex)
            element.inner = element.inner_end = element.end = raw.index(b">", _behind_values(raw, element.start)) + 1
            open_elements.append((name, element, attributes))
            depth, element.value = len(open_elements), attributes.get("value", "")
            if depth == 1:
                found.root = element
            elif depth == 2 and name == "component" and attributes.get("name") == self.component:
                found.component = element
            elif depth == 3 and name == "option" and found.component is open_elements[1][1]:
                found.options[attributes.get("name", "")] = element

        def end(_name: str) -> None:
            element = open_elements.pop()[1]
            if raw[element.inner - 2 : element.inner] != b"/>":
                element.inner_end = parser.CurrentByteIndex
                element.end = raw.index(b">", element.inner_end) + 1

        parser.StartElementHandler, parser.EndElementHandler = start, end
        _feed(parser, raw)
        if open_elements or found.root is None or not raw.startswith(b"<application", found.root.start):
            raise Unreadable("line 1: settings begin with <application>")
        return found


def _feed(parser: Any, raw: bytes) -> None:
    try:
        parser.Parse(raw, True)
    except expat.ExpatError as error:
        raise Unreadable(f"line {error.lineno}: {expat.ErrorString(error.code)}") from None


def _behind_values(raw: bytes, position: int) -> int:
    """Of the start tag there: a value may hold a `>`."""
    match = re.compile(rb"<(?:[^<>\"']|\"[^\"]*\"|'[^']*')*").match(raw, position)
    return match.end() if match else position


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quoted(value: Value) -> str:
    return quoteattr(_text(value))


def _options(settings: Mapping[str, Value], indent: str, nl: str) -> str:
    return "".join(f'{indent}<option name="{key}" value={_quoted(value)} />{nl}' for key, value in settings.items())


def _component(name: str, settings: Mapping[str, Value], indent: str, nl: str) -> str:
    return f'{indent}<component name="{name}">{nl}{_options(settings, indent + _STEP, nl)}{indent}</component>{nl}'


def _filled(raw: bytes, element: _Element, body: str, name: str, nl: str) -> tuple[int, int, bytes]:
    """With lines in front of its end tag."""
    indent = _indent(raw, element)
    if element.end == element.inner:  # <a />
        opened = raw[element.start : element.inner - 2].rstrip().decode()
        return element.start, element.end, f"{opened}>{nl}{body}{indent}</{name}>".encode()
    before = raw[element.inner : element.inner_end]
    kept = before.rstrip(b" \t")
    at = element.inner + len(kept)
    gap = "" if kept.endswith(b"\n") else nl
    return at, element.inner_end, f"{gap}{body}{indent}".encode()


def _indent(raw: bytes, element: _Element) -> str:
    line = raw[raw.rfind(b"\n", 0, element.start) + 1 : element.start]
    return line[: len(line) - len(line.lstrip(b" \t"))].decode()


def _line(raw: bytes, element: _Element) -> tuple[int, int]:
    """Of the whole line where nothing else is on it."""
    start, end = raw.rfind(b"\n", 0, element.start) + 1, raw.find(b"\n", element.end) + 1
    alone = end and not raw[start : element.start].strip() and not raw[element.end : end].strip()
    return (start, end) if alone else (element.start, element.end)
