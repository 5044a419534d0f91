"""The head and body of one sending: opened, rewritten and wrapped again, or left alone."""

import pytest
from mitmproxy import http
from mitmproxy.net import encoding

from seatpool.core.model import ProviderName
from seatpool.providers.base import Route
from seatpool.providers.codex import CODEX
from seatpool.providers.http import Headers
from seatpool.providers.rewriting import Wish
from seatpool.proxy.rewriting import CODINGS, rewrite

ROUTE = Route(ProviderName.CODEX, "responses", "api")
WISH = Wish("gpt-x", "gpt-longer", fast=True)
PLAIN = b'{"model":"gpt-x","input":[]}'
REWRITTEN = b'{"model":"gpt-longer","input":[],"service_tier":"priority"}'


def request(body: bytes, **headers: str) -> http.Request:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    made = http.Request.make("POST", "https://chatgpt.com/backend-api/codex/responses")
    made.raw_content = body  # `content` would wrap it
    made.headers.update({**fields, "content-length": str(len(body))})
    return made


def sent(asked: http.Request) -> tuple[bytes | None, http.Request]:
    head = asked.copy()
    headers = Headers(asked.headers.items())
    before = asked.copy()
    body = rewrite(CODEX, ROUTE, headers, asked, head, WISH)
    assert asked.get_state() == before.get_state(), "the flow keeps the editor's bytes"
    return body, head


@pytest.mark.parametrize("coding", [None, *sorted(CODINGS), "ZSTD"])
def test_a_body_is_wrapped_again_as_it_came(coding: str | None) -> None:
    wrapped = encoding.encode(PLAIN, coding.lower()) if coding else PLAIN
    more = {"content_encoding": coding} if coding else {}
    body, head = sent(request(wrapped, x_codex_routing_hint="model=gpt-x", **more))
    assert body is not None
    assert (encoding.decode(body, coding.lower()) if coding else body) == REWRITTEN
    assert head.headers["content-length"] == str(len(body))
    assert head.headers["x-codex-routing-hint"] == "model=gpt-longer;tier=priority"
    assert head.headers.get("content-encoding") == coding


@pytest.mark.parametrize(
    ("body", "coding"), [(b"not zstd", "zstd"), (PLAIN, "rot13"), (PLAIN, "gzip, zstd"), (b"not json", "identity")]
)
def test_what_cannot_be_opened_goes_out_as_it_came(body: bytes, coding: str) -> None:
    asked = request(body, content_encoding=coding, x_codex_routing_hint="model=gpt-x")
    replaced, head = sent(asked)
    assert replaced is None
    assert head.headers.fields == asked.headers.fields


def test_a_length_that_was_not_told_is_not_told() -> None:
    asked = request(PLAIN)
    del asked.headers["content-length"]
    body, head = sent(asked)
    assert body == REWRITTEN
    assert "content-length" not in head.headers
