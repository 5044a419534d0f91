"""What takes too long is given up, and what may take long is not."""

import json
import time

import pytest
import zstandard
from h2.errors import ErrorCodes
from h2.events import StreamReset
from mitmproxy import http
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layers.http._events import ErrorCode, ResponseProtocolError

from seatpool.proxy.answers import asks_for_stream
from seatpool.proxy.layers.limits import Clock, Limits, Overdue
from tests.proxy.layers.test_replay import Stage, assignment

AT_ONCE = 1e-9
"""Seconds: over when the timer is."""
STREAM = b'{"model": "x", "stream": true}'


def told(clock: Clock) -> list[object]:
    """What follows from the end of the timer: stream ids, and `again`."""
    found = clock.handle_event(events.Wakeup(commands.RequestWakeup(0)))
    return ["again" if isinstance(each, commands.RequestWakeup) else each.event.stream_id for each in found]  # type: ignore[attr-defined]


def test_one_timer_serves_all_streams_of_a_connection_and_ends_with_the_last() -> None:
    clock = Clock(Limits(connect_s=4, header_s=55))
    first = clock.watch(1, 4)
    assert first is not None
    assert first.delay == 1
    assert clock.watch(3, AT_ONCE) is None
    assert clock.watch(5, 60) is None
    clock.forget(5)
    assert told(clock) == [3, "again"]
    clock.forget(1)
    assert told(clock) == []
    assert clock.watch(7, 4) is not None, "a new one begins when it is needed"


def test_the_last_limit_of_a_stream_counts_and_none_where_it_is_zero() -> None:
    clock = Clock(Limits(connect_s=1, header_s=0))
    clock.watch(1, AT_ONCE)
    clock.watch(1, 1000)
    assert told(clock) == ["again"]
    clock.watch(1, 0)
    assert told(clock) == []


def test_short_limits_are_looked_at_more_often() -> None:
    assert Limits(connect_s=0.4, header_s=55).tick_s == pytest.approx(0.1)
    assert Limits(connect_s=0, header_s=55).tick_s == 1


@pytest.mark.parametrize(
    ("body", "streams"),
    [
        (STREAM, True),
        (b'{"stream":true}', True),
        (b'{"stream": false}', False),
        (json.dumps({"input": '{"stream": true}'}).encode(), False),  # a person's own words
        (b"", False),
    ],
)
def test_whether_an_answer_begins_before_it_is_complete(body: bytes, streams: bool) -> None:
    assert asks_for_stream(http.Request.make("POST", "https://chatgpt.com/", body)) is streams
    packed = http.Request.make("POST", "https://chatgpt.com/", zstandard.compress(body), {"content-encoding": "zstd"})
    assert asks_for_stream(packed) is streams


def test_an_answer_that_does_not_begin_is_given_up_upstream_and_told_to_the_client() -> None:
    stage = Stage(limits=Limits(header_s=AT_ONCE))
    stage.ask(body=STREAM)
    stage.driver.fire()
    assert [(e.stream_id, e.error_code) for e in stage.upstream.of(StreamReset)] == [(1, ErrorCodes.CANCEL)]
    assert stage.failures == ["header-timeout"]
    assert stage.statuses == ["502"]
    assert stage.layer.streams == {}
    assert stage.driver.timers == []


def test_what_still_comes_of_an_attempt_that_was_given_up_is_not_heard() -> None:
    stage = Stage(decisions=[assignment(2)], limits=Limits(header_s=AT_ONCE))
    stage.driver.unopened = []
    stage.ask(body=STREAM)
    stage.driver.fire()
    late = ResponseProtocolError(1, "server closed connection", ErrorCode.GENERIC_SERVER_ERROR)
    for command in stage.layer.streams[1].handle_event(late):
        pytest.fail(f"{command} followed from an attempt that is over")
    (opening,) = stage.driver.unopened
    stage.driver.feed(events.OpenConnectionCompleted(opening, "refused"))
    assert stage.failures == ["header-timeout", "connect-failed"]
    assert stage.statuses == ["502"]


def test_a_whole_answer_may_take_its_time() -> None:
    stage = Stage(limits=Limits(header_s=AT_ONCE))
    stage.ask(body=b'{"model": "x"}')
    stage.driver.fire()
    assert stage.failures == []
    stage.answer(1, 200, b"fine")
    assert stage.client.bodies == {1: b"fine"}


def test_a_stream_that_has_begun_has_no_limit() -> None:
    stage = Stage(limits=Limits(header_s=AT_ONCE))
    stage.ask(body=STREAM)
    stage.answer(1, 200, b"one ", end=False)
    stage.driver.fire()
    assert stage.driver.timers == []
    stage.upstream.h2.send_data(1, b"two", end_stream=True)
    stage.upstream.flush()
    assert stage.client.bodies == {1: b"one two"}


def test_a_refusal_that_does_not_end_counts_as_far_as_it_came() -> None:
    stage = Stage(decisions=[assignment(2)], limits=Limits(header_s=AT_ONCE))
    stage.ask(body=STREAM)
    stage.answer(1, 429, b"{", end=False)
    stage.driver.fire()
    assert stage.failures == [""]
    stage.answer(3, 200, b"fine")
    assert stage.client.bodies == {1: b"fine"}


def test_what_goes_on_as_the_editor_sent_it_has_no_limit() -> None:
    stage = Stage(limits=Limits(connect_s=AT_ONCE, header_s=AT_ONCE))
    stage.driver.handlers.pop("request")
    stage.ask(body=STREAM)
    assert stage.driver.timers == []


def test_a_connection_that_is_only_waiting_for_its_turn_is_not_given_up() -> None:
    """mitmproxy opens five to one address; the next ones begin when one of those is over."""
    stage = Stage(limits=Limits(connect_s=AT_ONCE), connected=False)
    stage.driver.unopened = []
    stage.ask()
    (opening,) = stage.driver.unopened
    stage.driver.fire()
    assert stage.driver.closed == []
    opening.connection.timestamp_start = time.time()
    stage.driver.fire()
    assert stage.driver.closed == [opening.connection]


def test_an_event_of_the_clock_is_nothing_to_a_stream_that_is_gone() -> None:
    stage = Stage(limits=Limits(header_s=AT_ONCE))
    stage.ask(body=STREAM)
    stage.answer(1, 200)
    assert Overdue(1).stream_id not in stage.layer.streams
    stage.driver.fire()
    assert stage.statuses == ["200"]


def test_the_end_of_a_connection_that_mitmproxy_has_not_told_is_noticed() -> None:
    stage = Stage(limits=Limits(header_s=3600))
    stage.ask(body=b'{"model": "x"}')
    stage.driver.fire()
    assert stage.failures == []
    stage.context.server.state = ConnectionState.CAN_WRITE
    stage.driver.fire()
    assert stage.failures == ["unanswered"]
    assert stage.statuses == ["502"]
