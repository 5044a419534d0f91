"""A settings file's bytes as text, and back, so that what is not touched comes out as it went in."""

import codecs

import msgspec


class Unreadable(Exception):
    """A file is not what its client would read; the text is one line that says where, without the file's name."""

    @classmethod
    def at(cls, text: str, position: int, reason: str) -> "Unreadable":
        """With the line, counted from 1."""
        return cls(f"line {text.count(chr(10), 0, position) + 1}: {reason}")


class Content(msgspec.Struct, frozen=True):
    """Text, and how it is written."""

    text: str
    codec: str = "utf-8"
    mark: bytes = b""
    """A byte order mark."""

    def encode(self, text: str) -> bytes:
        """Another text, written in the same way."""
        return self.mark + text.encode(self.codec)


_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
"""Windows PowerShell writes its files with the later ones."""


def decode(raw: bytes) -> Content:
    """Line ends stay as they are. Raises `Unreadable`."""
    mark, codec = next(((mark, codec) for mark, codec in _MARKS if raw.startswith(mark)), (b"", "utf-8"))
    try:
        return Content(raw[len(mark) :].decode(codec), codec, mark)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"line {line}: this is no text in {codec.upper()}") from None


def line_end(text: str) -> str:
    """That of the first line."""
    first = text.partition("\n")
    return "\r\n" if first[1] and first[0].endswith("\r") else "\n"
