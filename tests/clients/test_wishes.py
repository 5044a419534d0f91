"""The real Codex where another model is sent for it, or where it is hastened: it notices neither.

The proxy is one of its own, with both options on.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients import codex
from tests.clients.codex import AppServer
from tests.clients.conftest import Desk, Started, furnished
from tests.e2e.conftest import ALONE

pytestmark = pytest.mark.timeout(90, func_only=True)

UPGRADE_REFUSED = {"kind": "status", "status": 426, "on": ["handshake"]}
OPTIONS = {"pool_model_fallback": "gpt-*-sol: gpt-substitute", "pool_fast_mode": "always"}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with furnished(tmp_path_factory.mktemp("wishes"), {**ALONE, **OPTIONS}) as desk:
        yield desk


@pytest.fixture
def desk(desk: Desk) -> Iterator[Desk]:
    since = len(desk.proxy.log)
    yield desk
    assert not [line for line in desk.proxy.log[since:] if "Traceback" in line]


def said(desk: Desk) -> list[tuple[str | None, list[tuple[Any, Any]]]]:
    """Of every request that was not refused: its routing hint, and model and tier of its body or messages."""
    found = []
    for entry in desk.fakes.journal(route="responses"):
        if entry["status"] in (101, 200):
            hint = next((v for n, v in entry["headers"] if n.lower() == "x-codex-routing-hint"), None)
            bodies = entry["turns"] if entry["websocket"] else [entry]
            found.append((hint, [(body["model"], body["tier"]) for body in bodies]))
    return found


@pytest.mark.parametrize("transport", ["websocket", "https"])
def test_codex_is_hastened_as_if_its_own_fast_mode_were_on(desk: Desk, home: Path, transport: str) -> None:
    desk.pool("alice")
    if transport == "https":
        desk.fakes.behave("*", UPGRADE_REFUSED)
    code, events = codex.execute(desk, home)
    assert (code, codex.errors(events)) == (0, [])
    assert codex.said(events) == ["alice0 alice1 alice2 "]
    ((hint, bodies),) = said(desk)
    assert hint == f"model={bodies[0][0]};tier=priority"
    assert {tier for _, tier in bodies} == {"priority"}
    assert len(bodies) == (2 if transport == "websocket" else 1), "the one that warms the socket up as well"


@pytest.mark.parametrize("transport", ["websocket", "https"])
def test_codex_is_served_with_a_substitute_unseen(desk: Desk, home: Path, started: Started, transport: str) -> None:
    """On a socket the refusal is a message in its middle: the client reconnects, and the next handshake says so."""
    desk.pool("alice")
    app = AppServer(started(["codex", "app-server"], codex.signed_in(desk, home), home / "work"), home / "work")
    refuse = {"kind": "model_not_supported", "model": "gpt-6.1-sol", "on": ["request", "frame"]}
    desk.fakes.behave("alice", refuse)
    if transport == "https":
        desk.fakes.behave("*", UPGRADE_REFUSED)
    for _ in range(2):
        turn = app.turn()
        assert (turn.status, turn.errors, turn.text) == ("completed", [], "alice0 alice1 alice2 ")
    assert app.told("model/rerouted") == [], "it would say that the account was flagged (openai/codex issue 12003)"
    hint, bodies = said(desk)[-1]
    assert hint == "model=gpt-substitute;tier=priority"
    assert set(bodies) == {("gpt-substitute", "priority")}
