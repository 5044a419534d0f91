"""Events of a connection that take turns do what they did under mitmproxy's lock: both are run through the same."""

import asyncio
from collections.abc import Generator
from dataclasses import dataclass

import pytest
from mitmproxy import options
from mitmproxy.connection import Client, ConnectionState
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.server import ConnectionHandler
from mitmproxy.utils import asyncio_utils

from seatpool.proxy.shortcuts import turns


@dataclass
class Step(commands.StartHook):
    """A hook of these tests, which is not one of mitmproxy's."""

    number: int
    blocking = True
    name = ""  # not registered


@dataclass
class Aside(Step):
    """One that nobody waits for."""

    blocking = False


class Layer(layer.Layer):
    """Answers what comes with hooks, and writes down how far it is when which of them is over."""

    def __init__(self, context: Context, seen: list[str]) -> None:
        super().__init__(context)
        self.seen = seen

    def _handle_event(self, event: events.Event) -> Generator[commands.Command, None, None]:
        self.seen.append(f"begin {_name(event)}")
        if isinstance(event, events.Start):
            yield Aside(1)
            yield Step(2)
            yield commands.Log("between", 10)
            yield Step(3)
            yield commands.RequestWakeup(0)
        elif isinstance(event, events.Wakeup):
            yield Step(4)
        self.seen.append(f"end {_name(event)}")


class Handler(ConnectionHandler):
    """Runs hooks, of which some wait for the event loop, and one brings something of its own."""

    def __init__(self, waiting: frozenset[int]) -> None:
        super().__init__(Context(Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2)), options.Options()))
        self.client.state = ConnectionState.OPEN
        self.timeout_watchdog.timeout = 600
        self.seen: list[str] = []
        self.waiting = waiting
        self.layer = Layer(self.layer.context, self.seen)  # type: ignore[assignment] # in place of the first one

    async def handle_hook(self, hook: commands.StartHook) -> None:
        assert isinstance(hook, Step)
        self.seen.append(f"hook {hook.number}")
        if hook.number in self.waiting:
            await asyncio.sleep(0)
        if hook.number == 3:
            asyncio_utils.create_task(self.server_event(Told("from inside")), name="inject", keep_ref=True)
        if hook.number == 4:
            raise ValueError("a hook that failed") if 5 in self.waiting else asyncio.CancelledError


@dataclass
class Told(events.Event):
    """Something that came from elsewhere."""

    text: str


def _name(event: events.Event) -> str:
    return f"{type(event).__name__} {getattr(event, 'text', '')}".strip()


async def _run(waiting: frozenset[int], server_event: turns.ServerEvent) -> list[str]:
    class Chosen(Handler):
        pass

    Chosen.server_event = server_event  # type: ignore[method-assign]
    handler = Chosen(waiting)
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)  # of hooks that fail
    with asyncio_utils.set_eager_task_factory():
        await handler.server_event(events.Start())
        for _ in range(20):
            await asyncio.sleep(0)
    return handler.seen


@pytest.mark.parametrize("waiting", [(), (1,), (2,), (3,), (1, 2, 3), (4,), (5,)])
async def test_events_and_hooks_come_in_the_order_in_which_the_lock_lets_them(waiting: tuple[int, ...]) -> None:
    original = getattr(ConnectionHandler.server_event, "__wrapped__", ConnectionHandler.server_event)
    locked = await _run(frozenset(waiting), original)
    assert await _run(frozenset(waiting), turns.in_turns(original)) == locked
    assert len(locked) > 8 and locked[-1].startswith("hook 4")


async def test_a_fault_in_a_layer_ends_with_its_event(caplog: pytest.LogCaptureFixture) -> None:
    original = getattr(ConnectionHandler.server_event, "__wrapped__", ConnectionHandler.server_event)
    handler = Handler(frozenset())
    handled: list[events.Event] = []

    def fail_at_first(event: events.Event) -> Generator[commands.Command, None, None]:
        handled.append(event)
        if len(handled) == 1:
            raise ValueError("a fault in a layer")
        yield from ()

    handler.layer.handle_event = fail_at_first  # type: ignore[method-assign]
    in_turns = turns.in_turns(original)
    await in_turns(handler, events.Start())
    await in_turns(handler, Told("later"))
    assert len(handled) == 2
    assert "mitmproxy has crashed!" in caplog.text


def test_it_is_installed_once_and_stands_aside_where_the_method_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    async def other(self: ConnectionHandler, event: events.Event) -> None:
        return None

    assert turns.install()
    method = ConnectionHandler.server_event
    assert turns.install() and ConnectionHandler.server_event is method
    monkeypatch.setattr(ConnectionHandler, "server_event", other)
    assert not turns.install()
    assert ConnectionHandler.server_event is other
