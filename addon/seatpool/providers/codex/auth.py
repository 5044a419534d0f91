"""Whose credential a request carries, where a credential may go, and the edits that put a request on an account."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from seatpool.core.model import Account, Credential, CredentialKind, ProviderName
from seatpool.providers.base import Edits, RequestFacts
from seatpool.providers.codex.tokens import identity_of, read_claims
from seatpool.providers.codex.wire import (
    ACCOUNT_ID,
    AUTH_ORIGIN,
    AUTHORIZATION,
    CHATGPT,
    FEDRAMP,
    ROUTING_OVERRIDE,
    TURN_STATE,
)
from seatpool.providers.http import HeaderView

LEAST_LEFT = timedelta(minutes=1)
"""A request waits for a renewal only when less is left; before that one is made in the background."""

# Keys of a credential's attributes.
ATTR_ACCOUNT = "account_id"
ATTR_USER = "user_id"
ATTR_OVERRIDE = "routing_override"
"""`us` or `us_cr`; absent where the workspace has no constraint (codex.md 1.1)."""
ATTR_FEDRAMP = "fedramp"
"""`true`, or absent."""
ATTR_LOCATED = "located"
"""How its origin was learnt: see `Located`."""
ATTR_REFUSED = "refresh_refused"
"""Code with which the refresh token was refused for good, once it was dropped for that."""

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_PORT = r"(?::([1-9][0-9]{0,4}))?"
_BACKEND = re.compile(rf"https://(?:{_LABEL}\.)*chatgpt\.com{_PORT}")
_AUTH = re.compile(re.escape(AUTH_ORIGIN) + _PORT)
_LONGEST_ORIGIN = 270  # a host name has 253 characters at most


def is_backend(origin: str) -> bool:
    """Whether an origin is chatgpt.com or below it, over TLS, in the one canonical spelling.

    Everything else is refused rather than understood: other cases, IDNA, user info, a trailing dot, a backslash,
    a path.
    """
    return _is(_BACKEND, origin)


def may_receive(account: Account, origin: str) -> bool:
    """Whether a credential of `account` may go to `origin`: model hosts, and the issuer's for renewals."""
    return account.provider is ProviderName.CODEX and is_issuers(origin)


def is_issuers(origin: str) -> bool:
    """Whether an origin belongs to who issues Codex logins: a model host, or the one that signs people in."""
    return is_backend(origin) or _is(_AUTH, origin)


def _is(pattern: re.Pattern[str], origin: str) -> bool:
    found = pattern.fullmatch(origin) if len(origin) <= _LONGEST_ORIGIN else None
    return found is not None and int(found[1] or 443) <= 65535


def bearer(headers: HeaderView) -> str | None:
    """The ChatGPT token of a request; None for an API key and for other schemes (codex.md 2.1)."""
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or token.startswith("sk-"):
        return None
    return token


def holds(headers: HeaderView, credential: Credential) -> bool:
    """Whether the request carries this token, or another one of the same person in the same workspace."""
    token = bearer(headers)
    if token is None:
        return False
    if token == credential.token:
        return True
    theirs, ours = read_claims(token), read_claims(credential.token)
    account = headers.get(ACCOUNT_ID) or theirs.account_id
    user = credential.attributes.get(ATTR_USER) or ours.user_id
    if not (account and theirs.user_id and user):
        return False
    held = credential.attributes.get(ATTR_ACCOUNT) or ours.account_id
    return identity_of(theirs.user_id, account) == identity_of(user, held or "")


def fresh(credential: Credential, now: datetime) -> bool:
    """Whether the token is good for a while; one that does not tell is taken at its word until it is refused.

    A token that nothing of ours can renew is used to its end.
    """
    margin = LEAST_LEFT if credential.refresh_token else timedelta()
    return credential.expires_at is None or credential.expires_at - now > margin


def ready(credential: Credential, now: datetime) -> bool:
    """Whether it can be sent now."""
    return "api" in credential.endpoints and fresh(credential, now)


def edits(
    facts: RequestFacts,
    credentials: Mapping[CredentialKind, Credential],
    turn_state: str | None,
) -> Edits:
    """The changes that put the request on the account of these credentials.

    A WebSocket handshake never carries the turn state: there it travels in the frames (codex.md 2.2).
    """
    credential = credentials[CredentialKind.CODEX_OAUTH]
    known = credential.attributes
    wanted = (
        (AUTHORIZATION, f"Bearer {credential.token}"),
        (ACCOUNT_ID, known.get(ATTR_ACCOUNT) or read_claims(credential.token).account_id),
        (ROUTING_OVERRIDE, known.get(ATTR_OVERRIDE)),
        (FEDRAMP, known.get(ATTR_FEDRAMP)),
        (TURN_STATE, None if facts.route.websocket else turn_state),
    )
    return Edits(
        origin=credential.endpoints.get("api", CHATGPT),
        set_headers=tuple((name, value) for name, value in wanted if value),
        remove_headers=tuple(name for name, value in wanted if not value),
    )
