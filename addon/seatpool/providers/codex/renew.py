"""Renewal of a Codex login: a new access token, then the place where its workspace is served (codex.md 4, 1.1).

The refresh token rotates and is good once, so the new one is kept before anything else is asked, and one that was
refused for good is dropped: it is never sent again. A login that another program renews is read again from that
program's file instead. The second call may fail in every way without harm: the last known place, or else chatgpt.com,
stands in, and `ATTR_LOCATED` says so.
"""

from collections.abc import Callable, Generator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import PurePath
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from seatpool.core.model import Credential, CredentialKind
from seatpool.providers.codex.auth import (
    ATTR_ACCOUNT,
    ATTR_FEDRAMP,
    ATTR_LOCATED,
    ATTR_OVERRIDE,
    ATTR_REFUSED,
    ATTR_USER,
    fresh,
    is_backend,
)
from seatpool.providers.codex.errors import GONE
from seatpool.providers.codex.login import read_login
from seatpool.providers.codex.tokens import Claims, read_claims
from seatpool.providers.codex.wire import (
    ACCOUNT_ID,
    AUTH_ORIGIN,
    AUTHORIZATION,
    CHATGPT,
    FEDRAMP,
    after,
    plain,
    read_object,
    retry_after,
    text,
    truth,
)
from seatpool.providers.http import HttpReply, HttpRequest
from seatpool.providers.logins import NotALogin
from seatpool.providers.sidecalls import OWNER, Keep, Renewal, RenewalNeed, RenewalRefused, Renewed, Reread, Why
from seatpool.providers.tolerant import Json, mapping, stable_code

CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann"
"""Codex's own public OAuth client, which the login was made with (codex.md 4)."""
TOKEN_URL = AUTH_ORIGIN + "/oauth/token"
CHECK_URL = CHATGPT + "/backend-api/wham/accounts/check"
USAGE_URL = CHATGPT + "/backend-api/wham/usage"

DEFAULT_CLIENT_HEADERS = (("user-agent", "codex_exec/0.169.0"), ("originator", "codex_exec"))
"""Stands in until the person's own editor was seen; the newest client on 2026-11-21 (codex.md 2.1)."""

NO_CONSTRAINT = "NO_CONSTRAINT"
OVERRIDES = frozenset({"us", "us_cr"})

DURABLE = frozenset(
    {
        "refresh_token_expired",
        "refresh_token_reused",
        "refresh_token_invalidated",
        "invalid_refresh_token",
        "app_session_expired",
        "app_session_terminated",
        "invalid_grant",
    }
)
"""Codes after which only signing in again helps, whatever status they have: the end of a session comes with 400
(openai/codex issues 23647, 27351), the last as well (RFC 6749, 5.2). Any other 401 is durable too (codex.md 4)."""

LOOK_AGAIN = timedelta(minutes=1)
"""Until the file of a program that has not renewed its login yet is read again."""

_Part = Generator[HttpRequest | Keep | Reread, HttpReply | bytes | None, Credential | RenewalRefused]


class Located(StrEnum):
    """How the origin of a credential was learnt."""

    ASKED = "asked"
    """`accounts/check` named it."""
    KEPT = "kept"
    """It could not be asked again: what was known before holds."""
    ASSUMED = "assumed"
    """Never learnt, or not to be trusted: chatgpt.com without a constraint."""


class Place(msgspec.Struct, frozen=True):
    """Where a workspace is served."""

    origin: str = CHATGPT
    override: str | None = None
    fedramp: bool = False
    plan: str | None = None
    deactivated: bool = False
    located: Located = Located.ASSUMED


def renew(need: RenewalNeed, now: Callable[[], datetime]) -> Renewal:
    """Get a token that is not stale and was not refused, then look its endpoints up."""
    current = need.held.get(CredentialKind.CODEX_OAUTH)
    if need.kind is not CredentialKind.CODEX_OAUTH or current is None:
        return RenewalRefused("no-credential", durable=True)
    if need.why is not Why.MISSING or not fresh(current, now()):
        owner = current.attributes.get(OWNER)
        way = _refresh(need, current, now) if owner is None else _follow(need, current, owner, now)
        result = yield from way
        if isinstance(result, RenewalRefused):
            return result
        current = result
    answer = yield owners_request(CHECK_URL, current, _client(need))
    claims = read_claims(current.token)
    place = read_place(_reply(answer), _account_id(current, claims))
    return Renewed(placed(current, place, claims), plan=(place and place.plan) or claims.plan)


def _refresh(need: RenewalNeed, current: Credential, now: Callable[[], datetime]) -> _Part:
    """Ask the issuer, with a refresh token that is ours alone."""
    if current.refresh_token is None:
        # Whoever comes after the one that was refused gives the same reason, and so does not blur what is stored.
        code = current.attributes.get(ATTR_REFUSED, "no-refresh-token")
        return RenewalRefused(code, durable=need.why is not Why.EARLY)
    answer = yield _token_request(need, current.refresh_token)
    result = read_tokens(current, _reply(answer), now())
    if isinstance(result, RenewalRefused):
        if result.durable:
            attributes = _with(current.attributes, {ATTR_REFUSED: result.code})
            yield Keep(replace(current, refresh_token=None, attributes=attributes))
        return result
    yield Keep(result)
    return result if result.token != current.token else RenewalRefused("no-access-token", durable=False)


def _follow(need: RenewalNeed, current: Credential, owner: str, now: Callable[[], datetime]) -> _Part:
    """Take what the program that renews this login has stored meanwhile; never ask the issuer in its place.

    Where the file has it no more and upstream refuses it, it was revoked: Codex does so before it signs anybody in, and
    when it signs out (openai/codex pulls 27674, 17825). The same person may be about to come back.
    """
    content = yield Reread(owner)
    stored = _login_in(owner, content if isinstance(content, bytes) else b"", current)
    if stored is None:
        revoked = need.why is Why.REFUSED
        return RenewalRefused("owner-signed-out", durable=revoked, retry_at=now() + LOOK_AGAIN, doubtful=revoked)
    if stored.token == current.token or not fresh(stored, now()):
        return RenewalRefused("owner-has-not-renewed", durable=False, retry_at=now() + LOOK_AGAIN)
    taken = replace(current, token=stored.token, expires_at=stored.expires_at)
    yield Keep(taken)
    return taken


def _login_in(owner: str, content: bytes, current: Credential) -> Credential | None:
    """The same person's and workspace's credential in a file, without its refresh token; None where it has none."""
    try:
        logins = read_login(PurePath(owner).name, content) or ()
    except NotALogin:
        return None
    wanted = [current.attributes.get(key) for key in (ATTR_USER, ATTR_ACCOUNT)]
    found = (c for login in logins for c in login.credentials)
    same = (c for c in found if [c.attributes.get(key) for key in (ATTR_USER, ATTR_ACCOUNT)] == wanted)
    return next((replace(c, refresh_token=None) for c in same), None)


def _reply(answer: HttpReply | bytes | None) -> HttpReply | None:
    return answer if isinstance(answer, HttpReply) else None


def read_tokens(held: Credential, reply: HttpReply | None, now: datetime) -> Credential | RenewalRefused:
    """The credential that a reply of the token endpoint makes of the held one; every field of it is optional."""
    if reply is None:
        return RenewalRefused("no-answer", durable=False)
    if reply.status != 200:
        return _refusal(reply, now)
    fields = read_object(reply.body)
    token, rotated = plain(fields.get("access_token")), plain(fields.get("refresh_token"))
    if token is None and rotated is None:
        return RenewalRefused("malformed-reply", durable=False)
    renewed = replace(held, refresh_token=rotated or held.refresh_token)
    if token is None:
        return renewed
    expires_at = read_claims(token).expires_at or after(fields.get("expires_in"), now)
    return replace(renewed, token=token, expires_at=expires_at)


def read_place(reply: HttpReply | None, account_id: str | None) -> Place | None:
    """The place that `accounts/check` names for this workspace; None where it tells nothing of it."""
    if reply is None or reply.status != 200:
        return None
    accounts = read_object(reply.body).get("accounts")
    entries = accounts if isinstance(accounts, list) else []
    mine = [e for e in entries if account_id and mapping(e).get("id") == account_id]
    return _place(mine[0]) if len(mine) == 1 else None


def _place(entry: Json) -> Place:
    stated, override = text(entry.get("workspace_backend_origin")), text(entry.get("account_routing_override"))
    origin = CHATGPT if stated == NO_CONSTRAINT else (stated or "").lower().removesuffix("/")
    known = Place(
        fedramp=truth(entry.get("is_fedramp_compliant_workspace")),
        plan=stable_code(entry.get("plan_type")) or None,
        deactivated=truth(entry.get("is_deactivated")),
    )
    # `lower` can make ASCII of other letters; what is not ASCII is no origin of ours.
    if not (stated or "").isascii() or not is_backend(origin) or override not in OVERRIDES | {NO_CONSTRAINT}:
        return known
    located = None if override == NO_CONSTRAINT else override
    return replace(known, origin=origin, override=located, located=Located.ASKED)


def placed(credential: Credential, place: Place | None, claims: Claims) -> Credential:
    """The credential with its endpoints and what else its requests need."""
    if place is None and is_backend(credential.endpoints.get("api", "")):
        return replace(credential, attributes=_with(credential.attributes, {ATTR_LOCATED: Located.KEPT.value}))
    place = place or Place()
    known: dict[str, str | None] = {
        ATTR_ACCOUNT: _account_id(credential, claims),
        ATTR_USER: credential.attributes.get(ATTR_USER) or claims.user_id,
        ATTR_OVERRIDE: place.override,
        ATTR_FEDRAMP: "true" if place.fedramp or claims.fedramp else None,
        ATTR_LOCATED: place.located.value,
    }
    endpoints = MappingProxyType({"api": place.origin})
    return replace(credential, endpoints=endpoints, attributes=_with(credential.attributes, known))


def _with(attributes: Mapping[str, str], changes: Mapping[str, str | None]) -> Mapping[str, str]:
    merged = {**attributes, **changes}
    return MappingProxyType({key: value for key, value in merged.items() if value is not None})


def _account_id(credential: Credential, claims: Claims) -> str | None:
    """The workspace that the login was made for; a renewed token does not change it (codex.md 6)."""
    return credential.attributes.get(ATTR_ACCOUNT) or claims.account_id


def _client(need: RenewalNeed) -> tuple[tuple[str, str], ...]:
    return need.client_headers or DEFAULT_CLIENT_HEADERS


def _token_request(need: RenewalNeed, refresh_token: str) -> HttpRequest:
    body = {
        "client_id": CLIENT_ID,
        "grant_type": "refresh_token",
        "refresh_reason": "unauthorized_recovery" if need.why is Why.REFUSED else "proactive_expiry",
        "refresh_token": refresh_token,
    }
    headers = (("content-type", "application/json"), *_client(need))
    return HttpRequest("POST", TOKEN_URL, headers, msgspec.json.encode(body))


def owners_request(
    url: str, credential: Credential, client: tuple[tuple[str, str], ...] = DEFAULT_CLIENT_HEADERS
) -> HttpRequest:
    """What the owner of a credential asks of herself; of a FedRAMP workspace's, where only that edge knows it
    (openai/codex pull request 17151)."""
    claims = read_claims(credential.token)
    known = (
        (AUTHORIZATION, f"Bearer {credential.token}"),
        (ACCOUNT_ID, _account_id(credential, claims)),
        (FEDRAMP, credential.attributes.get(ATTR_FEDRAMP) or ("true" if claims.fedramp else None)),
    )
    return HttpRequest("GET", url, (*((name, value) for name, value in known if value), *client))


def _refusal(reply: HttpReply, now: datetime) -> RenewalRefused:
    fields = read_object(reply.body)
    error = fields.get("error")
    # The code stands in one of three places (codex.md 4).
    code = text(mapping(error).get("code")) or text(error) or text(fields.get("code"))
    if code in DURABLE or code in GONE:
        return RenewalRefused(code, durable=True, revoked=code in GONE)
    if reply.status == 401:
        return RenewalRefused("refresh-unauthorized", durable=True)
    return RenewalRefused(f"refresh-http-{reply.status}", durable=False, retry_at=retry_after(reply.headers, now))
