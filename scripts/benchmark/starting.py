"""Starting a proxy, and how long that takes until an answer came through."""

import time
from collections.abc import Sequence

from scripts.benchmark.client import Group, Target
from scripts.benchmark.field import Field, Proxy
from scripts.benchmark.turns import order
from scripts.benchmark.wire import Kind, Requests


async def first_answer(target: Target) -> None:
    """Ask once, over a connection of its own."""
    async with Group(target, 1) as group:
        await group.load(Requests(Kind.JSON), 1)


async def let_learn(field: Field, proxy: Proxy, accounts: int, connections: int) -> None:
    """A request for each account, and an end: what is learnt of them at first is in the database then."""
    running = field.start(proxy)
    async with Group(running.target, connections) as group:
        await group.load(Requests(Kind.JSON, conversation=1), accounts)
    running.program.stop()


async def start_in_turns(
    field: Field, proxies: Sequence[Proxy], times: int
) -> tuple[list[Proxy], dict[str, list[float]]]:
    """Start each so many times; they stay up after the last. Seconds until the first answer, by name."""
    running, took = list(proxies), {proxy.name: list[float]() for proxy in proxies}
    for number in range(times):
        for place in order(len(running), number):
            running[place].program.stop()
            began = time.perf_counter()
            running[place] = field.start(running[place])
            await first_answer(running[place].target)
            took[running[place].name].append(time.perf_counter() - began)
    return running, took
