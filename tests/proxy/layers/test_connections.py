"""Which connection a request goes out on, HTTP/2 on the client's side."""

import time
from collections.abc import Callable, Sequence
from typing import Self

import pytest
from h2.events import RequestReceived, StreamEnded
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame
from mitmproxy.proxy import events

from seatpool.proxy.layers import ways
from seatpool.proxy.layers.replay import READ_AHEAD
from tests.proxy.layers.test_replay import Stage, assignment


def say_goodbye(stage: Stage, last: int, code: int = 0, *, client: bool = False) -> None:
    """A GOAWAY from the upstream, or from the client."""
    frame = GoAwayFrame(0, last_stream_id=last, error_code=code).serialize()
    stage.driver.feed(events.DataReceived(stage.context.client if client else stage.context.server, frame))


def test_a_server_that_takes_its_leave_finishes_what_it_has_taken() -> None:
    stage = Stage()
    stage.ask(1)
    stage.ask(3)
    stage.answer(1, 200, b"one ", end=False)
    say_goodbye(stage, last=1)
    assert stage.failures == ["stream-refused"], "the other one was not touched"
    assert stage.driver.closed == []
    stage.upstream.h2.send_data(1, b"two", end_stream=True)
    stage.upstream.flush()
    assert stage.client.bodies[1] == b"one two"
    assert {e.stream_id for e in stage.client.of(StreamEnded)} == {1, 3}
    assert stage.driver.closed == [stage.context.server], "nothing more is to come on it"


def test_it_may_say_so_twice() -> None:
    """First without a bound, then with one: so do those that shut down gracefully."""
    stage = Stage()
    stage.ask(1)
    stage.ask(3)
    say_goodbye(stage, last=2**31 - 1)
    assert stage.failures == []
    say_goodbye(stage, last=1)
    assert stage.failures == ["stream-refused"]
    stage.answer(1, 200, b"fine")
    assert stage.client.bodies[1] == b"fine"


def test_no_further_request_goes_out_on_it() -> None:
    stage = Stage()
    stage.ask(1)
    say_goodbye(stage, last=1)
    with pytest.raises(AssertionError, match="no new connection was expected"):
        stage.ask(3)
    assert len(stage.upstream.of(RequestReceived)) == 1


def test_what_waited_for_a_place_on_it_was_not_touched() -> None:
    stage = Stage()
    stage.upstream.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 1})
    stage.ask(1)
    stage.upstream.flush()
    stage.ask(3)
    assert len(stage.upstream.of(RequestReceived)) == 1
    say_goodbye(stage, last=1)
    assert stage.failures == ["stream-refused"]
    stage.answer(1, 200, b"fine")
    assert stage.client.bodies[1] == b"fine"


def test_a_client_that_takes_its_leave_gets_the_answers_that_it_waits_for() -> None:
    stage = Stage()
    stage.ask(1)
    stage.answer(1, 200, b"one ", end=False)
    say_goodbye(stage, last=0, client=True)
    assert stage.driver.closed == []
    stage.upstream.h2.send_data(1, b"two", end_stream=True)
    stage.upstream.flush()
    assert stage.client.bodies[1] == b"one two"
    assert [e.stream_id for e in stage.client.of(StreamEnded)] == [1]


@pytest.mark.parametrize(("answered", "code"), [(True, 0), (False, 2)])
def test_one_that_waits_for_nothing_or_met_an_error_is_let_go(code: int, *, answered: bool) -> None:
    stage = Stage()
    stage.ask(1)
    if answered:
        stage.answer(1, 200, b"fine")
    say_goodbye(stage, last=0, code=code, client=True)
    assert stage.driver.closed == [stage.context.client]


def test_with_an_error_everything_is_over() -> None:
    stage = Stage()
    stage.ask(1)
    say_goodbye(stage, last=1, code=2)
    assert stage.failures == ["unanswered"]
    assert stage.driver.closed == [stage.context.server]


def test_a_connection_that_could_not_be_opened_is_tried_again_by_the_next_request() -> None:
    """mitmproxy would answer with the old error as long as the client stays connected."""
    stage = Stage(connected=False)
    stage.driver.openings = ["refused", None]
    stage.ask(1)
    assert stage.failures == ["connect-failed"]
    assert stage.statuses == ["502"]
    stage.ask(3)
    assert stage.failures == ["connect-failed"]
    assert stage.driver.openings == []


def test_streams_that_failed_together_share_one_new_connection() -> None:
    stage = Stage(decisions=[assignment(number) for number in range(2, 10)], connected=False)
    stage.driver.unopened = []
    for stream_id in range(1, 17, 2):
        stage.ask(stream_id)
    (opening,) = stage.driver.unopened
    opening.connection.error = "refused"
    stage.driver.feed(events.OpenConnectionCompleted(opening, "refused"))
    assert stage.failures == ["connect-failed"] * 8
    assert len(stage.driver.unopened) == 2


@pytest.mark.parametrize(("size", "closed"), [(READ_AHEAD, False), (READ_AHEAD + 1, True)])
def test_who_refuses_a_large_request_over_http1_may_read_no_more(size: int, *, closed: bool) -> None:
    stage = Stage(decisions=[assignment(2)], http1=True)
    stage.driver.unopened = []
    head = f"POST /backend-api/codex/responses HTTP/1.1\r\nhost: chatgpt.com\r\ncontent-length: {size}\r\n\r\n"
    stage.driver.feed(events.DataReceived(stage.context.client, head.encode() + bytes(size)))
    stage.driver.feed(events.DataReceived(stage.context.server, b"HTTP/1.1 429 X\r\ncontent-length: 0\r\n\r\n"))
    assert stage.driver.closed == [stage.context.server] * closed
    assert len(stage.driver.unopened) == closed


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """The machine sleeps for some seconds: the calendar goes on, other clocks do not."""
    clock = time.time

    def sleep(span_s: float) -> None:
        monkeypatch.setattr(time, "time", lambda: clock() + span_s)

    return sleep


def test_what_was_kept_through_a_sleep_is_not_used_again(asleep: Callable[[float], None]) -> None:
    """It looks open, and what is sent on it may be lost without a word."""
    stage = Stage()
    stage.ask(1)
    stage.answer(1, 200, b"one")
    asleep(3600)
    stage.driver.unopened = []
    stage.ask(3)
    assert stage.driver.closed == [stage.context.server]
    assert len(stage.driver.unopened) == 1
    assert len(stage.asked) == 1


def test_an_answer_that_is_under_way_is_left_alone(asleep: Callable[[float], None]) -> None:
    stage = Stage()
    stage.ask(1)
    stage.answer(1, 200, b"one ", end=False)
    asleep(3600)
    stage.driver.unopened = []
    stage.ask(3)
    assert stage.driver.closed == []
    assert len(stage.driver.unopened) == 1
    stage.upstream.h2.send_data(1, b"two", end_stream=True)
    stage.upstream.flush()
    assert stage.client.bodies[1] == b"one two"


def test_a_clock_that_is_kept_in_time_costs_no_connection(asleep: Callable[[float], None]) -> None:
    stage = Stage()
    stage.ask(1)
    stage.answer(1, 200, b"one")
    asleep(3)
    stage.ask(3)
    assert len(stage.asked) == 2


class Asking:
    """A socket of a machine that has these addresses, one after the other; None: it knows no way."""

    begins_at: Sequence[str | None] = ()

    def __init__(self, *_: object) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def connect(self, to: tuple[str, int]) -> None:
        self.found, *Asking.begins_at = Asking.begins_at
        if self.found is None:
            raise OSError(f"no way to {to}")

    def getsockname(self) -> tuple[str | None, int]:
        return self.found, 50000


@pytest.mark.parametrize(
    ("begins_at", "kept"),
    [
        (("192.0.2.1", "192.0.2.1"), True),
        (("192.0.2.1", "198.51.100.7"), False),
        (("192.0.2.1", None), True),  # it may come back as it was
        ((None, "192.0.2.1"), True),  # nobody knows
    ],
)
def test_a_connection_of_a_network_that_was_left_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch, begins_at: Sequence[str | None], *, kept: bool
) -> None:
    monkeypatch.setattr(ways, "SURE_FOR_S", 0.0)
    monkeypatch.setattr(Asking, "begins_at", begins_at)
    monkeypatch.setattr("socket.socket", Asking)
    stage = Stage()
    stage.context.server.peername = ("203.0.113.9", 443)
    stage.context.server.sockname = ("192.0.2.99", 50000)  # which a person has chosen: nothing is read from it
    stage.ask(1)
    stage.answer(1, 200, b"one")
    stage.driver.unopened = []
    stage.ask(3)
    assert (len(stage.asked) == 2) == kept
    assert (stage.driver.unopened == []) == kept
