"""Made-up secrets that name their owner, so that the fakes need no table to know who is calling.

Every one holds the marker `FAKESECRET` verbatim: a leak test searches for that word. Account names are one lower-case
word, since they are part of the tokens.
"""

import base64
import json
import re
import time
import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

MARKER = "FAKESECRET"
_NAME = re.compile(r"[a-z][a-z0-9]*")
_PAD = "Z"


@dataclass(frozen=True, slots=True)
class Owned:
    """What a token says of itself."""

    kind: str
    """`codex`, `github`, `copilot`, `session`, `refresh`, `turn-state`, `cipher`, `device` or `ac`."""
    owner: str
    generation: int = 0
    expires_at: float | None = None
    """Unix time, where the token says it."""


def check_name(name: str) -> str:
    """The name itself; ValueError when it cannot be part of a token."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"account names are one lower-case word, not {name!r}")
    return name


def codex_account_id(name: str) -> str:
    """The workspace id of a fake ChatGPT account."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.example.com"))


def codex_access_token(
    name: str,
    plan: str = "plus",
    expires_at: float | None = None,
    generation: int = 0,
    account_id: str | None = None,
) -> str:
    """A token in the shape of a ChatGPT access token (claims: codex.md 4); ten days long unless told."""
    claims = {
        "iss": "https://auth.openai.com",
        "sub": f"user-{check_name(name)}",
        "jti": str(generation),
        "email": f"{name}@example.com",
        "exp": int(time.time() + 864000 if expires_at is None else expires_at),
        "https://api.openai.com/profile": {"email": f"{name}@example.com"},
        "https://api.openai.com/auth": {
            "chatgpt_account_id": account_id or codex_account_id(name),
            "chatgpt_plan_type": plan,
            "chatgpt_user_id": f"user-{name}",
            "user_id": f"user-{name}",
        },
    }
    head = _b64(json.dumps({"alg": "RS256", "typ": "JWT", "kid": "fake"}).encode())
    return f"{head}.{_b64(json.dumps(claims).encode())}.{MARKER}-{name}-signature"


def codex_refresh_token(name: str, generation: int = 0) -> str:
    """A single-use refresh token; the upstream takes only its current generation."""
    return f"rt_{MARKER}_{check_name(name)}_{generation}"


def github_token(name: str, prefix: str = "gho") -> str:
    """An OAuth token as GitHub hands to an editor: `gho_` or `ghu_`, forty characters."""
    return f"{prefix}_{MARKER}{check_name(name)}".ljust(40, _PAD)


def copilot_token(name: str, plan: str, expires_at: float, generation: int = 0) -> str:
    """A `tid=` token (copilot.md 2.2)."""
    proxy = "copilot-proxy.octo.ghe.com" if plan == "ghe" else f"proxy.{plan}.githubcopilot.com"
    return (
        f"tid={check_name(name)};exp={int(expires_at)};sku=monthly_subscriber_quota;proxy-ep={proxy};st=dotcom;"
        f"chat=1;mcp=1;sn=1;rt=1;8kp=1:{MARKER}{generation:08d}"
    )


def carrier(kind: str, name: str, number: int) -> str:
    """Something only its owner can use: kind `session`, `turn-state` or `cipher` (encrypted reasoning), or a sign-in's
    `device` code or `ac` (authorization code)."""
    return f"{kind}_{MARKER}_{check_name(name)}_{number}"


_OPAQUE = re.compile(rf"(rt|session|turn-state|cipher|device|ac)_{MARKER}_([a-z][a-z0-9]*)_(\d+)")
_GITHUB = re.compile(rf"gh[ou]_{MARKER}([a-z][a-z0-9]*){_PAD}*")
_COPILOT = re.compile(rf"tid=([a-z][a-z0-9]*);exp=(\d+);.*:{MARKER}(\d+)")
_CIPHERS = re.compile(rf"cipher_{MARKER}_([a-z][a-z0-9]*)_\d+".encode())
_SIGNATURES = re.compile(rf'"(?:signature|data|reasoning_opaque)":\s*"cipher_{MARKER}_([a-z][a-z0-9]*)_\d+"'.encode())
_ITEM_IDS = re.compile(rb'"id":\s*"(?:rs|msg)_([a-z][a-z0-9]*)_\d+"')


@lru_cache(maxsize=4096)
def read_token(token: str) -> Owned | None:
    """Who owns a token, or None for one that no fake handed out."""
    if match := _OPAQUE.fullmatch(token):
        kind = "refresh" if match[1] == "rt" else match[1]
        return Owned(kind, match[2], int(match[3]))
    if match := _GITHUB.fullmatch(token):
        return Owned("github", match[1])
    if match := _COPILOT.fullmatch(token):
        return Owned("copilot", match[1], int(match[3]), float(match[2]))
    return _read_jwt(token)


def ciphers_in(body: bytes) -> frozenset[str]:
    """Owners of the encrypted reasoning that a request carries."""
    return frozenset(found.decode() for found in _CIPHERS.findall(body))


def item_ids_in(body: bytes) -> frozenset[str]:
    """Owners of the Responses item ids that a request carries."""
    return frozenset(found.decode() for found in _ITEM_IDS.findall(body))


def signatures_in(body: bytes) -> frozenset[str]:
    """Owners of the signed or opaque thoughts that a request carries outside of the Responses API."""
    return frozenset(found.decode() for found in _SIGNATURES.findall(body))


def _read_jwt(token: str) -> Owned | None:
    parts = token.split(".")
    if len(parts) != 3 or MARKER not in parts[2]:
        return None
    try:
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(parts[1] + "=="))
        return Owned("codex", claims["sub"].removeprefix("user-"), int(claims["jti"]), float(claims["exp"]))
    except (ValueError, KeyError):
        return None


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
