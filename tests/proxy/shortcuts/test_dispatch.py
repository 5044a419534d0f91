"""Dispatching to those concerned does what mitmproxy's own does: both are run through the same happenings."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from mitmproxy import addonmanager, exceptions, hooks, http, master, options
from mitmproxy.addons import anticache, default_addons, maplocal, save, script
from mitmproxy.proxy import commands
from mitmproxy.proxy.layers.http._hooks import HttpErrorHook, HttpRequestHook, HttpResponseHook
from mitmproxy.test import tflow

from seatpool.proxy.addon import Pool
from seatpool.proxy.shortcuts import dispatch


class Noting:
    """An addon that writes down what it is called with."""

    def __init__(self, name: str, calls: list[str], also: Callable[[], Any] = lambda: None) -> None:
        self.name, self.calls, self.also = name, calls, also

    async def request(self, flow: object) -> None:
        self.calls.append(f"{self.name}.request")
        self.also()

    def update(self, flows: object) -> None:
        self.calls.append(f"{self.name}.update")


def fail() -> None:
    raise ValueError("a fault in an addon")


def halt() -> None:
    raise exceptions.AddonHalt


Way = Callable[[commands.StartHook], Awaitable[None]]


async def happenings(manager: addonmanager.AddonManager, calls: list[str], hear: Way) -> None:
    flow = tflow.tflow()
    await hear(HttpRequestHook(flow))
    manager.trigger(HttpRequestHook(flow))  # which these addons want to wait in
    manager.trigger(hooks.UpdateHook([flow]))
    await hear(HttpResponseHook(flow))
    late = Noting("late", calls)
    manager.add(late)
    await hear(HttpRequestHook(flow))
    manager.remove(late)
    await hear(HttpRequestHook(flow))
    module = ModuleType("a script")
    loader = manager.get("scriptloader")
    scripted = script.Script.__new__(script.Script)
    scripted.name, scripted.reloadtask, scripted.ns = "scriptmanager:x", None, module
    loader.addons.append(scripted)
    await hear(HttpRequestHook(flow))
    module.request = lambda flow: calls.append("script.request")  # type: ignore[attr-defined] # as a script may grow
    await hear(HttpRequestHook(flow))
    module.addons = [Noting("inner", calls)]  # type: ignore[attr-defined]
    await hear(HttpRequestHook(flow))
    scripted.ns = ModuleType("the script, read again")
    scripted.ns.request = lambda flow: calls.append("again.request")
    await hear(HttpRequestHook(flow))
    loader.addons.clear()
    await hear(HttpRequestHook(flow))


async def heard_at_once(calls: dispatch.Dispatch, hook: commands.StartHook) -> None:
    rest = calls.at_once(hook)
    if rest is not None:
        await calls.handle_lifecycle(rest)


@pytest.mark.parametrize("also", [lambda: None, fail, halt], ids=["well", "fault", "halt"])
async def test_order_faults_halts_updates_and_scripts_are_as_before(
    also: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    seen = []
    for ours in ("not", "through the manager", "at once"):
        calls: list[str] = []
        caplog.clear()
        mitm = master.Master(options.Options())
        mitm.addons.add(*(a for a in default_addons() if not isinstance(a, save.Save)))
        mitm.addons.add(Noting("first", calls), Noting("second", calls, also), Noting("third", calls))
        hear: Way = mitm.addons.handle_lifecycle
        if ours != "not":
            installed = dispatch.install(mitm.addons)
            assert installed is not None
            hear = partial(heard_at_once, installed) if ours == "at once" else mitm.addons.handle_lifecycle
        with caplog.at_level(logging.ERROR):
            await happenings(mitm.addons, calls, hear)
        seen.append((calls, [re.sub("0x[0-9a-f]+", "", record.message) for record in caplog.records]))
        mitm._legacy_log_events.uninstall()
    assert seen[0] == seen[1] == seen[2]
    assert "first.update" in seen[0][0]
    assert any("script.request" in call for call in seen[0][0]) or also is halt


async def test_who_is_called_at_once_may_keep_the_flow_or_wait(caplog: pytest.LogCaptureFixture) -> None:
    mitm, flow = master.Master(options.Options()), tflow.tflow()
    calls = dispatch.install(mitm.addons)
    assert calls is not None
    told: list[str] = []

    class Keeping:
        def response(self, flow: http.HTTPFlow) -> None:
            flow.intercept()

    class Waiting:
        async def error(self, flow: http.HTTPFlow) -> None:
            await asyncio.sleep(0)
            told.append("waited")
            raise ValueError("after a wait")

        async def update(self, flows: Sequence[http.HTTPFlow]) -> None:
            await asyncio.sleep(0)
            told.append("updated")

    mitm.addons.add(Keeping())
    kept = calls.at_once(HttpResponseHook(flow))
    assert kept is not None and kept.rest is None and kept.args() == [flow], "mitmproxy waits until it is resumed"
    flow.resume()
    assert calls.at_once(HttpErrorHook(flow)) is None
    mitm.addons.add(Waiting())
    rest = calls.at_once(HttpErrorHook(flow))
    assert rest is not None and told == []
    await calls.handle_lifecycle(rest)
    assert told == ["waited", "updated"] and "Addon error: after a wait" in caplog.text
    mitm._legacy_log_events.uninstall()


def test_built_in_addons_without_the_hook_are_not_asked() -> None:
    built_in, loader, mine = anticache.AntiCache(), script.ScriptLoader(), Noting("mine", [])
    loader.addons.append(mine)
    assert list(dispatch.concerned(built_in, "response")) == []
    assert list(dispatch.concerned(built_in, "request")) == [(built_in, built_in.request)]
    assert list(dispatch.concerned(loader, "response")) == [(mine, None)], "somebody's own is asked every time"


def test_our_own_addons_are_asked_once_with_those_inside_of_them() -> None:
    pool, entry = Pool(), ModuleType("pool")
    entry.addons = [pool]  # type: ignore[attr-defined] # as mitmdump loads it
    found = list(dispatch.concerned(entry, "requestheaders"))
    ours = [(a, a.requestheaders) for a in (pool, *pool.addons) if hasattr(a, "requestheaders")]
    assert found == [(entry, None), *ours] and len(ours) > 1


def test_a_hook_with_nothing_to_do_is_left_alone_until_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    addon, flow = maplocal.MapLocal(), tflow.tflow()
    ((_, hook),) = dispatch.concerned(addon, "request")
    assert hook is not None
    hook(flow)
    assert flow.response is None
    addon.replacements = [maplocal.parse_map_local_spec(f"|//|.*|{__file__}")]
    hook(flow)
    assert flow.response is not None and flow.response.content == Path(__file__).read_bytes()
    monkeypatch.setattr(maplocal.MapLocal, "request", lambda self, flow: "another")
    assert [hook(flow) for _, hook in dispatch.concerned(addon, "request") if hook is not None] == ["another"]


def test_a_hook_that_cannot_be_called_is_an_error_and_a_module_of_its_name_is_none() -> None:
    entry = ModuleType("script")
    entry.log = logging  # type: ignore[attr-defined]
    assert dispatch.hook_of(entry, "log") is None
    entry.log = "a text"  # type: ignore[attr-defined]
    with pytest.raises(exceptions.AddonManagerError, match="not callable"):
        dispatch.hook_of(entry, "log")


@pytest.mark.parametrize("method", dispatch.KNOWN_NAMES)
def test_it_stands_aside_where_the_method_is_another(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def other(self: object, event: hooks.Hook) -> None:
        return None

    monkeypatch.setattr(addonmanager.AddonManager, method, other)
    manager = addonmanager.AddonManager.__new__(addonmanager.AddonManager)
    assert not dispatch.install(manager)
    assert vars(manager).keys().isdisjoint(dispatch.REPLACED)
