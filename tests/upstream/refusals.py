"""Refusals in each provider's own words: tables from a behaviour's kind to status, headers and body."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.upstream.world import Behaviour, FakeAccount

CLOUDFLARE_PAGE = "<html><title>Just a moment...</title><body>Cloudflare: Sorry, you have been blocked</body></html>"


@dataclass(slots=True)
class Refusal:
    """An answer that is not a success."""

    status: int
    body: Any
    """A string goes out as it is, anything else as JSON."""
    headers: dict[str, str] = field(default_factory=dict)


def _error(message: str, code: str | None, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "code": code, **more}}


def _codex_limit(behaviour: Behaviour, account: FakeAccount | None) -> Refusal:
    """codex.md 3.1 and 3.3."""
    resets_at = int(time.time()) + behaviour.resets_in_s
    plan = account.plan if account else "plus"
    error = {
        "type": "usage_limit_reached",
        "message": "The usage limit has been reached",
        "plan_type": plan,
        "resets_at": resets_at,
        "eligible_promo": None,
        "resets_in_seconds": behaviour.resets_in_s,
    }
    headers = {
        "x-codex-active-limit": "premium",
        "x-codex-plan-type": plan,
        "x-codex-primary-used-percent": "100",
        "x-codex-primary-window-minutes": "300",
        "x-codex-primary-reset-at": str(resets_at),
        "x-codex-secondary-used-percent": "80",
        "x-codex-secondary-window-minutes": "10080",
        "x-codex-secondary-reset-at": str(resets_at + 300000),
        "x-codex-credits-has-credits": "False",
    }
    return Refusal(429, {"error": error}, headers if behaviour.rate_limits else {})


def _codex_generic(status: int, message: str, code: str, kind: str) -> Callable[..., Refusal]:
    def build(behaviour: Behaviour, account: FakeAccount | None) -> Refusal:
        text = behaviour.message or message
        return Refusal(status, _error(text, str(behaviour.code or code), type=kind))

    return build


_Table = dict[str, Callable[[Behaviour, FakeAccount | None], Refusal]]
CODEX: _Table = {
    "usage_limit": _codex_limit,
    "rate_limited": _codex_generic(
        429, "Rate limit reached. Please try again in 1.5s.", "rate_limit_exceeded", "tokens"
    ),
    "not_included": lambda behaviour, account: Refusal(
        429, {"error": {"type": "usage_not_included", "message": "Your plan has no Codex"}}
    ),
    "unauthorized": _codex_generic(
        401, "Provided authentication token is expired.", "token_expired", "invalid_request_error"
    ),
    "payment": lambda behaviour, account: Refusal(402, {"detail": {"code": behaviour.code or "deactivated_workspace"}}),
    "forbidden": lambda behaviour, account: Refusal(403, {"detail": behaviour.message or "Forbidden"}),
    "overloaded": _codex_generic(503, "The server is overloaded.", "server_is_overloaded", "server_error"),
    "server_error": _codex_generic(500, "Something went wrong.", "server_error", "server_error"),
    "invalid_encrypted": _codex_generic(
        400,
        "The encrypted content for item rs_1 could not be verified. Reason: Encrypted content could not be decrypted "
        "or parsed.",
        "invalid_encrypted_content",
        "invalid_request_error",
    ),
    "model_not_supported": lambda behaviour, account: Refusal(
        400, {"detail": f"The '{behaviour.model}' model is not supported when using Codex with a ChatGPT account."}
    ),
}


def _copilot(status: int, message: str, code: str, limiter: str | None = None) -> Callable[..., Refusal]:
    def build(behaviour: Behaviour, account: FakeAccount | None) -> Refusal:
        headers = {} if limiter is None else {"x-ratelimit-exceeded": limiter}
        return Refusal(status, _error(behaviour.message or message, str(behaviour.code or code)), headers)

    return build


def _copilot_text(status: int, message: str) -> Callable[..., Refusal]:
    return lambda behaviour, account: Refusal(status, behaviour.message or message)


COPILOT: _Table = {
    "usage_limit": _copilot(
        429,
        "Sorry, you've exceeded your 5 hour session limits.",
        "user_global_rate_limited:pro",
        "global-chat:global-usage-5-hour-key:userID:COPILOT_PLAN_INDIVIDUAL",
    ),
    "rate_limited": _copilot(429, "Sorry, you've exceeded your rate limits.", "rate_limited"),
    "not_included": _copilot_text(403, "unauthorized: not licensed to use Copilot\n"),
    "unauthorized": _copilot_text(401, "unauthorized: token expired\n"),
    "payment": _copilot(402, "You have no quota", "quota_exceeded"),
    "forbidden": _copilot_text(403, "unauthorized: not authorized to use this Copilot feature\n"),
    "misdirected": _copilot_text(421, "Misdirected Request\n"),
    "overloaded": _copilot(503, "The provider is overloaded.", "upstream_provider_rate_limit"),
    "server_error": _copilot(500, "Internal Server Error", "internal_error"),
    "invalid_encrypted": _copilot(
        400,
        "The encrypted content could not be verified. Reason: Encrypted content could not be decrypted or parsed.",
        "invalid_encrypted_content",
    ),
    "model_not_supported": _copilot(400, "The requested model is not supported.", "model_not_supported"),
    "selector": _copilot_text(401, "Invalid auto-mode selector\n"),
    "signature": _copilot(400, "messages.1.content.0: Invalid signature in thinking block", "invalid_request_body"),
    "picture": _copilot(400, "one or more attachments was not accessible", "vision_attachment_not_accessible"),
    "item_id": lambda behaviour, account: Refusal(401, _error("input item ID does not belong to this connection", "")),
}


def _status(behaviour: Behaviour, account: FakeAccount | None) -> Refusal:
    return Refusal(behaviour.status or 500, "" if behaviour.body is None else behaviour.body)


def _cloudflare(behaviour: Behaviour, account: FakeAccount | None) -> Refusal:
    return Refusal(403, CLOUDFLARE_PAGE, {"content-type": "text/html", "cf-mitigated": "challenge"})


_SHARED: _Table = {"status": _status, "cloudflare": _cloudflare, "misdirected": COPILOT["misdirected"]}
KINDS = frozenset({*CODEX, *COPILOT, *_SHARED})


def refuse(provider: str, behaviour: Behaviour, account: FakeAccount | None) -> Refusal:
    """The refusal that a behaviour stands for; its own status, body and headers win over the table's."""
    table = {**_SHARED, **(CODEX if provider == "codex" else COPILOT)}
    refusal = table[behaviour.kind](behaviour, account)
    refusal.status = behaviour.status or refusal.status
    refusal.body = refusal.body if behaviour.body is None else behaviour.body
    if behaviour.retry_after is not None:
        names = ("retry-after", "x-ratelimit-user-retry-after")[: 2 if provider == "copilot" else 1]
        refusal.headers |= dict.fromkeys(names, f"{behaviour.retry_after:g}")
    refusal.headers |= behaviour.headers
    return refusal


def error_frame(provider: str, refusal: Refusal) -> dict[str, Any]:
    """The same refusal as a WebSocket message (codex.md 3.3, copilot.md 5.4)."""
    known = isinstance(refusal.body, dict) and isinstance(refusal.body.get("error"), dict)
    error = refusal.body["error"] if known else {"code": "error", "message": str(refusal.body)}
    if not known and isinstance(refusal.body, dict) and isinstance(refusal.body.get("detail"), str):
        error = {"type": "invalid_request_error", "message": refusal.body["detail"]}
    if provider == "copilot" and error.get("code") == "":  # told otherwise here (copilot.md 4)
        error = {"code": "bad_request", "type": "websocket_error", "message": error["message"]}
    if provider == "copilot":
        return {"type": "error", "error": error}
    return {"type": "error", "error": error, "status_code": refusal.status, "headers": refusal.headers}
