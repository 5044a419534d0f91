"""Shorter ways through mitmproxy and what is below it, where these are as we know them: each stands aside by itself."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from mitmproxy.addonmanager import AddonManager
from mitmproxy.proxy.commands import StartHook

from seatpool.proxy.shortcuts import buffers, dispatch, draining, headers, reads, turns, typechecks

TAKEN: Mapping[str, Callable[[], bool]] = MappingProxyType(
    {
        "buffers": buffers.install,
        "draining": draining.install,
        "headers": headers.install,
        "reads": reads.install,
        "turns": turns.install,
        "typechecks": typechecks.install,
    }
)
"""Each takes itself, and says whether it could. Beside them is `dispatch`, which has to know the addons."""


def install(manager: AddonManager) -> Callable[[StartHook], dispatch.PoolRestHook | None] | None:
    """Take all that can be had. Returns how a stream calls its hooks at once; None where it has to send them."""
    taken = {name: take() for name, take in TAKEN.items()}
    calls = dispatch.install(manager)
    return calls.at_once if taken["turns"] and calls is not None else None
