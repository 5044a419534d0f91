"""The real Copilot language server, signed in with a seat that is not in the pool, on the seats that are.

Emma is signed in. Carol has an individual seat and is asked first; dave has a business seat, on other hosts.
"""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients import language_server
from tests.clients.conftest import Desk, Started
from tests.clients.language_server import LanguageServer

pytestmark = pytest.mark.timeout(90, func_only=True)

GAP_S = 0.15
SLOWLY = {"deltas": 6, "gap_ms": GAP_S * 1000}
MOMENT_S = 6
"""Longer than a seat's own short limits, which are waited for on that seat."""
TEXT = "dave0 dave1 dave2 dave3 dave4 dave5"
MODELS = {"claude-sonnet-4.6": "messages", "gpt-5-mini": "responses"}
"""Which path a model is asked on. Those of chat-completions are held back by the client itself."""

Serve = Callable[[], LanguageServer]


@pytest.fixture
def serve(desk: Desk, started: Started, home: Path) -> Serve:
    def serve() -> LanguageServer:
        environment = language_server.signed_in(desk, home, "emma")
        return LanguageServer(started(list(language_server.ARGV), environment, home / "work"), home / "work")

    return serve


def carol_refuses(desk: Desk, *routes: str) -> None:
    desk.pool("carol", "dave")
    desk.fakes.behave("carol", *({"kind": "usage_limit", "retry_after": 600, "route": route} for route in routes))
    desk.fakes.behave("dave", SLOWLY)


def served(desk: Desk, route: str) -> list[tuple[str, str, int]]:
    """Who was asked on a route, on which host, and what came of it."""
    return [(e["account"], e["host"], e["status"]) for e in desk.fakes.journal(route=route)]


def test_ghost_text_goes_on_at_the_next_seats_host_and_stays_there(desk: Desk, serve: Serve) -> None:
    carol_refuses(desk, "engine")
    server = serve()
    assert [text.strip() for text in server.complete()] == [TEXT]
    assert [text.strip() for text in server.complete("r")] == ["r" + TEXT]
    assert served(desk, "engine") == [
        ("carol", "proxy.individual.githubcopilot.com", 429),
        ("dave", "proxy.business.githubcopilot.com", 200),
        ("dave", "proxy.business.githubcopilot.com", 200),
    ]
    # A refusal that reaches it silences the client for ten minutes and shows as a warning.
    assert server.states == {"Normal"}


@pytest.mark.parametrize("model", MODELS)
def test_a_chat_is_read_as_the_next_seat_speaks(desk: Desk, serve: Serve, model: str) -> None:
    carol_refuses(desk, *MODELS.values())
    chat = serve().chat("say hi", model)
    assert (chat.error, chat.text.strip()) == (None, TEXT)
    asked = desk.fakes.journal(route=MODELS[model])
    assert [(e["account"], e["host"], e["status"]) for e in asked] == [
        ("carol", "api.individual.githubcopilot.com", 429),
        ("dave", "api.business.githubcopilot.com", 200),
    ]
    # Five gaps lie between the first and the last; buffered, the first would come after all of them.
    assert chat.parts[0][0] < asked[-1]["last_delta"] - 4 * GAP_S


def test_after_a_refused_chat_all_chat_goes_to_the_next_seat_and_ghost_text_stays(desk: Desk, serve: Serve) -> None:
    carol_refuses(desk, *MODELS.values())
    server = serve()
    assert server.chat("say hi", "claude-sonnet-4.6").error is None
    assert server.chat("say more", "gpt-5-mini").error is None
    assert [text.split()[0] for text in server.complete()] == ["carol0"]
    assert {who for route in ("responses", "chat-completions") for who, _, _ in served(desk, route)} == {"dave"}
    assert {who for who, _, _ in served(desk, "engine")} == {"carol"}
    assert [who for who, _, _ in served(desk, "messages")] == ["carol", "dave"]


def test_a_chat_that_every_seat_refuses_for_a_moment_is_answered_after_it(desk: Desk, serve: Serve) -> None:
    desk.pool("carol", "dave")
    for name in ("carol", "dave"):
        desk.fakes.behave(name, {"kind": "usage_limit", "retry_after": MOMENT_S, "first": 1, "route": "messages"})
    began = time.time()
    chat = serve().chat("say hi", "claude-sonnet-4.6")
    assert chat.error is None
    assert chat.text.strip() in ("carol0 carol1 carol2", "dave0 dave1 dave2")
    assert time.time() - began > MOMENT_S
    assert [status for _, _, status in served(desk, "messages")] == [429, 429, 200]


def test_who_the_person_is_stays_the_editors_own_affair(desk: Desk, serve: Serve) -> None:
    carol_refuses(desk, "messages")
    server = serve()
    server.chat("say hi", "claude-sonnet-4.6")
    identity = desk.fakes.journal(host="api.github.com")
    mine = [e for e in identity if e["account"] == "emma"]
    assert {e["route"] for e in mine} >= {"token", "copilot-user"}
    # The pool asks there for its own seats alone, and only to mint what it then sends.
    assert {e["route"] for e in identity if e["account"] != "emma"} == {"token"}
    catalogues = Counter(e["account"] for e in desk.fakes.journal(route="models"))
    assert catalogues.pop("emma") > 0
    # And for what each of them can serve, in its own time.
    assert all(count == 1 for count in catalogues.values())


@pytest.mark.parametrize("model", MODELS)
def test_a_chat_that_is_cut_says_so_and_the_next_one_goes_well(desk: Desk, serve: Serve, model: str) -> None:
    desk.pool("carol")
    desk.fakes.behave("carol", {"kind": "cut", "after": 2, "first": 1, "route": MODELS[model]})
    server = serve()
    cut = server.chat("say hi", model)
    assert (cut.text.strip(), cut.error is not None) == ("carol0 carol1", True)
    again = server.chat("say it again", model)
    assert (again.text.strip(), again.error) == ("carol0 carol1 carol2", None)
    assert server.states == {"Normal"}


@pytest.mark.parametrize("model", MODELS)
def test_a_limit_as_the_first_event_of_a_chat_goes_unseen(desk: Desk, serve: Serve, model: str) -> None:
    desk.pool("carol", "dave")
    desk.fakes.behave("carol", {"kind": "failed", "code": "user_global_rate_limited", "route": MODELS[model]})
    chat = serve().chat("say hi", model)
    assert (chat.text.strip(), chat.error) == ("dave0 dave1 dave2", None)
    assert [who for who, _, _ in served(desk, MODELS[model])] == ["carol", "dave"]
