"""The real Codex, signed in with an account that is not in the pool, on the accounts that are."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from seatpool.core.model import Attempt, Tokens
from tests.clients import codex
from tests.clients.codex import AppServer
from tests.clients.conftest import Desk, Started
from tests.e2e.conftest import ALONE
from tests.harness import Mitmdump
from tests.upstream.dialogue import sse

pytestmark = pytest.mark.timeout(90, func_only=True)

UPGRADE_REFUSED = {"kind": "status", "status": 426, "on": ["handshake"]}
LIMITED = {"kind": "usage_limit", "route": "responses"}
GAP_S = 0.15
SLOWLY = {"deltas": 6, "gap_ms": GAP_S * 1000}


Serve = Callable[[], AppServer]


@pytest.fixture
def serve(desk: Desk, started: Started, home: Path) -> Serve:
    def serve() -> AppServer:
        process = started(["codex", "app-server"], codex.signed_in(desk, home), home / "work")
        return AppServer(process, home / "work")

    return serve


def limit_alice(desk: Desk, transport: str) -> None:
    """Alice refuses on the transport; with `https` no upstream takes sockets at all."""
    desk.pool("alice", "bob")
    if transport == "https":
        desk.fakes.behave("*", UPGRADE_REFUSED)
        desk.fakes.behave("alice", {**LIMITED, "on": ["request"]})
    else:
        desk.fakes.behave("alice", {**LIMITED, "on": ["handshake"]})


def turns_asked(desk: Desk) -> list[tuple[str, bool, Any]]:
    """Who was asked for turns: account, whether over a socket, status."""
    entries = desk.fakes.journal(route="responses")
    return [(entry["account"], entry["websocket"], entry["status"]) for entry in entries]


ASKED = {
    "websocket": [("alice", True, 429), ("bob", True, 101)],
    # The client asks for a socket once, and then posts for the rest of its conversation.
    "https": [("alice", True, 426), ("alice", False, 429), ("bob", False, 200)],
}


@pytest.mark.parametrize("transport", ASKED)
def test_exec_ends_well_on_the_next_account(desk: Desk, home: Path, transport: str) -> None:
    limit_alice(desk, transport)
    code, events = codex.execute(desk, home)
    assert (code, codex.errors(events)) == (0, [])
    assert codex.said(events) == ["bob0 bob1 bob2 "]
    assert turns_asked(desk) == ASKED[transport]


@pytest.mark.parametrize("transport", ASKED)
def test_an_editor_reads_the_first_words_while_the_upstream_still_speaks(
    desk: Desk, serve: Serve, transport: str
) -> None:
    limit_alice(desk, transport)
    desk.fakes.behave("bob", SLOWLY, *([UPGRADE_REFUSED] if transport == "https" else []))
    turn = serve().turn()
    assert (turn.status, turn.errors, turn.text) == ("completed", [], "bob0 bob1 bob2 bob3 bob4 bob5 ")
    spoken = desk.fakes.journal(route="responses", account="bob")[-1]
    last = (spoken["turns"][-1] if transport == "websocket" else spoken)["last_delta"]
    # Five gaps lie between the first and the last; buffered, the first would come after all of them.
    assert turn.deltas[0][0] < last - 4 * GAP_S
    assert turns_asked(desk) == ASKED[transport]


def test_the_list_of_models_is_not_asked_for_again_with_every_answer(desk: Desk, serve: Serve) -> None:
    """Over HTTPS Codex believes what answers tell of it, here of another account's list than its own."""
    desk.pool("alice")
    desk.fakes.behave("alice", UPGRADE_REFUSED)
    app = serve()
    app.turn()
    asked = len(desk.fakes.journal(route="models"))
    for _ in range(2):
        assert app.turn("and again").text.startswith("alice0 ")
    assert len(desk.fakes.journal(route="models")) == asked


def test_a_limit_told_in_the_middle_of_a_socket_is_a_silent_reconnect(desk: Desk, serve: Serve) -> None:
    desk.pool("alice", "bob")
    app = serve()
    assert app.turn().text.startswith("alice0 ")
    desk.fakes.behave("alice", {"kind": "usage_limit", "on": ["frame"]})
    turn = app.turn("and again")
    assert (turn.status, turn.errors, turn.text) == ("completed", [], "bob0 bob1 bob2 ")
    assert app.turn("and once more").text.startswith("bob0 ")
    assert turns_asked(desk) == [("alice", True, 101), ("bob", True, 101)]


def test_a_thread_goes_on_elsewhere_when_its_account_is_taken_out_between_two_turns(desk: Desk, serve: Serve) -> None:
    """The socket is closed while it idles, which the client does not mention; the next turn repeats everything."""
    desk.pool("alice", "bob")
    app = serve()
    assert app.turn().text.startswith("alice0 ")
    with desk.store as store:
        store.set_paused("alice", True, datetime.now(UTC))
    desk.fakes.wait(1, 10, route="responses", account="alice", close_code=1000)
    turn = app.turn("and again")
    assert (turn.status, turn.errors, turn.text) == ("completed", [], "bob0 bob1 bob2 ")
    assert turns_asked(desk) == [("alice", True, 101), ("bob", True, 101)]
    (repeated,) = desk.fakes.journal(route="responses", account="bob")[0]["turns"]
    assert (repeated["previous_response_id"], repeated["answer"]) == (False, "ok"), "one message: no retry, no warming"


def test_a_thread_whose_account_is_taken_out_amid_a_turn_hears_that_turn_to_its_end(desk: Desk, serve: Serve) -> None:
    """The socket is closed right behind the turn's last event."""
    desk.pool("alice", "bob")
    desk.fakes.behave("alice", {"kind": "ok", "on": ["frame"], "deltas": 12, "gap_ms": 150, "first": 1})
    app = serve()

    def take_out() -> None:
        with desk.store as store:
            store.set_paused("alice", True, datetime.now(UTC))

    turn = app.turn(meanwhile=take_out)
    assert (turn.status, turn.errors) == ("completed", [])
    assert turn.text.endswith("alice11 ")
    desk.fakes.wait(1, 10, route="responses", account="alice", close_code=1000)
    turn = app.turn("and again")
    assert (turn.status, turn.errors, turn.text) == ("completed", [], "bob0 bob1 bob2 ")


def test_a_tools_call_in_front_of_a_limit_is_carried_out_once(desk: Desk, serve: Serve, home: Path) -> None:
    """The reconnect repeats the call together with its result: the client keeps what was delivered."""
    desk.pool("alice", "bob")
    *call, _ = tool_events("alice", f"echo once >> {home / 'ran'}")
    spent = {"type": "error", "status_code": 429, "error": {"type": "usage_limit_reached", "message": "spent"}}
    desk.fakes.behave("alice", {"kind": "ok", "on": ["frame"], "body": [*call, spent]})
    turn = serve().turn()
    assert (turn.status, turn.errors, turn.text) == ("completed", [], "bob0 bob1 bob2 ")
    assert (home / "ran").read_text() == "once\n"
    assert len([item for item in turn.items if item["type"] == "commandExecution"]) == 1


def test_a_conversation_moves_between_a_tools_call_and_its_result(desk: Desk, serve: Serve) -> None:
    desk.pool("alice", "bob")
    desk.fakes.behave("*", UPGRADE_REFUSED)
    call = {
        "kind": "ok",
        "first": 1,
        "on": ["request"],
        "route": "responses",
        **tool_call("alice", "echo from-the-tool"),
    }
    desk.fakes.behave("alice", call, {**LIMITED, "on": ["request"]})
    turn = serve().turn()
    assert (turn.status, turn.errors, turn.text) == ("completed", [], "bob0 bob1 bob2 ")
    (ran,) = [item for item in turn.items if item["type"] == "commandExecution"]
    assert (ran["exitCode"], ran["aggregatedOutput"].strip()) == (0, "from-the-tool")
    entries = desk.fakes.journal(route="responses", websocket=False)
    # Alice gets her turn-state back with the result; bob must not see it.
    shown = [(e["account"], e["status"], e["turn_state"]) for e in entries]
    assert shown == [("alice", 200, None), ("alice", 429, "alice"), ("bob", 200, None)]


def tool_call(name: str, command: str) -> dict[str, Any]:
    """An answer over HTTPS that asks for a command to be run."""
    body = b"".join(sse(event) for event in tool_events(name, command)).decode()
    return {"body": body, "headers": {"content-type": "text/event-stream"}}


def tool_events(name: str, command: str) -> list[dict[str, Any]]:
    """Its events; the last one ends it."""
    item = {
        "type": "function_call",
        "id": f"fc_{name}_1",
        "call_id": "call_1",
        "name": "exec_command",
        "arguments": json.dumps({"cmd": command}),
    }
    shell = {"id": f"resp_{name}_0", "object": "response", "created_at": int(time.time()), "model": "any"}
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    return [
        {"type": "response.created", "response": {**shell, "status": "in_progress", "output": []}},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {**shell, "status": "completed", "output": [item], "usage": usage}},
    ]


def test_a_401_is_renewed_by_the_pool_once_and_the_client_keeps_its_own_login(desk: Desk, home: Path) -> None:
    desk.pool("alice", "bob")
    desk.fakes.change("alice", revoked_below=1)
    code, events = codex.execute(desk, home)
    assert (code, codex.said(events), codex.errors(events)) == (0, ["alice0 alice1 alice2 "], [])
    assert [(e["account"], e["status"]) for e in desk.fakes.journal(route="oauth-token")] == [("alice", 200)]
    assert [(a, s) for a, _, s in turns_asked(desk)] == [("alice", 401), ("alice", 101)]


EXHAUSTED = {
    "handshake": [("alice", True, 429), ("bob", True, 429)],
    "request": [("alice", True, 426), ("alice", False, 429), ("bob", False, 429)],
    "frame": [("alice", True, 101), ("bob", True, 101)],
}
"""Who is asked when everybody is limited, by the place where they say so."""


@pytest.mark.parametrize("place", EXHAUSTED)
def test_when_all_are_limited_exec_says_when_the_first_of_them_is_back(desk: Desk, home: Path, place: str) -> None:
    desk.pool("alice", "bob")
    for name, resets_in_s in (("alice", 1800), ("bob", 7200)):
        limited = {**LIMITED, "on": [place], "resets_in_s": resets_in_s}
        desk.fakes.behave(name, limited, *([UPGRADE_REFUSED] if place == "request" else []))
    began = time.time()
    code, events = codex.execute(desk, home)
    minutes = range(int(began), int(time.time()) + 61, 60)
    (told,) = codex.errors(events)
    assert code == 1
    assert "hit your usage limit" in told
    assert any(clock(minute + 1800) in told for minute in minutes), told
    assert turns_asked(desk) == EXHAUSTED[place]


def clock(moment: float) -> str:
    """A time of day as Codex tells it, in the time zone that it was given."""
    return datetime.fromtimestamp(moment, UTC).strftime("%-I:%M %p")


MOMENT_S = 3


@pytest.mark.parametrize("place", ["handshake", "frame"])
def test_when_all_are_limited_for_a_moment_nothing_is_seen_of_it(desk: Desk, serve: Serve, place: str) -> None:
    # Codex shows the second reconnect in a row, so that two sockets cannot both be limited unseen (codex.md 5).
    pooled = ("alice",) if place == "frame" else ("alice", "bob")
    desk.pool(*pooled)
    for name in pooled:
        limited = {**LIMITED, "on": [place], "resets_in_s": MOMENT_S, "first": 1}
        desk.fakes.behave(name, limited)
    began = time.time()
    turn = serve().turn()
    assert (turn.status, turn.errors) == ("completed", [])
    assert turn.text in ("alice0 alice1 alice2 ", "bob0 bob1 bob2 ")
    assert time.time() - began > MOMENT_S - 1
    refused = [who for who, _, status in turns_asked(desk) if status == 429]
    assert sorted(refused) == ([] if place == "frame" else ["alice", "bob"])


# -- what its owner alone can read

TOLD = Tokens(30_000, 25_000, 111, reasoning=55)
THINKS = {"kind": "ok", "reasoning": True, "input_tokens": 30_000, "cached_tokens": 25_000, "output_tokens": 111}


@pytest.fixture
def loose(desk: Desk, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """A desk whose proxy has no other reason to leave a conversation where it is."""
    options = {**ALONE, "pool_affinity": "disabled", **getattr(request, "param", {})}
    proxy = Mitmdump(
        tmp_path / "loose",
        lab=desk.lab,
        upstream_ca=desk.fakes.ca,
        options=options,
    )
    proxy.port = desk.proxy.port + 1
    with proxy:
        # Without a dump: that may show what a person's own conversation carries, ciphers too.
        yield Desk(desk.lab, desk.fakes, proxy, tmp_path, tmp_path / "flows")


def turns(attempts: tuple[Attempt, ...]) -> list[Attempt]:
    """Those that a model has answered, in order; a socket's first message only warms it."""
    return sorted((a for a in attempts if a.tokens is not None and a.tokens == TOLD), key=lambda a: a.started_at)


@pytest.mark.parametrize("transport", ["https", "websocket"])
def test_a_thread_comes_back_to_the_account_that_thought_for_it(
    loose: Desk, started: Started, home: Path, transport: str
) -> None:
    loose.pool("bob")
    if transport == "https":
        loose.fakes.behave("*", UPGRADE_REFUSED)
    # A socket that is closed behind an answer is opened anew for the next turn, with the whole conversation.
    loose.fakes.behave("bob", {**THINKS, "on": ["request", "frame"], "close_after": transport == "websocket"})
    app = AppServer(started(["codex", "app-server"], codex.signed_in(loose, home), home / "work"), home / "work")
    assert app.turn().text.startswith("bob0 ")
    loose.pool("alice", "bob")
    code, events = codex.execute(loose, home)
    assert (code, codex.said(events)) == (0, ["alice0 alice1 alice2 "]), "a new thread goes where it is due"
    assert app.turn("and again").text.startswith("bob0 ")
    last = [e for e in loose.fakes.journal(route="responses", account="bob") if e["status"] in (101, 200)][-1]
    carried = last["turns"][-1]["ciphers"] if transport == "websocket" else last["ciphers"]
    assert carried == ["bob"], "it was sent back, so nobody else could have read it"
    loose.proxy.stop()
    assert loose.leaks() == {}
    with loose.store as store:
        recorded = turns(store.past.attempts(limit=99))
    assert [(a.outcome, a.reason) for a in recorded] == [
        ("ok", "best" if transport == "https" else "socket"),
        ("ok", "bound" if transport == "https" else "socket"),
    ]


# -- what breaks off amid an answer


def test_an_answer_over_https_that_is_cut_is_asked_for_again_and_said_once(desk: Desk, serve: Serve) -> None:
    """The cut reaches the client as it is: it asks again by itself, and keeps nothing of what it had read."""
    desk.pool("alice", "bob")
    desk.fakes.behave("*", UPGRADE_REFUSED)
    desk.fakes.behave("alice", {"kind": "cut", "after": 2, "first": 1, "on": ["request"], "route": "responses"})
    app = serve()
    turn = app.turn()
    (said,) = [item["text"] for item in turn.items if item["type"] == "agentMessage"]
    assert (turn.status, said) == ("completed", "alice0 alice1 alice2 ")
    assert turns_asked(desk) == [("alice", True, 426), ("alice", False, 200), ("alice", False, 200)]
    assert app.turn("and again").status == "completed"


@pytest.mark.parametrize("after", [0, 2])
def test_a_limit_inside_of_an_answer_over_https_leads_to_the_next_account(desk: Desk, serve: Serve, after: int) -> None:
    """As first event it is replayed, unseen; later the client asks again, and finds another account."""
    desk.pool("alice", "bob")
    desk.fakes.behave("*", UPGRADE_REFUSED)
    failed = {"kind": "failed", "code": "usage_limit_reached", "after": after, "on": ["request"], "route": "responses"}
    desk.fakes.behave("alice", failed)
    turn = serve().turn()
    (said,) = [item["text"] for item in turn.items if item["type"] == "agentMessage"]
    assert (turn.status, said) == ("completed", "bob0 bob1 bob2 ")
    assert turn.errors == [] or after
    assert turns_asked(desk) == [("alice", True, 426), ("alice", False, 200), ("bob", False, 200)]


@pytest.mark.parametrize("loose", [{"pool_move_conversations": "repair"}], indirect=True, ids=["repair"])
@pytest.mark.parametrize("transport", ["https", "websocket"])
def test_a_thread_goes_on_where_its_thoughts_cannot_be_read(
    loose: Desk, started: Started, home: Path, transport: str
) -> None:
    loose.pool("alice", "bob")
    place = "request" if transport == "https" else "frame"
    if transport == "https":
        loose.fakes.behave("*", UPGRADE_REFUSED)
    thinks = {**THINKS, "on": ["request", "frame"]}
    for name in ("alice", "bob"):
        loose.fakes.change(name, strict=True)
        loose.fakes.behave(name, thinks)
    app = AppServer(started(["codex", "app-server"], codex.signed_in(loose, home), home / "work"), home / "work")
    assert app.turn().text.startswith("alice0 ")
    loose.fakes.behave("alice", {**LIMITED, "on": [place]}, thinks)
    for said in ("and again", "and once more"):
        turn = app.turn(said)
        assert (turn.status, turn.text) == ("completed", "bob0 bob1 bob2 ")
        # Over a socket the limit and the refusal are a reconnect each, and of the second Codex tells.
        assert all("Reconnecting" in each["message"] for each in turn.errors)
        assert not turn.errors or transport == "websocket"
    entries = loose.fakes.journal(route="responses", account="bob")
    sent = [t for e in entries for t in e["turns"] if t["generate"]] if transport == "websocket" else entries
    sent = [each for each in sent if each["answer"] not in (None, "status")]
    assert [(each["answer"], each["ciphers"]) for each in sent][:2] == [("invalid_encrypted", ["alice"]), ("ok", [])]
    assert all("alice" not in each["ciphers"] for each in sent[1:])
    for name in ("alice", "bob"):
        loose.fakes.change(name, strict=False)


def test_what_it_used_is_told_with_its_program_and_repository(desk: Desk, home: Path) -> None:
    """The handshake that warms its socket up tells no repository; the turn's own message does."""
    for command in (("init", "--quiet"), ("remote", "add", "origin", "git@github.com:Acme/Widgets.git")):
        subprocess.run(["git", "-C", str(home / "work"), *command], check=True)
    desk.pool("alice")
    assert codex.execute(desk, home)[0] == 0
    deadline, turns = time.monotonic() + 10, []
    while not turns and time.monotonic() < deadline:
        with desk.store as store:
            turns = [a for a in store.past.attempts(limit=9) if a.reason == "socket" and a.repository is not None]
    assert {(a.client, a.repository, a.outcome) for a in turns} == {("codex_exec", "github.com/acme/widgets", "ok")}
    assert turns[0].tokens is not None and turns[0].tokens.input == 20_000
