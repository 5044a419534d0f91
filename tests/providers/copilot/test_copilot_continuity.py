import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatpool.providers.base import Route
from seatpool.providers.copilot import COPILOT
from seatpool.providers.http import Headers
from tests.providers.copilot.copilot_material import (
    BOB_CT,
    CHAT,
    EMBEDDINGS,
    ENGINE,
    ENGINE_PATH,
    MESSAGES,
    PICTURES,
    RESPONSES,
    SOCKET,
    facts,
    route,
)

SYSTEM = {"role": "system", "content": "You are a helper."}
ASK = {"role": "user", "content": "Why is the sky blue?"}
ANSWER = {"role": "assistant", "content": "Rayleigh."}


def key(body: object, to: Route = CHAT, session: str = "window-1", **headers: str) -> str | None:
    return facts(to, "/", body, vscode_sessionid=session, **headers).conversation


# -- model and buckets


@pytest.mark.parametrize("to", [CHAT, RESPONSES, MESSAGES, EMBEDDINGS])
def test_the_model_is_in_the_body(to: Route) -> None:
    assert facts(to, "/", {"stream": True, "model": "claude-sonnet-4.5"}).model == "claude-sonnet-4.5"


@pytest.mark.parametrize("body", [{}, {"model": 7}, {"model": None}, {"model": "a\nb"}, {"model": "x" * 200}, [], "m"])
def test_a_model_that_is_none_is_unknown(body: object) -> None:
    assert facts(body=body).model is None


def unread() -> bytes:
    raise AssertionError("the body was read")


@pytest.mark.parametrize(
    ("to", "path", "model"),
    [
        (ENGINE, ENGINE_PATH + "?x=1", "gpt-41-copilot"),
        (ENGINE, f"/v1/engines/{'x' * 129}/completions", None),  # longer than any
        (SOCKET, "/responses", None),
    ],
)
def test_ghost_text_and_sockets_are_known_without_a_body(to: Route, path: str, model: str | None) -> None:
    found = COPILOT.facts(to, path, Headers([("Authorization", f"Bearer {BOB_CT}")]), unread)
    assert found is not None and found.model == model


@pytest.mark.parametrize(
    ("to", "buckets"),
    [
        (CHAT, ("chat", "premium_interactions", "premium_models")),
        (SOCKET, ("chat", "premium_interactions", "premium_models")),
        (ENGINE, ("completions",)),
        (route("/chat/completions", "proxy.individual.githubcopilot.com"), ("completions",)),
        (EMBEDDINGS, ("embeddings",)),
        (PICTURES, ("images",)),
        (route("/v1/systemone"), ("decisions",)),
    ],
)
def test_what_a_request_draws_on(to: Route, buckets: tuple[str, ...]) -> None:
    assert facts(to, ENGINE_PATH, {}).buckets == buckets


# -- the conversation's key


GROWING: list[tuple[Route, Any, Any]] = [
    (CHAT, {"messages": [SYSTEM, ASK]}, {"messages": [SYSTEM, ASK, ANSWER, {"role": "user", "content": "And red?"}]}),
    (
        MESSAGES,
        {"system": [{"type": "text", "text": "Help.", "cache_control": {"type": "ephemeral"}}], "messages": [ASK]},
        {"messages": [ASK, ANSWER, {"role": "user", "content": "And red?"}], "system": "Help.", "max_tokens": 9},
    ),
    (
        RESPONSES,
        {"instructions": "Help.", "input": [{"role": "user", "content": [{"type": "input_text", "text": "Why?"}]}]},
        {
            "instructions": "Help.",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "Why?"}], "id": "msg_1"},
                {"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA"},
            ],
        },
    ),
    (RESPONSES, {"input": "Why?"}, {"input": [{"role": "user", "content": "Why?"}, ANSWER]}),
    # a cache mark wanders to the newest message as the conversation grows
    (
        MESSAGES,
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Why?", "cache_control": {}}]}]},
        {"messages": [{"content": "Why?", "role": "user"}, ANSWER, ASK]},
    ),
]


@pytest.mark.parametrize(("to", "first", "later"), GROWING)
def test_a_conversation_keeps_its_key_as_it_grows(to: Route, first: object, later: object) -> None:
    assert key(first, to) == key(later, to) is not None


def test_who_said_it_is_part_of_the_beginning() -> None:
    as_system = {"messages": [{"role": "system", "content": "a"}, ASK]}
    as_answer = {"messages": [{"role": "assistant", "content": "a"}, ASK]}
    assert key(as_system) != key(as_answer)


def test_other_beginnings_and_other_windows_are_other_conversations() -> None:
    other_words = {"messages": [SYSTEM, {"role": "user", "content": "Why is grass green?"}]}
    other_system = {"messages": [{"role": "system", "content": "Be brief."}, ASK]}
    mine = {"messages": [SYSTEM, ASK]}
    keys = {key(mine), key(other_words), key(other_system), key(mine, session="window-2")}
    assert len(keys) == 4 and None not in keys


def test_the_clis_session_is_its_key_whatever_is_said() -> None:
    one = key({"messages": [ASK]}, x_client_session_id="cli-1")
    assert (
        one == key({"messages": [SYSTEM]}, x_client_session_id="cli-1") == key(b"", SOCKET, x_client_session_id="cli-1")
    )
    assert one != key({"messages": [ASK]}, x_client_session_id="cli-2")


def test_a_socket_without_a_cli_session_goes_by_the_window() -> None:
    assert key(b"", SOCKET) == key(b"", SOCKET) != key(b"", SOCKET, session="window-2")
    assert key(b"", SOCKET, session="") is None


def test_ghost_text_goes_by_the_window_and_embeddings_by_nothing() -> None:
    assert key({"prompt": "a"}, ENGINE) == key({"prompt": "b"}, ENGINE) is not None
    assert key({"prompt": "a"}, ENGINE, session="") is None
    assert key({"input": "a"}, EMBEDDINGS) is None


@pytest.mark.parametrize(
    "body",
    [{}, [], {"messages": []}, {"messages": [SYSTEM]}, {"messages": 7, "input": {}}, {"messages": [1, None]}, b"{"],
)
def test_where_nobody_has_spoken_there_is_no_conversation(body: object) -> None:
    assert key(body) is None


def test_a_key_shows_nothing_of_the_contents() -> None:
    found = facts(body={"messages": [{"role": "user", "content": "FAKESECRET plans"}]}, vscode_sessionid="window-1")
    assert found.conversation is not None and len(found.conversation) == 32  # 16 bytes in hex
    assert "FAKESECRET" not in repr(found)


@given(st.lists(st.sampled_from([SYSTEM, ASK, ANSWER]), max_size=4), st.lists(st.dictionaries(st.text(), st.text())))
def test_nothing_after_the_first_user_message_matters(before: list[object], after: list[object]) -> None:
    start = [*before, ASK]
    assert key({"messages": start}) == key({"messages": start + after})


@given(st.binary(max_size=200))
def test_no_body_makes_it_raise(body: bytes) -> None:
    for to in (CHAT, RESPONSES, MESSAGES, EMBEDDINGS):
        facts(to, "/", body)


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "text", "type"]), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(_JSON, _JSON, _JSON)
def test_no_json_makes_it_raise(model: object, messages: object, system: object) -> None:
    body = {"model": model, "messages": messages, "system": system, "input": messages}
    facts(CHAT, "/", json.dumps(body).encode())


def test_a_body_nested_beyond_reason_does_not_raise() -> None:
    deep = b"[" * 50_000 + b"]" * 50_000
    assert key(b'{"model":' + deep + b',"messages":[{"role":"user","content":' + deep + b"}]}") is None
