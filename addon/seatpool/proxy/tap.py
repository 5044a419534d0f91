"""What an answer tells at its end, without holding it up: chunks pass as they come, and the last of them are kept.

On the way nothing is parsed and no byte is copied; that would be paid for with every chunk. A compressed answer is let
through unseen.
"""

from collections import deque

from mitmproxy import http

from seatpool.core.outcome import Outcome
from seatpool.providers.counts import BEGINNING, END, NOTHING, Counted, counted
from seatpool.providers.openings import Read, last_refusal
from seatpool.service.records import OK, Ending

PLAIN = ("", "identity")


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

    def _drop(self) -> None:
        chunks = self._chunks
        while self._size - len(chunks[0]) >= END:
            oldest = chunks.popleft()
            self._size -= len(oldest)
            if self._space > 0:
                self._space -= len(oldest)
                self._beginning.append(oldest)


def tap(response: http.Response, read: Read, *, kept: bool) -> Tap | None:
    """Put one into a streamed answer; None where there is nothing to see. The arguments are `Tap`'s."""
    if response.stream is not True or not _plain(response):
        return None
    response.stream = tap = Tap(response, read, kept=kept)
    return tap


def ending(outcome: str, total_ms: float, seen: Tap | None, response: http.Response | None) -> Ending:
    """How a flow ended: by what was seen of its stream, or by the answer that was read whole."""
    told, refusal = seen.told() if seen is not None else (_whole(response), None)
    return Ending(OK if told.over else outcome, total_ms, told.tokens, refusal)


def _whole(response: http.Response | None) -> Counted:
    content = response.raw_content if response is not None and _plain(response) else None
    return counted(content[-END:], content[:BEGINNING]) if content else NOTHING


def _plain(response: http.Response) -> bool:
    return response.headers.get("content-encoding", "").lower() in PLAIN
