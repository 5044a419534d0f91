"""Inputs as text that a person can read and a fuzzer can change: what is not there is empty."""

from typing import NamedTuple

from seatpool.providers.http import Headers, HttpReply

SEPARATOR = b"\n====\n"
"""Between the messages of a conversation."""


class Message(NamedTuple):
    """A first line, headers, an empty line, a body."""

    first: str
    headers: Headers
    body: bytes

    @property
    def status(self) -> int:
        """What its first line states, as a status that HTTP knows."""
        digits = self.first[:3]
        return min(max(int(digits), 100), 599) if digits.isascii() and digits.isdigit() else 429

    @property
    def reply(self) -> HttpReply:
        """The message as an answer."""
        return HttpReply(self.status, self.headers, self.body)


def message(data: bytes) -> Message:
    """Header fields as mitmproxy gives them: what is no UTF-8 comes as lone surrogates."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.decode("utf-8", "surrogateescape").split("\n")
    fields = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return Message(first, Headers(field for field in fields if field[0]), body)


def conversation(data: bytes) -> list[HttpReply | None]:
    """Answers one after the other; an empty one is none at all."""
    return [message(part).reply if part.strip() else None for part in data.split(SEPARATOR)]


def lines(data: bytes, count: int) -> list[str]:
    """The first lines of an input, and empty ones for those that it lacks."""
    found = data.decode("utf-8", "surrogateescape").split("\n", count - 1)
    return found + [""] * (count - len(found))
