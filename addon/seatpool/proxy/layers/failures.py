"""What it means that an attempt got no answer: above all, whether the request can have been served.

mitmproxy tells the cause in words only, so this file knows them; a table of tests holds every one.
"""

import re

from mitmproxy.proxy.layers.http._events import ErrorCode, ResponseProtocolError
from msgspec import Struct

from seatpool.core.outcome import Outcome, OutcomeKind

TIMED_OUT = "no answer in time"
"""Our own word for it."""
MALFORMED = "malformed answer"

NEVER_BEGAN = ("stream reset by client (REFUSED_STREAM)", "stream reset by client (HTTP_1_1_REQUIRED)")
"""HTTP/2 resets by which a server says that it has not touched the request (RFC 9113, 8.7)."""
LOST = "connection lost"
"""Ours as well."""
HUNG_UP = ("server closed connection", "peer closed connection", LOST)
"""The connection ended without a byte for this request: over HTTP/1, over HTTP/2, untold."""
UNTRUSTED = "Certificate verify failed"
"""How a message begins that tells of a certificate of the upstream's, or of whoever opens TLS on the way to it."""
_GOAWAY = re.compile(r"HTTP/2 connection closed: <ConnectionTerminated .*?last_stream_id:(\d+)")
"""Streams above the named one were not touched (RFC 9113, 6.8)."""

STALE_WITHIN_S = 2.0
"""A kept-alive connection that is dead is found so within a round trip. Who hangs up later had begun to work."""


class Sent(Struct, frozen=True):
    """What is known of an attempt that failed."""

    reused: bool = False
    """Its connection had carried a request before."""
    waited_s: float = 0.0
    """Since it was sent."""
    handshake: bool = False
    """It asked for a WebSocket, and that alone is never served twice."""
    timed_out: bool = False
    """We gave up."""
    number: int | None = 1
    """Its stream at the upstream; None where it waited in a queue of ours until the connection was lost."""


def failure_of(event: ResponseProtocolError, sent: Sent) -> Outcome:
    """What the lack of an answer means."""
    if event.code is ErrorCode.CONNECT_FAILED:
        code = "connect-timeout" if sent.timed_out else "connect-failed"
        return Outcome(
            OutcomeKind.CONNECT_FAILED, "certificate-not-trusted" if event.message.startswith(UNTRUSTED) else code
        )
    if _never_began(event.message, sent):
        return Outcome(OutcomeKind.CONNECT_FAILED, "stream-refused")
    if sent.reused and sent.waited_s < STALE_WITHIN_S and event.message in HUNG_UP:
        return Outcome(OutcomeKind.STALE_CONNECTION, "stale-connection")
    code = "header-timeout" if event.message == TIMED_OUT else "unanswered"
    return Outcome(OutcomeKind.CONNECT_FAILED if sent.handshake else OutcomeKind.UNANSWERED, code)


def _never_began(message: str, sent: Sent) -> bool:
    last = _GOAWAY.match(message)
    return message.startswith(NEVER_BEGAN) or sent.number is None or (last is not None and int(last[1]) < sent.number)
