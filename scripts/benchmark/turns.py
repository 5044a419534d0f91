"""Load in turns: some requests on one proxy, then as many on the next, so that a noisy moment falls on everybody."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from scripts.benchmark.client import Group, Target
from scripts.benchmark.field import Proxy
from scripts.benchmark.goals import ratio
from scripts.benchmark.processes import Meter
from scripts.benchmark.wire import CONVERSATION, Asking, Kind, Requests

TURN = 25
"""Requests of one before it is the next one's turn, at most."""
SETTLE_S = 0.3
"""After a round: what the pool writes late belongs to the round as well."""
IDLE_S = 0.5
"""Looked at before each round: a proxy works a little while nobody asks, and longest where others are slow."""


@dataclass(frozen=True, slots=True)
class Round:
    """One target's share of a round of load."""

    requests: int
    wall_s: float
    cpu_s: float
    """Of the proxy, without what it used while it was idle and others had their turn; 0 where there is none."""
    idle: float = 0.0
    """CPU seconds in a second in which nobody asks."""

    @property
    def cpu_ms(self) -> float:
        """Per request."""
        return self.cpu_s * 1000 / self.requests

    def __add__(self, other: "Round") -> "Round":
        """Both as one."""
        idle = (self.idle + other.idle) / 2
        return Round(self.requests + other.requests, self.wall_s + other.wall_s, self.cpu_s + other.cpu_s, idle)


@dataclass(frozen=True, slots=True)
class Contestant:
    """Who takes part: one proxy, or several that share the load, or nobody between client and upstream."""

    name: str
    targets: tuple[Target, ...]
    pids: tuple[int, ...] = ()
    asks: Callable[[Kind], Asking] | None = None
    """Makes its requests, where they are not those of Codex."""


def contestant(*proxies: Proxy, name: str = "") -> Contestant:
    """Of proxies that run."""
    targets = tuple(proxy.target for proxy in proxies)
    return Contestant(name or proxies[0].name, targets, tuple(proxy.program.pid for proxy in proxies))


async def in_turns(
    contestants: Sequence[Contestant], kind: Kind, count: int, connections: int, number: int = 0
) -> dict[str, Round]:
    """A round of `count` requests for everybody, by name; `number` is the round's, and says who begins."""
    turns = max(1, -(-count // TURN))
    sizes = [count * (turn + 1) // turns - count * turn // turns for turn in range(turns)]
    requests = [(each.asks or _usual)(kind) for each in contestants]
    meters = [[Meter(pid) for pid in each.pids] for each in contestants]
    wall = [0.0] * len(contestants)
    async with contextlib.AsyncExitStack() as open_:
        groups = [await _groups(open_, each, connections) for each in contestants]
        for group, asked in zip(groups, requests, strict=True):
            # A connection's first request pays for the connection: TLS here, TLS upstream, a certificate.
            await asyncio.gather(*(one.load(asked, len(one.connections)) for one in group))
        await asyncio.sleep(SETTLE_S if any(meters) else 0)
        idle = await _idle(meters)
        before, began = _read(meters), time.perf_counter()
        for turn, size in enumerate(sizes):
            for place in order(len(contestants), number + turn):
                wall[place] -= time.perf_counter()
                await _share(groups[place], requests[place], size)
                wall[place] += time.perf_counter()
        await asyncio.sleep(SETTLE_S if any(meters) else 0)
        whole = time.perf_counter() - began
        used = [now - was for now, was in zip(_read(meters), before, strict=True)]
    found = {}
    for place, each in enumerate(contestants):
        others = idle[place] * max(0.0, whole - wall[place])
        found[each.name] = Round(count, wall[place], max(0.0, used[place] - others), idle[place])
    return found


async def _idle(meters: Sequence[Sequence[Meter]]) -> list[float]:
    """CPU seconds in a second, while nobody asks."""
    before, began = _read(meters), time.perf_counter()
    await asyncio.sleep(IDLE_S if any(meters) else 0)
    took = time.perf_counter() - began
    return [(now - was) / took for now, was in zip(_read(meters), before, strict=True)]


def _read(meters: Sequence[Sequence[Meter]]) -> list[float]:
    return [sum(meter.cpu_s() for meter in some) for some in meters]


async def rounds(
    contestants: Sequence[Contestant], kind: Kind, count: int, connections: int, times: int
) -> dict[str, list[Round]]:
    """So many rounds, by name."""
    found: dict[str, list[Round]] = {each.name: [] for each in contestants}
    for number in range(times):
        for name, seen in (await in_turns(contestants, kind, count, connections, number)).items():
            found[name].append(seen)
    return found


def cpu_ms(rounds: Sequence[Round]) -> float:
    """Per request, the median of rounds."""
    return median(seen.cpu_ms for seen in rounds)


def over(rounds: Sequence[Round], reference: Sequence[Round]) -> float:
    """CPU per request over somebody else's: round by round, since rounds of one number ran in the same weather."""
    return median(ratio(ours.cpu_ms, theirs.cpu_ms) for ours, theirs in zip(rounds, reference, strict=True))


def while_served(seen: Round, alone: Round) -> Round:
    """What a viewer costs in the time of its proxy's own turns: it is told the news in the other's turns as well."""
    rest_s = alone.wall_s
    in_all_s = seen.cpu_s - alone.cpu_s + (seen.idle - alone.idle) * rest_s
    return replace(seen, cpu_s=alone.cpu_s + in_all_s * seen.wall_s / (seen.wall_s + rest_s))


def _usual(kind: Kind) -> Asking:
    return Requests(kind, conversation=CONVERSATION)


def order(size: int, number: int) -> list[int]:
    """Of the targets in a round: everybody is first, and follows everybody, equally often."""
    forth = [(number + place) % size for place in range(size)]
    return forth if number // size % 2 == 0 else forth[::-1]


async def _groups(open_: contextlib.AsyncExitStack, each: Contestant, connections: int) -> list[Group]:
    size = max(1, connections // len(each.targets))
    return [await open_.enter_async_context(Group(target, size)) for target in each.targets]


async def _share(groups: Sequence[Group], requests: Asking, size: int) -> None:
    """Spread over the processes of a contestant, all at the same time."""
    parts = [size * (place + 1) // len(groups) - size * place // len(groups) for place in range(len(groups))]
    await asyncio.gather(*(group.load(requests, part) for group, part in zip(groups, parts, strict=True)))
