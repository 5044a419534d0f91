"""Arguments in, progress on standard error, tables out."""

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing import Pool as Workers
from pathlib import Path

from scripts.simulation import results
from scripts.simulation.plot import svg

from seatpool.core.model import ProviderName
from tests.sim.contestants import CONTESTANTS
from tests.sim.measures import Measures
from tests.sim.running import simulate
from tests.sim.scenario import Scenario

DESCRIPTION = """\
A week of a person's, and of a team's, requests over 2, 5 and 20 accounts, with a clock that only counts: what each
strategy refuses and reads again, beside the scorer that there was before (reference) and plain rotation without
affinity. Window lengths and the ratios of plans are real; sizes are scaled, so that the pool's weekly quota is
--supply times what the people's requests cost with a perfect cache. The same seeds give the same figures.
"""
EXAMPLES = """\
examples:
  ./scripts/simulate                                  everything: some minutes
  ./scripts/simulate --quick                          a person over 2 and 5 accounts: under a minute
  ./scripts/simulate --people 1 --accounts 5 --strategy quota --strategy reference --seed 7
  ./scripts/simulate --quick --plot week.svg --json week.json
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run. Returns the exit code: 130 when it was interrupted."""
    arguments = _parser().parse_args(argv)
    scenarios = _scenarios(arguments)
    names = arguments.strategy or list(CONTESTANTS)
    quick = 2 if arguments.quick else 3
    seeds = [arguments.seed] if arguments.seed is not None else list(range(1, 1 + (arguments.seeds or quick)))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        everything = _run(scenarios, list(dict.fromkeys(names)), seeds)
    except KeyboardInterrupt:
        print("simulate: interrupted", file=sys.stderr)
        return 130
    for scenario, runs in everything.items():
        print(results.table(scenario, runs), end="\n\n")
    print(results.MEANING)
    print(results.claims(everything))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(results.as_json(everything, seeds), indent=1) + "\n")
    if arguments.plot is not None:
        arguments.plot.write_text(svg(everything))
    return 0


def _scenarios(arguments: argparse.Namespace) -> list[Scenario]:
    people = arguments.people or ([1] if arguments.quick else [1, 20])
    accounts = arguments.accounts or ([2, 5] if arguments.quick else [2, 5, 20])
    providers = [ProviderName(arguments.provider)] if arguments.provider else list(ProviderName)
    base = Scenario(weeks=arguments.weeks, supply=arguments.supply)
    return [
        replace(base, provider=provider, people=some, accounts=count)
        for provider in providers
        for some in people
        for count in accounts
    ]


def _run(scenarios: Sequence[Scenario], names: Sequence[str], seeds: Sequence[int]) -> dict[Scenario, results.Runs]:
    """All of them, on all processors; progress is told on standard error."""
    began, jobs = time.monotonic(), [(s, name, seed) for s in scenarios for name in names for seed in seeds]
    found: dict[Scenario, dict[str, list[Measures]]] = {s: {name: [] for name in names} for s in scenarios}
    with Workers(initializer=_begin) as workers:  # leaving ends them, in the midst of a run as well
        for number, (job, seen) in enumerate(zip(jobs, workers.imap(_one, jobs), strict=True), 1):
            scenario, name, _ = job
            found[scenario][name].append(seen)
            if len(found[scenario][name]) == len(seeds):
                passed = time.monotonic() - began
                print(f"[{passed:4.0f} s] {number}/{len(jobs)} {scenario.name}: {name}", file=sys.stderr, flush=True)
    return {scenario: dict(runs) for scenario, runs in found.items()}


def _begin() -> None:
    """In a worker: who interrupts means the whole run, and the first process ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _one(job: tuple[Scenario, str, int]) -> Measures:
    scenario, name, seed = job
    return simulate(replace(scenario, seed=seed), CONTESTANTS[name])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="simulate", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one person, 2 and 5 accounts, two seeds")
    parser.add_argument("--people", type=_at_least(1), action="append", metavar="N", help="may be given again")
    parser.add_argument("--accounts", type=_at_least(1), action="append", metavar="N", help="may be given again")
    parser.add_argument("--provider", choices=[str(name) for name in ProviderName], help="only this one")
    parser.add_argument(
        "--strategy", choices=list(CONTESTANTS), action="append", help="only this one; may be given again"
    )
    parser.add_argument("--weeks", type=_more_than(0.14), default=1.0, metavar="N", help="how long (1)")
    parser.add_argument("--supply", type=_more_than(0.0), default=1.0, metavar="N", help="quota over demand (1.0)")
    many = parser.add_mutually_exclusive_group()
    many.add_argument("--seed", type=int, metavar="N", help="this one alone")
    many.add_argument("--seeds", type=_at_least(1), metavar="N", help="average over so many (3)")
    parser.add_argument("--json", type=_writable, metavar="FILE", help="write every run there")
    parser.add_argument("--plot", type=_writable, metavar="FILE", help="write bars there, as SVG")
    return parser


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if (value := int(text)) < least:
            raise argparse.ArgumentTypeError(f"say {least} or more")
        return value

    return number


def _more_than(least: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        if not least < (value := float(text)) < 1000:
            raise argparse.ArgumentTypeError(f"say more than {least:g}")
        return value

    return number


def _writable(text: str) -> Path:
    """Told now rather than after the last run."""
    path = Path(text)
    if not path.parent.is_dir() or path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no file that can be written")
    return path
