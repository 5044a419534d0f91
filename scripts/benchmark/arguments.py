"""What can be said on the command line."""

import argparse
from dataclasses import fields, replace

from scripts.benchmark import axes, keeping
from scripts.benchmark import plan as plans
from scripts.benchmark.peers import PEERS
from scripts.benchmark.plan import Plan
from scripts.given import at_least, writable

DESCRIPTION = """\
Measure the pool beside bare mitmdump with a three-line streaming addon, and beside no proxy at all: in one run, in
turns of 25 requests, with HTTP/1.1 over TLS on both sides, all on loopback. Ratios stand beside the project's goals:
what they must be, and what is aimed at. CPU per request is the steadiest figure; on a busy machine look at that one.
"""
EXAMPLES = """\
examples:
  ./scripts/bench                        everything beside bare mitmdump, about five minutes
  ./scripts/bench --quick                about one minute
  ./scripts/bench --json results.json    keep every single figure as well
  ./scripts/bench --quick --rounds 9     any count can be set on its own
  ./scripts/bench --axes                 cost against the number of accounts, open streams, requests on record,
                                         processes, requests served, and what the database writes: half an hour
  ./scripts/bench --axes streams --sizes 100,3000
  ./scripts/bench --keep                 figures and plots into scripts/bench-results/VERSION; also with --axes, --peer
  ./scripts/bench --peer codex-lb        beside codex-lb, or litellm: what each does is told with the figures
"""
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


def parser() -> argparse.ArgumentParser:
    """Of `./scripts/bench`."""
    made = argparse.ArgumentParser(
        prog="bench", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help="fewer and smaller rounds")
    made.add_argument(
        "--axes",
        type=_axes,
        nargs="?",
        const=tuple(axes.AXES),
        metavar="NAMES",
        help=f"cost against the number of something, in the place of the goals: {','.join(axes.AXES)} (all)",
    )
    made.add_argument("--sizes", type=_sizes, metavar="N,N...", help="where --axes measures, in place of its own")
    made.add_argument(
        "--peer", choices=list(PEERS), help="the pool beside another program, got from the package index, in its place"
    )
    made.add_argument("--json", type=writable, metavar="FILE", help="write goals and figures there")
    made.add_argument(
        "--keep",
        nargs="?",
        const=keeping.version(),
        type=_version,
        metavar="VERSION",
        help="write text, figures and plots into scripts/bench-results/VERSION (%(const)s)",
    )
    made.add_argument(
        "--no-namespace",
        action="store_true",
        help="lead the upstream's name astray inside the proxies, as is done where private networks are not allowed",
    )
    counts = made.add_argument_group("counts, each in place of the plan's own")
    for name, (least, what) in COUNTS.items():
        counts.add_argument(f"--{name}", type=at_least(least), metavar="N", help=what)
    return made


def plan_of(arguments: argparse.Namespace) -> Plan:
    """Counts, with those that were given."""
    counts = {f.name: value for f in fields(Plan) if (value := getattr(arguments, f.name)) is not None}
    full = plans.AXES if arguments.axes else plans.PEER if arguments.peer else plans.FULL
    return replace(plans.QUICK if arguments.quick else full, **counts)


def _axes(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    if unknown := [name for name in names if name not in axes.AXES]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(axes.AXES)}")
    return names


def _sizes(text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: say numbers with commas between, such as 10,100") from None
    if sizes[0] < 0:
        raise argparse.ArgumentTypeError("say 0 or more")
    return sizes


def _version(text: str) -> str:
    if not keeping.NAMED.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no version, such as 1.2.3")
    return text
