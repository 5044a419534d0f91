"""Text in files that a person has had written by their shell.

Windows PowerShell's `>` writes UTF-16 whatever a program says, and editors of Windows put a mark before UTF-8.
"""

import codecs
from contextlib import suppress
from typing import IO

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def as_utf8(raw: bytes) -> bytes:
    """The same text without a mark; what has none, or is no such text, as it is."""
    for mark, codec in _MARKS:
        if raw.startswith(mark):
            with suppress(UnicodeError):
                return raw.removeprefix(mark).decode(codec).encode()
    return raw


def first_line(file: IO[bytes], longest: int) -> str:
    """Without its end, and none of what follows, which may not have been typed yet. Raises `UnicodeError`."""
    raw = file.readline(longest)
    if raw.startswith(codecs.BOM_UTF16_LE):
        raw += file.read(1)  # the other half of the line's end
    return as_utf8(raw).decode().rstrip("\r\n")
