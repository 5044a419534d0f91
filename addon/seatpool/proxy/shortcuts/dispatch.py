"""Hooks go only to addons that have them.

mitmproxy asks each of its thirty built-in addons, for every hook of every flow, whether it has the hook, inside a
context manager, a coroutine and two generators each: a third of the time that a small request takes. Which hooks a
built-in addon has, or one of ours, never changes, so it is asked once, until other addons come or go. Everything else
stays mitmproxy's own: the order, the errors logged per addon, `AddonHalt`, async hooks, the `update` that follows; and
other scripts are asked every time, as before.

It replaces three methods of one object, and stands aside where one of them, or one they call, is not the one it knows.

A stream of ours does not even send its hooks there: on their way up through a dozen layers each becomes a task, and
its end an event that comes down again through all of them, mostly to say that nobody had to wait. `at_once` calls the
addons where the stream is, and leaves to that way what has to be waited for.
"""

import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import isawaitable, iscoroutinefunction
from types import FunctionType, MappingProxyType, ModuleType
from typing import Any, cast

from mitmproxy import exceptions, flow, hooks
from mitmproxy.addonmanager import AddonManager, safecall
from mitmproxy.addons.maplocal import MapLocal
from mitmproxy.proxy.commands import StartHook
from mitmproxy.proxy.mode_servers import ProxyConnectionHandler
from mitmproxy.proxy.server import ConnectionHandler

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

WAY_OF_A_HOOK: Mapping[FunctionType, tuple[str, ...]] = MappingProxyType(
    {
        cast("FunctionType", ConnectionHandler.hook_task): (
            *("handle_hook", "blocking", "server_event", "events", "HookCompleted"),
        ),
        cast("FunctionType", ProxyConnectionHandler.handle_hook): (
            *("timeout_watchdog", "disarm", "args", "master", "addons", "handle_lifecycle"),
            *("isinstance", "flow", "Flow", "wait_for_resume"),
        ),
    }
)
"""The same of what lies between a stream's hook and its addons."""

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


@dataclass
class PoolRestHook(StartHook):
    """What is still to be waited for of a hook that was called at once."""

    name = "pool_rest"
    flow: flow.Flow

    def __post_init__(self) -> None:
        """No field, since mitmproxy gives all of these to the addons."""
        self.rest: Coroutine[Any, Any, None] | None = None
        """None: somebody has intercepted the flow, and it waits to be resumed."""


def install(manager: AddonManager) -> "Dispatch | None":
    """Replace the manager's methods. None, with nothing done, where it is not as expected."""
    if not fits() or not vars(manager).keys().isdisjoint(REPLACED):
        logger.info("action=plain-dispatch reason=unknown-addon-manager")
        return None
    dispatch = Dispatch(manager)
    for name in REPLACED:
        setattr(manager, name, getattr(dispatch, name))
    return dispatch


def fits() -> bool:
    """Whether mitmproxy's methods are as they are known."""
    methods = {getattr(AddonManager, name, None): known for name, known in KNOWN_NAMES.items()}
    return all(_is_known(method, known) for method, known in (methods | dict(WAY_OF_A_HOOK)).items())


def _is_known(method: object, known: tuple[str, ...]) -> bool:
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
        if isinstance(event, PoolRestHook):
            if event.rest is not None:
                await event.rest
            return
        args = event.args()
        await self._trigger(event.name, args)
        await self._update(args[0])

    async def trigger_event(self, event: hooks.Hook) -> None:
        """Any hook."""
        await self._trigger(event.name, event.args())

    def at_once(self, event: StartHook) -> PoolRestHook | None:
        """Call a flow's hook now, and its `update`; None: that was it. Else a hook to be sent in its place."""
        (message,) = args = event.args()
        rest = self._call(event.name, args)
        if rest is not None:
            return _rest(message, self._then_update(rest, message))
        if self._asked.get(_UPDATE, True) and (rest := self._call(_UPDATE, ([message],))) is not None:
            return _rest(message, rest)
        return _rest(message, None) if message.intercepted else None

    def _call(self, name: str, args: Sequence[Any]) -> Coroutine[Any, Any, None] | None:
        """Call a hook; what has to be awaited, if anything, with all that follows it."""
        calls = _Calls(name, args, self._concerned(name))
        waiting = calls.go_on()
        return calls.wait(waiting) if waiting is not None else None

    async def _trigger(self, name: str, args: Sequence[Any]) -> None:
        if (rest := self._call(name, args)) is not None:
            await rest

    async def _then_update(self, rest: Coroutine[Any, Any, None], message: flow.Flow) -> None:
        await rest
        await self._update(message)

    async def _update(self, message: object) -> None:
        if isinstance(message, flow.Flow) and self._asked.get(_UPDATE, True):
            await self._trigger(_UPDATE, ([message],))

    def trigger(self, event: hooks.Hook) -> None:
        """Those that nobody waits for, a line in the log foremost."""
        _Calls(event.name, event.args(), self._concerned(event.name), may_wait=False).go_on()

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


class _Calls:
    """One hook on its way through the addons."""

    def __init__(self, name: str, args: Sequence[Any], groups: Sequence[Concerned], *, may_wait: bool = True) -> None:
        self._name = name
        self._args = args
        self._may_wait = may_wait
        self._groups = iter(groups)
        self._group: Iterator[tuple[object, Hook | None]] = iter(())

    def go_on(self) -> Awaitable[object] | None:
        """Call one after the other; whom to await before that can go on, None where it is over."""
        name, args = self._name, self._args
        while True:
            try:
                for addon, hook in self._group:
                    found = hook if hook is not None else hook_of(addon, name)
                    if found is None:
                        continue
                    if not self._may_wait:
                        _refuse_to_wait(found, name, addon)
                    result = found(*args)
                    if self._may_wait and result is not None and isawaitable(result):
                        waiting: Awaitable[object] = result
                        return waiting
            except exceptions.AddonHalt:
                return None
            except Exception:  # mitmproxy says what of it is logged, and how
                with safecall():
                    raise
            group = next(self._groups, None)
            if group is None:
                return None
            self._group = iter(group)

    async def wait(self, waiting: Awaitable[object] | None) -> None:
        """The same from there on, to the end."""
        while waiting is not None:
            try:
                await waiting
            except exceptions.AddonHalt:
                return
            except Exception:
                self._group = iter(())  # what fails in an addon ends with it
                with safecall():
                    raise
            waiting = self.go_on()


def _rest(message: flow.Flow, rest: Coroutine[Any, Any, None] | None) -> PoolRestHook:
    hook = PoolRestHook(message)
    hook.rest = rest
    return hook


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
