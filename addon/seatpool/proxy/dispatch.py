"""Hooks go only to addons that have them.

mitmproxy asks each of its thirty built-in addons, for every hook of every flow, whether it has the hook, inside a
context manager, a coroutine and two generators each: a third of the time that a small request takes. Which hooks a
built-in addon has, or one of ours, never changes, so it is asked once, until other addons come or go. Everything else
stays mitmproxy's own: the order, the errors logged per addon, `AddonHalt`, async hooks, the `update` that follows; and
other scripts are asked every time, as before.

It replaces three methods of one object, and stands aside where one of them, or one they call, is not the one it knows.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import isawaitable, iscoroutinefunction
from types import FunctionType, MappingProxyType, ModuleType
from typing import Any

from mitmproxy import exceptions, flow, hooks
from mitmproxy.addonmanager import AddonManager, safecall
from mitmproxy.addons.maplocal import MapLocal

logger = logging.getLogger(__name__)

Hook = Callable[..., Any]
Concerned = Sequence[tuple[object, Hook | None]]
"""Addons with their hook; None: it may have come or gone, and is looked for every time."""

KNOWN_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "handle_lifecycle": ("args", "trigger_event", "isinstance", "flow", "Flow", "hooks", "UpdateHook"),
        "trigger_event": ("chain", "safecall", "invoke_addon", "exceptions", "AddonHalt"),
        "trigger": ("chain", "safecall", "invoke_addon_sync", "exceptions", "AddonHalt"),
        "invoke_addon": ("_iter_hooks", "args", "inspect", "isawaitable"),
        "invoke_addon_sync": (
            *("_iter_hooks", "inspect", "iscoroutinefunction", "exceptions", "AddonManagerError", "name", "args"),
        ),
        "_iter_hooks": (
            *("isinstance", "hooks", "Hook", "traverse", "getattr", "name", "callable", "types", "ModuleType"),
            *("exceptions", "AddonManagerError"),
        ),
    }
)
"""Everything that the methods which are replaced refer to, and those that they call, in order."""

IDLE_WITHOUT: Mapping[Hook, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        MapLocal.request: (
            "replacements",
            (
                *("response", "error", "live", "request", "pretty_url", "replacements", "matches", "re", "search"),
                *("regex", "local_path", "is_file", "file_candidates", "extend", "version", "MITMPROXY", "mimetypes"),
                *("guess_type", "str", "read_bytes", "OSError", "logging", "warning", "http", "Response", "make"),
                *("info", "join"),
            ),
        )
    }
)
"""Hooks that take their time, though they do nothing as long as this attribute of their addon is empty; and, as above,
the names they are known by."""

REPLACED = ("handle_lifecycle", "trigger_event", "trigger")
_SETTLED = ("mitmproxy.addons.", "seatpool.")
_UPDATE = hooks.UpdateHook.name


def install(manager: AddonManager) -> bool:
    """Replace the manager's methods. False, with nothing done, where it is not as expected."""
    if not fits() or not vars(manager).keys().isdisjoint(REPLACED):
        logger.info("action=plain-dispatch reason=unknown-addon-manager")
        return False
    dispatch = Dispatch(manager)
    for name in REPLACED:
        setattr(manager, name, getattr(dispatch, name))
    return True


def fits() -> bool:
    """Whether mitmproxy's methods are as they are known."""
    return all(_is_known(name, known) for name, known in KNOWN_NAMES.items())


def _is_known(name: str, known: tuple[str, ...]) -> bool:
    method = getattr(AddonManager, name, None)
    return isinstance(method, FunctionType) and method.__code__.co_names == known


class Dispatch:
    """Calls the hooks of one manager's addons."""

    def __init__(self, manager: AddonManager) -> None:
        self._manager = manager
        self._chain: list[object] | None = None
        self._length = 0
        self._open: Sequence[tuple[object, Sequence[object]]] = ()
        """Addons that have others inside of them, or may get some; with those."""
        self._asked: dict[str, Sequence[Concerned]] = {}

    async def handle_lifecycle(self, event: hooks.Hook) -> None:
        """A hook of a flow or a connection, and the `update` of a flow that follows it."""
        args = event.args()
        await self._trigger(event.name, args)
        if isinstance(args[0], flow.Flow) and self._asked.get(_UPDATE, True):
            await self._trigger(_UPDATE, ([args[0]],))

    async def trigger_event(self, event: hooks.Hook) -> None:
        """Any hook."""
        await self._trigger(event.name, event.args())

    def trigger(self, event: hooks.Hook) -> None:
        """Those that nobody waits for, a line in the log foremost."""
        name, args = event.name, event.args()
        for group in self._concerned(name):
            try:
                for addon, hook in group:
                    found = hook if hook is not None else hook_of(addon, name)
                    if found is not None:
                        _refuse_to_wait(found, name, addon)
                        found(*args)
            except exceptions.AddonHalt:
                return
            except Exception:
                with safecall():
                    raise

    async def _trigger(self, name: str, args: Sequence[object]) -> None:
        for group in self._concerned(name):
            try:
                for addon, hook in group:
                    found = hook if hook is not None else hook_of(addon, name)
                    result = found(*args) if found is not None else None
                    if result is not None and isawaitable(result):
                        await result
            except exceptions.AddonHalt:
                return
            except Exception:  # mitmproxy says what of it is logged, and how
                with safecall():
                    raise

    def _concerned(self, name: str) -> Sequence[Concerned]:
        """By addon of the chain, since what fails in one ends with it, those inside of it included."""
        manager = self._manager
        if manager.chain is not self._chain or len(self._chain) != self._length or self._moved():
            self._chain, self._length = manager.chain, len(manager.chain)
            self._open = tuple((addon, _inside(addon)) for addon in _walk(self._chain) if _is_open(addon))
            self._asked.clear()
        asked = self._asked.get(name)
        if asked is None:
            asked = self._asked[name] = [group for addon in self._chain if (group := list(concerned(addon, name)))]
        return asked

    def _moved(self) -> bool:
        """Whether an addon has others inside than before, as when a script was read again."""
        for addon, inside in self._open:  # noqa: SIM110 # a generator would cost more than what it looks at
            if getattr(addon, "addons", ()) != inside:
                return True
        return False


def concerned(addon: object, name: str) -> Iterator[tuple[object, Hook | None]]:
    """Those of an addon and the ones inside of it that have the hook, or may get it; outer ones first."""
    for each in _walk([addon]):
        if not type(each).__module__.startswith(_SETTLED):
            yield each, None
        elif (hook := hook_of(each, name)) is not None:
            yield each, _unless_idle(each, hook)


def _unless_idle(addon: object, hook: Hook) -> Hook:
    attribute, known = IDLE_WITHOUT.get(getattr(hook, "__func__", hook), ("", ()))
    if not attribute or hook.__code__.co_names != known:
        return hook
    return lambda *args: hook(*args) if getattr(addon, attribute) else None


def _refuse_to_wait(hook: Hook, name: str, addon: object) -> None:
    if iscoroutinefunction(hook):
        raise exceptions.AddonManagerError(f"Async handler {name} ({addon}) cannot be called from sync context")


def hook_of(addon: object, name: str) -> Hook | None:
    """None where it has no such hook."""
    hook = getattr(addon, name, None)
    if not hook or isinstance(hook, ModuleType):  # a script may have imported a module of that name
        return None
    if not callable(hook):
        raise exceptions.AddonManagerError(f"Addon handler {name} ({addon}) not callable")
    found: Hook = hook
    return found


def _walk(addons: Sequence[object]) -> Iterator[object]:
    for addon in addons:
        yield addon
        yield from _walk(_inside(addon))


def _inside(addon: object) -> Sequence[object]:
    """A copy, which equals what it was made of as long as that stays as it is."""
    inside = getattr(addon, "addons", ())
    return inside[:] if isinstance(inside, list | tuple) else list(inside)


def _is_open(addon: object) -> bool:
    settled = type(addon).__module__.startswith(_SETTLED)
    return not settled or (hasattr(addon, "addons") and not type(addon).__module__.startswith("seatpool."))
