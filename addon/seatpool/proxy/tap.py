"""What an answer tells at its end, without holding it up: chunks pass as they come, and the last of them are kept.

On the way nothing is parsed and no byte is copied; that would be paid for with every chunk. Where an answer may give
out what only its account can read, each chunk is searched for one or two marks, a tenth of a microsecond each, and what
has one is set aside. A compressed answer is let through unseen.
"""

from collections import deque

from mitmproxy import http

from seatpool.core.outcome import Outcome
from seatpool.providers.counts import BEGINNING, END, NOTHING, Counted, counted
from seatpool.providers.openings import Read, last_refusal
from seatpool.service.records import OK, Ending

PLAIN = ("", "identity")
SET_ASIDE = 256 * 1024
"""So much of an answer at most; a cipher is some kilobytes long."""
_EVENTS_END = (b"\n\n", b"\n\r\n")
_NEVER = b"\xff"  # no part of any text


class Tap:
    """What a streamed answer goes through: mitmproxy calls it with every chunk, and with nothing at the end."""

    __slots__ = ("_beginning", "_chunks", "_read", "_response", "_size", "_space", "_unkept")

    def __init__(self, response: http.Response, read: Read, *, kept: bool) -> None:
        """`read` says what an event means; `kept`: mitmproxy stores what it streams."""
        self._read = read
        self._response = response
        self._unkept = not kept
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._beginning: list[bytes] = []
        """Chunks that are not among the last any more, the first of them."""
        self._space = BEGINNING

    @property
    def alone(self) -> bool:
        """Whether nobody else wants to see the chunks, mitmproxy included."""
        return self._unkept and self._response.stream is self

    def __call__(self, chunk: bytes) -> bytes:
        """The very chunk."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size > END:
            self._drop()
        return chunk

    def told(self) -> tuple[Counted, Outcome | None]:
        """What the answer told, and the refusal in which it ended, if any. Nothing is kept from then on."""
        end = b"".join(self._chunks)
        told = counted(end, b"".join(self._beginning)), last_refusal(self._read, end)
        self._chunks.clear()
        self._beginning.clear()
        return told

    def issued(self) -> bytes:
        """What was set aside. Nothing is kept of it from then on."""
        return b""

    def _drop(self) -> None:
        chunks = self._chunks
        while self._size - len(chunks[0]) >= END:
            oldest = chunks.popleft()
            self._size -= len(oldest)
            if self._space > 0:
                self._space -= len(oldest)
                self._beginning.append(oldest)


class Sieve(Tap):
    """One that sets aside the events in which a mark stands."""

    __slots__ = ("_aside", "_one", "_open", "_other", "_room")

    def __init__(self, response: http.Response, read: Read, *, kept: bool, marks: tuple[bytes, ...]) -> None:
        super().__init__(response, read, kept=kept)
        self._one, self._other = (*marks, _NEVER)[:2]
        self._open = False
        """The last chunk had a mark, and its event goes on."""
        self._aside: list[bytes] = []
        self._room = SET_ASIDE

    def __call__(self, chunk: bytes) -> bytes:
        """The very chunk."""
        if self._one in chunk or self._open or self._other in chunk:
            self._set_aside(chunk)
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size > END:
            self._drop()
        return chunk

    def issued(self) -> bytes:
        """What was set aside. Nothing is kept of it from then on."""
        aside, self._aside = b"".join(self._aside), []
        return aside

    def _set_aside(self, chunk: bytes) -> None:
        marked = max(chunk.rfind(self._one), chunk.rfind(self._other), 0)
        self._open = not any(chunk.find(end, marked) >= 0 for end in _EVENTS_END)
        self._room -= len(chunk)
        if self._room >= 0:
            self._aside.append(chunk)


def tap(response: http.Response, read: Read, *, kept: bool, marks: tuple[bytes, ...] = ()) -> Tap | None:
    """Put one into a streamed answer; None where there is nothing to see. The arguments are `Tap`'s and `Sieve`'s."""
    if response.stream is not True or not _plain(response):
        return None
    response.stream = tap = Sieve(response, read, kept=kept, marks=marks) if marks else Tap(response, read, kept=kept)
    return tap


def ending(outcome: str, total_ms: float | None, seen: Tap | None, response: http.Response | None) -> Ending:
    """How a flow ended: by what was seen of its stream, or by the answer that was read whole."""
    told, refusal = seen.told() if seen is not None else (_whole(response), None)
    issued = seen.issued() if seen is not None else _content(response)[:SET_ASIDE]
    return Ending(OK if told.over else outcome, total_ms, told.tokens, refusal, issued)


def _whole(response: http.Response | None) -> Counted:
    content = _content(response)
    return counted(content[-END:], content[:BEGINNING]) if content else NOTHING


def _content(response: http.Response | None) -> bytes:
    return response.raw_content or b"" if response is not None and _plain(response) else b""


def _plain(response: http.Response) -> bool:
    return response.headers.get("content-encoding", "").lower() in PLAIN
