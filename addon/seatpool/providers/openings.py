"""The beginning of an event stream: what its first event that means something says.

Events end with an empty line, whose lines end with CR, LF or both (the WHATWG's HTML standard, 9.2.6). Only `data` is
read; a provider's `read_event` says what it means. Chunks may be cut anywhere.
"""

import re
from collections.abc import Callable

from seatpool.core.outcome import OK, Outcome
from seatpool.providers.base import Frame

Read = Callable[[bytes], Frame]
"""What an event's data says: a provider's `read_event`, with all else that it wants to know."""

_BLANK = re.compile(rb"(?>\r\n|\r|\n)(?>\r\n|\r|\n)")
_LONGEST_BLANK = 4
_DATA = b"data:"
_MARK = b"\xef\xbb\xbf"
_LAST = 3
"""So many events from the end may tell how a stream ended; behind the last that says something come comments."""


class Opening:
    """Reads until the first event that means something, and no further."""

    __slots__ = ("_buffer", "_read", "_seen", "size")

    def __init__(self, read: Read) -> None:
        self._read = read
        self._buffer = bytearray()
        self._seen = 0
        """How much of the buffer was searched for an event's end."""
        self.size = 0
        """Bytes that were read."""

    def feed(self, chunk: bytes) -> Outcome | None:
        """`OK` for something of an answer, another outcome for a refusal, None as long as nothing was said."""
        self._buffer += chunk
        self.size += len(chunk)
        begin = 0
        while (blank := _BLANK.search(self._buffer, max(begin, self._seen))) is not None:
            told = _judged(self._read, _data(bytes(self._buffer[begin : blank.start()])))
            begin = self._seen = blank.end()
            if told is not None:
                return told
        del self._buffer[:begin]
        self._seen = max(0, len(self._buffer) - _LONGEST_BLANK)
        return None


def last_refusal(read: Read, end: bytes) -> Outcome | None:
    """The refusal in the last events of a stream; None where they hold none. `end` may begin amid an event."""
    for event in reversed(_BLANK.split(end)[1:][-_LAST:] if b"\r" in end else end.rsplit(b"\n\n", _LAST)):
        if b"error" in event:
            data = _data(event)
            outcome = read(data).outcome if data else None
            if outcome is not None:
                return outcome
    return None


def _judged(read: Read, data: bytes) -> Outcome | None:
    if not data:
        return None
    frame = read(data)
    if frame.outcome is not None:
        return frame.outcome
    return OK if frame.output or frame.terminal or not data.startswith(b"{") else None


def _data(event: bytes) -> bytes:
    lines = (line for line in event.removeprefix(_MARK).splitlines() if line.startswith(_DATA))
    return b"\n".join(line[len(_DATA) :].removeprefix(b" ") for line in lines)
