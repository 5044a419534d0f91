"""The replay layer by itself, HTTP/2 on both sides: ids, credentials, late news, clients that leave."""

import json
from dataclasses import dataclass, field

import pytest
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, ResponseReceived, StreamEnded, StreamReset
from mitmproxy import http
from mitmproxy.connection import ConnectionState, Server
from mitmproxy.proxy import events
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.layers.http._events import ErrorCode, ResponseProtocolError

from seatpool.clock import utcnow
from seatpool.core.model import Account, Credential, CredentialKind, ProviderName
from seatpool.providers.base import NO_NEWS, Edits, RequestFacts, Route
from seatpool.providers.http import Headers
from seatpool.proxy.exchange import Exchanges
from seatpool.proxy.layers import replay, seams
from seatpool.proxy.layers.limits import NO_LIMITS, Limits
from seatpool.proxy.tap import tap
from seatpool.service.trail import Assignment, Trail, demand_of
from tests.proxy.driver import Driver, Peer, fields, make_context

FACTS = RequestFacts(Route(ProviderName.CODEX, "responses", "api"), (CredentialKind.CODEX_OAUTH,))
REQUEST = [
    (":method", "POST"),
    (":scheme", "https"),
    (":authority", "chatgpt.com"),
    (":path", "/backend-api/codex/responses"),
    ("authorization", "Bearer editor-FAKESECRET"),
    ("chatgpt-account-id", "editor"),
    ("x-only-mine", "1"),
]


def assignment(number: int, origin: str = "https://chatgpt.com", *, override: bool = False) -> Assignment:
    name = f"account-{number}"
    edits = Edits(
        origin,
        (("Authorization", f"Bearer FAKESECRET-{number}"), ("ChatGPT-Account-Id", name))
        + ((("x-openai-account-routing-override", "us"),) if override else ()),
        () if override else ("x-openai-account-routing-override",),
    )
    account = Account(number, ProviderName.CODEX, name, name, "chatgpt.com")
    credential = Credential(CredentialKind.CODEX_OAUTH, f"FAKESECRET-{number}")
    return Assignment(account, credential, edits, number, "best", utcnow())


@dataclass
class Stage:
    """A client and an upstream with the layer between them, and a pool that decides by a list."""

    decisions: list[Assignment] = field(default_factory=list)
    first: Assignment = field(default_factory=lambda: assignment(1, override=True))
    flows: list[http.HTTPFlow] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """Codes with which the pool was asked, empty for refusals."""
    host: str = "chatgpt.com"
    limits: Limits = NO_LIMITS
    connected: bool = True
    """Whether there is a connection to the upstream; one that is opened does not speak TLS."""
    fails: bool = False
    """The pool fails to let a flow go."""
    parted: int = 0
    http1: bool = False
    """Client and upstream speak HTTP/1.1, and have no peers here: what goes to them is forgotten."""

    def __post_init__(self) -> None:
        self.exchanges = Exchanges(self.limits)
        self.context = make_context(self.host)
        if not self.connected:
            self.context.server = Server(address=None)
        if self.http1:
            self.context.client.alpn = self.context.server.alpn = b"http/1.1"
        mode = HTTPMode.transparent if self.connected else HTTPMode.regular
        self.layer = replay.PoolHttpLayer(self.context, mode, self.exchanges)
        handlers = {"request": self.request, "responseheaders": self.responseheaders, "pool_recover": self.recover}
        self.driver = Driver(self.layer, handlers)
        self.client = Peer(self.driver, self.context.client, client_side=True)
        self.upstream = Peer(self.driver, self.context.server, client_side=False)
        self.driver.feed(events.Start())
        if self.http1:
            self.driver.sinks = dict.fromkeys(self.driver.sinks, lambda data: None)
        else:
            self.client.start()

    def request(self, flow: http.HTTPFlow) -> None:
        self.flows.append(flow)
        exchange = self.exchanges.get(flow)
        assert exchange is not None
        exchange.route = FACTS.route
        exchange.trail = Trail(flow.id, FACTS, Headers(), demand_of(FACTS), current=self.first)
        exchange.parted = self.part
        self.exchange = exchange
        exchange.aim(flow.request)

    def part(self) -> None:
        self.parted += 1
        if self.fails:
            raise RuntimeError("simulated")

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        assert flow.response is not None
        flow.response.stream = flow.response.status_code < 400

    def recover(self, flow: http.HTTPFlow) -> None:
        exchange = self.exchanges.get(flow)
        assert exchange is not None
        assert exchange.trail is not None
        self.failures.append(exchange.failure.code if exchange.failure is not None else "")
        if self.decisions:
            exchange.again = exchange.trail.current = self.decisions.pop(0)

    def ask(self, stream_id: int = 1, body: bytes = b'{"model":"x"}') -> None:
        fields = REQUEST if self.connected else [*REQUEST[:1], (":scheme", "http"), *REQUEST[2:]]
        self.client.h2.send_headers(stream_id, fields)
        self.client.h2.send_data(stream_id, body, end_stream=True)
        self.client.flush()

    def answer(self, stream_id: int, status: int, body: bytes = b"{}", *, end: bool = True) -> None:
        self.upstream.h2.send_headers(stream_id, [(":status", str(status))])
        self.upstream.h2.send_data(stream_id, body, end_stream=end)
        self.upstream.flush()

    @property
    def asked(self) -> list[dict[str, str]]:
        return [fields(e) for e in self.upstream.of(RequestReceived)]

    @property
    def statuses(self) -> list[str]:
        return [fields(e)[":status"] for e in self.client.of(ResponseReceived)]


def test_no_second_login_of_the_editors_goes_along() -> None:
    stage = Stage()
    fields = [*REQUEST, ("authorization", "Bearer second-FAKESECRET"), ("x-only-mine", "2")]
    stage.client.h2.send_headers(1, fields, end_stream=True)
    stage.client.flush()
    (request,) = stage.upstream.of(RequestReceived)
    found = [(str(name), str(value)) for name, value in request.headers]
    assert [value for name, value in found if name == "authorization"] == ["Bearer FAKESECRET-1"]
    assert [value for name, value in found if name == "x-only-mine"] == ["1", "2"]


@pytest.mark.parametrize("size", [10, 100_000], ids=["whole", "in part"])
def test_what_of_a_refused_request_has_not_gone_up_is_taken_back(size: int) -> None:
    stage = Stage(decisions=[assignment(2)])
    stage.upstream.h2.increment_flow_control_window(1 << 20)  # for the connection, not for its streams
    stage.upstream.flush()
    stage.client.h2.send_headers(1, REQUEST)
    for _ in range(size // 10):
        stage.client.h2.send_data(1, bytes(10))
    stage.client.h2.end_stream(1)
    stage.client.flush()
    stage.answer(1, 429, b"refused")
    assert [(e.stream_id, e.error_code) for e in stage.upstream.of(StreamReset)] == [(1, ErrorCodes.CANCEL)] * (
        size > 65_535
    )
    stage.answer(3, 200, b"fine")
    assert stage.client.bodies == {1: b"fine"}


def test_a_refusal_is_sent_again_on_the_next_account_and_streams() -> None:
    stage = Stage(decisions=[assignment(2)])
    stage.ask()
    stage.answer(1, 429, b"refused")
    assert stage.statuses == [], "the client has seen nothing yet"
    stage.answer(3, 200, b"one ", end=False)
    assert [e.data for e in stage.client.of(DataReceived)] == [b"one "], "streams before the end"
    stage.upstream.h2.send_data(3, b"two", end_stream=True)
    stage.upstream.flush()
    assert stage.statuses == ["200"]
    assert stage.client.bodies == {1: b"one two"}
    assert [e.stream_id for e in stage.client.of(StreamEnded)] == [1]


def test_each_attempt_carries_its_own_account_and_nothing_of_the_one_before() -> None:
    stage = Stage(decisions=[assignment(2)])
    stage.ask()
    stage.answer(1, 429)
    first, second = stage.asked
    assert first["authorization"] == "Bearer FAKESECRET-1"
    assert first["x-openai-account-routing-override"] == "us"
    assert second["authorization"] == "Bearer FAKESECRET-2"
    assert second["chatgpt-account-id"] == "account-2"
    assert "x-openai-account-routing-override" not in second
    assert first["x-only-mine"] == second["x-only-mine"] == "1"
    assert stage.upstream.bodies == {1: b'{"model":"x"}', 3: b'{"model":"x"}'}


def test_no_credential_stands_in_the_flow_at_any_time() -> None:
    stage = Stage(decisions=[assignment(2)])
    stage.ask()
    stage.answer(1, 429)
    stage.answer(3, 200)
    assert "FAKESECRET" not in repr(stage.flows[0].get_state())
    assert stage.flows[0].request.headers["authorization"] == "[redacted]"


def test_without_an_assignment_the_request_goes_on_as_the_editor_sent_it() -> None:
    stage = Stage()
    stage.driver.handlers.pop("request")
    stage.ask()
    assert stage.asked[0] == dict(REQUEST)
    stage.answer(1, 429, b"mine")
    assert "pool_recover" not in stage.driver.hooks
    assert stage.statuses == ["429"]


def test_a_refusal_is_delivered_verbatim_when_the_pool_has_nothing_better() -> None:
    stage = Stage()
    stage.ask()
    stage.answer(1, 429, b"upstream's own words")
    assert stage.statuses == ["429"]
    assert stage.client.bodies == {1: b"upstream's own words"}


def test_three_refusals_and_three_streams_at_once_keep_apart() -> None:
    stage = Stage(decisions=[assignment(n) for n in (2, 3, 4, 5, 6)])
    for stream_id in (1, 3, 5):
        stage.ask(stream_id, b"body-%d" % stream_id)
    for upstream_id in (3, 1, 5):  # refused out of order: replays run under 7, 9, 11
        stage.answer(upstream_id, 429)
    stage.answer(9, 503)  # the second attempt of client stream 1, refused again: 13
    for upstream_id, text in ((7, b"for-3"), (11, b"for-5"), (13, b"for-1")):
        stage.answer(upstream_id, 200, text)
    assert stage.client.bodies == {1: b"for-1", 3: b"for-3", 5: b"for-5"}
    sent = stage.upstream.bodies
    assert (sent[7], sent[9], sent[11], sent[13]) == (b"body-3", b"body-1", b"body-5", b"body-1")
    assert stage.layer.streams == {}, "nothing is left behind under any id"


@pytest.mark.parametrize(("kept", "changed"), [(False, False), (True, False), (False, True), (True, True)])
def test_streams_are_stored_and_changed_as_mitmproxy_is_told(kept: bool, changed: bool) -> None:
    class Tapped(Stage):
        def responseheaders(self, flow: http.HTTPFlow) -> None:
            super().responseheaders(flow)
            exchange = self.exchanges.get(flow)
            assert exchange is not None and flow.response is not None
            exchange.tap = tap(flow.response, lambda data: NO_NEWS, kept=kept)
            if changed:
                flow.response.stream = lambda chunk: [chunk.upper(), b"+"] if chunk else b"end"

    stage = Tapped()
    stage.context.options.store_streamed_bodies = kept
    stage.ask()
    stage.answer(1, 200, b"one ", end=False)
    stage.upstream.h2.send_data(1, b"two", end_stream=True)
    stage.upstream.flush()
    expected = b"ONE +TWO+end" if changed else b"one two"
    assert stage.client.bodies == {1: expected}
    assert stage.flows[0].response is not None
    assert stage.flows[0].response.raw_content == (expected if kept else None)


def test_late_news_of_a_former_attempt_is_ignored() -> None:
    stage = Stage(decisions=[assignment(2)])
    stage.ask()
    stage.answer(1, 429)
    late = ResponseProtocolError(1, "stream reset", ErrorCode.GENERIC_SERVER_ERROR)
    stage.driver.top.streams[1]._handle_event(late).close()
    for command in stage.layer.streams[1].handle_event(late):
        pytest.fail(f"{command} followed from an attempt that is over")
    stage.answer(3, 200, b"fine")
    assert stage.statuses == ["200"]


def test_a_client_that_leaves_during_an_attempt_ends_it_upstream() -> None:
    stage = Stage(decisions=[assignment(2)])
    stage.ask()
    stage.answer(1, 429)
    stage.client.h2.reset_stream(1, ErrorCodes.CANCEL)
    stage.client.flush()
    assert [e.stream_id for e in stage.upstream.of(StreamReset)] == [3], "the running attempt, under its own id"
    assert stage.driver.hooks.count("error") == 1
    assert stage.layer.streams == {}


def test_a_client_that_leaves_while_the_pool_decides_is_not_replayed() -> None:
    stage = Stage(decisions=[assignment(2)])
    stage.driver.held.add("pool_recover")
    stage.ask()
    stage.answer(1, 429)
    stage.client.h2.reset_stream(1, ErrorCodes.CANCEL)
    stage.client.flush()
    stage.driver.finish_hook()
    assert len(stage.asked) == 1
    assert stage.driver.hooks.count("error") == 1


@pytest.mark.parametrize("told", [True, False], ids=["told", "untold"])
def test_a_client_that_leaves_while_the_upstream_is_reached_is_not_sent_on(told: bool) -> None:
    """Its account is free again by then, so the request would go out with the editor's own login."""
    stage = Stage(connected=False)
    stage.driver.unopened = []

    def begin(flow: http.HTTPFlow) -> None:
        stage.request(flow)
        flow.request.scheme = "http"  # there is nobody at the other end to speak TLS with

    stage.driver.handlers["request"] = begin
    stage.ask()
    (opening,) = stage.driver.unopened
    if told:
        stage.client.h2.reset_stream(1, ErrorCodes.CANCEL)
        stage.client.flush()
    else:  # as when it resets the stream in the bytes that end the request: only the connection's end is told
        stage.exchanges.end(stage.flows[0].id)
    sent: list[bytes] = []
    opening.connection.state = ConnectionState.OPEN
    stage.driver.sinks[opening.connection] = sent.append
    stage.driver.feed(events.OpenConnectionCompleted(opening, None))
    assert sent == []
    assert stage.driver.hooks.count("error") == 1


def test_a_stream_that_the_server_never_began_may_be_sent_again() -> None:
    stage = Stage(decisions=[])
    stage.ask()
    stage.upstream.h2.reset_stream(1, ErrorCodes.REFUSED_STREAM)
    stage.upstream.flush()
    assert stage.failures == ["stream-refused"]


def test_a_refusal_that_breaks_off_counts_and_reaches_the_client_whole() -> None:
    stage = Stage()
    stage.ask()
    stage.answer(1, 429, b'{"error": {"co', end=False)
    stage.upstream.h2.reset_stream(1, ErrorCodes.INTERNAL_ERROR)
    stage.upstream.flush()
    assert stage.failures == [""]
    assert stage.statuses == ["429"]
    assert json.loads(stage.client.bodies[1])["error"]["code"] == "seatpool_unavailable"
    assert [e.stream_id for e in stage.client.of(StreamEnded)] == [1]
    assert stage.layer.streams == {}


def test_a_whole_answer_that_breaks_off_is_no_page_of_mitmproxys_and_no_second_attempt() -> None:
    stage = Stage(decisions=[assignment(2)])
    stage.driver.handlers["responseheaders"] = lambda flow: None
    stage.ask()
    stage.answer(1, 200, b'{"id": ', end=False)
    stage.upstream.h2.reset_stream(1, ErrorCodes.INTERNAL_ERROR)
    stage.upstream.flush()
    assert stage.failures == []
    assert stage.statuses == ["502"]
    assert json.loads(stage.client.bodies[1])["error"]["message"] == "seatpool: upstream broke-off"


def test_what_is_not_the_pools_fails_in_the_providers_form_as_well() -> None:
    stage = Stage()
    stage.driver.handlers.pop("request")
    stage.ask()
    stage.upstream.h2.reset_stream(1, ErrorCodes.INTERNAL_ERROR)
    stage.upstream.flush()
    assert stage.statuses == ["502"]
    assert json.loads(stage.client.bodies[1])["error"]["code"] == "seatpool_unavailable"


def test_a_credential_never_goes_to_a_host_that_is_not_its_issuers() -> None:
    """Another addon has pointed the flow elsewhere after the pool had chosen."""
    stage = Stage()
    stage.context.server.sni = "evil.example"
    stage.ask()
    assert stage.asked[0]["authorization"] == "Bearer editor-FAKESECRET"
    assert stage.asked[0]["chatgpt-account-id"] == "editor"
    assert stage.parted == 1, "what comes of it is not the account's, and its place is free"
    assert stage.exchange.trail is None


def test_a_fault_while_a_flow_is_let_go_costs_the_flow_nothing(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(fails=True)
    stage.context.server.sni = "evil.example"
    stage.ask()
    stage.answer(1, 200)
    assert stage.statuses == ["200"]
    assert stage.exchange.trail is None
    assert "reason=not-released" in caplog.text


def test_in_transparent_mode_the_name_counts_and_the_address_is_kept() -> None:
    """`host` is an address there; only the authority and SNI name the host."""
    stage = Stage(decisions=[assignment(2)], host="203.0.113.7")
    stage.ask()
    stage.answer(1, 429)
    assert [a["authorization"] for a in stage.asked] == ["Bearer FAKESECRET-1", "Bearer FAKESECRET-2"]
    assert [a[":authority"] for a in stage.asked] == ["chatgpt.com"] * 2


def test_the_seams_are_as_the_layer_needs_them() -> None:
    assert seams.missing_seams() == []
