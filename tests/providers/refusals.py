"""Every refusal that the fact sheets list, in their wording: what it is, whose affair, and what the pool does.

One row each of copilot.md 5.4, 4 and 2.4, and of codex.md 3.3, 2.3 and 6; rows of one line of a sheet stand together.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from seatpool.core.outcome import About, OutcomeKind
from seatpool.core.recovery import Action, Remedy

Body = dict[str, Any] | list[Any] | str


class Told(NamedTuple):
    """A refusal, and all that follows from it."""

    status: int
    body: Body
    kind: OutcomeKind
    code: str
    about: About
    first: Action
    then: Action
    """When the same account says so again."""
    remedy: Remedy = Remedy.NONE
    """Of the first time."""
    headers: Mapping[str, str] = MappingProxyType({})


def error(code: str = "", message: str = "", **more: Any) -> dict[str, Any]:
    """As both providers wrap it."""
    return {"error": {"message": message, "code": code, **more}}


SESSION = "Sorry, you've exceeded your 5 hour session limits. Please review our [Terms of Service](...)."
WEEKLY = "Sorry, you've exceeded your weekly rate limits."
SHORTLY = "Sorry, you've exceeded your rate limits. Please review our Terms of Service."
TPS = "global-chat:global-user-tps-high-2025-04-08:userID:COPILOT_PLAN_INDIVIDUAL_EDU"
CIPHER = (
    "The encrypted content gAAA... could not be verified. Reason: Encrypted content could not be decrypted or parsed."
)
ITEM = "input item ID does not belong to this connection"
SEALED = "Encrypted function output content could not be decrypted or decoded."
SIGNATURE = "messages.1.content.0: Invalid signature in thinking block"
CONTACT = {
    "error_details": {
        "url": "https://support.github.com?editor={EDITOR}",
        "message": "Contact Support. You are currently logged in as x.",
        "title": "Contact Support",
        "notification_id": "spammy_user",
    },
    "message": "Resource not accessible by integration",
}
SWITCH, DELIVER, PAUSE, RESEND, REFRESH, REPAIR = (
    Action.SWITCH,
    Action.DELIVER,
    Action.PAUSE,
    Action.RESEND,
    Action.REFRESH,
    Action.REPAIR,
)
ACCOUNT, MODEL, REQUEST, PROVIDER = About.ACCOUNT, About.MODEL, About.REQUEST, About.PROVIDER
INTEGRATOR, EGRESS, CLIENT = About.INTEGRATOR, About.EGRESS, About.CLIENT


def _spent(status: int, body: Body, code: str, about: About = ACCOUNT, first: Action = SWITCH, **headers: str) -> Told:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Told(status, body, OutcomeKind.QUOTA_SPENT, code, about, first, SWITCH, Remedy.COOL, named)


def _limited(body: Body, code: str, about: About = ACCOUNT, first: Action = SWITCH, **headers: str) -> Told:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Told(429, body, OutcomeKind.RATE_LIMITED, code, about, first, SWITCH, Remedy.COOL, named)


def _delivered(
    status: int, body: Body, code: str, about: About = REQUEST, kind: OutcomeKind = OutcomeKind.CLIENT_ERROR
) -> Told:
    return Told(status, body, kind, code, about, DELIVER, DELIVER)


def _busy(status: int, body: Body, code: str) -> Told:
    return Told(status, body, OutcomeKind.OVERLOADED, code, PROVIDER, PAUSE, DELIVER)


def _carrier(status: int, body: Body, code: str) -> Told:
    return Told(status, body, OutcomeKind.CARRIER, code, REQUEST, REPAIR, REPAIR)


def _disabled(status: int, body: Body, code: str) -> Told:
    """A seat that was taken away never leads to another account (promises.md)."""
    return Told(status, body, OutcomeKind.REVOKED, code, ACCOUNT, DELIVER, DELIVER, Remedy.DISABLE)


def _unauthorized(body: Body, code: str) -> Told:
    return Told(401, body, OutcomeKind.UNAUTHORIZED, code, ACCOUNT, REFRESH, SWITCH)


def _service(status: int, body: Body) -> Told:
    return Told(status, body, OutcomeKind.SERVER_ERROR, "server-error", PROVIDER, RESEND, DELIVER)


COPILOT: tuple[Told, ...] = (
    _spent(429, error("user_global_rate_limited:pro_plus", SESSION), "user_global_rate_limited", retry_after="6311"),
    _spent(429, error("user_weekly_rate_limited:pro_plus", WEEKLY), "user_weekly_rate_limited", retry_after="180000"),
    _spent(
        429, error("user_global_rate_limited:pro", SESSION), "user_global_rate_limited", first=PAUSE, retry_after="3"
    ),
    _limited(error("user_global_rate_limited:edu", SHORTLY), "rate_limited", x_ratelimit_exceeded=TPS),
    _limited(
        error("user_global_rate_limited:edu", SHORTLY),
        "rate_limited",
        first=PAUSE,
        x_ratelimit_exceeded=TPS,
        retry_after="2",
    ),
    _limited(error("user_model_rate_limited:pro"), "user_model_rate_limited", MODEL),
    # `rate_limited`: waited for where that takes five seconds at most, else left for another account
    _limited(error("rate_limited", SHORTLY), "rate_limited"),
    _limited(error("rate_limited", SHORTLY), "rate_limited", first=PAUSE, retry_after="5"),
    _limited(error("rate_limited", SHORTLY), "rate_limited", retry_after="6"),
    _limited("", "rate_limited", x_ratelimit_exceeded=TPS),
    _limited("", "rate_limited", first=PAUSE, x_ratelimit_exceeded=TPS, retry_after="2"),
    _limited(error("agent_mode_limit_exceeded:free"), "agent_mode_limit_exceeded"),
    _delivered(429, error("integration_rate_limited"), "integration_rate_limited", INTEGRATOR, OutcomeKind.OVERLOADED),
    _busy(429, error("model_overloaded"), "model_overloaded"),
    _busy(429, error("upstream_provider_rate_limit"), "upstream_provider_rate_limit"),
    _busy(503, "", "service_unavailable"),
    _delivered(
        429,
        error("extension_blocked", type="rate_limit_error"),
        "extension_blocked",
        INTEGRATOR,
        OutcomeKind.OVERLOADED,
    ),
    _delivered(
        429,
        [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}],
        "provider-limit",
        PROVIDER,
        OutcomeKind.OVERLOADED,
    ),
    _delivered(
        429, error("insufficient_quota", type="insufficient_quota"), "provider-limit", PROVIDER, OutcomeKind.OVERLOADED
    ),
    _spent(402, error("quota_exceeded", "You have no quota"), "quota_exceeded", MODEL),
    _spent(402, "quota exceeded\n", "quota_exceeded", MODEL),
    _spent(429, "quota exceeded\n", "quota_exceeded", MODEL, x_ratelimit_exceeded="quota_exceeded"),
    _spent(402, error("free_quota_exceeded"), "free_quota_exceeded"),
    _spent(402, error("overage_limit_reached"), "overage_limit_reached", MODEL),
    _spent(402, error("additional_spend_limit_reached"), "additional_spend_limit_reached", MODEL),
    _spent(402, error("billing_not_configured"), "billing_not_configured"),
    _delivered(402, error("session_quota_exceeded"), "session_quota_exceeded", CLIENT),
    _unauthorized("unauthorized: token expired\n", "unauthorized"),
    _carrier(401, "Invalid auto-mode selector\n", "auto-mode-selector"),
    _carrier(401, error("", ITEM), "item-id"),
    _carrier(400, error("bad_request", ITEM, type="websocket_error"), "item-id"),
    _carrier(400, error("invalid_request_body", SEALED), "invalid_encrypted_content"),
    _delivered(401, {"authorize_url": "https://example.test/consent"}, "authorize-url"),
    _disabled(403, "unauthorized: not licensed to use Copilot\n", "not-licensed"),
    Told(
        403,
        "unauthorized: not authorized to use this Copilot feature\n",
        OutcomeKind.NOT_ENTITLED,
        "feature-policy",
        ACCOUNT,
        SWITCH,
        SWITCH,
        Remedy.COOL,
    ),
    _disabled(403, CONTACT, "spammy_user"),
    _delivered(403, "Access to this endpoint is forbidden. Please review our Terms of Service", "terms"),
    Told(
        403,
        error("", "Access to this model is disabled by your organization's policy"),
        OutcomeKind.NOT_ENTITLED,
        "model-policy",
        MODEL,
        SWITCH,
        SWITCH,
        Remedy.COOL,
    ),
    Told(
        400,
        error("model_not_supported", "The requested model is not supported.", param="model"),
        OutcomeKind.NOT_ENTITLED,
        "model_not_supported",
        MODEL,
        SWITCH,
        SWITCH,
        Remedy.COOL,
    ),
    _delivered(400, error("model_not_available_for_integrator"), "model_not_available_for_integrator", INTEGRATOR),
    _delivered(400, error("unsupported_api_for_model"), "unsupported_api_for_model"),
    _carrier(
        400, error("invalid_encrypted_content", CIPHER, type="invalid_request_error"), "invalid_encrypted_content"
    ),
    _carrier(400, error("invalid_request_body", SIGNATURE), "thinking-signature"),
    _carrier(400, error("previous_response_not_found"), "previous_response_not_found"),
    _carrier(400, error("vision_attachment_not_accessible"), "vision_attachment_not_accessible"),
    _delivered(400, error("bad_request"), "bad_request"),
    _delivered(400, error("content_filter"), "content_filter"),
    _delivered(404, error("not_found"), "not_found"),
    _delivered(413, error("request_too_large"), "request_too_large"),
    _delivered(422, error("content_filter"), "content_filter"),
    _delivered(424, "", "http-424"),
    _delivered(499, "", "http-499"),
    Told(421, "Misdirected Request\n", OutcomeKind.MISDIRECTED, "misdirected", ACCOUNT, REFRESH, DELIVER),
    _delivered(466, "update your client", "client-too-old", CLIENT),
    _service(500, error("internal_error")),
    _service(502, "<html>"),
    # What no sheet has
    _delivered(418, error("teapot"), "unknown-teapot"),
    _delivered(402, "Payment Required", "unknown-http-402"),
    _limited(error("never_seen_before"), "unknown-never_seen_before"),
)

SPENT = {
    "error": {
        "type": "usage_limit_reached",
        "message": "The usage limit has been reached",
        "plan_type": "plus",
        "resets_in_seconds": 13872,
    }
}
ORGANIZATION = (
    "The encrypted content for item rs_1 could not be verified. "
    "Reason: Encrypted content organization_id did not match the target organization."
)
NO_PLAN = "The 'gpt-5.3-codex' model is not supported when using Codex with a ChatGPT account."

CODEX: tuple[Told, ...] = (
    _spent(429, SPENT, "usage_limit_reached"),
    Told(
        429,
        {"error": {"type": "usage_not_included", "plan_type": "free"}},
        OutcomeKind.NOT_ENTITLED,
        "usage_not_included",
        ACCOUNT,
        SWITCH,
        SWITCH,
        Remedy.DISABLE,
    ),
    _limited(error("rate_limit_exceeded", "Rate limit reached. Please try again in 1.5s."), "rate_limit_exceeded"),
    _limited({"detail": "Too many requests"}, "rate-limited"),
    _spent(429, error("insufficient_quota"), "insufficient_quota"),
    _spent(429, error("organization_spend_limit_exceeded"), "organization_spend_limit_exceeded"),
    *(
        _spent(429, "", "usage_limit_reached", x_codex_rate_limit_reached_type=kind)
        for kind in (
            "rate_limit_reached",
            "workspace_owner_credits_depleted",
            "workspace_member_credits_depleted",
            "workspace_owner_usage_limit_reached",
            "workspace_member_usage_limit_reached",
        )
    ),
    _delivered(503, error("server_is_overloaded"), "server_is_overloaded", PROVIDER, OutcomeKind.OVERLOADED),
    _delivered(503, error("slow_down"), "slow_down", PROVIDER, OutcomeKind.OVERLOADED),
    _delivered(403, "<html>Cloudflare: you have been blocked", "edge-blocked", EGRESS, OutcomeKind.OVERLOADED),
    _delivered(403, "<html><title>Just a moment...</title>", "edge-blocked", EGRESS, OutcomeKind.OVERLOADED),
    _unauthorized(error("token_expired"), "token_expired"),
    _unauthorized(error("token_invalidated"), "token_invalidated"),
    _disabled(402, {"detail": {"code": "deactivated_workspace"}}, "deactivated_workspace"),
    _disabled(401, error("account_deactivated"), "account_deactivated"),
    _carrier(400, error("invalid_encrypted_content", ORGANIZATION), "invalid_encrypted_content"),
    Told(400, {"detail": NO_PLAN}, OutcomeKind.NOT_ENTITLED, "model_not_supported", MODEL, SWITCH, SWITCH, Remedy.COOL),
    _delivered(400, error("previous_response_not_found"), "previous_response_not_found", CLIENT),
    _delivered(400, error("websocket_connection_limit_reached"), "websocket_connection_limit_reached", CLIENT),
    _delivered(426, "", "upgrade-refused", CLIENT),
    _service(500, ""),
    _service(502, "<html>cloudflare"),
    _service(503, ""),
    # What no sheet has
    _delivered(400, {"detail": "Unsupported parameter"}, "unknown-http-400"),
    _delivered(403, {"detail": "not allowed"}, "unknown-http-403"),
    _delivered(400, error("content_policy_violation"), "unknown-content_policy_violation"),
    _limited(error("never_seen_before"), "unknown-never_seen_before"),
)
