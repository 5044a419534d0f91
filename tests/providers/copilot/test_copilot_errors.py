from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatpool.core.model import WHOLE_ACCOUNT, Scope, ScopeKind
from seatpool.core.outcome import OutcomeKind
from seatpool.providers.base import RequestFacts
from seatpool.providers.copilot import COPILOT
from seatpool.providers.copilot.errors import TABLE, Reach
from seatpool.providers.http import Headers, HttpReply
from seatpool.service.trail import demand_of
from tests.providers.copilot.copilot_material import (
    BOB_CT,
    BOB_GHO,
    CHAT_FACTS,
    EMBEDDINGS,
    ENGINE_FACTS,
    MESSAGES,
    NOW,
    PICTURES,
    RESPONSES,
    SOCKET_FACTS,
    at,
    facts,
    reply,
)

K = OutcomeKind
ALL = WHOLE_ACCOUNT
MODEL = Scope(ScopeKind.MODEL, "gpt-x")
CHAT = Scope(ScopeKind.BUCKET, "chat")
COMPLETIONS = Scope(ScopeKind.BUCKET, "completions")
EDITORS = Scope(ScopeKind.BUCKET, "copilot-token")
CLIS = Scope(ScopeKind.BUCKET, "github-oauth")


SEALED_OUTPUT = "Encrypted function output content could not be decrypted or decoded."


def error(code: str = "", message: str = "", **more: object) -> dict[str, object]:
    return {"error": {"message": message, "code": code, **more}}


# Bodies are those of copilot.md 2, 4 and 5.4; codes carry their `:sku` where upstream was seen to add one.
ROWS: list[tuple[int, object, OutcomeKind, str, Scope]] = [
    # 429: the account's
    (
        429,
        error("user_global_rate_limited:pro_plus", "Sorry, you've exceeded your 5 hour session limits."),
        K.QUOTA_SPENT,
        "user_global_rate_limited",
        CHAT,
    ),
    (
        429,
        error("user_weekly_rate_limited:pro_plus", "Sorry, you've exceeded your weekly rate limits."),
        K.QUOTA_SPENT,
        "user_weekly_rate_limited",
        CHAT,
    ),
    (429, error("user_model_rate_limited:pro"), K.RATE_LIMITED, "user_model_rate_limited", MODEL),
    (429, error("rate_limited", "Sorry, you've exceeded your rate limits."), K.RATE_LIMITED, "rate_limited", ALL),
    (429, {"code": "rate_limited", "message": "the inner object alone"}, K.RATE_LIMITED, "rate_limited", ALL),
    (429, error("agent_mode_limit_exceeded:free"), K.RATE_LIMITED, "agent_mode_limit_exceeded", CHAT),
    (429, error("quota_exceeded"), K.QUOTA_SPENT, "quota_exceeded", MODEL),
    (429, "quota exceeded\n", K.QUOTA_SPENT, "quota_exceeded", MODEL),
    (429, error("never-seen-before"), K.RATE_LIMITED, "unknown-never-seen-before", ALL),
    (429, "Too Many Requests", K.RATE_LIMITED, "rate_limited", ALL),
    (429, "", K.RATE_LIMITED, "rate_limited", ALL),
    # 429 and 503: nobody's here
    (429, error("integration_rate_limited"), K.OVERLOADED, "integration_rate_limited", ALL),
    (429, error("model_overloaded"), K.OVERLOADED, "model_overloaded", ALL),
    (503, error("model_overloaded"), K.OVERLOADED, "model_overloaded", ALL),
    (429, error("upstream_provider_rate_limit"), K.OVERLOADED, "upstream_provider_rate_limit", ALL),
    (429, error("extension_blocked", type="rate_limit_error"), K.OVERLOADED, "extension_blocked", ALL),
    (
        429,
        {"error": {"code": 429, "message": "Quota exceeded for gemini", "status": "RESOURCE_EXHAUSTED"}},
        K.OVERLOADED,
        "provider-limit",
        ALL,
    ),
    (429, [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}], K.OVERLOADED, "provider-limit", ALL),
    (
        429,
        {
            "error": {
                "message": "You exceeded your current quota",
                "type": "insufficient_quota",
                "code": "insufficient_quota",
            }
        },
        K.OVERLOADED,
        "provider-limit",
        ALL,
    ),
    (
        429,
        {"type": "error", "error": {"type": "rate_limit_error", "message": "x"}},
        K.OVERLOADED,
        "provider-limit",
        ALL,
    ),
    (503, "", K.OVERLOADED, "service_unavailable", ALL),
    # 402
    (402, error("quota_exceeded", "You have no quota"), K.QUOTA_SPENT, "quota_exceeded", MODEL),
    (402, error("free_quota_exceeded"), K.QUOTA_SPENT, "free_quota_exceeded", CHAT),
    (402, "You have no quota\n", K.QUOTA_SPENT, "quota_exceeded", MODEL),
    (402, "quota exceeded\n", K.QUOTA_SPENT, "quota_exceeded", MODEL),
    (402, error("free_quota_exceeded", "You have no quota"), K.QUOTA_SPENT, "free_quota_exceeded", CHAT),
    (402, "payment required", K.CLIENT_ERROR, "unknown-http-402", ALL),
    (402, error("overage_limit_reached"), K.QUOTA_SPENT, "overage_limit_reached", MODEL),
    (402, error("additional_spend_limit_reached"), K.QUOTA_SPENT, "additional_spend_limit_reached", MODEL),
    (402, error("billing_not_configured"), K.QUOTA_SPENT, "billing_not_configured", ALL),
    (402, error("session_quota_exceeded"), K.CLIENT_ERROR, "session_quota_exceeded", ALL),
    (402, error("something_new"), K.CLIENT_ERROR, "unknown-something_new", ALL),
    # 401
    (401, "unauthorized: token expired\n", K.UNAUTHORIZED, "unauthorized", ALL),
    (401, "", K.UNAUTHORIZED, "unauthorized", ALL),
    (401, "Invalid auto-mode selector\n", K.CARRIER, "auto-mode-selector", ALL),
    (401, error("", "input item ID does not belong to this connection"), K.CARRIER, "item-id", ALL),
    (
        400,
        error("bad_request", "input item ID does not belong to this connection", type="websocket_error"),
        K.CARRIER,
        "item-id",
        ALL,
    ),
    (401, {"authorize_url": "https://example.test/consent"}, K.CLIENT_ERROR, "authorize-url", ALL),
    (
        401,
        error("agent_unauthorized", authorize_url="https://example.test/consent"),
        K.CLIENT_ERROR,
        "authorize-url",
        ALL,
    ),
    # 403
    (403, error("", "You are not licensed to use Copilot."), K.REVOKED, "not-licensed", ALL),
    (403, "unauthorized: not licensed to use Copilot\n", K.REVOKED, "not-licensed", ALL),
    (403, "unauthorized: not authorized to use this Copilot feature\n", K.NOT_ENTITLED, "feature-policy", EDITORS),
    (
        403,
        {
            "error_details": {"notification_id": "spammy_user", "message": "Contact Support."},
            "message": "Resource not accessible by integration",
        },
        K.REVOKED,
        "spammy_user",
        ALL,
    ),
    (403, {"error_details": {"message": "x"}}, K.REVOKED, "no-access", ALL),
    (
        403,
        error("", "Access to this model is disabled by your organization's policy"),
        K.NOT_ENTITLED,
        "model-policy",
        MODEL,
    ),
    (403, error("", "The prompt was refused by the content policy"), K.CLIENT_ERROR, "content", ALL),
    (403, error("", "The model declined: this goes against our usage policy"), K.CLIENT_ERROR, "content", ALL),
    (
        403,
        "Forbidden. Please review our [Terms of Service](https://docs.github.com/site-policy/github-model-terms).",
        K.CLIENT_ERROR,
        "terms",
        ALL,
    ),
    (
        403,
        "This model is gone, see https://docs.github.com/site-policy/acceptable-use-policies/x",
        K.CLIENT_ERROR,
        "unknown-http-403",
        ALL,
    ),
    (403, "Access denied by Copilot policy", K.CLIENT_ERROR, "unknown-http-403", ALL),
    (403, "This model is not for you", K.CLIENT_ERROR, "unknown-http-403", ALL),
    (403, "Forbidden", K.CLIENT_ERROR, "unknown-http-403", ALL),
    # 400
    (
        400,
        error(
            "model_not_supported", "The requested model is not supported.", param="model", type="invalid_request_error"
        ),
        K.NOT_ENTITLED,
        "model_not_supported",
        MODEL,
    ),
    (400, "The requested model is not supported.", K.NOT_ENTITLED, "model_not_supported", MODEL),
    (
        400,
        error(
            "no_available_model_endpoints", "no endpoints available for this model under your current plan and policies"
        ),
        K.NOT_ENTITLED,
        "model_not_supported",
        MODEL,
    ),
    (400, error("model_not_available_for_integrator"), K.CLIENT_ERROR, "model_not_available_for_integrator", ALL),
    (400, error("unsupported_api_for_model"), K.CLIENT_ERROR, "unsupported_api_for_model", ALL),
    (400, error("bad_request"), K.CLIENT_ERROR, "bad_request", ALL),
    (400, error("content_filter"), K.CLIENT_ERROR, "content_filter", ALL),
    (
        400,
        error("invalid_encrypted_content", "The encrypted content gAAA... could not be verified."),
        K.CARRIER,
        "invalid_encrypted_content",
        ALL,
    ),
    (400, error("invalid_request_body", SEALED_OUTPUT), K.CARRIER, "invalid_encrypted_content", ALL),
    (
        400,
        error("invalid_request_body", "messages.1.content.0: Invalid signature in thinking block"),
        K.CARRIER,
        "thinking-signature",
        ALL,
    ),
    (
        400,
        error("", "messages.1.content.0: Invalid `signature` in `thinking` block"),
        K.CARRIER,
        "thinking-signature",
        ALL,
    ),
    (400, error("previous_response_not_found"), K.CARRIER, "previous_response_not_found", ALL),
    (400, error("vision_attachment_not_accessible"), K.CARRIER, "vision_attachment_not_accessible", ALL),
    (400, error("invalid_request_body", "messages: at least one"), K.CLIENT_ERROR, "unknown-invalid_request_body", ALL),
    # the rest
    (404, "", K.CLIENT_ERROR, "http-404", ALL),
    (413, error("request_too_large"), K.CLIENT_ERROR, "request_too_large", ALL),
    (421, "Misdirected Request", K.MISDIRECTED, "misdirected", ALL),
    (422, error("content_filter"), K.CLIENT_ERROR, "content_filter", ALL),
    (424, "", K.CLIENT_ERROR, "http-424", ALL),
    (466, "update your client", K.CLIENT_ERROR, "client-too-old", ALL),
    (499, "", K.CLIENT_ERROR, "http-499", ALL),
    (500, error("internal_error"), K.SERVER_ERROR, "server-error", ALL),
    (502, "<html>", K.SERVER_ERROR, "server-error", ALL),
    (504, "", K.SERVER_ERROR, "server-error", ALL),
    (200, error("rate_limited"), K.OK, "ok", ALL),
]


@pytest.mark.parametrize(("status", "body", "kind", "code", "scope"), ROWS)
def test_every_row_of_the_table(status: int, body: object, kind: OutcomeKind, code: str, scope: Scope) -> None:
    outcome = COPILOT.classify(CHAT_FACTS, reply(status, body), NOW)
    assert (outcome.kind, outcome.code, outcome.scope, outcome.until) == (kind, code, scope, None)


def test_no_row_stands_in_the_shadow_of_another() -> None:
    """Each row is the answer to one of the examples above, or to one of the header tests below."""
    by_header = {"user_global_rate_limited", "user_weekly_rate_limited"}
    met = {COPILOT.classify(CHAT_FACTS, reply(status, body), NOW).code for status, body, *_ in ROWS}
    for row in TABLE:
        wanted = {row.code} if row.code else set(row.names)
        assert wanted <= met | by_header


NAMED = {"model": "gpt-x"}
EMBEDDED = Scope(ScopeKind.BUCKET, "embeddings")


@pytest.mark.parametrize(
    ("request_facts", "code", "scope"),
    [
        # premium requests: models that the plan includes are served all the same
        (CHAT_FACTS, "quota_exceeded", MODEL),
        (facts(RESPONSES, "/responses", NAMED), "quota_exceeded", MODEL),
        (facts(MESSAGES, "/v1/messages", NAMED), "quota_exceeded", MODEL),
        (SOCKET_FACTS, "quota_exceeded", CHAT),  # a handshake names no model
        (COPILOT.turn(SOCKET_FACTS, b'{"model":"gpt-x"}'), "quota_exceeded", MODEL),
        (ENGINE_FACTS, "quota_exceeded", COMPLETIONS),
        (facts(EMBEDDINGS, "/embeddings", NAMED), "quota_exceeded", EMBEDDED),
        # what a free seat has, every model draws on
        (CHAT_FACTS, "free_quota_exceeded", CHAT),
        (ENGINE_FACTS, "free_quota_exceeded", COMPLETIONS),
    ],
)
def test_spent_quota_is_spent_for_what_the_request_drew_on(
    request_facts: RequestFacts, code: str, scope: Scope
) -> None:
    assert COPILOT.classify(request_facts, reply(402, error(code)), NOW).scope == scope


@pytest.mark.parametrize(
    ("answer", "scope"),
    [
        (reply(402, error("quota_exceeded")), Scope(ScopeKind.BUCKET, "images")),
        (reply(429, error("user_global_rate_limited")), Scope(ScopeKind.BUCKET, "images")),
        (reply(429, error("rate_limited")), Scope(ScopeKind.BUCKET, "images")),
        (reply(403, "unauthorized: not authorized to use this Copilot feature\n"), Scope(ScopeKind.BUCKET, "images")),
        (reply(400, error("model_not_supported")), MODEL),
        (reply(401, "unauthorized: token expired\n"), Scope()),
    ],
)
def test_a_picture_that_is_refused_costs_the_seat_no_chat(answer: HttpReply, scope: Scope) -> None:
    assert COPILOT.classify(facts(PICTURES, "/v1/images/generations", NAMED), answer, NOW).scope == scope


@pytest.mark.parametrize("code", ["user_global_rate_limited", "user_weekly_rate_limited"])
@pytest.mark.parametrize(
    ("request_facts", "scope"), [(CHAT_FACTS, CHAT), (SOCKET_FACTS, CHAT), (ENGINE_FACTS, COMPLETIONS)]
)
def test_a_limit_of_hours_or_days_is_met_by_what_drew_on_the_same(
    code: str, request_facts: RequestFacts, scope: Scope
) -> None:
    assert COPILOT.classify(request_facts, reply(429, error(code)), NOW).scope == scope


def test_a_spent_quota_that_plain_words_tell_costs_no_more_than_what_drew_on_it() -> None:
    """As opencode is told it, with the month's end in seconds, and as ghost text is."""
    ends = {"retry-after": "666518", "x-ratelimit-user-retry-after": "666518"}
    told = reply(429, "quota exceeded\n", {"x-ratelimit-exceeded": "quota_exceeded", **ends})
    found = COPILOT.classify(CHAT_FACTS, told, NOW)
    assert (found.kind, found.scope, found.until) == (K.QUOTA_SPENT, MODEL, at(666518))
    ghost_text = COPILOT.classify(ENGINE_FACTS, reply(402, "quota exceeded"), NOW)
    assert (ghost_text.kind, ghost_text.scope) == (K.QUOTA_SPENT, COMPLETIONS)


def test_a_model_limit_names_the_model_of_the_engine_path() -> None:
    outcome = COPILOT.classify(ENGINE_FACTS, reply(429, error("user_model_rate_limited")), NOW)
    assert outcome.scope == Scope(ScopeKind.MODEL, "gpt-41-copilot")


@pytest.mark.parametrize(("authorization", "scope"), [(f"Bearer {BOB_CT}", EDITORS), (f"Bearer {BOB_GHO}", CLIS)])
def test_a_client_that_no_policy_allows_costs_the_account_no_other_client(authorization: str, scope: Scope) -> None:
    asked = facts(body=NAMED, authorization=authorization)
    told = reply(403, error("forbidden", "not authorized to use this Copilot feature"))
    assert COPILOT.classify(asked, told, NOW).scope == scope
    assert scope in demand_of(asked).scopes


def test_an_unknown_model_limits_nothing_rather_than_the_whole_account() -> None:
    outcome = COPILOT.classify(SOCKET_FACTS, reply(400, error("model_not_supported")), NOW)
    assert outcome.scope == Scope(ScopeKind.MODEL, "")


@pytest.mark.parametrize(
    ("limiter", "kind", "code", "scope"),
    [
        (
            "global-chat:global-usage-5-hour-key:userID:COPILOT_PLAN_INDIVIDUAL",
            K.QUOTA_SPENT,
            "user_global_rate_limited",
            CHAT,
        ),
        (
            "global-chat:global-usage-weekly-key:userID:COPILOT_PLAN_INDIVIDUAL",
            K.QUOTA_SPENT,
            "user_weekly_rate_limited",
            CHAT,
        ),
        (
            "global-chat:global-user-tps-high-2025-04-08:userID:COPILOT_PLAN_INDIVIDUAL_EDU",
            K.RATE_LIMITED,
            "rate_limited",
            CHAT,
        ),
        ("quota_exceeded", K.QUOTA_SPENT, "quota_exceeded", MODEL),
        ("something-else:key", K.RATE_LIMITED, "rate_limited", ALL),
    ],
)
def test_the_limiters_name_says_what_a_generic_429_does_not(
    limiter: str, kind: OutcomeKind, code: str, scope: Scope
) -> None:
    outcome = COPILOT.classify(CHAT_FACTS, reply(429, error("rate_limited"), {"x-ratelimit-exceeded": limiter}), NOW)
    assert (outcome.kind, outcome.code, outcome.scope) == (kind, code, scope)


DAY = 24 * 3600


@pytest.mark.parametrize(
    ("headers", "until"),
    [
        ({"retry-after": "6311"}, at(6311)),
        ({"Retry-After": "0.5"}, at(0.5)),
        ({"retry-after": "Sat, 21 Nov 2026 10:05:00 GMT"}, at(300)),
        ({"retry-after": str(32 * DAY)}, at(32 * DAY)),
        ({"x-ratelimit-user-retry-after": "20"}, at(20)),
        ({"retry-after": "10", "x-ratelimit-user-retry-after": "20"}, at(20)),
        ({}, None),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "1e300"}, None),
        ({"retry-after": str(41 * DAY)}, None),  # no window is longer than a month
        ({"retry-after": "Sat, 21 Nov 2026 09:00:00 GMT"}, None),  # past
        ({"retry-after": "Fri, 01 Jan 3600 00:00:00 GMT"}, None),
    ],
)
def test_the_named_end_is_honoured_in_full_within_reason(headers: dict[str, str], until: datetime | None) -> None:
    assert COPILOT.classify(CHAT_FACTS, reply(429, error("rate_limited"), headers), NOW).until == until


SPENT = "ent=300&rem=0.0&rst=2026-12-01T00%3A00%3A00Z"
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "code", "headers", "until"),
    [
        (402, "quota_exceeded", {"x-quota-snapshot-premium_interactions": SPENT}, DECEMBER),
        (402, "quota_exceeded", {"x-quota-snapshot-premium_interactions": SPENT, "retry-after": "60"}, at(60)),
        # a window that still has room, or is not this request's, does not end anything
        (402, "quota_exceeded", {"x-quota-snapshot-chat": SPENT.replace("0.0", "50.0")}, None),
        (402, "quota_exceeded", {"x-quota-snapshot-completions": SPENT}, None),
        (
            429,
            "user_global_rate_limited",
            {"x-usage-ratelimit-session": "rem=0&rst=2026-11-21T15:00:00Z"},
            at(5 * 3600),
        ),
        (429, "user_weekly_rate_limited", {"x-usage-ratelimit-session": "rem=0&rst=2026-11-21T15:00:00Z"}, None),
        (429, "rate_limited", {"x-quota-snapshot-chat": SPENT}, None),
    ],
)
def test_spent_quota_ends_with_the_reset_of_its_window(
    status: int, code: str, headers: dict[str, str], until: datetime | None
) -> None:
    assert COPILOT.classify(CHAT_FACTS, reply(status, error(code), headers), NOW).until == until


@pytest.mark.parametrize("status", [400, 401, 403, 404, 421])
def test_refusals_that_no_time_mends_have_no_end(status: int) -> None:
    assert COPILOT.classify(CHAT_FACTS, reply(status, "", {"retry-after": "60"}), NOW).until is None


def test_a_code_from_upstream_that_could_not_stand_in_a_log_is_left_out() -> None:
    outcome = COPILOT.classify(CHAT_FACTS, reply(418, error("drop\ntable FAKESECRET")), NOW)
    assert outcome.code == "unknown-http-418"


def test_a_prompt_quoted_deep_in_a_message_is_not_taken_for_a_carrier() -> None:
    quoted = "x" * 3000 + " invalid signature in thinking block"
    assert COPILOT.classify(CHAT_FACTS, reply(400, error("", quoted)), NOW).kind is K.CLIENT_ERROR


def test_every_reach_is_used() -> None:
    assert {row.reach for row in TABLE} == set(Reach)


@given(st.integers(100, 599), st.binary(max_size=200), st.dictionaries(
    st.sampled_from(["retry-after", "x-ratelimit-exceeded", "x-quota-snapshot-chat", "x-ratelimit-user-retry-after"]),
    st.text(max_size=30)))  # fmt: skip
def test_no_answer_makes_it_raise(status: int, body: bytes, headers: dict[str, str]) -> None:
    outcome = COPILOT.classify(CHAT_FACTS, HttpReply(status, Headers(headers.items()), body), NOW)
    assert outcome.code
    assert outcome.until is None or timedelta() < outcome.until - NOW <= timedelta(days=40)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "code", "message", "error_details", "type"]), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(st.sampled_from([400, 401, 402, 403, 429, 503]), _JSON)
def test_no_json_makes_it_raise(status: int, body: object) -> None:
    assert COPILOT.classify(CHAT_FACTS, reply(status, [body]), NOW).kind is not K.OK


@pytest.mark.parametrize(
    ("body", "headers", "anonymous"),
    [
        ("", {}, True),
        ("Too Many Requests", {}, True),
        (error("rate_limited", "Sorry, you've exceeded your rate limits."), {}, True),
        (error("rate_limited:pro"), {}, True),
        (error("rate_limited"), {"retry-after": "20"}, False),
        (error("rate_limited"), {"x-ratelimit-exceeded": "global-chat:global-user-tps-high"}, False),
        (error("rate_limited"), {"x-quota-snapshot-chat": "ent=300&rem=20.0"}, False),
        (error("user_model_rate_limited"), {}, False),
        (error("never-seen-before"), {}, False),
        (error("integration_rate_limited"), {}, False),
    ],
)
def test_a_throttle_that_names_nobody_and_no_time_is_anonymous(
    body: object, headers: dict[str, str], anonymous: bool
) -> None:
    assert COPILOT.classify(CHAT_FACTS, reply(429, body, headers), NOW).anonymous is anonymous


@pytest.mark.parametrize(
    ("body", "headers", "concurrent"),
    [
        (error("too_many_concurrent_requests"), {}, True),
        (error("rate_limited", "Too many concurrent requests"), {}, True),
        ("Too many concurrent requests", {}, True),
        (error("rate_limited"), {"x-ratelimit-exceeded": "global-chat:global-concurrency:userID"}, True),
        # copilot.md 5.1: a bucket of transactions per second
        (
            error("rate_limited"),
            {"x-ratelimit-exceeded": "global-chat:global-user-tps-high-2025-04-08:userID:COPILOT_PLAN_INDIVIDUAL_EDU"},
            True,
        ),
        # the code is that of a limit of hours, and the limiter's name is right
        (
            error("user_global_rate_limited:edu"),
            {"x-ratelimit-exceeded": "global-chat:global-user-tps-high-2025-04-08:userID:COPILOT_PLAN_INDIVIDUAL_EDU"},
            True,
        ),
        (error("rate_limited"), {"x-ratelimit-exceeded": "global-chat:global-cogs"}, False),
        (error("user_weekly_rate_limited", "concurrent"), {}, False),
        (error("rate_limited", "You've exceeded your rate limits."), {}, False),
    ],
)
def test_a_throttle_that_is_about_requests_at_the_same_time_says_so(
    body: object, headers: dict[str, str], concurrent: bool
) -> None:
    found = COPILOT.classify(CHAT_FACTS, reply(429, body, headers), NOW)
    assert found.concurrent is concurrent
    assert not (found.concurrent and found.anonymous)
