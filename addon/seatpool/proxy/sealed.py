"""Pooled hosts that mitmproxy passes through sealed, since a person has told it to: the pool never sees a request."""

import re
from collections.abc import Iterable

from mitmproxy import options

from seatpool.providers.registry import NAMED

OPTIONS = ("allow_hosts", "ignore_hosts", "tcp_hosts")
"""By which a person says it."""


def said_of(opts: options.Options) -> str | None:
    """What is to be said where that is so of all of them, as after `--allow-hosts` for something else; else None."""
    if any(_is_opened(f"{name}:443", opts) for name in NAMED):
        return None
    told = [f"{option}={','.join(value)}" for option in OPTIONS if (value := getattr(opts, option))]
    return f"{' '.join(told)}: every host of Codex and Copilot passes sealed, so that nothing is pooled"


def _is_opened(address: str, opts: options.Options) -> bool:
    allowed = not opts.allow_hosts or _matches(opts.allow_hosts, address)
    return allowed and not _matches(opts.ignore_hosts, address) and not _matches(opts.tcp_hosts, address)


def _matches(patterns: Iterable[str], address: str) -> bool:
    """As mitmproxy reads them."""
    return any(re.search(pattern, address, re.IGNORECASE) for pattern in patterns)
