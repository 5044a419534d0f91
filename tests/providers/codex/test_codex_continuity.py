import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from seatpool.core.model import CredentialKind
from seatpool.providers.base import RequestFacts
from seatpool.providers.codex import CODEX
from seatpool.providers.codex.routes import ROUTES
from seatpool.providers.http import Headers
from tests.providers.codex.codex_material import POST, SOCKET, access_token

BEARER = ("authorization", f"Bearer {access_token()}")
IMAGES = ROUTES["POST", "/backend-api/codex/images/generations", False]
THREAD = "0197a2f0-0000-7000-8000-000000000001"


def facts(*headers: tuple[str, str], body: bytes | None = b"", route: Any = POST) -> RequestFacts | None:
    def read() -> bytes:
        assert body is not None, "the body was read although the headers say enough"
        return body

    return CODEX.facts(route, "/backend-api/codex/responses", Headers(headers), read)


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Bearer sk-FAKESECRET", "AgentAssertion FAKESECRET", "Basic FAKESECRET"],
)
def test_a_request_without_a_chatgpt_login_is_left_alone(authorization: str) -> None:
    assert facts(("authorization", authorization), body=None) is None
    assert facts(body=None) is None


def test_the_headers_of_a_real_client_say_it_all() -> None:
    found = facts(
        BEARER,
        ("session-id", THREAD),
        ("x-codex-routing-hint", "model=gpt-6.1-sol;tier=fast"),
        ("x-codex-turn-state", "FAKESECRET-ts"),
        body=None,
    )
    assert found is not None
    assert (found.model, found.conversation, found.turn_state) == ("gpt-6.1-sol", THREAD, "FAKESECRET-ts")
    assert found.needs == (CredentialKind.CODEX_OAUTH,)
    assert found.buckets == ("primary", "secondary")
    assert "FAKESECRET" not in repr(found)


@pytest.mark.parametrize(("model", "own"), [("gpt-reserve", True), ("gpt-6.1-sol", False)])
def test_of_the_reserve_model_the_editors_own_account_tells_the_limit(model: str, own: bool) -> None:
    found = facts(BEARER, body=json.dumps({"model": model}).encode())
    assert found is not None
    assert found.own_meter is own


def test_a_picture_draws_on_a_limit_of_its_own_as_well() -> None:
    found = facts(BEARER, body=b'{"model":"gpt-image-2"}', route=IMAGES)
    assert found is not None
    assert (found.model, found.buckets) == ("gpt-image-2", ("primary", "secondary", "images"))


@pytest.mark.parametrize(
    "name", ["session-id", "thread-id", "session_id", "conversation_id", "x-client-request-id", "Session-Id"]
)
def test_old_and_new_names_of_a_conversation(name: str) -> None:
    found = facts(BEARER, (name, THREAD))
    assert found is not None and found.conversation == THREAD


def test_the_body_answers_where_the_headers_are_silent() -> None:
    found = facts(BEARER, body=b'{"input":[],"model":"gpt-6.1-sol","prompt_cache_key":"key-1"}')
    assert found is not None
    assert (found.model, found.conversation) == ("gpt-6.1-sol", "key-1")


def test_a_handshake_has_no_body_to_read() -> None:
    found = facts(BEARER, ("thread-id", THREAD), body=None, route=SOCKET)
    assert found is not None and (found.model, found.conversation) == (None, THREAD)


def test_a_key_that_might_hold_content_is_hashed() -> None:
    found = facts(BEARER, body=json.dumps({"prompt_cache_key": "write me a poem"}).encode())
    again = facts(BEARER, body=json.dumps({"prompt_cache_key": "write me a poem"}).encode())
    assert found is not None and again is not None and found.conversation is not None
    assert "poem" not in found.conversation
    assert found.conversation == again.conversation


@given(st.binary(max_size=60), st.text(max_size=30), st.text(max_size=30))
def test_requests_of_any_kind_are_read_without_an_error(body: bytes, hint: str, session: str) -> None:
    found = facts(BEARER, ("x-codex-routing-hint", hint), ("session-id", session), body=body)
    assert found is not None


@pytest.mark.parametrize(
    "body", [b'{"model":7,"prompt_cache_key":[]}', b'{"model":"a b\\n"}', b"\x28\xb5\x2f\xfd", b"["]
)
def test_a_body_of_no_sense_tells_nothing(body: bytes) -> None:
    found = facts(BEARER, body=body)
    assert found is not None and (found.model, found.conversation) == (None, None)


# -- the client's messages


def edit(content: bytes, state: str | None, *owned: str) -> bytes:
    return CODEX.edit_client_frame(content, state, lambda token: token in owned)


TURN = b'{"type":"response.create","client_metadata":{"a":"1", "x-codex-turn-state" : "ts-old","b":2},"input":[]}'


def test_a_foreign_turn_state_is_replaced_and_nothing_else() -> None:
    assert edit(TURN, "ts-new") == TURN.replace(b'"ts-old"', b'"ts-new"')


def test_a_foreign_turn_state_is_removed_where_there_is_no_own() -> None:
    assert edit(TURN, None) == TURN.replace(b', "x-codex-turn-state" : "ts-old"', b"")


@pytest.mark.parametrize(
    ("metadata", "left"),
    [
        (b'{"x-codex-turn-state":"o"}', b"{}"),
        (b'{ "x-codex-turn-state":"o" }', b"{  }"),
        (b'{"x-codex-turn-state":"o","a":1}', b'{"a":1}'),
        (b'{"a":1,"x-codex-turn-state":"o"}', b'{"a":1}'),
        (b'{"a":{"x-codex-turn-state":"o"},"x-codex-turn-state":"o"}', b'{"a":{"x-codex-turn-state":"o"}}'),
        (b'{"a\\"":"\\\\","x-codex-turn-state":"o\\u0041"}', b'{"a\\"":"\\\\"}'),
    ],
)
def test_removal_leaves_an_object(metadata: bytes, left: bytes) -> None:
    assert edit(b'{"client_metadata":' + metadata + b"}", None) == b'{"client_metadata":' + left + b"}"


def same(content: bytes) -> bool:
    return edit(content, "ts-new", "ts-mine") is content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b'{"type":"response.create"}',
        b'{"client_metadata":{"x-codex-turn-state":"ts-mine"}}',  # our own
        b'{"client_metadata":{"x-codex-turn-state":null}}',
        b'{"client_metadata":["x-codex-turn-state"]}',
        b'{"x-codex-turn-state":"ts-old"}',  # not in client_metadata
        b'{"input":[{"client_metadata":{"x-codex-turn-state":"ts-old"}}]}',  # not at the top
        b'{"input":"{\\"client_metadata\\":{\\"x-codex-turn-state\\":\\"ts-old\\"}}"}',  # what the person wrote
        b'["x-codex-turn-state"]',
        b'{"client_metadata":{"x-codex-turn-state":"ts-old"}',  # cut off
        b'{"client_metadata":{"x-codex-turn-state":"ts-old"},"a":1,"a":1}',  # two meanings: not ours to choose
    ],
)
def test_every_other_message_is_the_same_object(content: bytes) -> None:
    assert same(content)


SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=6)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["client_metadata", "x-codex-turn-state", "a", 'q"\\']), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    before=st.dictionaries(st.text(max_size=4), DOCUMENTS, max_size=3),
    beside=st.lists(st.tuples(st.text(max_size=4), DOCUMENTS), max_size=3, unique_by=lambda pair: pair[0]),
    place=st.integers(0, 3),
    state=st.none() | st.text("abc-_.=", min_size=1),
    spaced=st.booleans(),
    ascii_only=st.booleans(),
)
def test_only_the_token_changes_in_any_message(
    before: dict[str, Any],
    beside: list[tuple[str, Any]],
    place: int,
    state: str | None,
    spaced: bool,
    ascii_only: bool,
) -> None:
    """Parsed, the edited message differs in the token alone; so it does as text, apart from one comma."""
    token = "FAKESECRET-old"
    members = [*beside[:place], ("x-codex-turn-state", token), *beside[place:]]
    message = {**before, "client_metadata": dict(members), "last": 1}
    assume(json.dumps(message).count(token) == 1)
    separators = (" , ", " :\t") if spaced else (",", ":")
    content = json.dumps(message, separators=separators, ensure_ascii=ascii_only).encode()
    edited = edit(content, state)

    expected = {**message, "client_metadata": dict(message["client_metadata"])}
    if state is None:
        del expected["client_metadata"]["x-codex-turn-state"]
    else:
        expected["client_metadata"]["x-codex-turn-state"] = state
        assert edited == content.replace(token.encode(), state.encode())
    assert json.loads(edited) == expected
    assert list(json.loads(edited)) == list(message)
    text, head = content.decode(), edited.decode()
    at = text.index('"x-codex-turn-state"' + separators[1] + f'"{token}"')
    assert head.startswith(text[:at].rstrip(", ").rstrip())
    assert head.endswith(text[at:].partition(f'"{token}"')[2].lstrip(", "))
    assert token not in head


@given(st.binary(max_size=80).map(lambda noise: noise + b'"x-codex-turn-state"' + noise))
def test_noise_is_returned_as_it_is(content: bytes) -> None:
    assert edit(content, None) is content
