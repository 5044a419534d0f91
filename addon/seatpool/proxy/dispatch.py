"""Hooks go only to addons that have them.

mitmproxy asks each of its thirty built-in addons, for every hook of every flow, whether it has the hook, inside a
context manager each: a third of the time that a small request takes. Which built-in addon has which hook never
changes, so it is asked once. Everything else stays mitmproxy's own: the order, the errors logged per addon,
`AddonHalt`, async hooks, the `update` that follows; and scripts are asked every time, as before.

It replaces one method of one object, and stands aside where that method is not the one that it knows.
"""

import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from mitmproxy import exceptions, hooks
from mitmproxy.addonmanager import AddonManager, safecall

logger = logging.getLogger(__name__)

KNOWN_NAMES = ("chain", "safecall", "invoke_addon", "exceptions", "AddonHalt")
"""Everything that the method which is replaced refers to, in order."""

Trigger = Callable[[hooks.Hook], Coroutine[Any, Any, None]]


def install(manager: AddonManager) -> bool:
    """Replace the manager's `trigger_event`. False, with nothing done, where it is not as expected."""
    original = getattr(AddonManager.trigger_event, "__code__", None)
    if original is None or original.co_names != KNOWN_NAMES or "trigger_event" in vars(manager):
        logger.info("action=plain-dispatch reason=unknown-addon-manager")
        return False
    manager.trigger_event = _trigger(manager)  # type: ignore[assignment, method-assign] # the point of this module
    return True


def _trigger(manager: AddonManager) -> Trigger:
    asked: dict[str, Sequence[Any]] = {}
    chain, length = manager.chain, len(manager.chain)

    async def trigger_event(event: hooks.Hook) -> None:
        nonlocal chain, length
        if manager.chain is not chain or len(chain) != length:  # an addon was removed, or added
            asked.clear()
            chain, length = manager.chain, len(manager.chain)
        concerned = asked.get(event.name)
        if concerned is None:
            concerned = asked[event.name] = [a for a in chain if not _never_has(a, event.name)]
        for addon in concerned:
            try:
                with safecall():
                    await manager.invoke_addon(addon, event)
            except exceptions.AddonHalt:
                return

    return trigger_event


def _never_has(addon: object, name: str) -> bool:
    """Whether it is one of mitmproxy's own, without that hook and without addons of its own."""
    built_in = type(addon).__module__.startswith("mitmproxy.addons.")
    return built_in and not hasattr(addon, "addons") and not hasattr(addon, name)
