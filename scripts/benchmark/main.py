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
from dataclasses import fields, replace
from pathlib import Path

from scripts.benchmark import plan as plans
from scripts.benchmark import results
from scripts.benchmark.client import Broken
from scripts.benchmark.field import Field
from scripts.benchmark.measures import Bench
from scripts.benchmark.plan import Plan

DESCRIPTION = """\
Measure the pool beside bare mitmdump with a three-line streaming addon, and beside no proxy at all: in one run, in
interleaved rounds, with HTTP/1.1 over TLS on both sides, all on loopback. Ratios stand beside the project's goals.
CPU per request is the steadiest figure; on a busy machine look at that one.
"""
EXAMPLES = """\
examples:
  ./scripts/bench                        everything, about five minutes
  ./scripts/bench --quick                about one minute
  ./scripts/bench --json results.json    keep every single figure as well
  ./scripts/bench --quick --rounds 9     any count can be set on its own
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run. Returns the exit code: 1 when the run broke, 130 when it was interrupted."""
    arguments = _parser().parse_args(argv)
    counts = {f.name: value for f in fields(Plan) if (value := getattr(arguments, f.name)) is not None}
    plan = replace(plans.QUICK if arguments.quick else plans.FULL, **counts)
    os.environ["SEATPOOL_KEYRING"] = "off"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="seatpool-bench-") as folder:
            _measure(plan, Path(folder), arguments.json, private=False if arguments.no_namespace else None)
    except Broken as error:
        print("\n".join((f"bench: {error}", *getattr(error, "__notes__", ()))), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; nothing is left running", file=sys.stderr)
        return 130
    return 0


def _measure(plan: Plan, folder: Path, wanted: Path | None, *, private: bool | None) -> None:
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"[{time.monotonic() - began:4.0f} s] {what}", file=sys.stderr, flush=True)

    with Field(folder, private=private) as field:
        seen = asyncio.run(Bench(plan, field, say).run())
        field.check()
    say("done")
    print(results.report(seen, plan))
    if wanted is not None:
        wanted.write_text(json.dumps(results.as_json(seen, plan), indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer and smaller rounds")
    parser.add_argument("--json", type=_writable, metavar="FILE", help="write goals and figures there")
    parser.add_argument(
        "--no-namespace",
        action="store_true",
        help="lead the upstream's name astray inside the proxies, as is done where private networks are not allowed",
    )
    counts = parser.add_argument_group("counts, each in place of the plan's own")
    for name, (least, what) in COUNTS.items():
        counts.add_argument(f"--{name}", type=_at_least(least), metavar="N", help=what)
    return parser


COUNTS = {
    "rounds": (1, "rounds of load"),
    "small": (1, "small JSON answers in a round"),
    "short": (1, "8-event streams in a round"),
    "long": (1, "200-event streams in a round"),
    "latency": (1, "requests timed without load"),
    "failovers": (1, "refusals"),
    "soak": (0, "requests served before memory is read"),
    "streams": (1, "streams open at the same time"),
    "starts": (1, "starts of each proxy"),
    "accounts": (3, "accounts in the pool"),
    "crowd": (1, "accounts in the large pool"),
    "connections": (1, "connections that the load is spread over"),
}
"""Fields of `Plan`: the least that makes sense, and what they are."""


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"say {least} or more")
        return value

    return number


def _writable(text: str) -> Path:
    """Told now rather than after the last round."""
    path = Path(text)
    if not path.parent.is_dir() or path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no file that can be written")
    return path
