"""A Codex request for another model or for more speed: body and routing hint say the same."""

import json

import pytest

from seatpool.providers.base import Route
from seatpool.providers.codex import CODEX
from seatpool.providers.http import Headers
from seatpool.providers.rewriting import Wish
from tests.providers.codex.codex_material import FACTS, SOCKET_FACTS

OTHER, FAST = Wish("gpt-x", "gpt-y"), Wish(fast=True)
BOTH = Wish("gpt-x", "gpt-y", fast=True)
BODY = b'{"model":"gpt-x","input":[]}'


def hinted(route: Route, hint: str | None, wish: Wish, body: bytes = BODY) -> str | None:
    """The hint as it goes out; None where it is left alone."""
    headers = Headers([("X-Codex-Routing-Hint", hint)] if hint is not None else [])
    said = CODEX.rewrite(route, "/p", headers, body, wish)
    assert said.path == "/p"
    return dict(said.headers).get("x-codex-routing-hint")


@pytest.mark.parametrize("route", [FACTS.route, SOCKET_FACTS.route], ids=["https", "websocket"])
@pytest.mark.parametrize(
    ("hint", "wish", "becomes"),
    [
        ("model=gpt-x", OTHER, "model=gpt-y"),
        ("model=gpt-x;tier=flex", OTHER, "model=gpt-y;tier=flex"),
        ("region=eu; model=gpt-x ;z", OTHER, "region=eu;model=gpt-y;z"),
        ("model=gpt-other", OTHER, None),
        ("model=gpt-x", FAST, "model=gpt-x;tier=priority"),  # as Codex 0.169 writes it with its own fast mode
        ("model=gpt-x;tier=flex", FAST, None),
        ("model=gpt-x", BOTH, "model=gpt-y;tier=priority"),
        (None, BOTH, None),  # nothing is added that was not there
    ],
)
def test_the_hint_follows(route: Route, hint: str | None, wish: Wish, becomes: str | None) -> None:
    assert hinted(route, hint, wish) == becomes


@pytest.mark.parametrize(
    ("body", "becomes"),
    [
        (b"not json", None),
        (b'{"model":"gpt-other","service_tier":"flex"}', None),
        (b'{"model":"gpt-x","service_tier":"flex"}', "model=gpt-y"),
        (b'{"model":"gpt-other"}', "model=gpt-x;tier=priority"),
    ],
)
def test_the_hint_promises_nothing_that_the_body_does_not_say(body: bytes, becomes: str | None) -> None:
    assert hinted(FACTS.route, "model=gpt-x", BOTH, body) == becomes


def test_a_handshake_has_no_body_to_change() -> None:
    said = CODEX.rewrite(SOCKET_FACTS.route, "/p", Headers(), b"", BOTH)
    assert said.body == b""


def test_messages_say_what_the_handshake_told() -> None:
    frame = b'{"type":"response.create","model":"gpt-x","generate":false}'
    assert json.loads(CODEX.rewrite_frame(frame, BOTH)) == {
        "type": "response.create",
        "model": "gpt-y",
        "generate": False,
        "service_tier": "priority",
    }
