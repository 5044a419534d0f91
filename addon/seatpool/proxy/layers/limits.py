"""How long an attempt may take before its answer begins: one timer for all the streams of a client's connection.

A timer of its own for every request would cost more than everything else that is done for it; so a connection with
attempts under way looks at all of them about once a second, and one without has no timer.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from time import monotonic

from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layers.http._base import HttpEvent, ReceiveHttp
from msgspec import Struct

LONGEST_TICK_S = 1.0
TICKS = 4
"""How often a limit that is shorter than some seconds is looked at before it ends."""


class Limits(Struct, frozen=True):
    """Seconds; 0: none. The defaults stand in `options`."""

    connect_s: float = 0.0
    """TCP, TLS and, for a WebSocket, the answer to its handshake."""
    header_s: float = 0.0
    """From the sending to the head of a stream's answer, and to the end of a refusal. Of a stream's body there is no
    limit: mitmproxy ends a connection on which nothing moved for ten minutes (`tcp_timeout`)."""
    hold_s: float = 0.0
    """How long the first events of a stream are held back at most."""
    hold_bytes: int = 0
    """How much of them."""

    @property
    def tick_s(self) -> float:
        """Between two looks."""
        return min(
            [LONGEST_TICK_S, *(limit / TICKS for limit in (self.connect_s, self.header_s, self.hold_s) if limit)]
        )


NO_LIMITS = Limits()


@dataclass
class Overdue(HttpEvent):
    """An attempt has reached its limit."""


class Clock:
    """Takes a stream's place as the source of its timer, so that the timer holds on to no stream and its bodies."""

    def __init__(self, limits: Limits, is_lost: Callable[[int], bool] = lambda stream_id: False) -> None:
        self.limits = limits
        self._is_lost = is_lost
        """Whether a stream waits on a connection that is no more."""
        self._ends: dict[int, float] = {}
        """Monotonic time by the client's stream id."""
        self._running = False

    def watch(self, stream_id: int, limit_s: float) -> commands.RequestWakeup | None:
        """A stream's limit begins now, in place of an earlier one. Returns the timer that is to be started, if any."""
        if not limit_s:
            self._ends.pop(stream_id, None)
            return None
        self._ends[stream_id] = monotonic() + limit_s
        if self._running:
            return None
        self._running = True
        return commands.RequestWakeup(self.limits.tick_s)

    def forget(self, stream_id: int) -> None:
        """Nothing of this stream is waited for any more."""
        self._ends.pop(stream_id, None)

    def handle_event(self, event: events.Event) -> Generator[commands.Command, None, None]:
        """The timer is over: tell every stream that is overdue, and start it anew while there are others.

        A connection's end can get lost inside mitmproxy (where a write fails while it is waiting to tell): whoever
        waits on one that is gone is overdue at once.
        """
        now = monotonic()
        for stream_id in [number for number, end in self._ends.items() if end <= now or self._is_lost(number)]:
            self._ends.pop(stream_id, None)
            yield ReceiveHttp(Overdue(stream_id))
        self._running = bool(self._ends)
        if self._running:
            yield commands.RequestWakeup(self.limits.tick_s)
