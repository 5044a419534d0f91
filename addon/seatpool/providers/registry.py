"""Which provider a host and a path belong to."""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from seatpool.core.model import ProviderName
from seatpool.providers.base import Provider, Route
from seatpool.providers.codex import CODEX
from seatpool.providers.copilot import COPILOT

PROVIDERS: Mapping[ProviderName, Provider] = MappingProxyType({p.name: p for p in (CODEX, COPILOT)})

_HOSTS = {name: re.compile("|".join(f"(?:{h})" for h in p.hosts)) for name, p in PROVIDERS.items()}


@lru_cache(maxsize=256)
def provider_of(host: str) -> Provider | None:
    """The provider whose host this is, whatever its case; None for every other host in the world."""
    for name, pattern in _HOSTS.items():
        if pattern.fullmatch(host.lower()):
            return PROVIDERS[name]
    return None


def match(method: str, host: str, path: str, *, upgrade: bool) -> Route | None:
    """The route of a request that may move to another account; None: leave it alone."""
    provider = provider_of(host)
    return provider.match(method, host.lower(), path, upgrade=upgrade) if provider is not None else None


def host_patterns() -> tuple[str, ...]:
    """Regular expressions for `host:port` of everything that may be decrypted (mitmproxy's `allow_hosts`)."""
    return tuple(rf"^(?:{host}):\d+$" for p in PROVIDERS.values() for host in p.hosts)
