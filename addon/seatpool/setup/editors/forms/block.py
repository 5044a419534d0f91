"""Lines of a program's language between two markers: shells, Vim's and Lua's files, systemd's environment.

Everything outside the markers is left alone. What stands outside counts as well where it sets the same names: a person
who has done it by hand needs no block.
"""

import re
from collections.abc import Iterable, Mapping
from typing import ClassVar

import msgspec

from seatpool.setup.editors.content import Unreadable, line_end
from seatpool.setup.editors.forms.dialects import DIALECTS, Name
from seatpool.setup.editors.forms.value import Value


class Block(msgspec.Struct, frozen=True, tag=True):
    """The form; see the package."""

    whole: ClassVar[bool] = True
    """All of its settings are written, also those that hold already."""

    dialect: Name
    owner: str
    """The target that it is for: a file may hold blocks of several."""

    @property
    def mark(self) -> bytes:
        return DIALECTS[self.dialect].mark

    def read(self, text: str) -> dict[str, Value | None]:
        self._span(text)
        read = DIALECTS[self.dialect].read
        return {key: value for line in text.splitlines() for key, value in read(line)}

    def put(self, text: str, settings: Mapping[str, Value]) -> str:
        nl = line_end(text)
        block = "".join(f"{line}{nl}" for line in self._lines(settings))
        span = self._span(text)
        if span is not None:
            return text[: span[0]] + block + text[span[1] :]
        return f"{text}{'' if text.endswith('\n') or not text else nl}{block}"

    def take(self, text: str, settings: Mapping[str, Value], former: str) -> str:
        del settings, former  # the block is ours, whatever stands in it
        span = self._span(text)
        return text if span is None else text[: span[0]] + text[span[1] :]

    def _lines(self, settings: Mapping[str, Value]) -> Iterable[str]:
        how = DIALECTS[self.dialect]
        begin, end = self._markers()
        yield begin
        yield f"{how.comment} taken back by: seatpool setup {self.owner} --undo"
        for key, value in settings.items():
            yield how.line(key, value)
        if "HTTPS_PROXY" in settings:
            yield from how.besides
        yield end

    def _markers(self) -> tuple[str, str]:
        comment = DIALECTS[self.dialect].comment
        return f"{comment} >>> seatpool {self.owner} >>>", f"{comment} <<< seatpool {self.owner} <<<"

    def _span(self, text: str) -> tuple[int, int] | None:
        begin, end = (
            re.compile(rf"^{re.escape(marker)}[ \t]*\r?(?:\n|\Z)", re.MULTILINE) for marker in self._markers()
        )
        first = begin.search(text)
        if first is None:
            return None
        last = end.search(text, first.end())
        again = begin.search(text, first.end())
        if last is None or (again is not None and again.start() < last.start()):
            marker = self._markers()[1]
            raise Unreadable.at(text, first.start(), f"this block of seatpool's has lost its last line, {marker!r}")
        return first.start(), last.end()
