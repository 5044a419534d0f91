"""Wherever mitmproxy would send a page of its own, the client gets the provider's words. The layer by itself."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from h2.events import ResponseReceived
from mitmproxy import flow as flows
from mitmproxy import http
from mitmproxy.connection import Server
from mitmproxy.proxy import events
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.layers.http._events import ErrorCode
from mitmproxy.test import tflow

from seatpool.proxy.addon import Pool
from seatpool.proxy.exchange import Exchanges
from seatpool.proxy.layers import replay
from seatpool.proxy.layers.wording import WORDS
from tests.proxy.driver import Driver, Peer, fields, make_context

CODEX, COPILOT = "chatgpt.com", "api.individual.githubcopilot.com"
SECRET = "Bearer FAKESECRET"


class Client:
    """One client's connection to a pooled host, over HTTP/1.1; nobody is upstream unless a test says so."""

    def __init__(self, host: str = CODEX, **options: Any) -> None:
        self.context = make_context(host)
        self.context.client.sni = host
        self.context.client.alpn = b"http/1.1"
        self.context.options.update(**options)
        self.context.server = Server(address=(host, 443))
        self.driver = Driver(replay.PoolHttpLayer(self.context, HTTPMode.transparent, Exchanges()))
        self.got = b""
        self.driver.sinks[self.context.client] = self._receive
        self.driver.feed(events.Start())

    def say(self, head: str, body: bytes = b"") -> None:
        raw = head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body
        self.driver.feed(events.DataReceived(self.context.client, raw))

    def _receive(self, data: bytes) -> None:
        self.got += data

    @property
    def answer(self) -> tuple[int, dict[str, str], dict[str, Any]]:
        """Status, headers and what the body says; and that there is one answer alone."""
        head, _, body = self.got.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        named = dict(line.lower().split(": ", 1) for line in lines)
        assert len(body) == int(named["content-length"])
        return int(first.split()[1]), named, json.loads(body)["error"]


def post(host: str, path: str, *more: str) -> str:
    return "\n".join((f"POST {path} HTTP/1.1", f"Host: {host}", f"Authorization: {SECRET}", *more))


def malformed(client: Client, host: str) -> None:
    client.say(f"GET / HTTP/1.1 and {SECRET}")


def malformed_length(client: Client, host: str) -> None:
    client.say(post(host, "/backend-api/files", "Content-Length: five"))


def smuggled(client: Client, host: str) -> None:
    client.say(post(host, "/backend-api/files", "Content-Length: 5", "Transfer-Encoding: chunked"), b"0\r\n\r\n")


def connect(client: Client, host: str) -> None:
    client.say(f"CONNECT {host}:443 HTTP/1.1\nHost: {host}:443")


def too_large(client: Client, host: str) -> None:
    client.context.options.update(body_size_limit="1k")
    client.say(post(host, "/backend-api/files", "Content-Length: 2000"), b"x" * 2000)


def unreachable(client: Client, host: str) -> None:
    client.driver.openings = ["Upstream proxy refused HTTP CONNECT request: 407"]
    client.say(post(host, "/backend-api/files", "Content-Length: 2"), b"{}")


def unreachable_upload(client: Client, host: str) -> None:
    client.context.options.update(stream_large_bodies="1k")
    client.driver.openings = ["no such host"]
    client.say(post(host, "/backend-api/files", "Content-Length: 2000"))


WAYS: tuple[tuple[Callable[[Client, str], None], int], ...] = (
    (malformed, 400),
    (malformed_length, 400),
    (smuggled, 400),
    (connect, 400),
    (too_large, 413),
    (unreachable, 502),
    (unreachable_upload, 502),
)


@pytest.mark.parametrize("host", [CODEX, COPILOT])
@pytest.mark.parametrize(("way", "status"), [pytest.param(w, s, id=w.__name__) for w, s in WAYS])
def test_a_client_reads_the_providers_envelope(host: str, way: Callable[[Client, str], None], status: int) -> None:
    client = Client(host)
    way(client, host)
    got, headers, error = client.answer
    assert (got, headers["content-type"]) == (status, "application/json")
    assert error["message"].startswith("seatpool: ")
    assert ("x-github-request-id" in headers) == (host == COPILOT)
    assert b"FAKESECRET" not in client.got and b"mitmproxy" not in client.got
    if way is not unreachable:
        assert headers["connection"] == "close"
        assert client.context.client in client.driver.closed


def test_two_streams_of_one_connection_are_told_apart() -> None:
    """Over HTTP/2 nothing but the stream ends."""
    context = make_context(CODEX)
    context.options.update(body_size_limit="1k")
    context.server = Server(address=(CODEX, 443))
    driver = Driver(replay.PoolHttpLayer(context, HTTPMode.transparent, Exchanges()))
    client = Peer(driver, context.client, client_side=True)
    driver.feed(events.Start())
    client.start()
    head = [(":method", "POST"), (":scheme", "https"), (":authority", CODEX), (":path", "/backend-api/files")]
    driver.held.add("requestheaders")
    for number in (1, 3):
        client.h2.send_headers(number, [*head, ("content-length", "2000")])
        client.flush()
    while driver.waiting:
        driver.finish_hook()
    answers = {event.stream_id: fields(event) for event in client.of(ResponseReceived)}
    assert {number: named[":status"] for number, named in answers.items()} == {1: "413", 3: "413"}
    assert all("seatpool" in json.loads(body)["error"]["message"] for body in client.bodies.values())
    assert context.client not in driver.closed


def test_a_flow_that_is_killed_is_cut_as_its_killer_wants() -> None:
    client = Client()

    def kill(flow: http.HTTPFlow) -> None:
        flow.error = flows.Error(flows.Error.KILLED_MESSAGE)

    client.driver.handlers["request"] = kill
    client.say(f"GET /backend-api/me HTTP/1.1\nHost: {CODEX}")
    assert client.got == b""
    assert client.context.client in client.driver.closed


@pytest.mark.parametrize(
    ("host", "status", "ours"), [(CODEX, 502, True), (CODEX, 407, False), ("example.com", 502, False)]
)
def test_an_eager_proxy_tells_of_a_pooled_host_that_cannot_be_reached(host: str, status: int, ours: bool) -> None:
    """Not so that it wants a password, and nothing of other hosts."""
    flow = tflow.tflow(resp=True)
    flow.request.host = host
    flow.response = http.Response.make(status, "Cannot connect")
    Pool().http_connect_error(flow)
    assert (flow.response.status_code, b"seatpool: " in (flow.response.content or b"")) == (status, ours)


def test_every_page_of_mitmproxys_has_words_of_ours() -> None:
    assert {code for code in ErrorCode if code.http_status_code() is not None} == set(WORDS)
