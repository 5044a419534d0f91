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

_DATA = b"data:"
_BLANK = re.compile(rb"(?>\r\n|\r|\n)(?>\r\n|\r|\n)")
"""An event's end, where the lines end in one of the two rarer ways."""
_LONGEST_BLANK = 4
_BEHIND = b"\n" + _DATA
_MARK = b"\xef\xbb\xbf"
_FAILS = b"error"
"""Every dialect has it in its failures."""
_LAST = 5
"""So many events from the end may tell how a stream ended: behind one that does come `[DONE]` and comments."""


class Opening:
    """Reads until the first event that means something, and no further."""

    __slots__ = ("_buffer", "_first", "_half", "_read", "_seen", "size")

    def __init__(self, read: Read) -> None:
        self._read = read
        self._buffer = b""
        self._seen = 0
        """How much of the buffer was searched for an event's end."""
        self._first = True
        """No event has ended yet: a mark of the encoding may stand before it."""
        self._half = False
        """The last end of an event was a CR at the end of a chunk: an LF behind it belongs to that."""
        self.size = 0
        """Bytes that were read."""

    def feed(self, chunk: bytes) -> Outcome | None:
        """`OK` for something of an answer, another outcome for a refusal, None as long as nothing was said."""
        self.size += len(chunk)
        buffer = self._buffer + chunk if self._buffer else chunk
        begin, sought = 0, self._seen
        if self._half and chunk:
            self._half = False
            begin = sought = int(buffer.startswith(b"\n"))
        while (blank := _blank(buffer, sought)) is not None:
            event = buffer[begin : blank[0]]
            told = _judged(self._read, _data(event.removeprefix(_MARK) if self._first else event))
            begin = sought = blank[1]
            self._first = False
            if told is not None:
                return told
        self._half = begin == len(buffer) and buffer.endswith(b"\r")
        self._buffer = buffer[begin:]
        self._seen = max(0, len(self._buffer) - _LONGEST_BLANK)
        return None


def last_refusal(read: Read, end: bytes) -> Outcome | None:
    """The refusal in the last events of a stream; None where they hold none. `end` may begin amid an event."""
    if _FAILS not in end:
        return None
    events = _BLANK.split(end) if b"\r" in end else end.rsplit(b"\n\n", _LAST)
    for event in events[: -_LAST - 1 : -1]:
        if _FAILS in event:
            data = _data(event.removeprefix(_MARK))
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


def _blank(buffer: bytes, start: int) -> tuple[int, int] | None:
    """Where the next event ends, and the one behind it begins."""
    if b"\r" not in buffer:
        at = buffer.find(b"\n\n", start)
        return (at, at + 2) if at >= 0 else None
    found = _BLANK.search(buffer, start)
    return found.span() if found is not None else None


def _data(event: bytes) -> bytes:
    if b"\r" not in event and event.count(_DATA) == 1:  # nearly every one is of this kind
        at = 0 if event.startswith(_DATA) else event.find(_BEHIND) + 1
        if at or event.startswith(_DATA):
            return event[at + len(_DATA) :].partition(b"\n")[0].removeprefix(b" ")
    lines = [line for line in event.splitlines() if line.startswith(_DATA)]
    return b"\n".join([line[len(_DATA) :].removeprefix(b" ") for line in lines])
