"""Shorter ways through mitmproxy and what is below it, where these are as we know them: each stands aside by itself."""

from collections.abc import Callable

from mitmproxy.addonmanager import AddonManager
from mitmproxy.proxy.commands import StartHook

from seatpool.proxy.shortcuts import buffers, dispatch, draining, headers, reads, turns, typechecks


def install(manager: AddonManager) -> Callable[[StartHook], dispatch.PoolRestHook | None] | None:
    """Take all that can be had. Returns how a stream calls its hooks at once; None where it has to send them."""
    buffers.install()
    draining.install()
    headers.install()
    reads.install()
    typechecks.install()
    calls = dispatch.install(manager)
    return calls.at_once if turns.install() and calls is not None else None
