"""Hooks go only to addons that have them.

mitmproxy asks each of its thirty built-in addons, for every hook of every flow, whether it has the hook, inside a
context manager, a coroutine and two generators each: a third of the time that a small request takes. Which hooks a
built-in addon has, or one of ours, never changes, so it is asked once. Everything else stays mitmproxy's own: the
order, the errors logged per addon, `AddonHalt`, async hooks, the `update` that follows; and other scripts are asked
every time, as before.

It replaces one method of one object, and stands aside where that method, or one it calls, is not the one that it knows.
"""

import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from inspect import isawaitable
from types import FunctionType, MappingProxyType, ModuleType
from typing import Any

from mitmproxy import exceptions, hooks
from mitmproxy.addonmanager import AddonManager, safecall

logger = logging.getLogger(__name__)

KNOWN_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "trigger_event": ("chain", "safecall", "invoke_addon", "exceptions", "AddonHalt"),
        "invoke_addon": ("_iter_hooks", "args", "inspect", "isawaitable"),
        "_iter_hooks": (
            *("isinstance", "hooks", "Hook", "traverse", "getattr", "name", "callable", "types", "ModuleType"),
            *("exceptions", "AddonManagerError"),
        ),
    }
)
"""Everything that the method which is replaced refers to, and those that it calls, in order."""

Hook = Callable[..., Any]
Trigger = Callable[[hooks.Hook], Coroutine[Any, Any, None]]


def install(manager: AddonManager) -> bool:
    """Replace the manager's `trigger_event`. False, with nothing done, where it is not as expected."""
    if not fits() or "trigger_event" in vars(manager):
        logger.info("action=plain-dispatch reason=unknown-addon-manager")
        return False
    manager.trigger_event = _trigger(manager)  # type: ignore[assignment, method-assign] # the point of this module
    return True


def fits() -> bool:
    """Whether mitmproxy's methods are as they are known."""
    return all(_is_known(name, known) for name, known in KNOWN_NAMES.items())


def _is_known(name: str, known: tuple[str, ...]) -> bool:
    method = getattr(AddonManager, name, None)
    return isinstance(method, FunctionType) and method.__code__.co_names == known


def _trigger(manager: AddonManager) -> Trigger:
    asked: dict[str, Sequence[tuple[object, Sequence[Hook] | None]]] = {}
    settled = Settled()
    chain, length = manager.chain, len(manager.chain)

    async def trigger_event(event: hooks.Hook) -> None:
        nonlocal chain, length
        name = event.name
        if manager.chain is not chain or len(chain) != length:  # an addon was removed, or added
            asked.clear()
            chain, length = manager.chain, len(manager.chain)
        concerned = asked.get(name)
        if concerned is None:
            concerned = asked[name] = _concerned(chain, name)
        args = event.args()
        for addon, known in concerned:
            try:
                for hook in known if known is not None else settled.hooks_of(addon, name):
                    result = hook(*args)
                    if result is not None and isawaitable(result):
                        await result
            except exceptions.AddonHalt:
                return
            except Exception:  # mitmproxy says what of it is logged, and how
                with safecall():
                    raise

    return trigger_event


def _concerned(chain: Sequence[object], name: str) -> Sequence[tuple[object, Sequence[Hook] | None]]:
    """Who has such a hook: with it, or with None where that may change and is asked every time."""
    found: list[tuple[object, Sequence[Hook] | None]] = []
    for addon in chain:
        built_in = type(addon).__module__.startswith("mitmproxy.addons.") and not hasattr(addon, "addons")
        hook = getattr(addon, name, None)
        if not built_in:
            found.append((addon, None))
        elif hook is not None:
            found.append((addon, (hook,)))
    return found


class Settled:
    """The hooks of addons of ours, and of those inside of them."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, dict[str, Sequence[Hook]]]] = {}
        """By the addon's id; it is kept, so that nothing else gets that."""

    def hooks_of(self, addon: object, name: str) -> Iterator[Hook]:
        """The hooks of an addon and of those inside of it, outer ones first."""
        waiting = [addon]
        while waiting:
            addon = waiting.pop()
            known = self._known.get(id(addon))
            if known is None and type(addon).__module__.startswith("seatpool."):
                known = self._known[id(addon)] = addon, {}
            if known is not None:
                hooks_by_name = known[1]
                if name not in hooks_by_name:
                    hooks_by_name[name] = tuple(_hooks_of(addon, name))
                yield from hooks_by_name[name]
                continue
            if hook := _hook_of(addon, name):
                yield hook
            inside = getattr(addon, "addons", None)
            if inside:
                waiting += [*inside][::-1]


def _hooks_of(addon: object, name: str) -> Iterator[Hook]:
    if hook := _hook_of(addon, name):
        yield hook
    for each in getattr(addon, "addons", ()):
        yield from _hooks_of(each, name)


def _hook_of(addon: object, name: str) -> Hook | None:
    hook = getattr(addon, name, None)
    if not hook or isinstance(hook, ModuleType):  # a script may have imported a module of that name
        return None
    if not callable(hook):
        raise exceptions.AddonManagerError(f"Addon handler {name} ({addon}) not callable")
    found: Hook = hook
    return found
