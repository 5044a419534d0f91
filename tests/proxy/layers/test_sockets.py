"""The messages of an open WebSocket, between a client and an upstream that speak frames."""

import json
from collections.abc import Iterable

import pytest
from mitmproxy import http
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import events
from mitmproxy.websocket import WebSocketData
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Message

from seatpool.clock import utcnow
from seatpool.providers.http import Headers
from seatpool.providers.registry import provider_of
from seatpool.proxy.exchange import Exchanges
from seatpool.proxy.layers.sockets import PoolWebsocketLayer
from seatpool.service.trail import Trail, Turn, demand_of
from tests.proxy.driver import Driver, make_context
from tests.proxy.layers.test_replay import FACTS


class Opened:
    """A socket whose messages are changed on their way: what stands in `changes` is another word then."""

    def __init__(self, changes: dict[bytes, bytes]) -> None:
        self.context = context = make_context()
        flow = http.HTTPFlow(context.client, context.server)
        flow.request = http.Request.make("GET", "https://chatgpt.com/backend-api/codex/responses")
        flow.response = http.Response.make(101)
        flow.websocket = WebSocketData()
        provider = provider_of("chatgpt.com")
        assert provider is not None
        exchange = Exchanges().begin(flow, provider, "chatgpt.com")
        self.trail = exchange.trail = Trail(flow.id, FACTS, Headers(), demand_of(FACTS))
        self._changes = changes
        self.driver = Driver(PoolWebsocketLayer(context, flow, exchange), {"websocket_message": self._change})
        self.client, self.upstream = Connection(ConnectionType.CLIENT), Connection(ConnectionType.SERVER)
        self._ends = {context.client: self.client, context.server: self.upstream}
        for place, end in self._ends.items():
            self.driver.sinks[place] = end.receive_data
        self.driver.feed(events.Start())

    def _change(self, flow: http.HTTPFlow) -> None:
        assert flow.websocket is not None
        message = flow.websocket.messages[-1]
        for old, new in self._changes.items():
            message.content = message.content.replace(old, new)

    def say(self, end: Connection, text: str) -> None:
        place = next(place for place, each in self._ends.items() if each is end)
        self.driver.feed(events.DataReceived(place, end.send(Message(text))))


def heard(end: Connection) -> str:
    return "".join(pieces(end.events()))


def pieces(told: Iterable[object]) -> Iterable[str]:
    return (str(each.data) for each in told if isinstance(each, Message))


@pytest.mark.parametrize("from_client", [True, False])
@pytest.mark.parametrize("shift", range(3))
def test_a_long_message_that_is_changed_keeps_every_character(shift: int, *, from_client: bool) -> None:
    """Each of these characters is three bytes long, so two shifts of three put a cut in frames amid one."""
    opened = Opened({b'"old"': b'"newer"'})
    said = json.dumps({"model": "old", "input": "x" * shift + "\u4f60" * 5_000}, ensure_ascii=False)
    way = (opened.client, opened.upstream)
    speaker, listener = way if from_client else way[::-1]
    opened.say(speaker, said)
    assert heard(listener) == said.replace('"old"', '"newer"')


@pytest.mark.parametrize(("amid", "told"), [(False, [1000]), (True, [])])
def test_an_upstream_that_goes_without_a_word_is_no_normal_end_amid_a_turn(told: list[int], *, amid: bool) -> None:
    opened = Opened({})
    if amid:
        opened.trail.turn = Turn(utcnow(), 0.0, None)
    opened.context.server.state = ConnectionState.CLOSED
    opened.driver.feed(events.ConnectionClosed(opened.context.server))
    assert [each.code for each in opened.client.events() if isinstance(each, CloseConnection)] == told
    assert opened.context.client in opened.driver.closed
