"""Arguments in, progress on standard error; what broke, with the command that plays it again."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from scripts.given import at_least, more_than, writable

from tests.proof.mutations import MUTATIONS, broken_by
from tests.proof.trial import INVARIANTS

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "scripts" / "bench-results"
DESCRIPTION = """\
The whole system in simulated worlds: the real store, service and proxy layers in several processes over one database,
with an upstream, editors, a clock, a network and threads that are not. The seed chooses who goes on next, what arrives
when, and what goes wrong: refused and spent accounts, quota that is back before its time or is only said to be, streams
and WebSockets that break, refresh races, processes that are killed in the midst of a transaction or stand still, clocks
that differ or are set, a machine that is started anew in the midst of everything, a database that is slow, locked or
away, a person who wants another order.
Everything that must hold is looked at all the while; the first thing that does not ends a world, and its seed plays it
again, step by step.
"""
EXAMPLES = """\
examples:
  ./scripts/prove                          200 worlds, some seconds each processor
  ./scripts/prove --minutes 10 --jobs 2    as many as there is time for, from a new seed on each time
  ./scripts/prove --minutes 60 --keep      the same, and added to what was played for this release
  ./scripts/prove --seed 4711              one world, every step told
  ./scripts/prove --mutations              each thing that must hold is seen to break with a fault in the product
  ./scripts/prove --list                   what must hold
"""
CHUNK = 2_000
"""Worlds for one process at most: then it goes, with all that it has kept."""
MOST = 400
"""Worlds in which a fault has to show, beside the one that is known for it."""
TOLD_EVERY_S = 5.0

World = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Run. Returns the exit code: 1 where something broke, 130 when it was interrupted."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.keep and arguments.mutation is not None:
        parser.error("argument --keep: what is kept is of the product as it is, without a --mutation")
    if arguments.list:
        for name, what in INVARIANTS.items():
            print(f"{name:14}{what}")
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if arguments.seed is not None:
            return _one(arguments.seed, arguments.mutation)
        return _mutations() if arguments.mutations else _many(arguments)
    except KeyboardInterrupt:
        print("prove: interrupted", file=sys.stderr)
        return 130


# -- what is asked for


def _one(seed: int, mutation: str | None) -> int:
    """Every step of one world."""
    (world,) = play(seed, 1, mutation, "--steps")
    for at, who, what in world["told"]:
        print(f"{at:10.4f}  {who:12} {what}")
    print(f"seed {seed}: {world['steps']} steps, trace {world['digest']:08x}, {world['simulated_s']} simulated seconds")
    if world["broken"] is None:
        print("everything held")
        return 0
    print(f"broken: {world['broken']} ({INVARIANTS[world['broken']]})\n  {world['why']}")
    return 1


def _mutations() -> int:
    """Whether every fault is found, and by what it breaks."""
    missed = 0
    for name, mutation in MUTATIONS.items():
        found = next((world["seed"] for world in worlds_with(name) if world["broken"] == broken_by(name)), None)
        said = f"found in seed {found}" if found is not None else f"not found in {MOST} worlds"
        print(f"{name:24}{mutation.module:40}{said}", flush=True)
        missed += found is None
    return 1 if missed else 0


def _many(arguments: argparse.Namespace) -> int:
    keeping, product = None, ""
    if arguments.keep:
        from scripts.proving import keeping  # it loads the product

        product = keeping.played()  # it may be another one by the end
    began, total = time.monotonic(), Total()
    first = (
        arguments.first if arguments.first is not None else (time.time_ns() // 1_000_000 if arguments.minutes else 0)
    )
    until = began + 60 * arguments.minutes if arguments.minutes else None
    last = None if until is not None else first + arguments.seeds
    said, interrupted = began, False
    try:
        for world in _beside_each_other(first, last, until, arguments.jobs, arguments.mutation):
            if not total.add(world):
                print("prove: the product was changed meanwhile; what was played before that counts", file=sys.stderr)
                break
            if world["broken"] is not None:
                print(told(world, arguments.mutation), flush=True)
                if len(total.broken) >= arguments.failures:
                    break
            if time.monotonic() - said >= TOLD_EVERY_S:
                said = time.monotonic()
                print(f"[{said - began:4.0f} s] {total}", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        interrupted = True
        print("prove: interrupted", file=sys.stderr)
    print(f"{total}, in {time.monotonic() - began:.0f} s, seeds from {first} on")
    figures = {"first": first, **vars(total)}
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    if keeping is not None:
        print(f"kept in {keeping.add(figures, product, arguments.keep)}")
    return 130 if interrupted else 1 if total.broken else 0


class Total:
    """Sums over worlds."""

    def __init__(self) -> None:
        self.worlds = self.steps = self.requests = self.served = self.crashes = self.rotations = 0
        self.simulated_s = 0.0
        self.code = ""
        self.broken: list[World] = []

    def add(self, world: World) -> bool:
        """One more, unless it was played with other code than those before."""
        self.code = self.code or world["code"]
        if world["code"] != self.code:
            return False
        self.worlds += 1
        for name in ("steps", "requests", "served", "crashes", "rotations", "simulated_s"):
            setattr(self, name, getattr(self, name) + world[name])
        if world["broken"] is not None:
            self.broken.append(world)
        return True

    def __str__(self) -> str:
        asked = f"{self.requests:,} requests ({self.served:,} served), {self.rotations:,} renewals"
        ended = f"{self.crashes:,} crashes, {len(self.broken)} broken"
        return f"{self.worlds:,} worlds, {self.steps:,} steps, {asked}, {ended}"


def told(world: World, mutation: str | None) -> str:
    """What broke, what came before, and how to see it again."""
    lines = [f"{at:10.4f}  {who:12} {what}" for at, who, what in world["told"][-30:]]
    seed, trace = world["seed"], f"trace {world['digest']:08x} after {world['steps']} steps"
    what, more = INVARIANTS[world["broken"]], f" --mutation {mutation}" if mutation is not None else ""
    head = f"seed {seed} breaks {world['broken']}: {what}\n  {world['why']}\n  {trace}; the last of what happened:"
    return "\n".join((head, *lines, f"again: ./scripts/prove --seed {seed}{more}"))


# -- playing


def worlds_with(mutation: str) -> Iterator[World]:
    """The one in which it was seen last, so that this is quick; then all others."""
    yield from play(MUTATIONS[mutation].seen_in, 1, mutation)
    yield from play(0, MOST, mutation)


def play(first: int, count: int, mutation: str | None = None, *more: str) -> Iterator[World]:
    """Worlds, as a process of their own plays them."""
    command = [sys.executable, "-m", "tests.proof.player", str(first), str(count), *more]
    command += ["--mutation", mutation] if mutation is not None else []
    where = os.pathsep.join((str(ROOT / "addon"), str(ROOT)))
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": where}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT) as running:
        assert running.stdout is not None
        try:
            for line in running.stdout:
                yield json.loads(line)
        finally:
            if running.poll() is None:
                running.terminate()
    if running.returncode > 0:
        raise SystemExit("prove: a player has failed, see above")


def _beside_each_other(
    first: int, last: int | None, until: float | None, jobs: int, mutation: str | None
) -> Iterator[World]:
    """The worlds of several players, as they come."""
    chunk = CHUNK if last is None else min(CHUNK, -(-(last - first) // jobs))
    firsts = iter(range(first, last if last is not None else sys.maxsize, chunk))
    worlds, over = SimpleQueue[Any](), False

    def work() -> None:
        try:
            for start in firsts:
                count = chunk if last is None else min(chunk, last - start)
                for world in play(start, count, mutation):
                    worlds.put(world)
                    if over or (until is not None and time.monotonic() > until):
                        return
        except BaseException as error:  # noqa: BLE001 # raised where it is waited for
            worlds.put(error)
        finally:
            worlds.put(None)

    threads = [Thread(target=work, daemon=True) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    living = jobs
    try:
        while living:
            try:
                world = worlds.get(timeout=1.0)
            except Empty:
                continue
            if isinstance(world, BaseException):
                raise world
            if world is None:
                living -= 1
            else:
                yield world
    finally:
        over = True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="prove", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    many = parser.add_mutually_exclusive_group()
    many.add_argument("--seeds", type=at_least(1), default=200, metavar="N", help="so many worlds (200)")
    many.add_argument("--minutes", type=more_than(0), metavar="N", help="for so long")
    many.add_argument("--seed", type=int, metavar="N", help="this one alone, with every step")
    many.add_argument("--mutations", action="store_true", help="see that each fault is found")
    many.add_argument("--list", action="store_true", help="say what must hold, and end")
    parser.add_argument("--first", type=int, metavar="N", help="the first seed (0; with --minutes a new one)")
    parser.add_argument(
        "--jobs", type=at_least(1), default=os.cpu_count() or 1, metavar="N", help="players (processors)"
    )
    parser.add_argument("--failures", type=at_least(1), default=1, metavar="N", help="end after so many (1)")
    parser.add_argument("--mutation", choices=list(MUTATIONS), help="play with this fault in the product")
    parser.add_argument("--json", type=writable, metavar="FILE", help="write the sums and what broke there")
    parser.add_argument(
        "--keep",
        type=Path,
        nargs="?",
        const=RESULTS,
        metavar="FOLDER",
        help="add them to those in scripts/bench-results",
    )
    return parser
