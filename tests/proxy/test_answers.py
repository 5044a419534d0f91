"""An editor's list of models as it is lengthened on its way."""

import json

import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from seatpool.providers.codex import CODEX
from seatpool.providers.copilot import COPILOT
from seatpool.proxy.answers import add_models, is_event_stream
from seatpool.proxy.exchange import Exchanges

OTHERS = {"b": b'{"id":"b"}'}


def answer(status: int = 200, encoding: str = "identity", content: bytes = b'{"data":[{"id":"a"}]}') -> http.Response:
    response = http.Response.make(status, b"", {"etag": 'W/"1"', "content-type": "application/json", "x-kept": "1"})
    response.headers["content-encoding"] = encoding
    response.content = content
    return response


@pytest.mark.parametrize("encoding", ["identity", "gzip", "br", "zstd"])
def test_a_list_is_lengthened_in_the_encoding_that_it_came_in(encoding: str) -> None:
    response = answer(encoding=encoding)
    add_models(response, COPILOT, OTHERS)
    assert json.loads(response.content or b"") == {"data": [{"id": "a"}, {"id": "b"}]}
    assert response.headers["content-encoding"] == encoding
    assert response.headers["content-length"] == str(len(response.raw_content or b""))
    assert "etag" not in response.headers, "a client that keeps it would be told that nothing has changed"
    assert response.headers["x-kept"] == "1"


@pytest.mark.parametrize(
    ("response", "others"),
    [
        (answer(404), OTHERS),
        (answer(304, content=b""), OTHERS),
        (answer(content=b"<html>"), OTHERS),
        (answer(content=b'{"data":[{"id":"b"}]}'), OTHERS),
        (answer(), {}),
    ],
)
def test_any_other_answer_stays_as_it_is(response: http.Response, others: dict[str, bytes]) -> None:
    before = response.get_state()
    add_models(response, COPILOT, others)
    assert response.get_state() == before


def test_what_streams_by_is_not_held_up() -> None:
    response = answer()
    response.stream = True
    add_models(response, COPILOT, OTHERS)
    assert response.content == b'{"data":[{"id":"a"}]}'


@pytest.mark.parametrize(
    ("headers", "asked", "streams"),
    [
        ({"content-type": "text/event-stream"}, False, True),
        ({"content-type": "Text/Event-Stream; charset=utf-8"}, False, True),
        ({"content-type": "application/json"}, True, False),
        ({}, True, True),
        ({}, False, False),
        ({"content-length": "7"}, True, False),
    ],
)
def test_an_answer_without_a_type_is_a_stream_where_one_was_asked_for(
    headers: dict[str, str], asked: bool, streams: bool
) -> None:
    response = http.Response.make(200, b"", {})
    response.headers = http.Headers(**{name.replace("-", "_"): value for name, value in headers.items()})
    assert is_event_stream(response, lambda: asked) is streams


@pytest.mark.parametrize("streams", [True, False])
def test_a_body_is_read_once_for_what_it_asks_for(streams: bool) -> None:
    flow = tflow.tflow(req=http.Request.make("POST", "https://chatgpt.com/backend-api/codex/responses"))
    exchange = Exchanges().begin(flow, CODEX, "chatgpt.com")
    exchange.route = CODEX.match("POST", "chatgpt.com", flow.request.path, upgrade=False)
    flow.request.content = json.dumps({"stream": streams}).encode()
    assert exchange.asks_for_stream(flow.request) is streams
    flow.request.content = b""
    assert exchange.asks_for_stream(flow.request) is streams


def test_a_body_that_may_have_streamed_by_is_not_read() -> None:
    flow = tflow.tflow(req=http.Request.make("POST", "https://chatgpt.com/else", b'{"stream":true}'))
    assert Exchanges().begin(flow, CODEX, "chatgpt.com").asks_for_stream(flow.request) is False
