"""The fake chatgpt.com and auth.openai.com (codex.md 1, 3, 4, 9)."""

from tests.upstream import dialogue
from tests.upstream.codex_quota import WINDOWS_S, percent, quota_headers, resets_at
from tests.upstream.codex_signin import exchange_code, new_tokens
from tests.upstream.exchange import Exchange, Route
from tests.upstream.hosts import Site
from tests.upstream.sockets import Conversation
from tests.upstream.tokens import carrier

_REUSED = "Your refresh token has already been used to generate a new access token. Please try signing in again."


async def _accounts_check(exchange: Exchange) -> None:
    """The entry of the caller's own account (codex.md 1.1)."""
    account = exchange.owner
    entry = {
        "id": account.account_id,
        "structure": "personal",
        "plan_type": account.plan,
        "workspace_backend_origin": account.origin,
        "account_routing_override": account.override,
        "is_deactivated": False,
        "is_fedramp_compliant_workspace": False,
        **account.entry,
    }
    await exchange.answer(200, {"accounts": [entry]})


async def _usage(exchange: Exchange) -> None:
    """codex.md 3.4."""
    account = exchange.owner
    used = percent(account)
    windows = {
        f"{window}_window": {
            "used_percent": used[window],
            "limit_window_seconds": length_s,
            "reset_after_seconds": length_s // 2,
            "reset_at": resets_at(length_s),
        }
        for window, length_s in WINDOWS_S.items()
    }
    spent = max(used["primary"], used["secondary"]) >= 100
    usage = {
        "user_id": f"user-{account.name}",
        "account_id": account.account_id,
        "email": f"{account.name}@example.com",
        "plan_type": account.plan,
        "rate_limit": {"allowed": not spent, "limit_reached": spent, **windows},
        "code_review_rate_limit": None,
        "additional_rate_limits": [
            {"limit_name": name, "metered_feature": name, "rate_limit": _additional(percent_used)}
            for name, percent_used in used.items()
            if name not in WINDOWS_S
        ],
        "credits": {"has_credits": False, "unlimited": False, "overage_limit_reached": False, "balance": "0"},
        "rate_limit_reached_type": None,
    }
    await exchange.answer(200, usage)


def _additional(percent_used: int) -> dict[str, object]:
    length_s = WINDOWS_S["primary"]
    window = {"used_percent": percent_used, "limit_window_seconds": length_s, "reset_at": resets_at(length_s)}
    return {"allowed": percent_used < 100, "limit_reached": percent_used >= 100, "primary_window": window}


async def _models(exchange: Exchange) -> None:
    """What the account may use; most accounts have no list, and clients go by their own (codex.md 1)."""
    models = exchange.owner.models
    if models is None:
        await exchange.answer(404, {"detail": "Not Found"})
    else:
        listed = [{"slug": name, "visibility": "list"} for name in models]
        await exchange.answer(200, {"models": listed}, {"etag": _models_etag(exchange)})


def _models_etag(exchange: Exchange) -> str:
    return f'W/"{exchange.owner.name}"'


def _told(exchange: Exchange) -> dict[str, str]:
    """What comes with every turn, and older clients read of a handshake as well (openai/codex pulls 8491, 11964)."""
    return {"x-models-etag": _models_etag(exchange), "openai-model": exchange.entry.model or _hinted(exchange)}


def _hinted(exchange: Exchange) -> str:
    return exchange.request.headers.get("x-codex-routing-hint", "").partition("model=")[2].partition(";")[0]


async def _responses(exchange: Exchange) -> None:
    """A turn over HTTPS, or the handshake of the WebSocket that carries turns."""
    if exchange.request.upgrade:
        await Conversation(exchange, await exchange.accept_socket(_told(exchange))).run()
        return
    account, behaviour, request = exchange.owner, exchange.behaviour, exchange.request
    if (exchange.world.strict or account.strict) and _foreign(exchange):
        await exchange.refuse(kind="invalid_encrypted")
        return
    number = next(exchange.world.numbers)
    headers = {**_told(exchange), **(quota_headers(account) if behaviour.rate_limits else {})}
    if behaviour.turn_state and "x-codex-turn-state" not in request.headers:
        headers["x-codex-turn-state"] = carrier("turn-state", account.name, number)
    model, usage = exchange.entry.model or "unknown", dialogue.Usage.of(behaviour)
    script = dialogue.responses(account.name, model, number, usage, reasoning=behaviour.reasoning)
    await exchange.stream(script, headers.items())


def _foreign(exchange: Exchange) -> bool:
    mine = exchange.owner.name
    return exchange.entry.turn_state not in (None, mine) or bool(set(exchange.entry.ciphers) - {mine})


async def _oauth_token(exchange: Exchange) -> None:
    """Tokens for a sign-in's code, or for a refresh token, whose second use is refused for good (codex.md 4)."""
    if exchange.facts.body.get("grant_type") == "authorization_code":
        await exchange_code(exchange)
        return
    account, owned = exchange.account, exchange.owned
    if account is None or owned is None or account.revoked:
        await exchange.refuse(
            kind="unauthorized", code="refresh_token_invalidated", message="Your refresh token was revoked."
        )
        return
    if owned.generation != account.generation and owned.generation not in account.others:
        await exchange.refuse(kind="unauthorized", code="refresh_token_reused", message=_REUSED)
        return
    await exchange.answer(200, new_tokens(account, spent=owned.generation))


async def _nothing(exchange: Exchange) -> None:
    await exchange.answer(200, {})


async def _not_allowed(exchange: Exchange) -> None:
    await exchange.answer(405, {"detail": "Method Not Allowed"})


_CHATGPT = frozenset({Site.CHATGPT})
_AUTH = frozenset({Site.OPENAI_AUTH})
_BEARER = frozenset({"codex"})
_CODEX = "/backend-api/codex"

ROUTES = (
    Route("responses", "POST", f"{_CODEX}/responses", _responses, _CHATGPT, _BEARER),
    Route("responses", "GET", f"{_CODEX}/responses", _responses, _CHATGPT, _BEARER),
    Route("responses", "HEAD", f"{_CODEX}/responses", _not_allowed, _CHATGPT),
    Route("models", "GET", f"{_CODEX}/models", _models, _CHATGPT, _BEARER),
    Route("accounts-check", "GET", "/backend-api/wham/accounts/check", _accounts_check, _CHATGPT, _BEARER),
    Route("usage", "GET", "/backend-api/wham/usage", _usage, _CHATGPT, _BEARER),
    Route("analytics", "POST", f"{_CODEX}/analytics-events/events", _nothing, _CHATGPT),
    Route("metrics", "POST", "/otlp/v1/metrics", _nothing, _CHATGPT),
    Route("oauth-token", "POST", "/oauth/token", _oauth_token, _AUTH),
    Route("oauth-revoke", "POST", "/oauth/revoke", _nothing, _AUTH),
)
