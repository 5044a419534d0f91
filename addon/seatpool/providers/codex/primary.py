"""The account that the editor itself is signed in with, as its own requests tell (codex.md 2.1, 4)."""

from datetime import datetime
from types import MappingProxyType

from seatpool.core.model import Credential, CredentialKind, ProviderName
from seatpool.providers.base import Edits, RequestFacts
from seatpool.providers.codex.auth import ATTR_ACCOUNT, ATTR_FEDRAMP, ATTR_OVERRIDE, ATTR_USER, bearer
from seatpool.providers.codex.tokens import identity_of, read_claims, suggested_name
from seatpool.providers.codex.wire import ACCOUNT_ID, CHATGPT, FEDRAMP, ISSUER, ROUTING_OVERRIDE, TURN_STATE, plain
from seatpool.providers.http import HeaderView
from seatpool.providers.logins import ImportedLogin

IDENTIFYING = ("authorization", ACCOUNT_ID.lower())
"""Two requests that have these in common come from the same login."""
ACCOUNTS_OWN = frozenset({b"x-models-etag"})
"""Codex compares it with what its own account's list of models came with, and where it differs asks for that list in
the middle of the answer, up to five seconds long (openai/codex pull 8491; agentgateway issue 2215)."""


def identity(headers: HeaderView, now: datetime) -> str | None:
    """Whose login a request came with; None where the token does not say, or is over."""
    login = primary(headers, CHATGPT, now)
    return login.identity if login is not None else None


def primary(headers: HeaderView, origin: str, now: datetime) -> ImportedLogin | None:
    """The login behind a request, access only; None where the token does not say whose it is, or is over."""
    token = plain(bearer(headers))
    if token is None:
        return None
    claims = read_claims(token)
    account_id = plain(headers.get(ACCOUNT_ID)) or claims.account_id
    if account_id is None or claims.user_id is None or (claims.expires_at is not None and claims.expires_at <= now):
        return None
    known = {
        ATTR_ACCOUNT: account_id,
        ATTR_USER: claims.user_id,
        ATTR_OVERRIDE: plain(headers.get(ROUTING_OVERRIDE)),
        ATTR_FEDRAMP: plain(headers.get(FEDRAMP)),
    }
    return ImportedLogin(
        provider=ProviderName.CODEX,
        name=suggested_name(claims),
        identity=identity_of(claims.user_id, account_id),
        issuer=ISSUER,
        credentials=(
            Credential(
                CredentialKind.CODEX_OAUTH,
                token,
                expires_at=claims.expires_at,
                endpoints=MappingProxyType({"api": origin}),
                attributes=MappingProxyType({name: value for name, value in known.items() if value}),
            ),
        ),
        plan=claims.plan,
    )


def same_owner(one: Credential, other: Credential) -> bool:
    """Whether both are of one person in one workspace."""
    if one.token == other.token:
        return True
    return None not in (mine := _whose(one)) and mine == _whose(other)


def _whose(credential: Credential) -> tuple[str | None, str | None]:
    return credential.attributes.get(ATTR_USER), credential.attributes.get(ATTR_ACCOUNT)


def stay(facts: RequestFacts, origin: str, turn_state: str | None) -> Edits:
    """What is changed of a request that stays on the editor's own login: nothing, but for another's turn state."""
    if facts.route.websocket or turn_state == facts.turn_state:
        return Edits(origin)
    return Edits(origin, ((TURN_STATE, turn_state),)) if turn_state else Edits(origin, remove_headers=(TURN_STATE,))
