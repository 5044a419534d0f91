"""The account that the editor itself is signed in with, as its own requests tell (copilot.md 2.2, 2.6).

A Copilot token names its owner by `tid` alone, a GitHub token not at all: so the one's identity is that id, the
other's a digest of the token. Neither is renewed by us.
"""

import re
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType

from seatpool.core.model import Credential, CredentialKind, ProviderName
from seatpool.providers.base import Edits, RequestFacts
from seatpool.providers.copilot.auth import API, GITHUB, PROXY, tenant_of, tid_of, token_of
from seatpool.providers.copilot.renew import printable
from seatpool.providers.copilot.wire import moment
from seatpool.providers.http import HeaderView
from seatpool.providers.logins import ImportedLogin

IDENTIFYING = ("authorization",)
"""Two requests that have this in common come from the same login."""

_FIELD = re.compile(r"(?:^|;)(exp|proxy-ep)=([^;:]+)")
_PROXY_HOST = re.compile(r"proxy\.((?:individual|business|enterprise)\.githubcopilot\.com)")


def primary(facts: RequestFacts, headers: HeaderView, origin: str, now: datetime) -> ImportedLogin | None:
    """The login behind a request, access only; None where the token does not say whose it is, or is over."""
    token, issuer = token_of(headers), _issuer(origin)
    if issuer is None or not printable(token):
        return None
    if facts.needs[0] is CredentialKind.GITHUB_OAUTH:
        identity, expires_at, endpoints = f"token:{sha256(token.encode()).hexdigest()[:16]}", None, {}
    else:
        tid, fields = tid_of(token), dict(_FIELD.findall(token))
        expires_at = moment(fields.get("exp"), now)
        if tid is None or (expires_at is not None and expires_at <= now):
            return None
        identity, endpoints = f"tid:{tid}", _stated_endpoints(fields.get("proxy-ep", ""))
    endpoints = {**endpoints, facts.route.endpoint: origin}
    credential = Credential(facts.needs[0], token, expires_at=expires_at, endpoints=MappingProxyType(endpoints))
    return ImportedLogin(
        provider=ProviderName.COPILOT,
        name="editor",
        identity=f"{issuer}/{identity}",
        issuer=issuer,
        credentials=(credential,),
    )


def same_owner(one: Credential, other: Credential) -> bool:
    """Whether both are of one person, as far as the tokens tell."""
    if one.token == other.token:
        return True
    tid = tid_of(one.token)
    return tid is not None and tid == tid_of(other.token)


def stay(origin: str) -> Edits:
    """What is changed of a request that stays on the editor's own login: nothing."""
    return Edits(origin)


def _issuer(origin: str) -> str | None:
    """Whose host this is."""
    host = origin.partition("://")[2].partition(":")[0]
    if not host.endswith(".ghe.com"):
        return GITHUB
    return tenant_of(host.partition(".")[2])


def _stated_endpoints(proxy_host: str) -> dict[str, str]:
    """Both hosts of the plan, out of the one that the token names."""
    plan = _PROXY_HOST.fullmatch(proxy_host)
    return {PROXY: f"https://{proxy_host}", API: f"https://api.{plan[1]}"} if plan is not None else {}
