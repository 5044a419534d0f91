"""The rounds. Whatever is compared is measured in turns, so that a noisy moment falls on everybody."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from scripts.benchmark.choosing import CHOICES_US, choice_us
from scripts.benchmark.client import Broken, Connection, Group, Target
from scripts.benchmark.field import Field, Proxy, forgive
from scripts.benchmark.plan import Plan
from scripts.benchmark.starting import first_answer, let_learn, start_in_turns
from scripts.benchmark.turns import Contestant, Round, contestant, in_turns, order, rounds, while_served
from scripts.benchmark.watching import watching
from scripts.benchmark.wire import JSON_END, Kind, Requests

LOADED = (Kind.JSON, Kind.SHORT, Kind.LONG)
HEARD_S = 0.6
"""Until a proxy knows that its cooldowns were ended, with room to spare."""
BATCH = 30
"""Failovers between two endings of cooldowns; each takes an account out."""
TWICE = 2
"""Times the requests of a round, where what is compared differs by little."""
FEW = 10
"""Accounts of the pool that the large one is compared with."""

Say = Callable[[str], None]


@dataclass(slots=True)
class Measured:
    """Everything that was seen, unreduced. Keys of the inner mappings are targets: `direct`, `bare`, `pool`."""

    load: dict[Kind, dict[str, list[Round]]] = field(default_factory=dict)
    first_ms: dict[Kind, dict[str, list[float]]] = field(default_factory=dict)
    """Times to the first byte, without load."""
    whole_ms: dict[Kind, dict[str, list[float]]] = field(default_factory=dict)
    """To the last byte of the same answers."""
    failover_ms: dict[str, list[float]] = field(default_factory=dict)
    """Times to the last byte of a short stream: `bare`, `pool`, and `refused`: the pool's after a refusal."""
    start_s: dict[str, list[float]] = field(default_factory=dict)
    """Until the first answer came through."""
    served_kb: dict[str, int] = field(default_factory=dict)
    served: int = 0
    """Requests that each proxy had answered then, at least."""
    stream_kb: dict[str, float] = field(default_factory=dict)
    """Per open stream."""
    choice_us: dict[int, float] = field(default_factory=dict)
    """One choice of an account, by how many there are."""
    crowd: dict[str, list[Round]] = field(default_factory=dict)
    """Of small answers: `few` and `crowd`."""
    watched: dict[str, list[Round]] = field(default_factory=dict)
    """Of small answers, with nobody (`alone`) and with somebody (`watched`) at the page, by two proxies each."""

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


class Bench:
    """One run."""

    def __init__(self, plan: Plan, field: Field, say: Say) -> None:
        self.plan = plan
        self.seen = Measured()
        self._field = field
        self._say = say
        self._served = 0

    async def run(self) -> Measured:
        """Measure everything, in the order in which it disturbs least."""
        self.choices()
        bare, pool = await self.starts()
        await self.warm(bare, pool)
        await self.load(bare, pool)
        await self.latency(bare, pool)
        await self.failover(bare, pool)
        bare, pool = await self.memory(bare, pool)
        await self.watched(pool)
        for proxy in (bare, pool):
            proxy.program.stop()
        await self.crowd()
        return self.seen

    def choices(self) -> None:
        """In this process, while nothing else runs."""
        for accounts in CHOICES_US:
            self._say(f"choice: {accounts} accounts, by nothing but the core")
            self.seen.choice_us[accounts] = choice_us(accounts)

    async def starts(self) -> tuple[Proxy, Proxy]:
        """Start both several times; they stay up after the last."""
        self._say(f"start: {self.plan.starts} times each, {self.plan.accounts} accounts in the pool")
        bare = self._field.proxy("bare", bare=True)
        self._field.start(bare).program.stop()  # makes the CA that all share
        pool = self._field.proxy("pool", accounts=self.plan.accounts)
        running, self.seen.start_s = await start_in_turns(self._field, [bare, pool], self.plan.starts)
        return running[0], running[1]

    async def warm(self, bare: Proxy, pool: Proxy) -> None:
        """Let every account serve once; make sure that the pool serves with its own and bare leaves the editor's."""
        for proxy in (bare, pool):
            who = await _ask_who(proxy.target)
            if (b"seat" in who) is not (proxy is pool):
                raise Broken(f"{proxy.name} asked as the wrong account")
            async with Group(proxy.target, 1) as group:
                await group.load(Requests(Kind.SHORT, conversation=1), self.plan.accounts)

    async def load(self, bare: Proxy, pool: Proxy) -> None:
        """Rounds under load: throughput and CPU per request."""
        for kind in LOADED:
            count = self.plan.requests(kind)
            self._say(f"load: {self.plan.rounds} rounds of {count} x {kind}")
            direct = Contestant(self._field.direct.name, (self._field.direct,))
            self.seen.load[kind] = await self._rounds([direct, contestant(bare), contestant(pool)], kind)
            self._served += self.plan.rounds * count

    async def watched(self, pool: Proxy) -> None:
        """The same load on two proxies, in turns, with somebody at the page of one; at the other's for the next half.

        One and the same proxy would be measured with somebody and with nobody seconds apart; where others use the
        machine as well its speed changes by more in between than a viewer costs.
        """
        count = self.plan.small
        self._say(f"page: {self.plan.rounds} rounds of {TWICE} x {count} x json, watched and not")
        other = self._field.proxy("other", accounts=self.plan.accounts)
        await let_learn(self._field, other, self.plan.accounts, self.plan.connections)
        pair = pool, self._field.start(other)
        found = self.seen.watched = {"alone": [], "watched": []}
        for number in range(self.plan.rounds):
            halves = [await self._half_watched(*pair, number), await self._half_watched(*pair[::-1], number)]
            alone, seen = (halves[0][name] + halves[1][name] for name in found)
            found["alone"].append(alone)
            found["watched"].append(while_served(seen, alone))
        pair[1].program.stop()

    async def _half_watched(self, alone: Proxy, seen: Proxy, number: int) -> dict[str, Round]:
        both = [contestant(alone, name="alone"), contestant(seen, name="watched")]
        async with watching(seen.target):
            return await in_turns(both, Kind.JSON, self.plan.small, self.plan.connections, number)

    async def latency(self, bare: Proxy, pool: Proxy) -> None:
        """One request at a time, in turns: time to the first and to the last byte."""
        targets = [self._field.direct, bare.target, pool.target]
        groups = [Group(target, 1) for target in targets]
        async with groups[0], groups[1], groups[2]:
            for kind in LOADED:
                count = self.plan.timed(kind)
                self._say(f"first and last byte: {count} x {kind}, without load")
                first = self.seen.first_ms[kind] = {target.name: [] for target in targets}
                whole = self.seen.whole_ms[kind] = {target.name: [] for target in targets}
                requests = [Requests(kind) for _ in targets]
                for number in range(count):
                    for place in order(3, number):
                        timing = await groups[place].connections[0].ask(requests[place].one())
                        first[targets[place].name].append(timing.first_s * 1000)
                        whole[targets[place].name].append(timing.whole_s * 1000)
                self._served += count

    async def failover(self, bare: Proxy, pool: Proxy) -> None:
        """A refusal by the first account, beside the same without one. Every request is a conversation of its own."""
        self._say(f"failover: {self.plan.failovers} refusals")
        times: dict[str, list[float]] = {"bare": [], "pool": [], "refused": []}
        self.seen.failover_ms = times
        made = {"bare": Kind.SHORT, "pool": Kind.SHORT, "refused": Kind.REFUSED}
        requests = {name: Requests(kind, conversation=1) for name, kind in made.items()}
        names = tuple(made)
        batch = max(1, min(BATCH, self.plan.accounts // 3))
        async with Group(bare.target, 1) as to_bare, Group(pool.target, 1) as to_pool:
            for number in range(self.plan.failovers):
                if number % batch == 0:
                    await asyncio.to_thread(forgive, pool.program.database)
                    await asyncio.sleep(HEARD_S)
                for place in order(3, number):
                    name = names[place]
                    connection = (to_bare if name == "bare" else to_pool).connections[0]
                    times[name].append((await connection.ask(requests[name].one())).whole_s * 1000)
        await asyncio.to_thread(forgive, pool.program.database)

    async def memory(self, bare: Proxy, pool: Proxy) -> tuple[Proxy, Proxy]:
        """Resident memory after many requests, and what open streams add to it; both as they were started anew."""
        missing = max(0, self.plan.soak - self._served)
        self._say(f"memory: {missing} more requests, then {self.plan.streams} open streams")
        for proxy in (bare, pool):
            if missing:
                async with Group(proxy.target, self.plan.connections) as group:
                    await group.load(Requests(Kind.JSON), missing)
            self.seen.served_kb[proxy.name] = proxy.memory_kb()
        self.seen.served = self._served + missing
        started: list[Proxy] = []
        for proxy in (bare, pool):
            # Started anew: what the load has left behind would take the streams in, and they would seem to be free.
            proxy.program.stop()
            fresh = self._field.start(proxy)
            await first_answer(fresh.target)
            before = fresh.memory_kb()
            async with Group(fresh.target, self.plan.streams) as group:
                await group.hold(Requests(Kind.HELD))
                self.seen.stream_kb[proxy.name] = (fresh.memory_kb() - before) / self.plan.streams
            started.append(fresh)
        return started[0], started[1]

    async def crowd(self) -> None:
        """The same load on a small pool and on a large one, in processes of their own each round.

        What is learnt of an account at first is no cost of having many; nor is what is left in the memory of a process
        by the ten thousand requests that it takes; nor where that memory happens to lie, which alone makes one and the
        same pool differ by two in a hundred from start to start.
        """
        self._say(f"crowd: making {self.plan.crowd} accounts")
        made = {"few": min(FEW, self.plan.crowd), "crowd": self.plan.crowd}
        proxies = [self._field.proxy(name, accounts=count) for name, count in made.items()]
        count = self.plan.small * TWICE
        self._say(f"crowd: one request for everybody, then {self.plan.rounds} rounds of {count} x json")
        for proxy in proxies:
            await let_learn(self._field, proxy, made[proxy.name], self.plan.connections)
        found = self.seen.crowd = {name: [] for name in made}
        for number in range(self.plan.rounds):
            both = [contestant(self._field.start(proxy)) for proxy in proxies]
            await in_turns(both, Kind.JSON, self.plan.small, self.plan.connections)
            seen = await in_turns(both, Kind.JSON, count, self.plan.connections, number)
            for name in made:
                found[name].append(seen[name])
            for proxy in proxies:
                proxy.program.stop()

    async def _rounds(self, contestants: Sequence[Contestant], kind: Kind) -> dict[str, list[Round]]:
        count = self.plan.requests(kind)
        return await rounds(contestants, kind, count, self.plan.connections, self.plan.rounds)


async def _ask_who(target: Target) -> bytes:
    async with Group(target, 1) as group:
        connection: Connection = group.connections[0]
        connection.kept = bytearray()
        await connection.ask(Requests(Kind.WHO).one(), (JSON_END,))
        return bytes(connection.kept)
