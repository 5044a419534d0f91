"""What a ChatGPT token says of its owner (codex.md 4). Read, not verified: verifying is upstream's business."""

import re
from base64 import urlsafe_b64decode
from datetime import UTC, datetime

import msgspec

from seatpool.core.silence import silent
from seatpool.providers.codex.wire import plain, read_object, text, truth
from seatpool.providers.tolerant import Json, mapping, number, stable_code

AUTH_CLAIM = "https://api.openai.com/auth"
PROFILE_CLAIM = "https://api.openai.com/profile"
END_OF_TIME_S = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


class Claims(msgspec.Struct, frozen=True):
    """The claims that matter here; each None where the token does not tell."""

    expires_at: datetime | None = None
    user_id: str | None = None
    account_id: str | None = None
    """The workspace: one for all its members."""
    plan: str | None = None
    email: str | None = None
    fedramp: bool = False

    __repr__ = silent("email")


def read_claims(token: str) -> Claims:
    """The claims of a token; empty ones where it is opaque."""
    payload = _payload(token)
    auth = mapping(payload.get(AUTH_CLAIM))
    profile = mapping(payload.get(PROFILE_CLAIM))
    user = plain(auth.get("chatgpt_user_id")) or plain(auth.get("user_id")) or plain(payload.get("sub"))
    return Claims(
        expires_at=_moment(payload.get("exp")),
        user_id=user,
        account_id=plain(auth.get("chatgpt_account_id")),
        plan=stable_code(auth.get("chatgpt_plan_type")) or None,
        email=text(payload.get("email")) or text(profile.get("email")),
        fedramp=truth(auth.get("chatgpt_account_is_fedramp")),
    )


def identity_of(user_id: str, account_id: str) -> str:
    """Person and workspace: neither alone is unique (codex.md 4)."""
    return f"{user_id}/{account_id}"


def suggested_name(*claims: Claims) -> str:
    """The e-mail's local part, else the plan, in what a person can type; the first token that tells is believed."""
    emails = (c.email.partition("@")[0] for c in claims if c.email)
    stated = next(emails, "") or next((c.plan for c in reversed(claims) if c.plan), "")
    return re.sub(r"[^a-z0-9._-]+", "-", stated.lower()).strip("-.")[:40] or "codex"


def _payload(token: str) -> Json:
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        return read_object(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:  # not base64, or not ASCII
        return {}


def _moment(epoch_s: object) -> datetime | None:
    stated = number(epoch_s)
    if stated is None or not 0 < stated < END_OF_TIME_S:
        return None
    return datetime.fromtimestamp(stated, UTC)
