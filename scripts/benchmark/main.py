"""Arguments in, progress on standard error, tables out."""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from scripts.benchmark import axes, keeping, results
from scripts.benchmark.arguments import parser, plan_of
from scripts.benchmark.axes import Axis, Setting
from scripts.benchmark.client import Broken
from scripts.benchmark.field import Field
from scripts.benchmark.keeping import Findings
from scripts.benchmark.measures import Bench
from scripts.benchmark.peers import PEERS, Peer, comparing
from scripts.benchmark.plan import Plan

Say = Callable[[str], None]


def main(argv: Sequence[str] | None = None) -> int:
    """Run. Returns the exit code: 1 when the run broke, 130 when it was interrupted."""
    arguments = parser().parse_args(argv)
    if arguments.sizes and not arguments.axes:
        parser().error("--sizes goes with --axes")
    if arguments.peer and arguments.axes:
        parser().error("--peer and --axes are two runs")
    if arguments.keep is not None and find_spec("matplotlib") is None:
        parser().error("--keep draws with matplotlib, which ./scripts/test --help brings (the development set)")
    os.environ["SEATPOOL_KEYRING"] = "off"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"[{time.monotonic() - began:4.0f} s] {what}", file=sys.stderr, flush=True)

    try:
        found = _measured(arguments, say)
    except Broken as error:
        print("\n".join((f"bench: {error}", *getattr(error, "__notes__", ()))), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; nothing is left running", file=sys.stderr)
        return 130
    say("done")
    print(found.text)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found.figures, indent=1) + "\n")
    if arguments.keep is not None:
        say(f"kept in {keeping.keep(found, arguments.keep)}")
    return 0


def _measured(arguments: argparse.Namespace, say: Say) -> Findings:
    plan, private = plan_of(arguments), False if arguments.no_namespace else None
    with tempfile.TemporaryDirectory(prefix="seatpool-bench-") as folder, Field(Path(folder), private=private) as field:
        if arguments.peer:
            found = _peer(PEERS[arguments.peer], plan, field, Path(folder), say)
        elif arguments.axes:
            found = asyncio.run(_axes(arguments, plan, field, say))
        else:
            found = _goals(plan, field, say)
        field.check()
    return found


def _goals(plan: Plan, field: Field, say: Say) -> Findings:
    seen = asyncio.run(Bench(plan, field, say).run())
    return Findings("goals", results.report(seen, plan), results.as_json(seen, plan) | {"machine": keeping.machine()})


def _peer(peer: Peer, plan: Plan, field: Field, folder: Path, say: Say) -> Findings:
    seen = asyncio.run(comparing.compare(peer, plan, field, folder, say))
    figures = {**comparing.as_json(seen), "plan": asdict(plan), "machine": keeping.machine()}
    return Findings(f"peer-{peer.name}", comparing.report(peer, seen), figures)


async def _axes(arguments: argparse.Namespace, plan: Plan, field: Field, say: Say) -> Findings:
    usual = axes.QUICK if arguments.quick else axes.FULL
    found: dict[str, Axis] = {}
    for name in arguments.axes:
        found[name] = await axes.AXES[name](Setting(name, field, plan, arguments.sizes or usual[name], say))
        say(f"{name}: done")
    text = "\n\n".join("\n".join(axis.lines()) for axis in found.values())
    seen = {name: axis.as_json() for name, axis in found.items()}
    return Findings("axes", text, {"axes": seen, "plan": asdict(plan), "machine": keeping.machine()})
