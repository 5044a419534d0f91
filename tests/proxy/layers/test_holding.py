"""A stream's beginning is held back until it means something, and then goes out byte for byte."""

from datetime import UTC, datetime

import pytest
from h2.errors import ErrorCodes
from h2.events import DataReceived, StreamEnded, StreamReset
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.proxy.commands import StartHook

from seatpool.providers.openings import Opening
from seatpool.providers.registry import CODEX
from seatpool.proxy.layers.limits import Limits
from seatpool.service.memory.records import CUT
from tests.proxy.layers.test_replay import FACTS, Stage, assignment

NOW = datetime(2026, 11, 21, tzinfo=UTC)
CREATED = b'event: response.created\ndata: {"type":"response.created","response":{"id":"resp_1"}}\n\n'
PING = b": ping\n\n"
DELTA = b'data: {"type":"response.output_text.delta","delta":"hi"}\r\n\r\n'
DONE = b'data: {"type":"response.completed","response":{"id":"resp_1"}}\n\n'
SPENT = b'data: {"type":"response.failed","response":{"error":{"code":"usage_limit_reached","message":"x"}}}\n\n'


class Held(Stage):
    """A pool that reads the beginning of every answer."""

    def __init__(self, *decisions: object, limits: Limits = Limits(hold_s=2, hold_bytes=1000)) -> None:  # noqa: B008 # immutable
        self.begun = 0
        super().__init__(decisions=[*decisions], limits=limits)  # type: ignore[list-item]

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        super().responseheaders(flow)
        exchange = self.exchanges.get(flow)
        assert exchange is not None and flow.response is not None
        if flow.response.status_code == 200:
            exchange.opening = Opening(lambda data: CODEX.read_event(FACTS, data, NOW))
            exchange.begun = self._began

    def recover(self, flow: http.HTTPFlow) -> None:
        exchange = self.exchanges.get(flow)
        assert exchange is not None
        exchange.forget_answer()
        super().recover(flow)

    def _began(self) -> None:
        self.begun += 1

    def send(self, stream_id: int, data: bytes, *, end: bool = False) -> None:
        self.upstream.h2.send_data(stream_id, data, end_stream=end)
        self.upstream.flush()

    @property
    def delivered(self) -> list[bytes]:
        return [e.data for e in self.client.of(DataReceived) if e.data]


@pytest.mark.parametrize("limits", [Limits(), Limits(hold_s=2, hold_bytes=1000)])
def test_no_line_in_the_log_says_that_an_answer_streams(limits: Limits) -> None:
    stage = Held(limits=limits)
    stage.ask()
    stage.answer(1, 200, CREATED + DELTA, end=False)
    stage.send(1, DONE, end=True)
    assert b"".join(stage.delivered) == CREATED + DELTA + DONE
    assert stage.driver.noted == []


def test_the_client_sees_nothing_until_an_event_means_something() -> None:
    stage = Held()
    stage.ask()
    stage.answer(1, 200, CREATED, end=False)
    assert (stage.statuses, stage.begun) == ([], 0)
    stage.send(1, PING)
    assert stage.statuses == []
    stage.send(1, DELTA)
    assert (stage.statuses, stage.begun) == (["200"], 1)
    assert stage.delivered == [CREATED, PING, DELTA], "what was held, in order"
    stage.send(1, DONE, end=True)
    assert b"".join(stage.delivered) == CREATED + PING + DELTA + DONE
    assert (stage.begun, stage.layer.streams) == (1, {})


def test_a_short_answer_is_on_its_way_before_its_end_is_seen_to() -> None:
    stage = Held()
    came: list[bytes] = []

    def at_once(hook: StartHook) -> None:
        if hook.name == "response":
            came.extend(stage.delivered)
        elif (handler := stage.driver.handlers.get(hook.name)) is not None:
            handler(*hook.args())

    stage.exchanges.at_once = at_once
    stage.ask()
    stage.answer(1, 200, CREATED + DELTA + DONE)
    assert came == [CREATED + DELTA + DONE]
    assert [e.stream_id for e in stage.client.of(StreamEnded)] == [1]


def test_a_failure_as_first_event_goes_to_another_account_and_nothing_of_it_is_seen() -> None:
    stage = Held(assignment(2))
    stage.ask()
    stage.answer(1, 200, CREATED, end=False)
    stage.send(1, SPENT)
    assert stage.failures == ["usage_limit_reached"]
    assert [e.stream_id for e in stage.upstream.of(StreamReset)] == [1], "the first upstream need not go on"
    stage.answer(3, 200, CREATED, end=False)
    stage.send(3, DELTA + DONE, end=True)
    assert (stage.statuses, b"".join(stage.delivered)) == (["200"], CREATED + DELTA + DONE)
    assert (stage.begun, stage.layer.streams) == (1, {})


def test_a_failure_that_nobody_can_mend_is_delivered_byte_for_byte() -> None:
    stage = Held()
    stage.ask()
    stage.answer(1, 200, CREATED + SPENT)
    assert stage.failures == ["usage_limit_reached"]
    assert (stage.statuses, b"".join(stage.delivered)) == (["200"], CREATED + SPENT)
    assert [e.stream_id for e in stage.client.of(StreamEnded)] == [1]


def test_the_refusal_of_an_earlier_attempt_takes_its_place_where_that_ends_sooner() -> None:
    class Sooner(Held):
        def recover(self, flow: http.HTTPFlow) -> None:
            super().recover(flow)
            exchange = self.exchanges.get(flow)
            assert exchange is not None
            exchange.answer = http.Response.make(429, b"sooner")

    stage = Sooner()
    stage.ask()
    stage.answer(1, 200, CREATED + SPENT, end=False)
    assert (stage.statuses, stage.delivered) == (["429"], [b"sooner"])
    assert [e.stream_id for e in stage.upstream.of(StreamReset)] == [1]
    assert stage.layer.streams == {}


def test_after_something_was_said_a_failure_is_the_clients_to_read() -> None:
    stage = Held(assignment(2))
    stage.ask()
    stage.answer(1, 200, CREATED + DELTA + SPENT)
    assert (stage.failures, stage.statuses) == ([], ["200"])
    assert b"".join(stage.delivered) == CREATED + DELTA + SPENT


def test_what_has_waited_for_long_goes_out() -> None:
    stage = Held(limits=Limits(hold_s=0.0001, hold_bytes=1000))
    stage.ask()
    stage.answer(1, 200, CREATED, end=False)
    assert stage.statuses == []
    while not stage.statuses:
        stage.driver.fire()
    assert (stage.delivered, stage.begun) == ([CREATED], 1)
    stage.send(1, SPENT, end=True)
    assert (stage.failures, stage.delivered) == ([], [CREATED, SPENT]), "later ones are not held any more"


def test_what_is_much_goes_out() -> None:
    stage = Held(limits=Limits(hold_s=2, hold_bytes=len(CREATED)))
    stage.ask()
    stage.answer(1, 200, CREATED[:-1], end=False)
    assert stage.statuses == []
    stage.send(1, CREATED[-1:])
    assert b"".join(stage.delivered) == CREATED


@pytest.mark.parametrize("limits", [Limits(hold_s=2), Limits()])
def test_where_nothing_is_to_be_held_everything_passes_as_it_comes(limits: Limits) -> None:
    stage = Held(limits=limits)
    stage.ask()
    stage.answer(1, 200, CREATED, end=False)
    assert (stage.delivered, stage.begun) == ([CREATED], 1)


def test_an_answer_that_ends_without_saying_anything_is_delivered() -> None:
    stage = Held(assignment(2))
    stage.ask()
    stage.answer(1, 200, CREATED)
    assert (stage.statuses, stage.delivered, stage.begun, stage.failures) == (["200"], [CREATED], 1, [])


def test_an_answer_that_breaks_off_before_it_says_anything_may_have_been_served() -> None:
    """So the pool is asked; without its leave the client gets what came, and the break."""
    stage = Held()
    stage.ask()
    stage.answer(1, 200, CREATED, end=False)
    stage.upstream.h2.reset_stream(1, ErrorCodes.INTERNAL_ERROR)
    stage.upstream.flush()
    assert stage.failures == ["broke-off"]
    assert (stage.statuses, stage.delivered) == (["200"], [CREATED])
    assert [e.stream_id for e in stage.client.of(StreamReset)] == [1]


def test_with_the_pools_leave_it_is_sent_again() -> None:
    stage = Held(assignment(2))
    stage.ask()
    stage.answer(1, 200, CREATED, end=False)
    stage.upstream.h2.reset_stream(1, ErrorCodes.INTERNAL_ERROR)
    stage.upstream.flush()
    stage.answer(3, 200, DELTA)
    assert (stage.statuses, stage.delivered) == (["200"], [DELTA])


def test_a_client_that_leaves_meanwhile_ends_the_attempt_upstream() -> None:
    stage = Held()
    stage.ask()
    stage.answer(1, 200, CREATED, end=False)
    stage.client.h2.reset_stream(1, ErrorCodes.CANCEL)
    stage.client.flush()
    assert [e.stream_id for e in stage.upstream.of(StreamReset)] == [1]
    assert stage.layer.streams == {}


def test_a_reader_that_fails_holds_nothing_up(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Held):
        def responseheaders(self, flow: http.HTTPFlow) -> None:
            super().responseheaders(flow)
            exchange = self.exchanges.get(flow)
            assert exchange is not None
            exchange.opening = Opening(lambda data: CODEX.read_event(None, data[None], NOW))  # type: ignore[arg-type,call-overload]

    stage = Broken()
    stage.ask()
    stage.answer(1, 200, CREATED, end=False)
    assert stage.delivered == [CREATED]
    assert "reason=not-read" in caplog.text
    assert CUT not in caplog.text


@given(st.data())
def test_whatever_the_chunks_the_client_gets_the_upstreams_bytes(data: st.DataObject) -> None:
    events = data.draw(st.lists(st.sampled_from([CREATED, PING, DELTA, SPENT, DONE, b"\n", b"data\n\n"]), max_size=8))
    sent = b"".join(events) + data.draw(st.binary(max_size=20))
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(sent) - 1)), max_size=12)))
    stage = Held()
    stage.ask()
    stage.upstream.h2.send_headers(1, [(":status", "200")])
    for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        stage.send(1, sent[start:end])
    stage.send(1, b"", end=True)
    assert (stage.statuses, b"".join(stage.delivered)) == (["200"], sent)
