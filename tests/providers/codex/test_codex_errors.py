import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from seatpool.core.model import Scope, ScopeKind
from seatpool.core.outcome import OK, Outcome, OutcomeKind
from seatpool.providers.codex import CODEX
from seatpool.providers.codex.routes import ROUTES
from seatpool.providers.http import Headers, HttpReply
from tests.providers.codex.codex_material import FACTS, NOW, NOW_S, SOCKET_FACTS, at, reply

K = OutcomeKind
SPENT_AT = NOW_S + 13872
# The captured body of codex.md 3.3, with its reset put 13872 s after NOW.
SPENT = {
    "error": {
        "type": "usage_limit_reached",
        "message": "The usage limit has been reached",
        "plan_type": "plus",
        "resets_at": SPENT_AT,
        "eligible_promo": None,
        "resets_in_seconds": 99,
    }
}
ENCRYPTED = {
    "error": {
        "message": "The encrypted content for item rs_1 could not be verified. Reason: Encrypted content "
        "organization_id did not match the target organization.",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_encrypted_content",
    }
}
NO_MODEL = "The 'gpt-5.3-codex' model is not supported when using Codex with a ChatGPT account."
NOT_ADMITTED = "You are not authorized to access this model."
EMPTY_WINDOW = {"x_codex_primary_used_percent": "100", "x_codex_primary_reset_at": str(NOW_S + 500)}
RESET_WINDOW = {**EMPTY_WINDOW, "x_codex_primary_reset_at": str(NOW_S - 5)}


def error(**fields: Any) -> dict[str, Any]:
    return {"error": fields}


def spent(**changes: Any) -> dict[str, Any]:
    return {"error": {**SPENT["error"], **changes}}


def outcome(answer: HttpReply) -> Outcome:
    return CODEX.classify(FACTS, answer, NOW)


@pytest.mark.parametrize("status", [101, 200, 204, 304])
def test_what_is_no_error_is_ok(status: int) -> None:
    assert outcome(reply(status)) == OK


@pytest.mark.parametrize(
    ("answer", "kind", "code", "until"),
    [
        # codex.md 3.3, row by row
        (reply(429, SPENT), K.QUOTA_SPENT, "usage_limit_reached", at(13872)),
        (reply(429, error(code="rate_limit_exceeded", message="... Please try again in 1.5s. See")), K.RATE_LIMITED,
         "rate_limit_exceeded", at(1.5)),
        (reply(429, error(code="rate_limit_exceeded", message="Try again in 200ms")), K.RATE_LIMITED,
         "rate_limit_exceeded", at(0.2)),
        (reply(429, error(code="rate_limit_exceeded", message="try again in 3 seconds")), K.RATE_LIMITED,
         "rate_limit_exceeded", at(3)),
        (reply(429, error(type="usage_not_included", plan_type="free")), K.NOT_ENTITLED, "usage_not_included", None),
        (reply(429, {"detail": "Too many requests"}), K.RATE_LIMITED, "rate-limited", None),
        (reply(429, {"detail": "x"}, x_codex_rate_limit_reached_type="workspace_member_usage_limit_reached"),
         K.QUOTA_SPENT, "usage_limit_reached", None),
        (reply(429, {"detail": "x"}, x_codex_rate_limit_reached_type="never_seen"), K.RATE_LIMITED, "rate-limited",
         None),
        (reply(403, {"detail": "x"}, x_codex_rate_limit_reached_type="rate_limit_reached"), K.CLIENT_ERROR,
         "unknown-http-403", None),
        (reply(429, error(code="insufficient_quota")), K.QUOTA_SPENT, "insufficient_quota", None),
        (reply(429, error(code="organization_spend_limit_exceeded")), K.QUOTA_SPENT,
         "organization_spend_limit_exceeded", None),
        (reply(503, error(code="server_is_overloaded")), K.OVERLOADED, "server_is_overloaded", None),
        (reply(503, error(code="slow_down")), K.OVERLOADED, "slow_down", None),
        (reply(403, b"<html><title>Attention! Cloudflare</title>You have been blocked"), K.OVERLOADED,
         "edge-blocked", None),
        (reply(403, b"\n<!DOCTYPE html><title>Just a moment...</title>"), K.OVERLOADED, "edge-blocked", None),
        (reply(403, {"detail": "x"}, cf_mitigated="challenge"), K.OVERLOADED, "edge-blocked", None),
        (reply(401, error(code="token_expired")), K.UNAUTHORIZED, "token_expired", None),
        (reply(401, error(code="token_invalidated")), K.UNAUTHORIZED, "token_invalidated", None),
        (reply(401, error(code="token_revoked")), K.UNAUTHORIZED, "token_revoked", None),
        (reply(401, {"detail": "Unauthorized"}), K.UNAUTHORIZED, "unauthorized", None),
        (reply(401), K.UNAUTHORIZED, "unauthorized", None),
        (reply(402, {"detail": {"code": "deactivated_workspace"}}), K.REVOKED, "deactivated_workspace", None),
        (reply(401, error(code="account_deactivated", message="Your OpenAI account has been deactivated")), K.REVOKED,
         "account_deactivated", None),
        # codex.md 2.3
        (reply(400, ENCRYPTED), K.CARRIER, "invalid_encrypted_content", None),
        # The edge never costs an account its turn, whatever the status.
        (reply(429, b"<html>cloudflare: error 1015", retry_after="5"), K.OVERLOADED, "edge-blocked", at(5)),
        (reply(503, b"<html>", cf_mitigated="challenge"), K.OVERLOADED, "edge-blocked", None),
        # The service
        (reply(500), K.SERVER_ERROR, "server-error", None),
        (reply(502, b"<html>cloudflare"), K.SERVER_ERROR, "server-error", None),
        (reply(503, b"", retry_after="7"), K.SERVER_ERROR, "server-error", at(7)),
        # The editor's own affair
        (reply(426), K.CLIENT_ERROR, "upgrade-refused", None),
        (reply(400, {"detail": "Unsupported parameter"}), K.CLIENT_ERROR, "unknown-http-400", None),
        (reply(402, {"detail": "pay"}), K.CLIENT_ERROR, "unknown-http-402", None),
        (reply(403, {"detail": "not allowed"}), K.CLIENT_ERROR, "unknown-http-403", None),
        (reply(403, b"<html>nothing we know"), K.CLIENT_ERROR, "unknown-http-403", None),
        (reply(404), K.CLIENT_ERROR, "unknown-http-404", None),
        (reply(413, b"\xff\xfe"), K.CLIENT_ERROR, "unknown-http-413", None),
        (reply(400, error(code="content_policy_violation")), K.CLIENT_ERROR, "unknown-content_policy_violation", None),
    ],
)  # fmt: skip
def test_the_table(answer: HttpReply, kind: OutcomeKind, code: str, until: datetime | None) -> None:
    assert replace(outcome(answer), anonymous=False, whose=None, status=None) == Outcome(kind, code, until=until)


@pytest.mark.parametrize(
    ("answer", "anonymous"),
    [
        # codex.md 3.3: generic, perhaps of the address
        (reply(429), True),
        (reply(429, {"detail": "Too many requests"}), True),
        (reply(429, {"error": "Too Many Requests"}), True),
        (reply(429, error(code="too_many_requests", message="Slow down")), True),
        (reply(429, b"<html>too many requests"), True),
        # a time, a code or quota makes it somebody's
        (reply(429, {"detail": "Too many requests"}, retry_after="20"), False),
        (reply(429, error(message="Please try again in 1.5s")), False),
        (reply(429, error(code="rate_limit_exceeded")), False),
        (reply(429, error(code="never_seen_before")), False),
        (reply(429, b"", x_codex_primary_used_percent="40"), False),
        (reply(429, b"<html>cloudflare"), False),
        (reply(429, SPENT), False),
        (reply(500), False),
        (reply(401), False),
    ],
)
def test_a_throttle_that_names_nobody_and_no_time_is_anonymous(answer: HttpReply, anonymous: bool) -> None:
    assert outcome(answer).anonymous is anonymous


@pytest.mark.parametrize(
    ("answer", "until"),
    [
        (reply(429, spent(resets_at=NOW_S + 10), **EMPTY_WINDOW), at(10)),  # the body goes before the headers
        (reply(429, spent(resets_at=None), **EMPTY_WINDOW), at(99)),  # resets_in_seconds
        (reply(429, spent(resets_at=NOW_S - 10)), at(99)),  # a reset in the past says nothing
        (reply(429, spent(resets_at=None, resets_in_seconds=None), **EMPTY_WINDOW), at(500)),
        (reply(429, spent(resets_at=None, resets_in_seconds=None), **RESET_WINDOW), None),  # no limit ends in the past
        (reply(429, spent(resets_at=None, resets_in_seconds=-4)), None),
        (reply(429, spent(resets_at=NOW_S * 1000)), at(35 * 86400)),  # cut to 35 days
        (reply(429, spent(resets_at=None, resets_in_seconds=1e300)), at(35 * 86400)),
        (reply(429, spent(resets_at=None, resets_in_seconds=None), retry_after="60"), at(60)),
        (reply(429, b"", **EMPTY_WINDOW), at(500)),  # the headers alone show the empty window
    ],
)
def test_a_spent_quota_ends_where_the_most_telling_source_says(answer: HttpReply, until: datetime | None) -> None:
    assert outcome(answer) == Outcome(K.QUOTA_SPENT, "usage_limit_reached", until=until)


@pytest.mark.parametrize(
    ("stated", "until"),
    [
        ("120", at(120)),
        ("1.5", at(1.5)),
        ("Wed, 01 Apr 2026 12:02:00 GMT", at(120)),
        ("Wed, 01 Apr 2026 12:02:00 -0000", at(120)),
        ("Wed, 01 Apr 2026 11:00:00 GMT", None),  # past
        ("-3", None),
        ("0", None),
        ("tomorrow", None),
        ("9999999999", at(35 * 86400)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", at(35 * 86400)),
    ],
)
def test_retry_after(stated: str, until: datetime | None) -> None:
    expected = Outcome(K.RATE_LIMITED, "rate-limited", until=until, anonymous=until is None)
    assert outcome(reply(429, b"", retry_after=stated)) == expected


def test_an_empty_additional_limit_takes_out_its_model_alone() -> None:
    """Only where the headers show that the main limit has something left."""
    additional = {"x_codex_bengalfox_primary_used_percent": "100"}
    answer = reply(429, SPENT, **additional, x_codex_primary_used_percent="30")
    assert outcome(answer).scope == Scope(ScopeKind.MODEL, "gpt-6.1-sol")
    assert outcome(reply(429, SPENT, **additional)).scope == Scope()
    assert outcome(reply(429, SPENT, **additional, x_codex_primary_used_percent="100")).scope == Scope()


@pytest.mark.parametrize("body", [SPENT, b""])
def test_windows_without_a_name_are_of_an_additional_limit_where_that_was_drawn_on(body: object) -> None:
    """They only repeat its own; so the account serves every other model (router-for-me/CLIProxyAPI issue 5619)."""
    own = {"x_codex_bengalfox_primary_used_percent": "100", "x_codex_active_limit": "codex_bengalfox"}
    found = outcome(reply(429, body, **EMPTY_WINDOW, **own))
    assert (found.kind, found.code) == (K.QUOTA_SPENT, "usage_limit_reached")
    assert found.scope == Scope(ScopeKind.MODEL, "gpt-6.1-sol")
    assert outcome(reply(429, body, **EMPTY_WINDOW, **(own | {"x_codex_active_limit": "premium"}))).scope == Scope()


IMAGES = replace(FACTS, route=ROUTES["POST", "/backend-api/codex/images/generations", False], model="gpt-image-2")
# Wei-Shaw/sub2api issue 3044; the numbers are shared by everybody.
PER_MINUTE = "Rate limit reached for gpt-image-2-codex (for limit gpt-image) on input-images per min: Limit 4000, ..."


@pytest.mark.parametrize(
    ("answer", "scope"),
    [
        (reply(429, {"detail": "image generation request was rate limited"}), Scope(ScopeKind.BUCKET, "images")),
        (reply(429, error(code="rate_limit_exceeded", message=PER_MINUTE)), Scope(ScopeKind.BUCKET, "images")),
        (reply(429, SPENT), Scope(ScopeKind.BUCKET, "images")),
        (reply(429, error(type="usage_not_included")), Scope(ScopeKind.BUCKET, "images")),
        (reply(429, SPENT, x_codex_primary_used_percent="40"), Scope(ScopeKind.BUCKET, "images")),
        (reply(429, SPENT, **EMPTY_WINDOW), Scope()),
        (reply(400, {"detail": NO_MODEL}), Scope(ScopeKind.MODEL, "gpt-5.3-codex")),
        (reply(402, {"detail": {"code": "deactivated_workspace"}}), Scope()),
    ],
)
def test_a_picture_that_is_refused_costs_the_account_no_turn(answer: HttpReply, scope: Scope) -> None:
    """Unless the answer shows that the account's own windows are empty."""
    assert CODEX.classify(IMAGES, answer, NOW).scope == scope
    if scope.kind is ScopeKind.BUCKET:
        assert outcome(answer).scope == Scope()


def test_an_outcome_never_repeats_a_message() -> None:
    body = error(code="FAKESECRET of mine", type="FAKESECRET too", message="FAKESECRET")
    for status in (400, 401, 403, 429, 500):
        assert "FAKESECRET" not in repr(outcome(reply(status, body)))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["usage_limit_reached", "", "try again in 9s"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "code", "type", "message", "detail", "resets_at", "resets_in_seconds"]), inner
        )
    ),
)


@given(
    st.integers(100, 999),
    st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()),
    st.lists(st.tuples(st.sampled_from(["retry-after", "cf-mitigated", "x-codex-primary-reset-at"]), st.text())),
)
def test_answers_of_any_kind_are_classified(status: int, body: bytes, fields: list[tuple[str, str]]) -> None:
    found = outcome(HttpReply(status, Headers(fields), body))
    assert (found == OK) is (status < 400)
    assert found.until is None or NOW < found.until <= at(35 * 86400)


@pytest.mark.parametrize(
    ("answer", "concurrent"),
    [
        (reply(429, error(code="too_many_concurrent_requests")), True),
        (reply(429, error(type="concurrency_limit_exceeded"), retry_after="3"), True),
        (reply(429, error(code="rate_limit_exceeded", message="Too many Concurrent requests")), True),
        (reply(429, error(message="You have too many concurrent requests.")), True),
        (reply(429, error(code="rate_limit_exceeded", message="Please try again in 1.5s")), False),
        (reply(429, error(type="usage_limit_reached", message="concurrent")), False),
        (reply(503, error(code="slow_down", message="concurrent")), False),
        (reply(429), False),
    ],
)
def test_a_throttle_that_is_about_requests_at_the_same_time_says_so(answer: HttpReply, concurrent: bool) -> None:
    found = outcome(answer)
    assert found.concurrent is concurrent
    assert not (found.concurrent and found.anonymous)


def test_a_model_that_the_plan_does_not_have_is_refused_for_that_model_alone() -> None:
    """As upstream words it, in either of its two forms; the model is the one that is named there."""
    refused = Outcome(K.NOT_ENTITLED, "model_not_supported", Scope(ScopeKind.MODEL, "gpt-5.3-codex"))
    assert outcome(reply(400, {"detail": NO_MODEL})) == refused
    assert outcome(reply(400, error(type="invalid_request_error", message=NO_MODEL))) == refused
    frame = json.dumps({"type": "error", "status": 400, **error(type="invalid_request_error", message=NO_MODEL)})
    assert CODEX.read_frame(FACTS, frame.encode(), NOW).outcome == refused


def test_a_model_that_the_account_is_not_admitted_to_is_no_matter_of_its_token() -> None:
    """It comes with a 401 and does not name the model: it is the request's own."""
    refused = Outcome(K.NOT_ENTITLED, "model_not_supported", Scope(ScopeKind.MODEL, "gpt-6.1-sol"))
    assert outcome(reply(401, {"detail": NOT_ADMITTED})) == refused
    assert outcome(reply(401, error(message=NOT_ADMITTED))) == refused
    frame = json.dumps({"type": "error", "status": 401, **error(message=NOT_ADMITTED)}).encode()
    assert CODEX.read_frame(SOCKET_FACTS, frame, NOW).outcome == refused
    unnamed = CODEX.classify(replace(SOCKET_FACTS, model=None), reply(401, {"detail": NOT_ADMITTED}), NOW)
    assert unnamed.scope == Scope(ScopeKind.MODEL), "nobody knows which: it is asked again"
    assert outcome(reply(401, {"detail": f"You said: {NOT_ADMITTED}"})).kind is K.UNAUTHORIZED


@pytest.mark.parametrize("code", ["codex_workspace_access_denied", "invalid_workspace_selected"])
def test_a_workspace_without_access_rests_and_is_asked_again(code: str) -> None:
    """An administrator may allow it while nobody looks here, so that it is not disabled."""
    refused = Outcome(K.NOT_ENTITLED, code, Scope(ScopeKind.BUCKET, "codex-oauth"))
    assert outcome(reply(403, {"detail": {"message": "Unauthorized: Contact ...", "code": code}})) == refused
    assert outcome(reply(401, {"code": code})) == refused
    assert CODEX.classify(IMAGES, reply(403, {"detail": {"code": code}}), NOW) == refused
    assert (
        CODEX.read_frame(SOCKET_FACTS, json.dumps({"type": "error", **error(code=code)}).encode(), NOW).outcome
        == refused
    )


@pytest.mark.parametrize(
    "answer",
    [
        reply(403, {"detail": "The requested Cyber access program is not authorized for this workspace."}),
        reply(400, {"detail": "The '' model is not supported when using Codex with a ChatGPT account."}),
        reply(400, {"detail": f"You said: {NO_MODEL}"}),
        reply(404, {"detail": NO_MODEL}),
        reply(400, {"detail": {"message": NO_MODEL}}),
    ],
)
def test_nothing_else_is_taken_for_that(answer: HttpReply) -> None:
    assert outcome(answer).kind is K.CLIENT_ERROR
