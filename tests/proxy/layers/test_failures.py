"""What the lack of an answer means: can the request have been served?"""

import pytest
from mitmproxy.proxy.layers.http._events import ErrorCode, ResponseProtocolError

from seatpool.core.outcome import Outcome, OutcomeKind
from seatpool.proxy.layers.failures import LOST, MALFORMED, TIMED_OUT, Sent, failure_of

CLOSED = "server closed connection"
CLOSED2 = "peer closed connection"
GOAWAY = "HTTP/2 connection closed: <ConnectionTerminated error_code:0, last_stream_id:{}, additional_data:None>"
FAILED, STALE = OutcomeKind.CONNECT_FAILED, OutcomeKind.STALE_CONNECTION
UNANSWERED = Outcome(OutcomeKind.UNANSWERED, "unanswered")
REFUSED = Outcome(FAILED, "stream-refused")


@pytest.mark.parametrize(
    ("message", "sent", "outcome"),
    [
        # A connection that had carried a request, and is found dead at once.
        (CLOSED, Sent(reused=True, waited_s=0.1), Outcome(STALE, "stale-connection")),
        (CLOSED2, Sent(reused=True, waited_s=0.1), Outcome(STALE, "stale-connection")),
        (LOST, Sent(reused=True, waited_s=1.5), Outcome(STALE, "stale-connection")),
        (CLOSED, Sent(reused=True, waited_s=20), UNANSWERED),
        (CLOSED, Sent(), UNANSWERED),
        (CLOSED2, Sent(), UNANSWERED),
        # Some of an answer had come, or somebody had the request in hand.
        ("unexpected server response: b'HT'", Sent(reused=True), UNANSWERED),
        ("Cannot parse HTTP response: x", Sent(reused=True), UNANSWERED),
        ("stream reset by client (INTERNAL_ERROR)", Sent(reused=True), UNANSWERED),
        (MALFORMED, Sent(reused=True), UNANSWERED),
        (TIMED_OUT, Sent(reused=True), Outcome(OutcomeKind.UNANSWERED, "header-timeout")),
        # The server says that it did not touch it.
        ("stream reset by client (REFUSED_STREAM)", Sent(), REFUSED),
        ("stream reset by client (HTTP_1_1_REQUIRED)", Sent(), REFUSED),
        ("unexpected server response: b'stream reset by client (REFUSED_STREAM)'", Sent(), UNANSWERED),
        (GOAWAY.format(0), Sent(number=1), REFUSED),
        (GOAWAY.format(7), Sent(number=9), REFUSED),
        (GOAWAY.format(9), Sent(number=9), UNANSWERED),
        (GOAWAY.format("None"), Sent(number=9), UNANSWERED),
        # It had not left us.
        (CLOSED2, Sent(number=None), REFUSED),
        # A handshake is never served twice.
        (CLOSED, Sent(handshake=True), Outcome(FAILED, "unanswered")),
        (TIMED_OUT, Sent(handshake=True), Outcome(FAILED, "header-timeout")),
    ],
)
def test_what_the_lack_of_an_answer_means(message: str, sent: Sent, outcome: Outcome) -> None:
    assert failure_of(ResponseProtocolError(1, message, ErrorCode.GENERIC_SERVER_ERROR), sent) == outcome


@pytest.mark.parametrize(
    ("message", "timed_out", "code"),
    [
        ("[Errno 111] refused", False, "connect-failed"),
        ("connection cancelled", True, "connect-timeout"),
        ("Certificate verify failed: unable to get local issuer certificate", False, "certificate-not-trusted"),
    ],
)
def test_who_was_not_reached_has_served_nothing(message: str, timed_out: bool, code: str) -> None:
    event = ResponseProtocolError(1, message, ErrorCode.CONNECT_FAILED)
    assert failure_of(event, Sent(reused=True, timed_out=timed_out)) == Outcome(FAILED, code)
