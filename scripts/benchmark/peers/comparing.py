"""The rounds, and what they come to."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from scripts.benchmark.axes.axis import Say
from scripts.benchmark.client import Broken, Group
from scripts.benchmark.field import Field
from scripts.benchmark.goals import Goal, judged, ratio, table
from scripts.benchmark.peers import installing
from scripts.benchmark.peers.peer import PORT, Peer, Started, asked_upstream
from scripts.benchmark.plan import Plan
from scripts.benchmark.processes import memory_kb
from scripts.benchmark.results import added_ms
from scripts.benchmark.turns import Contestant, Round, cpu_ms, in_turns, order, over, rounds
from scripts.benchmark.wire import TURN_BEGINS, TURN_ENDS, Kind

POOL, BARE, DIRECT = "pool", "bare", "direct"
OURS = {
    "clients": "stay as they are (HTTPS_PROXY): TLS from the client and a tunnel",
    "API": "POST /backend-api/codex/responses, streamed",
    "choice": "its default (quota), conversations sticky",
    "on record": "requests, choices and usage in SQLite; flow_detail=0",
    "failover": "another account after a 429",
    "switched off": "nothing",
}


@dataclass(slots=True)
class Seen:
    """By contestant."""

    peer: str
    version: str
    accounts: int
    load: dict[str, list[Round]] = field(default_factory=dict)
    first_ms: dict[str, list[float]] = field(default_factory=dict)
    """To the first byte of what upstream says: what an endpoint says by itself before that is none."""
    whole_ms: dict[str, list[float]] = field(default_factory=dict)
    """Of turns that nobody refused; those of `refused_ms` were, by the first account."""
    refused_ms: dict[str, list[float]] = field(default_factory=dict)
    start_s: dict[str, float] = field(default_factory=dict)
    memory_mb: dict[str, float] = field(default_factory=dict)
    failover: str = ""
    """Why there is none to be seen of the peer; empty where there is."""


async def compare(peer: Peer, plan: Plan, place: Field, folder: Path, say: Say) -> Seen:
    """Everybody at the same time and in turns. Raises `Broken` where the peer cannot be had."""
    say(f"{peer.name}: looking for it, installing it where it is not there yet")
    programs = await asyncio.to_thread(installing.programs, peer)
    seen = Seen(peer.name, installing.version(peer, programs), plan.accounts)
    say(f"{peer.name} {seen.version}: starting it, with {plan.accounts} accounts")
    contestants = _contestants(peer, plan, place, folder, programs, seen)
    for each in contestants:
        await _answers(each)
    say(f"{peer.name}: {plan.rounds} rounds of {plan.short} turns")
    await in_turns(contestants, Kind.TURN, plan.short, plan.connections)
    seen.load = await rounds(contestants, Kind.TURN, plan.short, plan.connections, plan.rounds)
    say(f"{peer.name}: first byte, {plan.latency} turns without load")
    seen.first_ms, seen.whole_ms = await _timed(contestants, Kind.TURN, plan.latency)
    for each in contestants:
        if each.pids:
            seen.memory_mb[each.name] = sum(map(memory_kb, each.pids)) / 1024
    refusals = max(1, min(plan.failovers, plan.accounts - 5))
    say(f"{peer.name}: {refusals} refusals")
    asked = [each for each in contestants if each.name in (POOL, peer.name)]
    try:
        _, seen.refused_ms = await _timed(asked, Kind.LIMITED, refusals)
    except Broken as error:
        seen.failover = str(error)
    return seen


def _contestants(peer: Peer, plan: Plan, place: Field, folder: Path, programs: Path, seen: Seen) -> list[Contestant]:
    found = [Contestant(DIRECT, (replace(place.direct, first=TURN_BEGINS),), asks=asked_upstream)]
    place.start(place.proxy(BARE, bare=True)).program.stop()  # makes the CA that all share
    for name, made in ((BARE, place.proxy("bare-again", bare=True)), (POOL, place.proxy(POOL, accounts=plan.accounts))):
        began = time.perf_counter()
        proxy = place.start(made)
        seen.start_s[name] = time.perf_counter() - began
        target = replace(proxy.target, first=TURN_BEGINS)
        found.append(Contestant(name, (target,), (proxy.program.pid,), asked_upstream))
    home = folder / peer.name
    home.mkdir()
    started = Started(home, plan.accounts, place.upstream_ca, programs)
    argv, began = peer.command(started), time.perf_counter()
    process = place.endpoint(argv, peer.environment(started), home / f"{peer.name}.log", PORT)
    seen.start_s[peer.name] = time.perf_counter() - began
    peer.sign_in(place, started)
    target = place.endpoint_target(peer.name, PORT, TURN_BEGINS)
    return [*found, Contestant(peer.name, (target,), (process.pid,), peer.asks)]


async def _answers(each: Contestant) -> None:
    """Whoever answers with something else than the upstream's turn is not measured."""
    assert each.asks is not None
    async with Group(each.targets[0], 1) as group:
        connection = group.connections[0]
        connection.kept = bytearray()
        await connection.ask(each.asks(Kind.TURN).one())
        if TURN_ENDS not in connection.kept:
            raise Broken(f"{each.name} did not hand on the turn: {bytes(connection.kept[-300:])!r}")


async def _timed(
    contestants: list[Contestant], kind: Kind, count: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Milliseconds to the first and to the last byte, one request at a time and in turns."""
    first: dict[str, list[float]] = {each.name: [] for each in contestants}
    whole: dict[str, list[float]] = {each.name: [] for each in contestants}
    async with contextlib.AsyncExitStack() as open_:
        groups = [await open_.enter_async_context(Group(each.targets[0], 1)) for each in contestants]
        requests = [each.asks(kind) for each in contestants if each.asks is not None]
        for number in range(count):
            for turn in order(len(contestants), number):
                connection = groups[turn].connections[0]
                connection.kept = bytearray() if kind is Kind.LIMITED else None
                timing = await connection.ask(requests[turn].one())
                if connection.kept is not None and TURN_ENDS not in connection.kept:
                    raise Broken(f"{contestants[turn].name} handed on no turn after a refusal")
                first[contestants[turn].name].append(timing.first_s * 1000)
                whole[contestants[turn].name].append(timing.whole_s * 1000)
    return first, whole


def goals(seen: Seen) -> list[Goal]:
    """The pool over the peer: 1/8 of its CPU, 1/5 of what it adds.

    The first byte has to come sooner, no more: a program may send its own before it has done what costs its time, and
    bare mitmproxy's alone came at a quarter of LiteLLM's.
    """
    theirs, ours = seen.load[seen.peer], seen.load[POOL]
    shown = f"{cpu_ms(theirs):.2f} ms", f"{cpu_ms(ours):.2f} ms"
    found = [Goal("CPU per request", *shown, over(ours, theirs), 1 / 8, 1 / 14)]
    for title, times, must in (("added, p50", seen.whole_ms, 1 / 5), ("added first byte, p50", seen.first_ms, 1.0)):
        added = [added_ms(times, name, 0.5) for name in (seen.peer, POOL)]
        shown = f"{added[0]:.2f} ms", f"{added[1]:.2f} ms"
        found.append(Goal(title, *shown, ratio(added[1], added[0]), must, 1 / 9))
    return found


def report(peer: Peer, seen: Seen) -> str:
    """What was seen, and what was compared."""
    names = (DIRECT, BARE, POOL, seen.peer)
    latency = "added first byte p50", "p99, ms", "added p50", "p99, ms"
    rows: list[tuple[str, ...]] = [("", "CPU ms/request", *latency, "failover, ms more", "start, s", "memory, MB")]
    for name in names[1:]:
        both = seen.first_ms, seen.whole_ms
        added = [f"{added_ms(times, name, share):.2f}" for times in both for share in (0.5, 0.99)]
        more = f"{_failover(seen, name):.1f}" if seen.refused_ms.get(name) else "-"
        load = f"{cpu_ms(seen.load[name]):.2f}", *added, more
        rows.append((name, *load, f"{seen.start_s[name]:.2f}", f"{seen.memory_mb[name]:.0f}"))
    compared = [("", POOL, f"{seen.peer} {seen.version}")]
    compared += [(what, OURS[what], said) for what, said in peer.features.items()]
    notes = [f"failover of {seen.peer}: none seen: {seen.failover}"] if seen.failover else []
    beside = judged(goals(seen), seen.peer)
    head = f"8-event turns of Codex, {seen.accounts} accounts each, by turns in one run"
    return "\n".join((head, *table(rows), *notes, "", *beside, "", "what is compared", *_texts(compared)))


def as_json(seen: Seen) -> Mapping[str, Any]:
    """Every single figure."""
    return {"peer": {"goals": [goal.as_json() for goal in goals(seen)], "measured": asdict(seen)}}


def _failover(seen: Seen, name: str) -> float:
    return median(seen.refused_ms[name]) - median(seen.whole_ms[name])


def _texts(rows: list[tuple[str, str, str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
