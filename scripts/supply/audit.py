"""`./scripts/audit`: whether what seatpool is made of may be relied on."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.supply import licences, locks, online
from scripts.supply.locks import Pin
from scripts.supply.online import Answer

DESCRIPTION = """\
Looks at the locks: each version is pinned with the hashes of its files and fits pyproject.toml, and nothing is locked
that nobody asks for; each licence is an allowed one; no release has been taken back, and no vulnerability is known.
The last two ask the package index. What it would not tell is said, and is a failure with --strict alone.
"""
EXAMPLES = """\
examples:
  ./scripts/audit               everything
  ./scripts/audit --offline     what can be told without a network, as the tests do
  ./scripts/audit --strict      before a release: an unanswered question is a failure, too
"""
FINE, FAULTS, UNANSWERED = 0, 1, 3
"""Exit codes."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run. Returns the exit code."""
    arguments = _parser().parse_args(argv)
    report = {name: _look(name, groups, offline=arguments.offline) for name, groups in locks.LOCKS.items()}
    if arguments.json:
        print(json.dumps(report, indent=1))
    else:
        for name, found in report.items():
            _tell(name, found)
    if any(found["faults"] for found in report.values()):
        return FAULTS
    unanswered = any(answer["unasked"] for found in report.values() for answer in found["asked"].values())
    return UNANSWERED if arguments.strict and (unanswered or arguments.offline) else FINE


def _look(name: str, groups: tuple[str, ...], *, offline: bool) -> dict[str, Any]:
    path = locks.ROOT / "scripts" / name
    text = path.read_text()
    faults = locks.faults_of(text, locks.wanted(locks.project(), groups))
    pins = [] if faults else list(locks.read(text))
    faults += licences.faults_of(pins) + locks.differences()
    asked = {} if offline or faults else {what: ask(path, pins) for what, ask in QUESTIONS.items()}
    return {
        "packages": len({pin.name for pin in pins}),
        "faults": faults + [fault for answer in asked.values() for fault in answer.faults],
        "asked": {what: {"faults": len(answer.faults), "unasked": answer.unasked} for what, answer in asked.items()},
    }


QUESTIONS: Mapping[str, Callable[[Path, list[Pin]], Answer]] = {
    "releases taken back": lambda _, pins: online.taken_back(pins),
    "known vulnerabilities": online.vulnerable,
}


def _tell(name: str, found: Mapping[str, Any]) -> None:
    for fault in found["faults"]:
        print(f"{name}: {fault}")
    if found["packages"]:
        print(f"{name}: {found['packages']} packages, pinned with hashes, in step with pyproject.toml")
    for what, answer in found["asked"].items():
        unasked: dict[str, str] = answer["unasked"]
        if unasked:
            print(f"{name}: NOT TOLD of {what}, for {len(unasked)} packages; such as: {next(iter(unasked.values()))}")
        elif not answer["faults"]:
            print(f"{name}: no {what}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./scripts/audit",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--offline", action="store_true", help="ask nobody")
    parser.add_argument("--strict", action="store_true", help="exit with 3 when something could not be asked")
    parser.add_argument("--json", action="store_true", help="the findings as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
