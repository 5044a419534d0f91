import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatpool.core.model import Tokens
from seatpool.core.outcome import OutcomeKind
from seatpool.providers.base import NO_NEWS, Frame
from seatpool.providers.copilot import COPILOT
from tests.providers.copilot.copilot_material import NOW, SOCKET_FACTS
from tests.upstream.dialogue import Usage

K = OutcomeKind


def read(event: object) -> Frame:
    content = event if isinstance(event, bytes) else json.dumps(event).encode()
    return COPILOT.read_frame(SOCKET_FACTS, content, NOW)


@pytest.mark.parametrize(
    ("code", "kind", "as_code"),
    [
        # the codes and statuses of copilot.md 7.1
        ("user_global_rate_limited:enterprise", K.QUOTA_SPENT, "user_global_rate_limited"),
        ("user_weekly_rate_limited:pro", K.QUOTA_SPENT, "user_weekly_rate_limited"),
        ("user_model_rate_limited:pro", K.RATE_LIMITED, "user_model_rate_limited"),
        ("rate_limited", K.RATE_LIMITED, "rate_limited"),
        ("agent_mode_limit_exceeded", K.RATE_LIMITED, "agent_mode_limit_exceeded"),
        ("integration_rate_limited", K.OVERLOADED, "integration_rate_limited"),
        ("model_overloaded", K.OVERLOADED, "model_overloaded"),
        ("quota_exceeded", K.QUOTA_SPENT, "quota_exceeded"),
        ("free_quota_exceeded", K.QUOTA_SPENT, "free_quota_exceeded"),
        ("overage_limit_reached", K.QUOTA_SPENT, "overage_limit_reached"),
        ("billing_not_configured", K.QUOTA_SPENT, "billing_not_configured"),
        ("session_quota_exceeded", K.CLIENT_ERROR, "session_quota_exceeded"),
        ("previous_response_not_found", K.CARRIER, "previous_response_not_found"),
        ("invalid_encrypted_content", K.CARRIER, "invalid_encrypted_content"),
        ("model_not_supported", K.NOT_ENTITLED, "model_not_supported"),
        ("bad_request", K.CLIENT_ERROR, "bad_request"),
        ("not_found", K.CLIENT_ERROR, "not_found"),
        ("request_too_large", K.CLIENT_ERROR, "request_too_large"),
        ("content_filter", K.CLIENT_ERROR, "content_filter"),
        ("service_unavailable", K.OVERLOADED, "service_unavailable"),
        ("unauthorized", K.UNAUTHORIZED, "unauthorized"),
        ("internal_error", K.SERVER_ERROR, "server-error"),
        ("session_expired", K.SERVER_ERROR, "server-error"),
        ("", K.SERVER_ERROR, "server-error"),
    ],
)
def test_an_error_frame_means_what_its_code_means_over_http(code: str, kind: OutcomeKind, as_code: str) -> None:
    frame = read({"type": "error", "error": {"code": code, "message": "Rate limit exceeded"}})
    assert frame.outcome is not None
    assert (frame.outcome.kind, frame.outcome.code, frame.terminal) == (kind, as_code, True)


def test_a_sealed_output_of_a_tool_that_nobody_here_can_read_is_told_by_its_text() -> None:
    message = "Encrypted function output content could not be decrypted or decoded."
    frame = read({"type": "error", "error": {"code": "invalid_request_body", "message": message}})
    assert frame.outcome is not None
    assert (frame.outcome.kind, frame.outcome.code) == (K.CARRIER, "invalid_encrypted_content")


def test_a_foreign_item_is_told_by_its_text() -> None:
    message = "input item ID does not belong to this connection"
    frame = read({"type": "error", "error": {"code": "bad_request", "type": "websocket_error", "message": message}})
    assert frame.outcome is not None and (frame.outcome.kind, frame.outcome.code) == (K.CARRIER, "item-id")


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "rate_limited", "message": "its fields stand beside the type"},
        {"error": {"code": "rate_limited"}, "type": "error"},
        {"type": "response.failed", "response": {"error": {"code": "rate_limited", "message": "x"}}},
        b' {\n "type" : "error" , "error":{"code":"rate_limited"}}',
    ],
)
def test_a_refusal_is_known_in_every_form(event: object) -> None:
    frame = read(event)
    assert frame.terminal and frame.outcome is not None and frame.outcome.kind is K.RATE_LIMITED


@pytest.mark.parametrize("order", [sorted, lambda names: sorted(names, reverse=True)], ids=["a to z", "z to a"])
def test_its_last_message_tells_what_was_counted_and_charged_on_either_side_of_the_answer(
    order: Callable[[Iterable[str]], list[str]],
) -> None:
    response = {"output": ["x" * 50_000], "usage": Usage(900, 800, 70).responses()}
    event = {"type": "response.completed", "response": response, "copilot_usage": Usage().credits()}
    told = read({name: event[name] for name in order(event)})
    assert (told.terminal, told.tokens) == (True, Tokens(900, 800, 70, reasoning=35, written=0, nano_credits=1_250_000))


@pytest.mark.parametrize("kind", ["completed", "failed", "incomplete", "cancelled"])
def test_a_turn_ends_with_these(kind: str) -> None:
    assert read({"type": f"response.{kind}", "response": {}}) == Frame(terminal=True)


@pytest.mark.parametrize("kind", ["created", "in_progress", "queued"])
def test_a_turn_begins_without_output(kind: str) -> None:
    assert read({"type": f"response.{kind}", "response": {}}) is NO_NEWS


@pytest.mark.parametrize(
    "kind", ["output_item.added", "output_text.delta", "reasoning_summary_text.delta", "function_call_arguments.done"]
)
def test_what_a_client_keeps_is_output(kind: str) -> None:
    assert read({"type": f"response.{kind}", "delta": "x"}) == Frame(output=True)
    assert read({"delta": "x", "type": f"response.{kind}"}) == Frame(output=True)


def test_words_of_the_model_are_not_taken_for_an_error() -> None:
    event = {"type": "response.output_text.delta", "delta": '{"type":"error","error":{"code":"rate_limited"}}'}
    assert read(event) == Frame(output=True)


def test_the_last_event_tells_the_quota() -> None:
    """Numbers come as strings here (copilot.md 5.3): 30 % of 300 are left, and -1 is no limit."""
    snapshots = {
        "premium_interactions": {
            "entitlement": "300", "percent_remaining": 30.0, "overage_permitted": False, "overage_count": 0,
            "has_quota": True, "reset_date": "2026-12-01T00:00:00Z",
        },
        "chat": {"entitlement": "-1", "percent_remaining": 100, "has_quota": True},
    }  # fmt: skip
    frame = read({"type": "response.completed", "response": {}, "copilot_quota_snapshots": snapshots})
    told = [(w.bucket, w.left, w.unlimited, w.resets_at, w.source) for w in frame.windows]
    assert told == [
        ("premium_interactions", 0.3, False, datetime(2026, 12, 1, tzinfo=UTC), "frame"),
        ("chat", 1.0, True, None, "frame"),
    ]
    assert frame.terminal and frame.outcome is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"type":7}', b'{"type":"ping"}', b"[" * 100_000]
)
def test_what_is_no_event_is_no_news(content: bytes) -> None:
    assert read(content) == NO_NEWS


@given(st.binary(max_size=100), st.sampled_from([b"", b'{"type":"error"', b'{"type":"response.completed",']))
def test_no_message_makes_it_raise(content: bytes, beginning: bytes) -> None:
    read(beginning + content)


def test_copilot_has_no_turn_state() -> None:
    message = b'{"type":"response.create"}'
    assert COPILOT.edit_client_frame(message, "state", lambda _: False) is message


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"input": []}, None),
        ({"input": [], "previous_response_id": "resp_1"}, "previous_response_not_found"),
        ({"input": [{"id": "rs_1"}], "previous_response_id": "resp_1"}, "previous_response_not_found"),
        ({"input": [{"id": "rs_1", "encrypted_content": "x"}]}, "websocket_error"),
    ],
)
def test_what_makes_the_client_repeat_everything_depends_on_what_it_has_sent(
    message: dict[str, object], code: str | None
) -> None:
    carried = COPILOT.carriers(SOCKET_FACTS.route, json.dumps({"type": "response.create", **message}).encode())
    frame = COPILOT.reconnect_frame(carried)
    assert (None if frame is None else json.loads(frame)["error"]["code"]) == code


def test_behind_something_of_an_answer_nothing_does() -> None:
    assert COPILOT.reconnect_frame(None) is None
