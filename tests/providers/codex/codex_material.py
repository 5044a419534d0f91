"""Values for the Codex tests: a moment, a person, her tokens (which hold the marker FAKESECRET) and requests."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from seatpool.core.model import Account, Credential, CredentialKind, ProviderName
from seatpool.providers.base import RequestFacts
from seatpool.providers.codex.routes import ROUTES
from seatpool.providers.http import Headers, HttpReply

NOW = datetime(2026, 4, 1, 12, 0, 0, tzinfo=UTC)
NOW_S = 1775044800  # NOW in seconds since the epoch
ACCOUNT = Account(1, ProviderName.CODEX, "work", "user-ann/ws-ann", "chatgpt.com")
POST = ROUTES["POST", "/backend-api/codex/responses", False]
SOCKET = ROUTES["GET", "/backend-api/codex/responses", True]
FACTS = RequestFacts(POST, (CredentialKind.CODEX_OAUTH,), model="gpt-6.1-sol")
SOCKET_FACTS = RequestFacts(SOCKET, (CredentialKind.CODEX_OAUTH,), model="gpt-6.1-sol")


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def jwt(**claims: Any) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'RS256'})}.{part(claims)}.FAKESECRET-signature"


def access_token(
    user: str | None = "user-ann", workspace: str | None = "ws-ann", ttl_s: int | None = 864_000, **auth: Any
) -> str:
    claims: dict[str, Any] = {"https://api.openai.com/auth": {**auth}}
    if user:
        claims["https://api.openai.com/auth"]["chatgpt_user_id"] = user
    if workspace:
        claims["https://api.openai.com/auth"]["chatgpt_account_id"] = workspace
    if ttl_s is not None:
        claims["exp"] = NOW_S + ttl_s
    return jwt(**claims)


def credential(
    *,
    ttl_s: int | None = 864_000,
    refresh: str | None = "rt_FAKESECRET-1",
    origin: str | None = "https://chatgpt.com",
    **attributes: str,
) -> Credential:
    return Credential(
        CredentialKind.CODEX_OAUTH,
        access_token(ttl_s=ttl_s),
        refresh,
        None if ttl_s is None else at(ttl_s),
        endpoints={} if origin is None else {"api": origin},
        attributes={"account_id": "ws-ann", "user_id": "user-ann", **attributes},
    )


def reply(status: int, body: object = b"", **headers: str) -> HttpReply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpReply(status, Headers((k.replace("_", "-"), v) for k, v in headers.items()), content)
