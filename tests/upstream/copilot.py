"""The fake api.github.com, Copilot API and completions proxy (copilot.md 1, 2, 5, 6, 7)."""

import time
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from tests.upstream import dialogue, tokens
from tests.upstream.copilot_catalogue import CATALOGUE, COMPLETION_MODELS
from tests.upstream.exchange import Exchange, Route
from tests.upstream.hosts import Site
from tests.upstream.sockets import Conversation
from tests.upstream.world import FakeAccount

_RESETS = "2099-12-01T00:00:00Z"


def _left(account: FakeAccount) -> dict[str, float]:
    """Percent left by snapshot name."""
    return {"premium_interactions": 80.0, **account.quota}


def quota_headers(account: FakeAccount) -> dict[str, str]:
    """Snapshots and rate-limit windows as on an answer that went well (copilot.md 5.1)."""
    unlimited = {"ent": -1, "ov": "0.0", "ovPerm": "false", "rem": "100.0", "rst": _RESETS}
    fields = {"x-quota-snapshot-chat": urlencode(unlimited)}
    for name, left in _left(account).items():
        window = name in ("session", "weekly")
        value = {
            "ent": 0 if window else 300,
            "ov": "0.0",
            "ovPerm": "false",
            "rem": left,
            "rst": _RESETS,
        }
        fields[f"x-{'usage-ratelimit' if window else 'quota-snapshot'}-{name}"] = urlencode(value)
    return fields


def _snapshots(account: FakeAccount) -> dict[str, Any]:
    base = {"overage_count": 0, "overage_permitted": False, "timestamp_utc": "2026-11-21T10:00:00.000Z"}
    whole = {"entitlement": 0, "remaining": 0, "quota_remaining": 0.0, "percent_remaining": 100.0}
    free = {**base, **whole, "unlimited": True, "has_quota": True}
    premium = {
        **base,
        "entitlement": 300,
        "remaining": int(3 * _left(account)["premium_interactions"]),
        "quota_remaining": 3 * _left(account)["premium_interactions"],
        "percent_remaining": _left(account)["premium_interactions"],
        "unlimited": False,
        "has_quota": True,
        "quota_reset_at": 4099766400,
    }
    return {
        "chat": {"quota_id": "chat", **free},
        "completions": {"quota_id": "completions", **free},
        "premium_interactions": {"quota_id": "premium_interactions", **premium},
    }


async def _token(exchange: Exchange) -> None:
    """Mint a Copilot token (copilot.md 2.1)."""
    account = exchange.owner
    account.minted += 1
    expires_at = int(time.time() + account.token_life_s)
    envelope = {
        "token": tokens.copilot_token(account.name, account.plan, expires_at, account.minted),
        "expires_at": expires_at,
        "refresh_in": max(1, int(account.token_life_s - 300)),
        "sku": "monthly_subscriber_quota",
        "individual": account.plan == "individual",
        "chat_enabled": True,
        "code_quote_enabled": True,
        "code_review_enabled": True,
        "codesearch": True,
        "copilotignore_enabled": False,
        "blackbird_clientside_indexing": False,
        "public_suggestions": "enabled",
        "telemetry": "disabled",
        "endpoints": account.endpoints,
        "enterprise_list": None,
        "organization_list": [],
        "limited_user_quotas": None,
        "limited_user_reset_date": None,
    }
    await exchange.answer(200, envelope)


async def _copilot_user(exchange: Exchange) -> None:
    """Plan, quota and endpoints (copilot.md 5.2)."""
    account = exchange.owner
    user = {
        "login": account.login,
        "access_type_sku": "plus_monthly_subscriber_quota",
        "analytics_tracking_id": f"{zlib.crc32(account.name.encode()):08x}",
        "assigned_date": "2026-01-02T03:04:05Z",
        "can_signup_for_limited": False,
        "chat_enabled": True,
        "cli_enabled": True,
        "copilot_plan": "individual_pro" if account.plan == "individual" else account.plan,
        "copilotignore_enabled": False,
        "codex_agent_enabled": True,
        "is_mcp_enabled": True,
        "restricted_telemetry": True,
        "token_based_billing": True,
        "organization_login_list": [],
        "organization_list": [],
        "endpoints": account.endpoints,
        "quota_reset_date": _RESETS[:10],
        "quota_reset_date_utc": "2099-12-01T00:00:00.000Z",
        "quota_snapshots": _snapshots(account),
    }
    await exchange.answer(200, user)


async def _user(exchange: Exchange) -> None:
    account = exchange.owner
    headers = {"x-oauth-scopes": "read:user, repo", "x-ratelimit-remaining": "4999"}
    body = {"login": account.login, "id": account.number, "type": "User", "name": account.login}
    await exchange.answer(200, body, headers)


async def _models(exchange: Exchange) -> None:
    """What the account may use; the completions proxy has a list of its own."""
    models = COMPLETION_MODELS if "proxy" in exchange.request.host else CATALOGUE
    allowed = exchange.owner.models
    data = [model for model in models if allowed is None or model["id"] in allowed]
    await exchange.answer(200, {"object": "list", "data": data})


async def _models_session(exchange: Exchange) -> None:
    """Auto mode: the second credential, bound to the account (copilot.md 4)."""
    expires_at = int(time.time()) + 3600
    number = next(exchange.world.numbers)
    await exchange.answer(
        200,
        {
            "available_models": ["gpt-4.1"],
            "selected_model": "gpt-4.1",
            "session_token": tokens.carrier("session", exchange.owner.name, number),
            "expires_at": expires_at,
            "discounted_costs": {},
        },
    )


async def _intent(exchange: Exchange) -> None:
    choice = {"chosen_model": "gpt-4.1", "candidate_models": ["gpt-4.1"], "predicted_label": "no_reasoning"}
    await exchange.answer(200, {**choice, "confidence": 0.9, "latency_ms": 1})


def _turn(build: Callable[..., dialogue.Script]) -> Callable[[Exchange], Any]:
    """A route that streams a model's answer in one dialect, with a thought before it where that is wanted."""

    async def serve(exchange: Exchange) -> None:
        model = exchange.entry.model or "unknown"
        if exchange.owner.models is not None and model not in exchange.owner.models:
            await exchange.refuse(kind="model_not_supported")
            return
        if (exchange.world.strict or exchange.owner.strict) and (kind := _foreign(exchange)):
            await exchange.refuse(kind=kind)
            return
        headers = quota_headers(exchange.owner) if exchange.behaviour.rate_limits else {}
        usage = dialogue.Usage.of(exchange.behaviour)
        thought = {"reasoning": True} if exchange.behaviour.reasoning else {}
        script = build(exchange.owner.name, model, next(exchange.world.numbers), usage, **thought)
        await exchange.stream(script, headers.items())

    return serve


def _foreign(exchange: Exchange) -> str | None:
    mine = {exchange.owner.name}
    if exchange.entry.route == "responses" and set(exchange.entry.items) - mine:
        return "item_id"
    if exchange.entry.route == "messages" and tokens.signatures_in(exchange.request.decoded_body()) - mine:
        return "signature"
    return "invalid_encrypted" if set(exchange.entry.ciphers) - mine else None


async def _responses(exchange: Exchange) -> None:
    if exchange.request.upgrade:
        await Conversation(exchange, await exchange.accept_socket()).run()
        return
    await _turn(dialogue.billed_responses)(exchange)


async def _embeddings(exchange: Exchange) -> None:
    await exchange.answer(
        200,
        exchange.behaviour.body
        or {
            "object": "list",
            "model": exchange.entry.model,
            "data": [{"object": "embedding", "index": 0, "embedding": [0.25, 0.5]}],
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
        },
    )


async def _pictures(exchange: Exchange) -> None:
    await exchange.answer(200, exchange.behaviour.body or {"created": 0, "data": [{"b64_json": "iVBORw0KGgo="}]})


async def _decisions(exchange: Exchange) -> None:
    await exchange.answer(200, exchange.behaviour.body or {"model": exchange.entry.model, "outputs": {}})


async def _fine(exchange: Exchange) -> None:
    await exchange.answer(200, {})


async def _experiments(exchange: Exchange) -> None:
    """No experiment is on. The language server cannot do without `Configs`."""
    nothing: dict[str, Any] = {"Features": [], "Flights": {}, "ParameterGroups": [], "AssignmentContext": ""}
    configs = [{"Id": "vscode", "Parameters": {}}]
    await exchange.answer(200, {**nothing, "Configs": configs, "FlightingVersion": 1, "ImpressionId": "fake"})


_GITHUB = frozenset({Site.GITHUB_API})
_CAPI = frozenset({Site.CAPI})
_ANYWHERE = frozenset({Site.CAPI, Site.ELSEWHERE})
_OAUTH = frozenset({"github"})
_EITHER = frozenset({"github", "copilot"})

ROUTES = (
    Route("chat-completions", "POST", "/chat/completions", _turn(dialogue.chat), _CAPI, _EITHER),
    Route("responses", "POST", "/responses", _responses, _CAPI, _EITHER),
    Route("responses", "GET", "/responses", _responses, _CAPI, _EITHER),
    Route("messages", "POST", "/v1/messages", _turn(dialogue.messages), _CAPI, _EITHER),
    Route("embeddings", "POST", "/embeddings", _embeddings, _CAPI, _EITHER),
    Route("images", "POST", "/v1/images/(?:generations|edits)", _pictures, _CAPI, _EITHER),
    Route("decisions", "POST", "/v1/systemone", _decisions, _CAPI, _EITHER),
    Route("engine", "POST", "/v1/engines/([^/]+)/completions", _turn(dialogue.engine), _CAPI, _EITHER),
    Route("models", "GET", "/models", _models, _CAPI, _EITHER),
    Route("models-session", "POST", "/models/session", _models_session, _CAPI, _EITHER),
    Route("models-intent", "POST", "/models/session/intent", _intent, _CAPI, _EITHER),
    Route("ping", "GET", "/_ping", _fine, _CAPI),
    Route("experiments", "GET", "/telemetry|/vscode/ab", _experiments, _ANYWHERE),
    Route("telemetry", "POST", "/telemetry|/v2/track", _fine, _ANYWHERE),
    Route("token", "GET", "/copilot_internal/v2/token", _token, _GITHUB, _OAUTH),
    Route("copilot-user", "GET", "/copilot_internal/user", _copilot_user, _GITHUB, _OAUTH),
    Route("user", "GET", "/user", _user, _GITHUB, _OAUTH),
)
