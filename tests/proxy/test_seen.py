"""What a proxy notices of clocks and of clients by the way."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from freezegun import freeze_time
from mitmproxy import http, tls
from mitmproxy.test import tflow

from seatpool.proxy.seen import AT_MOST, LOOK_EVERY_S, Seen
from tests.proxy.driver import make_context

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def answer(date: str, **headers: str) -> http.HTTPFlow:
    flow = tflow.tflow(resp=True)
    assert flow.response is not None
    flow.response.headers = http.Headers(date=date, **headers)
    return flow


def test_the_clock_is_compared_with_several_answers() -> None:
    seen = Seen()
    assert seen.clock() is None
    for step, behind_s in enumerate((0, 100, 100, 100, 3)):
        with freeze_time(NOW + timedelta(seconds=step * LOOK_EVERY_S)) as frozen:
            now = frozen.time_to_freeze.replace(tzinfo=UTC)
            seen.responseheaders(answer(format_datetime(now - timedelta(seconds=behind_s), usegmt=True)))
    clock = seen.clock()
    assert clock is not None
    assert (clock["ahead_s"], clock["answers"]) == (99.5, 5), "the middle one of five, less half a second"


@pytest.mark.parametrize("flow", [answer(""), answer("yesterday"), answer("Sun, 01 Nov 2026 12:00:00 GMT", age="9")])
def test_answers_that_tell_no_time_are_passed_over(flow: http.HTTPFlow) -> None:
    seen = Seen()
    seen.responseheaders(flow)
    assert seen.clock() is None


def test_not_every_answer_is_read() -> None:
    seen = Seen()
    with freeze_time(NOW):
        for _ in range(3):
            seen.responseheaders(answer("Sun, 01 Nov 2026 12:00:00 GMT"))
    assert (seen.clock() or {})["answers"] == 1


def failed(host: str, words: str) -> tls.TlsData:
    context = make_context(host)
    context.client.sni, context.client.error = host, words
    return tls.TlsData(context.client, context)


def test_clients_that_do_not_trust_are_counted_by_host() -> None:
    seen = Seen()
    for _ in range(2):
        seen.tls_failed_client(
            failed("chatgpt.com", "The client does not trust the proxy's certificate for chatgpt.com")
        )
    seen.tls_failed_client(failed("api.github.com", "connection closed early"))
    seen.tls_failed_client(failed("seatpool.test", "The client does not trust the proxy's certificate"))
    assert {host: each.times for host, each in seen.distrusted.items()} == {"chatgpt.com": 2}
    for number in range(99):
        seen.tls_failed_client(failed(f"{number}.example", "unknown ca"))
    assert len(seen.distrusted) == AT_MOST
