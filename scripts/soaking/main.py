"""Arguments in, progress on standard error, a summary out."""

import argparse
import asyncio
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scripts.given import at_least, more_than, writable
from scripts.soaking import verdict as verdicts
from scripts.soaking.clients import Clients
from scripts.soaking.databases import DATABASES
from scripts.soaking.life import Life
from scripts.soaking.plan import Fault, plan
from scripts.soaking.stage import Stage
from scripts.soaking.verdict import Verdict

from tests.harness import Lab, why_no_namespaces

DESCRIPTION = """\
Real proxies on one database, with real sockets and clients that look at every byte, in a network of their own. Proxies
are killed and stopped, the database's disk fills, packets are lost, the upstream is restarted, as a seed says, while
accounts meet limits, logins are renewed and a person pauses accounts. What must hold all the same: nothing that a proxy
has acknowledged is lost, no client meets an error that a fault of its own proxy, of the network or of the upstream does
not explain, no slot stays taken, memory is flat, and no token is written anywhere.
"""
EXAMPLES = """\
examples:
  ./scripts/soak                               ten minutes
  ./scripts/soak --minutes 1 --seed 7          the faults of that seed again
  ./scripts/soak --json soak.json --keep DIR
"""
PROGRESS_S = 5.0
SAMPLE_S = 2.0
REST_S = 15.0
"""For slots to be free once nobody asks any more."""
FINE, BROKEN, CANNOT, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run. Returns the exit code."""
    arguments = _parser().parse_args(argv)
    if (reason := why_no_namespaces()) is not None:
        print(f"soak: this needs a network of its own: {reason}", file=sys.stderr)
        return CANNOT
    seed = arguments.seed if arguments.seed is not None else random.randrange(10**6)
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Lab(folder) as lab:
            report = asyncio.run(_soak(lab, folder, arguments, seed))
    except KeyboardInterrupt:
        print("soak: interrupted", file=sys.stderr)
        return INTERRUPTED
    except RuntimeError as error:
        print(f"soak: {error}", file=sys.stderr)
        return CANNOT
    finally:
        if arguments.keep is not None:
            shutil.copytree(folder, arguments.keep, dirs_exist_ok=True, ignore=shutil.ignore_patterns("runtime", "o"))
        shutil.rmtree(folder, ignore_errors=True)
    print(_summary(report))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    return BROKEN if report["broken"] else FINE


async def _soak(lab: Lab, folder: Path, arguments: argparse.Namespace, seed: int) -> dict[str, Any]:
    stage = await asyncio.to_thread(Stage, lab, folder, arguments.proxies, arguments.db)
    try:
        await stage.start()
        return await _Run(stage, arguments, seed).run()
    finally:
        stage.close()


class _Run:
    """From the first request to the verdict."""

    def __init__(self, stage: Stage, arguments: argparse.Namespace, seed: int) -> None:
        self._stage, self._seed = stage, seed
        self._seconds = arguments.minutes * 60
        self._faults = plan(seed, self._seconds, arguments.proxies, stage.database.faults)
        self._clients = Clients(stage, arguments.pause)
        self._life = Life(stage, random.Random(seed))
        self._memory: dict[tuple[int, int], list[tuple[float, int]]] = defaultdict(list)
        self._begin = time.monotonic()

    async def run(self) -> dict[str, Any]:
        asking = asyncio.create_task(self._clients.run())
        beside = [asyncio.create_task(each) for each in (self._life.run(), self._watch(), self._tell())]
        try:
            async with asyncio.TaskGroup() as group:
                for fault in self._faults:
                    group.create_task(self._befall(fault))
            await asyncio.sleep(max(0.0, self._begin + self._seconds - time.monotonic()))
            beside[0].cancel()
            self._clients.stopping = True
            await asking
            return await self._judge()
        finally:
            for task in (asking, *beside):
                task.cancel()
            await asyncio.gather(asking, *beside, return_exceptions=True)

    async def _befall(self, fault: Fault) -> None:
        await asyncio.sleep(max(0.0, self._begin + fault.at - time.monotonic()))
        await self._stage.suffer(fault)

    async def _judge(self) -> dict[str, Any]:
        stage, found = self._stage, Verdict()
        for number in range(len(stage.proxies)):
            verdicts.at_rest(number, await self._rest(number), found)
        await stage.stop()
        stage.end_upstream()
        for proxy in stage.proxies:
            (proxy.folder / "log").write_text("".join(f"{line}\n" for line in proxy.log))
        journal = stage.journal()
        verdicts.explain(self._clients.asked, stage.windows, found)
        verdicts.same_bytes(self._clients.asked, journal, found)
        stored = await stage.database.order("look")
        verdicts.written(stage.windows, stored, self._clients.asked, journal, self._life.paused, found)
        verdicts.silent(stage, found)
        verdicts.flat(self._memory, found)
        if (wrong := await stage.database.wrong()) is not None:
            found.broken.append(wrong)
        return self._report(found)

    async def _rest(self, number: int) -> dict[str, Any]:
        until = time.monotonic() + REST_S
        while (seen := await self._stage.observed(number)) != {"busy": {}, "waiting": 0, "open": 0}:
            if time.monotonic() > until:
                break
            await asyncio.sleep(0.1)
        return seen

    async def _watch(self) -> None:
        while True:
            for number in range(len(self._stage.proxies)):
                if (seen := self._stage.memory_kib(number)) is not None:
                    self._memory[number, seen[0]].append((time.monotonic(), seen[1]))
            await asyncio.sleep(SAMPLE_S)

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_S)
            asked = self._clients.asked
            failed = sum(each.failed is not None for each in asked)
            now = ", ".join(_told(each.kind, each.proxy) for each in self._stage.windows if each.end is None)
            since = time.monotonic() - self._begin
            line = f"[{since:4.0f} s] {len(asked)} requests, {failed} failed; {now or 'calm'}"
            print(line, file=sys.stderr, flush=True)

    def _report(self, found: Verdict) -> dict[str, Any]:
        asked, life = self._clients.asked, self._life
        return {
            "seed": self._seed,
            "seconds": round(time.monotonic() - self._begin, 1),
            "proxies": len(self._stage.proxies),
            "requests": Counter(each.kind for each in asked),
            "moved": found.moved,
            "failed": found.causes,
            "faults": Counter(each.kind for each in self._stage.windows),
            "happened": {"limits": life.limits, "renewals": life.renewals, "wishes": life.orders},
            "kept": found.kept,
            "memory_mib": {
                f"{number}/{process}": [kib // 1024 for _, kib in samples]
                for (number, process), samples in self._memory.items()
            },
            "plan": [asdict(fault) for fault in self._faults],
            "broken": found.broken,
        }


def _told(kind: str, proxy: int | None) -> str:
    return kind if proxy is None else f"{kind} of proxy {proxy}"


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


def _summary(report: dict[str, Any]) -> str:
    requests, failed = report["requests"], report["failed"]
    warm = (samples[int(verdicts.WARM_S / SAMPLE_S) :] for samples in report["memory_mib"].values())
    grown = max((samples[-1] - samples[0] for samples in warm if samples), default=0)
    lines = [
        f"soak: {report['seconds'] / 60:.1f} minutes, {report['proxies']} proxies, seed {report['seed']}",
        f"faults     {_listed(report['faults'])}",
        f"requests   {sum(requests.values())}: {_listed(requests)}",
        f"moved      {report['moved']} from one account to another, unseen by the client",
        f"failed     {sum(failed.values())}: {_listed(failed)}",
        f"happened   {_listed(report['happened'])}",
        f"kept       {_listed(report['kept'])}",
        f"memory     {grown} MiB more at the end than when it was warm, of the process that grew most",
        *(f"BROKEN     {each}" for each in report["broken"][:40]),
        f"{len(report['broken'])} broken invariants" if report["broken"] else "every invariant held",
    ]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./scripts/soak",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=more_than(0), default=10.0, metavar="N", help="default: %(default)s")
    parser.add_argument("--seed", type=int, metavar="N", help="of the faults; default: another one each time")
    parser.add_argument("--proxies", type=at_least(1), default=4, metavar="N", help="default: %(default)s")
    parser.add_argument("--db", choices=tuple(DATABASES), default="sqlite", help="default: %(default)s")
    parser.add_argument(
        "--pause",
        type=float,
        default=0.3,
        metavar="S",
        help="of each client between two requests; default: %(default)s",
    )
    parser.add_argument("--json", type=writable, metavar="FILE", help="write everything there, the plan included")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave logs and journals there")
    return parser
