"""What Codex tells of program and repositories; the shapes are those that 0.169 was seen to send."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from seatpool.providers.base import RequestFacts
from seatpool.providers.codex import CODEX
from seatpool.providers.http import Headers
from tests.providers.codex.codex_material import POST, SOCKET, SOCKET_FACTS, access_token

REMOTES = {"fork": "https://bob:FAKESECRET@github.com/bob/Widgets.git", "origin": "git@github.com:Acme/Widgets.git"}
NAMES = ("github.com/bob/widgets", "github.com/acme/widgets")


def metadata(*folders: object, **more: object) -> str:
    return json.dumps({"request_kind": "turn", "workspaces": {f"/src/{n}": f for n, f in enumerate(folders)}, **more})


def facts(told: str | None = None, route: Any = POST, **headers: str) -> RequestFacts:
    fields = {"authorization": f"Bearer {access_token()}", "session-id": "s", "x-codex-routing-hint": "model=m"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    if told is not None:
        fields["x-codex-turn-metadata"] = told
    found = CODEX.facts(route, "/backend-api/codex/responses", Headers(fields.items()), bytes)
    assert found is not None
    return found


def test_the_remotes_of_all_folders_are_the_repositories_each_once() -> None:
    told = metadata({"associated_remote_urls": REMOTES}, {"associated_remote_urls": {"o": REMOTES["origin"]}})
    assert facts(told).repositories == NAMES
    assert "FAKESECRET" not in repr(facts(told))


def message(told: Any, **more: Any) -> bytes:
    return json.dumps({"input": ["x" * 9_000], **more, "client_metadata": {"x-codex-turn-metadata": told}}).encode()


def test_a_message_tells_them_without_being_read_as_a_whole() -> None:
    told = metadata({"associated_remote_urls": REMOTES}, quoted='" \\')
    assert CODEX.repositories_in(message(told)) == NAMES
    assert CODEX.repositories_in(message(told)[:-1]) == NAMES, "whatever comes of the rest"


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b'"x-codex-turn-metadata"', message(None), message(7), message("{}"), message(metadata({}))[:-60]),
        *(b'"x-codex-turn-metadata":"\xff"', b'"x-codex-turn-metadata":"' + b"\\" * 9_999),
    ],
)
def test_a_message_that_tells_none_has_none(content: bytes) -> None:
    assert CODEX.repositories_in(content) == ()


@pytest.mark.parametrize(
    "told",
    [
        None,
        "",
        "not json",
        "[]",
        "{}",
        metadata(),
        metadata({"has_changes": False}),
        metadata({"associated_remote_urls": {"origin": "/srv/git/x"}}),
        metadata({"associated_remote_urls": {"origin": 3}}),
        metadata({"associated_remote_urls": ["x"]}),
        metadata("x"),
        '{"workspaces": 3}',
    ],
)
def test_nothing_told_is_no_repository(told: str | None) -> None:
    assert facts(told).repositories == ()


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ({"originator": "codex_vscode", "user_agent": "x/1"}, "codex_vscode"),
        ({"originator": "Codex_CLI_rs"}, "codex_cli_rs"),
        ({"user_agent": "Codex_exec/0.169.0 (Debian 12; x86_64) xterm"}, "codex_exec"),
        ({"user_agent": " "}, None),
        ({}, None),
    ],
)
def test_the_program_is_who_originates_else_who_the_user_agent_names(
    headers: dict[str, str], client: str | None
) -> None:
    assert facts(**headers).client == client


@pytest.mark.parametrize(
    ("route", "kind", "early"), [(SOCKET, "prewarm", True), (SOCKET, "turn", False), (POST, "prewarm", False)]
)
def test_only_a_handshake_ahead_of_the_turn_is_early(route: Any, kind: str, early: bool) -> None:
    assert facts(json.dumps({"request_kind": kind}), route).early is early


def message(told: object, **more: object) -> bytes:
    body = {"type": "response.create", "input": [{"type": "message"}], **more}
    return json.dumps({**body, "client_metadata": {"x-codex-turn-metadata": told}}).encode()


def test_a_message_tells_its_turns_model_and_repositories() -> None:
    told = CODEX.turn(SOCKET_FACTS, message(metadata({"associated_remote_urls": REMOTES}), model="other"))
    assert told == replace(SOCKET_FACTS, model="other", repositories=NAMES)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"[]", b"{}", b'{"type":"response.cancel"}', message(None), message(3, model=4), message("{")],
)
def test_a_message_that_tells_nothing_leaves_what_was_known(content: bytes) -> None:
    known = replace(SOCKET_FACTS, repositories=NAMES)
    assert CODEX.turn(known, content) is known


@given(st.binary(max_size=300) | st.text(max_size=100).map(message))
def test_no_message_is_too_odd_to_be_read(content: bytes) -> None:
    assert CODEX.turn(SOCKET_FACTS, content).route is SOCKET


def test_a_model_that_could_be_none_is_not_believed() -> None:
    """It comes into the log and the database."""
    for model in ("gpt\naction=x", "\x00", "g" * 200, ""):
        assert CODEX.turn(SOCKET_FACTS, json.dumps({"model": model}).encode()).model == SOCKET_FACTS.model


@pytest.mark.parametrize(
    ("message", "warms_up"),
    [
        ({"type": "response.create", "generate": False, "input": []}, True),
        ({"type": "response.create", "generate": True, "input": []}, False),
        ({"type": "response.create", "input": [{"text": '"generate":false'}]}, False),
        ({"type": "response.create", "input": [{"generate": False}]}, False),
        ({"type": "response.create", "generate": 0}, False),
        ({"type": "response.create", "generate": None}, False),
        ([{"generate": False}], False),
    ],
)
def test_a_message_that_asks_for_nothing_warms_its_socket_up(message: object, warms_up: bool) -> None:
    assert CODEX.warms_up(json.dumps(message).encode()) is warms_up
    assert CODEX.warms_up(json.dumps(message).encode() + b"x") is False
