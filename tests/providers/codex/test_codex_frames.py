import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatpool.core.model import QuotaWindow, Tokens
from seatpool.core.outcome import About, Outcome, OutcomeKind
from seatpool.providers.base import NO_NEWS, Frame
from seatpool.providers.carriers import Carrier
from seatpool.providers.codex import CODEX
from seatpool.providers.codex.frames import DELTAS
from tests.providers.codex.codex_material import NOW, NOW_S, SOCKET_FACTS, at
from tests.upstream.dialogue import Usage

K = OutcomeKind


def read(content: bytes) -> Frame:
    return CODEX.read_frame(SOCKET_FACTS, content, NOW)


def frame(type_: str, /, **fields: Any) -> Frame:
    return read(json.dumps({"type": type_, **fields}, separators=(",", ":")).encode())


@pytest.mark.parametrize(
    "type_",
    [
        "response.output_text.delta",
        "response.output_item.added",
        "response.output_item.done",
        "response.content_part.added",
        "response.reasoning_summary_text.delta",
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
        "response.something_new.delta",
    ],
)
@pytest.mark.parametrize("spaced", [False, True])
def test_the_models_answer_is_output_however_it_is_spaced(type_: str, spaced: bool) -> None:
    content = json.dumps({"type": type_, "delta": '{"type":"error"}'}, separators=None if spaced else (",", ":"))
    assert read(content.encode()) == Frame(output=True)


def test_a_delta_is_told_by_its_first_bytes_alone() -> None:
    """The rest is not even JSON: nothing of it was parsed."""
    for prefix in DELTAS:
        assert read(prefix + b"\xff not json") == Frame(output=True)


@pytest.mark.parametrize(
    "type_",
    [
        "response.created",
        "response.in_progress",
        "response.queued",
        "responsesapi.websocket_timing",
        "keepalive",
        "errors",
    ],
)
def test_the_rest_is_no_news(type_: str) -> None:
    assert frame(type_, response={"id": "resp_1"}) is NO_NEWS


@pytest.mark.parametrize("type_", ["response.completed", "response.incomplete"])
def test_the_turn_is_over(type_: str) -> None:
    assert frame(type_, response={"id": "resp_1"}) == Frame(terminal=True)


@pytest.mark.parametrize("type_", ["response.completed", "response.incomplete"])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_its_last_message_tells_what_was_counted(type_: str, separators: tuple[str, str]) -> None:
    response = {"output": ["x" * 50_000], "usage": Usage(900, 800, 70).responses(), "metadata": {}}
    event = json.dumps({"type": type_, "response": response}, separators=separators)
    assert read(event.encode()) == Frame(terminal=True, tokens=Tokens(900, 800, 70, reasoning=35))


def test_the_captured_limit_frame() -> None:
    """codex.md 3.3, with its resets put after NOW; it says `status_code`, and its headers hold the windows."""
    error = {
        "type": "usage_limit_reached",
        "message": "The usage limit has been reached",
        "plan_type": "plus",
        "resets_at": NOW_S + 13872,
        "eligible_promo": None,
        "resets_in_seconds": 13872,
    }
    headers = {
        "X-Codex-Active-Limit": "premium",
        "X-Codex-Plan-Type": "plus",
        "X-Codex-Primary-Used-Percent": "100",
        "X-Codex-Primary-Window-Minutes": "300",
        "X-Codex-Primary-Reset-At": str(NOW_S + 13872),
        "X-Codex-Secondary-Used-Percent": "80",
        "X-Codex-Secondary-Window-Minutes": "10080",
        "X-Codex-Secondary-Reset-At": str(NOW_S + 316704),
        "X-Codex-Credits-Has-Credits": "False",
    }
    assert frame("error", error=error, status_code=429, headers=headers) == Frame(
        outcome=Outcome(K.QUOTA_SPENT, "usage_limit_reached", until=at(13872)),
        windows=(
            QuotaWindow("primary", 0.0, NOW, "frame", length_s=18000, resets_at=at(13872)),
            QuotaWindow("secondary", pytest.approx(0.2), NOW, "frame", length_s=604800, resets_at=at(316704)),
        ),
        terminal=True,
        draws=("premium/primary", "premium/secondary"),
    )


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({"status": 429, "error": {"message": "slow"}}, Outcome(K.RATE_LIMITED, "rate-limited")),
        (
            {"status": 429, "error": {}, "headers": {"retry-after": 2}},
            Outcome(K.RATE_LIMITED, "rate-limited", until=at(2)),
        ),
        (
            {"status": 429, "error": {}, "headers": {"Retry-After": ["2", "9"]}},
            Outcome(K.RATE_LIMITED, "rate-limited", until=at(2)),
        ),
        ({"status": 401, "error": {"code": "token_expired"}}, Outcome(K.UNAUTHORIZED, "token_expired")),
        ({"error": {"code": "token_revoked"}}, Outcome(K.UNAUTHORIZED, "token_revoked")),
        ({"status": 503, "error": {"code": "slow_down"}}, Outcome(K.OVERLOADED, "slow_down")),
        ({"status": 500, "error": None}, Outcome(K.SERVER_ERROR, "server-error")),
        (
            {"status": 400, "error": {"code": "invalid_encrypted_content"}},
            Outcome(K.CARRIER, "invalid_encrypted_content"),
        ),
        (
            {"status": 400, "error": {"code": "websocket_connection_limit_reached"}},
            Outcome(K.CLIENT_ERROR, "websocket_connection_limit_reached", whose=About.CLIENT),
        ),
        (
            {"status": 400, "error": {"code": "previous_response_not_found"}},
            Outcome(K.CLIENT_ERROR, "previous_response_not_found", whose=About.CLIENT),
        ),
        # A status of no sense is none; the code alone still tells.
        ({"status": "x", "error": {"type": "usage_not_included"}}, Outcome(K.NOT_ENTITLED, "usage_not_included")),
        ({"status": 7, "error": {"message": "?"}}, Outcome(K.CLIENT_ERROR, "unknown-refused")),
        ({}, Outcome(K.CLIENT_ERROR, "unknown-refused")),
    ],
)
def test_error_frames(fields: dict[str, Any], outcome: Outcome) -> None:
    assert frame("error", **fields) == Frame(outcome, terminal=True)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (
            {"code": "rate_limit_exceeded", "message": "Please try again in 1.5s."},
            Outcome(K.RATE_LIMITED, "rate_limit_exceeded", until=at(1.5)),
        ),
        ({"code": "usage_limit_reached"}, Outcome(K.QUOTA_SPENT, "usage_limit_reached")),
        ({"code": "insufficient_quota"}, Outcome(K.QUOTA_SPENT, "insufficient_quota")),
        ({"code": "server_is_overloaded"}, Outcome(K.OVERLOADED, "server_is_overloaded")),
        ({"code": "server_error"}, Outcome(K.SERVER_ERROR, "server-error")),
        ({"code": "content_filter"}, Outcome(K.CLIENT_ERROR, "unknown-content_filter")),
        (None, Outcome(K.CLIENT_ERROR, "unknown-refused")),
    ],
)
def test_failed_responses(error: object, outcome: Outcome) -> None:
    assert frame("response.failed", response={"id": "resp_1", "error": error}) == Frame(outcome, terminal=True)


def test_the_quota_event_is_read() -> None:
    limits = {"primary": {"used_percent": 50, "window_minutes": 300, "reset_at": NOW_S + 9}, "secondary": None}
    assert frame("codex.rate_limits", rate_limits=limits) == Frame(
        windows=(
            QuotaWindow("primary", 0.5, NOW, "frame", length_s=18000, resets_at=at(9)),
            QuotaWindow.none("secondary", NOW, "frame"),
        )
    )


def test_the_quota_event_tells_of_credits_without_end() -> None:
    limits = {"primary": {"used_percent": 100, "window_minutes": 300, "reset_at": NOW_S + 9}}
    found = frame("codex.rate_limits", rate_limits=limits, credits={"has_credits": True, "unlimited": True})
    assert [(w.bucket, w.left, w.unlimited) for w in found.windows] == [("primary", 0.0, False), ("credits", 1.0, True)]


def test_the_turn_state_is_read_and_not_shown() -> None:
    found = frame("response.metadata", headers={"X-Codex-Turn-State": "FAKESECRET-ts"})
    assert found == Frame(turn_state="FAKESECRET-ts")
    assert "FAKESECRET" not in repr(found)


@pytest.mark.parametrize("state", ["a\r\nb: c", "a b", "\u00e9", "", None, 7.5, ["x y"]])
def test_a_turn_state_that_no_header_could_carry_is_none(state: object) -> None:
    assert frame("response.metadata", headers={"x-codex-turn-state": state}).turn_state in (None, "7.5")


def test_the_reconnect_frame_is_what_the_client_retries_in_silence() -> None:
    content = CODEX.reconnect_frame(None)
    assert content is not None
    assert content == CODEX.reconnect_frame(frozenset()) == CODEX.reconnect_frame(frozenset({Carrier.PREVIOUS}))
    assert json.loads(content)["error"]["code"] == "websocket_connection_limit_reached"
    assert "status_code" not in json.loads(content)  # both spellings at once make the frame unreadable


KINDS = st.sampled_from(["error", "response.failed", "response.metadata", "codex.rate_limits", "response.x", ""])
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "headers", "code", "retry-after", "primary", "x"]), inner)
    ),
)
FIELDS = st.dictionaries(st.sampled_from(["error", "status", "headers", "response", "rate_limits", "credits"]), ODD)


@given(
    st.binary(max_size=80)
    | st.tuples(st.sampled_from([b'{"type":"error",', b'{"type":', b"[" * 5000]), st.binary(max_size=40)).map(b"".join)
    | st.builds(lambda kind, fields: json.dumps({"type": kind, **fields}).encode(), KINDS, FIELDS)
)
def test_messages_of_any_kind_are_read_without_an_error(content: bytes) -> None:
    assert isinstance(read(content), Frame)
