"""Arguments in, progress on standard error, tables out."""

import argparse
import gc
import json
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from multiprocessing import Pool as Workers

from scripts.given import at_least, more_than, writable
from scripts.simulation import results
from scripts.simulation.plot import bars, svg

from seatpool.core.model import ProviderName
from tests.sim.contestants import CONTESTANTS, REFERENCE_AUTO
from tests.sim.measures import Measures
from tests.sim.running import simulate
from tests.sim.scenario import Scenario

DESCRIPTION = """\
A week of a person's, and of a team's, requests over 2, 5 and 20 accounts, with a clock that only counts: what each
strategy refuses and reads again, beside the scorer that there was before (reference) and plain rotation without
affinity. Window lengths and the ratios of plans are real; sizes are scaled, so that the pool's weekly quota is
--supply times what the people's requests cost with a perfect cache. The same seeds give the same figures.
"""
SEEDS_OF_A_PERSON, SEEDS_OF_A_TEAM = 6, 1
"""A team of 20 asks 30 times as much as a person, and varies the less; so everything is done in three minutes."""
EXAMPLES = """\
examples:
  ./scripts/simulate                                  everything: about three minutes on two processors
  ./scripts/simulate --quick                          a person over 2 and 5 accounts: under a minute
  ./scripts/simulate --people 1 --accounts 5 --strategy quota --strategy reference --seed 7
  ./scripts/simulate --quick --plot week.svg --json week.json
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run. Returns the exit code: 130 when it was interrupted."""
    arguments = _parser().parse_args(argv)
    scenarios = _scenarios(arguments)
    names = arguments.strategy or [name for name in CONTESTANTS if name != REFERENCE_AUTO]
    seeds = {scenario: _seeds(arguments, scenario) for scenario in scenarios}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        everything = _run(seeds, list(dict.fromkeys(names)))
    except KeyboardInterrupt:
        print("simulate: interrupted", file=sys.stderr)
        return 130
    for scenario, runs in everything.items():
        print(results.table(scenario, runs), end="\n\n")
    print(results.MEANING)
    print(bars(everything), end="\n\n")
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


def _seeds(arguments: argparse.Namespace, scenario: Scenario) -> list[int]:
    if arguments.seed is not None:
        return [arguments.seed]
    usual = 2 if arguments.quick else SEEDS_OF_A_PERSON if scenario.people == 1 else SEEDS_OF_A_TEAM
    return list(range(1, 1 + (arguments.seeds or usual)))


def _run(seeds: Mapping[Scenario, Sequence[int]], names: Sequence[str]) -> dict[Scenario, results.Runs]:
    """All of them, on all processors; progress is told on standard error."""
    began, jobs = time.monotonic(), [(s, name, seed) for s, some in seeds.items() for name in names for seed in some]
    found: dict[Scenario, dict[str, list[Measures]]] = {s: {name: [] for name in names} for s in seeds}
    with Workers(initializer=_begin) as workers:  # leaving ends them, in the midst of a run as well
        for number, (job, seen) in enumerate(zip(jobs, workers.imap(_one, jobs), strict=True), 1):
            scenario, name, _ = job
            found[scenario][name].append(seen)
            if len(found[scenario][name]) == len(seeds[scenario]):
                passed = time.monotonic() - began
                print(f"[{passed:4.0f} s] {number}/{len(jobs)} {scenario.name}: {name}", file=sys.stderr, flush=True)
    return {scenario: dict(runs) for scenario, runs in found.items()}


def _begin() -> None:
    """In a worker: who interrupts means the whole run, and the first process ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    gc.disable()  # a run leaves hardly a circle behind, and looking for them takes a tenth of the time


def _one(job: tuple[Scenario, str, int]) -> Measures:
    scenario, name, seed = job
    return simulate(replace(scenario, seed=seed), CONTESTANTS[name])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="simulate", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one person, 2 and 5 accounts, two seeds")
    parser.add_argument("--people", type=at_least(1), action="append", metavar="N", help="may be given again")
    parser.add_argument("--accounts", type=at_least(1), action="append", metavar="N", help="may be given again")
    parser.add_argument("--provider", choices=[str(name) for name in ProviderName], help="only this one")
    parser.add_argument(
        "--strategy",
        choices=list(CONTESTANTS),
        action="append",
        help=f"only this one; may be given again (all but {REFERENCE_AUTO}: the reference with its other stickiness)",
    )
    parser.add_argument("--weeks", type=more_than(0.14, 1000), default=1.0, metavar="N", help="how long (1)")
    parser.add_argument("--supply", type=more_than(0, 1000), default=1.0, metavar="N", help="quota over demand (1.0)")
    many = parser.add_mutually_exclusive_group()
    many.add_argument("--seed", type=int, metavar="N", help="this one alone")
    many.add_argument("--seeds", type=at_least(1), metavar="N", help="average over so many (a person 6, a team 1)")
    parser.add_argument("--json", type=writable, metavar="FILE", help="write every run there")
    parser.add_argument("--plot", type=writable, metavar="FILE", help="write bars there, as SVG")
    return parser
