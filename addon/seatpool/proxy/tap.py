"""What an answer tells at its end, without holding it up: chunks pass as they come, and the last of them are kept.

On the way nothing is parsed; that would be paid for with every chunk. Where an answer may give out what only its
account can read, what is kept no longer is searched for one or two marks, many chunks at once, and the events that
have one are set aside. Of a compressed answer a copy is unpacked.
"""

from typing import NamedTuple

from mitmproxy import http

from seatpool.core.outcome import Outcome
from seatpool.providers.counts import BEGINNING, END, NOTHING, Counted, billed, counted
from seatpool.providers.openings import Read, last_refusal
from seatpool.proxy.unpacking import Unpacker, coding_of, is_readable
from seatpool.service.memory.records import OK, Ending

KEPT = 2 * END
"""Bytes of an answer's end; when there are more, the older half goes."""
SET_ASIDE = 256 * 1024
"""So much of an answer at most; a cipher is some kilobytes long."""
_EVENTS_END = (b"\n\n", b"\n\r\n")


class Told(NamedTuple):
    """What a streamed answer has told."""

    counted: Counted
    refusal: Outcome | None = None
    """In which it ended."""
    issued: bytes = b""
    """Its events with a mark."""


class Tap:
    """What a streamed answer goes through: mitmproxy calls it with every chunk, and with nothing at the end."""

    __slots__ = ("_beginning", "_bill", "_chunks", "_read", "_response", "_sieve", "_size", "_unkept", "_unpack")

    def __init__(self, response: http.Response, read: Read, *, kept: bool, marks: tuple[bytes, ...] = ()) -> None:
        """`read` says what an event means; `kept`: mitmproxy stores what it streams."""
        self._read = read
        self._response: http.Response | None = response
        self._unkept = not kept
        self._chunks: list[bytes] = []
        self._size = 0
        self._beginning = b""
        """Of what is not among the last chunks any more."""
        self._bill = b""
        """As above: what `billed` keeps of it."""
        self._sieve = Sieve(marks) if marks else None
        coding = coding_of(response)
        self._unpack = Unpacker(coding) if coding else None

    @property
    def alone(self) -> bool:
        """Whether nobody else wants to see the chunks, mitmproxy included."""
        return self._unkept and self._response is not None and self._response.stream is self

    def __call__(self, chunk: bytes) -> bytes:
        """The very chunk."""
        seen = chunk if self._unpack is None else self._unpack(chunk)
        if seen:
            self._chunks.append(seen)
            self._size += len(seen)
        if self._size > KEPT:
            self._let_go()
        return chunk

    def told(self) -> Told:
        """What the answer told. Nothing is kept from then on."""
        end = b"".join(self._chunks)
        issued = self._sieve.rest(end) if self._sieve is not None else b""
        told = Told(counted(end, self._beginning, self._bill), last_refusal(self._read, end), issued)
        self._chunks.clear()
        self._beginning = self._bill = b""
        self._response = None  # which has this as its stream
        return told

    def _let_go(self) -> None:
        chunks, kept = self._chunks, 0
        first = len(chunks)
        while kept < END:
            first -= 1
            kept += len(chunks[first])
        gone = b"".join(chunks[:first])
        del chunks[:first]
        self._size = kept
        self._beginning += gone[: BEGINNING - len(self._beginning)]
        self._bill = billed(self._bill, gone)
        if self._sieve is not None:
            self._sieve.pass_on(gone)


class Sieve:
    """Sets aside the events in which a mark stands."""

    __slots__ = ("_aside", "_marks", "_open", "_room")

    def __init__(self, marks: tuple[bytes, ...]) -> None:
        self._marks = marks
        self._open = b""
        """The beginning of an event whose end is still to come."""
        self._aside: list[bytes] = []
        self._room = SET_ASIDE

    def pass_on(self, data: bytes) -> None:
        """So much more of the stream."""
        data = self._open + data
        whole = _behind(data, 0, len(data)) if len(data) < SET_ASIDE else len(data)
        self._search(data, whole)
        self._open = data[whole:]

    def rest(self, data: bytes) -> bytes:
        """The rest of the stream; returns what was set aside of all of it, and keeps nothing."""
        data = self._open + data
        self._search(data, len(data))
        aside, self._aside, self._open = b"".join(self._aside), [], b""
        return aside

    def _search(self, data: bytes, stop: int) -> None:
        end = 0
        while (at := min((p for m in self._marks if (p := data.find(m, end, stop)) >= 0), default=-1)) >= 0:
            begin, end = _behind(data, end, at), _ahead(data, at, stop)
            event = data[begin:end][: self._room]
            self._room -= len(event)
            self._aside.append(event)


def _behind(data: bytes, start: int, stop: int) -> int:
    """Where the event begins that goes on at `stop`."""
    return max((at + len(e) for e in _EVENTS_END if (at := data.rfind(e, start, stop)) >= 0), default=start)


def _ahead(data: bytes, start: int, stop: int) -> int:
    """Where the event is over that goes on at `start`."""
    return min((at + len(e) for e in _EVENTS_END if (at := data.find(e, start, stop)) >= 0), default=stop)


def tap(response: http.Response, read: Read, *, kept: bool, marks: tuple[bytes, ...] = ()) -> Tap | None:
    """Put one into a streamed answer; None where there is nothing to see. The arguments are `Tap`'s."""
    if response.stream is not True or not is_readable(response):
        return None
    response.stream = tap = Tap(response, read, kept=kept, marks=marks)
    return tap


def ending(outcome: str, total_ms: float | None, seen: Tap | None, response: http.Response | None) -> Ending:
    """How a flow ended: by what was seen of its stream, or by the answer that was read whole."""
    told = seen.told() if seen is not None else _whole(response)
    return Ending(OK if told.counted.over else outcome, total_ms, told.counted.tokens, told.refusal, told.issued)


def _whole(response: http.Response | None) -> Told:
    content = _content(response)
    found = counted(content[-END:], content[:BEGINNING]) if content else NOTHING
    return Told(found, issued=content[:SET_ASIDE])


def _content(response: http.Response | None) -> bytes:
    return response.get_content(strict=False) or b"" if response is not None and is_readable(response) else b""
