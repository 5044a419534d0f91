"""Whose credential a request carries, where a credential may go, and the edits that put a request on an account."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from seatpool.core.model import Account, Credential, CredentialKind, ProviderName
from seatpool.providers.base import Edits, RequestFacts
from seatpool.providers.copilot.wire import AUTHORIZATION, SESSION_TOKEN
from seatpool.providers.http import Headers, HeaderView

LEAST_LEFT = timedelta(minutes=2)
"""Clients that are handed a token with less exchange again and again (copilot-observed.md 2)."""

GITHUB = "github.com"
"""The issuer of every account that is not on a tenant of its own."""
API = "api"
PROXY = "proxy"

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_TENANT = re.compile(rf"{_LABEL}\.ghe\.com")
_ORIGIN = re.compile(rf"https://((?:{_LABEL}\.)+{_LABEL})(?::([1-9][0-9]{{0,4}}))?")
_LONGEST_ORIGIN = 270  # a host name has 253 characters at most

_TID = re.compile(r"tid=([^;:]+)")
_KINDS = (
    # schemes, beginning of the token, kind
    (("bearer",), ("tid=",), CredentialKind.COPILOT_TOKEN),
    (("bearer", "token"), ("gho_", "ghu_", "github_pat_"), CredentialKind.GITHUB_OAUTH),
)


# -- what a request carries


def _split(headers: HeaderView) -> tuple[str, str]:
    """Scheme as it was spelt, and token."""
    scheme, _, token = headers.get(AUTHORIZATION, "").strip().partition(" ")
    return scheme, token.strip()


def token_of(headers: HeaderView) -> str:
    """The token of a request, empty without one."""
    return _split(headers)[1]


def tid_of(token: str) -> str | None:
    """By what a Copilot token names its owner (copilot.md 2.2)."""
    found = _TID.match(token)
    return found[1] if found is not None else None


def kind_of(headers: HeaderView) -> CredentialKind | None:
    """The kind of credential that a request came with, told by its value (copilot.md 0.1); None for any other."""
    scheme, token = _split(headers)
    for schemes, beginnings, kind in _KINDS:
        if scheme.lower() in schemes and token.startswith(beginnings):
            return kind
    return None


def needs(headers: HeaderView) -> tuple[CredentialKind, ...]:
    """What an account must have to serve the request: the same kind, and a session in auto mode (copilot.md 4)."""
    kind = kind_of(headers)
    if kind is None:
        return ()
    return (kind, CredentialKind.COPILOT_SESSION) if SESSION_TOKEN in headers else (kind,)


def sent(headers: HeaderView) -> tuple[tuple[str, str], ...]:
    """The credential headers of a request, to be replaced in kind."""
    return tuple((name, value) for name in (AUTHORIZATION, SESSION_TOKEN) if (value := headers.get(name)) is not None)


def holds(headers: HeaderView, credential: Credential) -> bool:
    """Whether the request carries this token, or another Copilot token of the same person (`tid`, copilot.md 2.2)."""
    if credential.kind is CredentialKind.COPILOT_SESSION:
        return headers.get(SESSION_TOKEN) == credential.token
    token = _split(headers)[1]
    if token == credential.token:
        return True
    if credential.kind is not CredentialKind.COPILOT_TOKEN:
        return False
    tid = tid_of(token)
    return tid is not None and tid == tid_of(credential.token)


# -- where a credential may go


def tenant_of(issuer: str) -> str | None:
    """The issuer's host where it is a GHE.com tenant."""
    return issuer if _TENANT.fullmatch(issuer) else None


def issuer_of(host: str) -> str | None:
    """The host itself where it issues logins: `github.com`, or a tenant's."""
    return GITHUB if host == GITHUB else tenant_of(host)


def is_issuers(origin: str) -> bool:
    """Whether an origin belongs to an issuer and takes part in signing in: the issuer's own host or its REST host."""
    host = _host(origin)
    return host is not None and issuer_of(host.removeprefix("api.")) is not None


def default_endpoints(issuer: str) -> Mapping[str, str]:
    """Where an account is served whose credential named no host (copilot.md 1.1)."""
    if issuer == GITHUB:
        return {API: "https://api.githubcopilot.com", PROXY: "https://copilot-proxy.githubusercontent.com"}
    if tenant_of(issuer):
        return {API: f"https://copilot-api.{issuer}", PROXY: f"https://copilot-proxy.{issuer}"}
    return {}


def canonical(url: object) -> str | None:
    """`https://host[:port]` of an endpoint as upstream states it; None for anything with a path, a user or a trick."""
    if not isinstance(url, str) or not url.isascii():
        return None
    origin = url.strip().lower().removesuffix("/").removesuffix(":443")
    return origin if _host(origin) is not None else None


def _host(origin: str) -> str | None:
    found = _ORIGIN.fullmatch(origin) if len(origin) <= _LONGEST_ORIGIN else None
    return found[1] if found is not None and int(found[2] or 443) <= 65535 else None


def may_receive(account: Account, origin: str) -> bool:
    """Whether a credential of `account` may go to `origin`: its issuer's hosts, over TLS, in canonical spelling only.

    Everything else is refused rather than understood: other cases, IDNA, user info, a trailing dot, a backslash,
    a path.
    """
    host = _host(origin)
    if host is None or account.provider is not ProviderName.COPILOT:
        return False
    if account.issuer == GITHUB:
        return host in ("api.github.com", "githubcopilot.com", "copilot-proxy.githubusercontent.com") or host.endswith(
            ".githubcopilot.com"
        )
    tenant = tenant_of(account.issuer)
    return tenant is not None and host in (
        tenant,
        f"api.{tenant}",
        f"copilot-api.{tenant}",
        f"copilot-proxy.{tenant}",
    )


# -- sending


def ready(credential: Credential, now: datetime) -> bool:
    """Whether it can be sent now: it lasts a while, and its hosts are known (a session goes where its bearer does)."""
    if credential.expires_at is not None and credential.expires_at - now <= LEAST_LEFT:
        return False
    return credential.kind is CredentialKind.COPILOT_SESSION or API in credential.endpoints


def edits(facts: RequestFacts, account: Account, credentials: Mapping[CredentialKind, Credential]) -> Edits:
    """The changes that put the request on the account of these credentials: host, bearer, auto mode's session.

    A session that the editor sent stays where the bearer is this account's own anyway; another account's is removed.
    """
    credential = credentials[facts.needs[0]]
    asked = Headers(facts.sent)
    endpoint = facts.route.endpoint
    # An issuer without such a host: the account's own one says so, as upstream does.
    default = default_endpoints(account.issuer).get(endpoint) or credential.endpoints[API]
    origin = credential.endpoints.get(endpoint) or default
    replaced = [(AUTHORIZATION, f"{_split(asked)[0] or 'Bearer'} {credential.token}")]
    removed: tuple[str, ...] = ()
    if CredentialKind.COPILOT_SESSION in facts.needs:
        session = credentials.get(CredentialKind.COPILOT_SESSION)
        if session is not None:
            replaced.append((SESSION_TOKEN, session.token))
        elif not holds(asked, credential):
            removed = (SESSION_TOKEN,)
    return Edits(origin, tuple(replaced), removed)
