"""Which provider a host and a path belong to."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType

from seatpool.core.model import ProviderName
from seatpool.providers.base import Provider, Route
from seatpool.providers.codex import CODEX
from seatpool.providers.copilot import COPILOT
from seatpool.providers.copilot.auth import tenant_of

PROVIDERS: Mapping[ProviderName, Provider] = MappingProxyType({p.name: p for p in (CODEX, COPILOT)})

LONGEST_HOST = 253
"""Characters of a name that can be resolved."""

_HOSTS = {name: re.compile("|".join(f"(?:{h})" for h in p.hosts)) for name, p in PROVIDERS.items()}


@lru_cache(maxsize=256)
def provider_of(host: str) -> Provider | None:
    """The provider whose host this is, whatever its case; None for every other host in the world."""
    if len(host) > LONGEST_HOST:
        return None
    for name, pattern in _HOSTS.items():
        if pattern.fullmatch(host.lower()):
            return PROVIDERS[name]
    return None


def match(method: str, host: str, path: str, *, upgrade: bool) -> Route | None:
    """The route of a request that may move to another account; None: leave it alone."""
    provider = provider_of(host)
    return provider.match(method, host.lower(), path, upgrade=upgrade) if provider is not None else None


_WORD = re.compile(r"[A-Za-z][A-Za-z_.-]{0,31}|v\d{1,3}")
_SEGMENTS = 4


def stray(method: str, host: str, path: str) -> str | None:
    """How a request is counted that no route is for and that nobody has thought of; None where it is known to stay.

    Only what cannot be an id is kept of its path: short words without digits, and those at its beginning.
    """
    provider = provider_of(host)
    if provider is None or provider.is_known(path):
        return None
    segments = path.partition("?")[0].split("/")[1:]
    shown = [segment if _WORD.fullmatch(segment) or not segment else "*" for segment in segments[:_SEGMENTS]]
    more = ["..."] if len(segments) > _SEGMENTS else []
    return f"{method if _WORD.fullmatch(method) else '*'} {host.lower()}/{'/'.join([*shown, *more])}"


def pooled_patterns() -> tuple[str, ...]:
    """Regular expressions for every host that may be decrypted, in lower case."""
    return tuple(host for p in PROVIDERS.values() for host in p.hosts)


def host_patterns() -> tuple[str, ...]:
    """The same for `host:port` (mitmproxy's `allow_hosts`)."""
    return tuple(rf"^(?:{host}):\d+$" for host in pooled_patterns())


OWN_HOST = "seatpool.test"
"""What a proxy answers itself (proxy/own_host.py); a name that nobody can have (RFC 6761)."""
CERTIFIED = ("githubcopilot.com", "api.github.com", "copilot-proxy.githubusercontent.com", "chatgpt.com", OWN_HOST)
"""Names that the certificate authority may vouch for, each with what is below it; more than is decrypted today."""
_OF_A_TENANT = ("api", "copilot-api", "copilot-proxy")


def certified_names(issuers: Iterable[str]) -> tuple[str, ...]:
    """Those, and the hosts of the GHE.com tenants among the issuers of accounts."""
    tenants = sorted({tenant for issuer in issuers if (tenant := tenant_of(issuer.lower()))})
    return (*CERTIFIED, *(f"{use}.{tenant}" for tenant in tenants for use in _OF_A_TENANT))


_PLANS = ("individual", "business", "enterprise")
NAMED = (
    "chatgpt.com",
    "api.githubcopilot.com",
    *(f"{use}.{plan}.githubcopilot.com" for use in ("api", "proxy") for plan in _PLANS),
    "copilot-proxy.githubusercontent.com",
)
"""The pooled hosts by name, where a pattern will not do: an address has to be known before anybody asks for it."""


def pooled_names(issuers: Iterable[str]) -> tuple[str, ...]:
    """Those, and the pooled hosts of the GHE.com tenants among the issuers of accounts."""
    certified = certified_names(issuers)
    return (*NAMED, *(name for name in certified if name not in NAMED and provider_of(name) is not None))


_THEIRS = re.compile(
    r"(?:[a-z0-9-]+\.)*(?:githubcopilot\.com|chatgpt\.com)"
    r"|[a-z0-9-]*copilot[a-z0-9-]*\.(?:githubusercontent\.com|[a-z0-9-]+\.ghe\.com)"
    r"|(?:[a-z0-9-]+\.)*[a-z0-9-]*codex[a-z0-9-]*\.(?:[a-z0-9-]+\.)*openai\.com"
)
_SEALED = re.compile(
    r"(?:ab|codex-cloud-backend)\.chatgpt\.com|codex-portals\.api\.openai\.com"  # codex.md 1
    r"|copilot-telemetry\.githubusercontent\.com|api-model-lab\.githubcopilot\.com"  # copilot.md 1.1
    r"|(?:telemetry|origin-tracker)\.(?:individual|business|enterprise)\.githubcopilot\.com"
    r"|copilot-telemetry[a-z0-9-]*\.[a-z0-9-]+\.ghe\.com"
)
"""Telemetry, matching with public code, experiments, previews: they serve no model."""


@lru_cache(maxsize=256)
def is_stranger(host: str) -> bool:
    """Whether a host (in lower case) looks like a provider's, and is neither pooled nor known to serve no model."""
    if len(host) > LONGEST_HOST or provider_of(host) is not None:
        return False
    return bool(_THEIRS.fullmatch(host)) and not _SEALED.fullmatch(host)
