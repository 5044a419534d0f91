"""Values for the Copilot tests: a moment, two people, their tokens (which hold the marker FAKESECRET) and requests."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from seatpool.core.model import Account, Credential, CredentialKind, ProviderName
from seatpool.providers.base import RequestFacts, Route
from seatpool.providers.copilot import COPILOT
from seatpool.providers.http import Headers, HttpReply

NOW = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)
NOW_S = 1795255200  # NOW in seconds since the epoch
ACCOUNT = Account(1, ProviderName.COPILOT, "work", "github.com/ann", "github.com")
TENANT = Account(2, ProviderName.COPILOT, "octo", "octo.ghe.com/ann", "octo.ghe.com")

ANN_CT = "tid=ann0;exp=1795257000;sku=x;chat=1:FAKESECRET-mac-1"
ANN_CT_LATER = "tid=ann0;exp=1795258800;sku=x;chat=1:FAKESECRET-mac-2"
BOB_CT = "tid=bob0;exp=1795257000;sku=x;chat=1:FAKESECRET-mac-3"
ANN_GHO = "gho_FAKESECRETann"
BOB_GHO = "gho_FAKESECRETbob"
ENDPOINTS = {"api": "https://api.individual.githubcopilot.com", "proxy": "https://proxy.individual.githubcopilot.com"}


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def route(path: str, host: str = "api.githubcopilot.com", method: str = "POST", *, upgrade: bool = False) -> Route:
    found = COPILOT.match(method, host, path, upgrade=upgrade)
    assert found is not None
    return found


CHAT = route("/chat/completions")
RESPONSES = route("/responses")
MESSAGES = route("/v1/messages")
EMBEDDINGS = route("/embeddings")
PICTURES = route("/v1/images/generations")
SOCKET = route("/responses", method="GET", upgrade=True)
ENGINE_PATH = "/v1/engines/gpt-41-copilot/completions"
ENGINE = route(ENGINE_PATH, "proxy.individual.githubcopilot.com")


def facts(to: Route = CHAT, path: str = "/chat/completions", body: object = None, **headers: str) -> RequestFacts:
    """Facts of a request; headers by keyword, with `_` for `-`."""
    fields = {"authorization": f"Bearer {BOB_CT}", **{k.replace("_", "-"): v for k, v in headers.items()}}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = COPILOT.facts(to, path, Headers(fields.items()), lambda: content)
    assert found is not None
    return found


CHAT_FACTS = facts(body={"model": "gpt-x", "messages": [{"role": "user", "content": "hi"}]})
ENGINE_FACTS = facts(ENGINE, ENGINE_PATH)
SOCKET_FACTS = facts(SOCKET, "/responses")


def reply(status: int, body: object = b"", headers: Mapping[str, str] | None = None) -> HttpReply:
    content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return HttpReply(status, Headers((headers or {}).items()), content)


def github(token: str = ANN_GHO, **changes: Any) -> Credential:
    return Credential(CredentialKind.GITHUB_OAUTH, token, **changes)


def minted(token: str = ANN_CT, *, ttl_s: float = 1500, **changes: Any) -> Credential:
    settings: dict[str, Any] = {"endpoints": ENDPOINTS, "expires_at": at(ttl_s), **changes}
    return Credential(CredentialKind.COPILOT_TOKEN, token, **settings)


def session(token: str = "FAKESECRET-session-ann", ttl_s: float = 3600) -> Credential:
    return Credential(CredentialKind.COPILOT_SESSION, token, expires_at=at(ttl_s))
