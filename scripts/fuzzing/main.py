"""Arguments in, progress on standard error, findings out."""

import argparse
import json
import os
import random
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from scripts.fuzzing import corpus, engines
from scripts.fuzzing.trial import Finding, replay, under_way

from tests.fuzz.targets import TARGETS

REPOSITORY = Path(__file__).resolve().parents[2]
CORPUS = REPOSITORY / "tests" / "fuzz" / "corpus"
DESCRIPTION = """\
Throws changed inputs at everything of the pool that reads what comes from outside, one target after the other, and
tells which of them raise, break a promise of the reader, or take too long. Inputs that reach something new are kept.
Guided by atheris where that is installed (pip install atheris), else by the interpreter's own monitoring.
"""
EXAMPLES = """\
examples:
  ./scripts/fuzz                                    all targets, a minute in all
  ./scripts/fuzz --minutes 60 --corpus /tmp/corpus  an hour, keeping what it finds elsewhere
  ./scripts/fuzz rules logins --minutes 5           two of them
  ./scripts/fuzz rules --replay W3J1bGU=            a failing input again, with its traceback
  ./scripts/fuzz --list

Exit code: 0 nothing found, 1 something found, 2 wrong arguments, 130 interrupted.
"""
SILENT_S = 120
"""A child that says nothing for so long hangs in one input."""
SHOWN_BYTES = 3_000
"""Of a failing input; a longer one is written to a file instead."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run. Returns the exit code."""
    arguments = _parser().parse_args(argv)
    if arguments.list:
        print("\n".join(TARGETS))
        return 0
    names = list(dict.fromkeys(arguments.targets or TARGETS))
    if arguments.replay is not None:
        return replay(TARGETS[names[0]], arguments.replay)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    run = Run(arguments, names)
    try:
        for number, name in enumerate(names, 1):
            run.one(number, name)
    except KeyboardInterrupt:
        run.progress("", end="\n")
        print("fuzz: interrupted", file=sys.stderr)
        return 130
    print(f"{run.executions} executions, {run.findings} findings")
    return 1 if run.findings else 0


class Run:
    """All targets, one after the other."""

    def __init__(self, arguments: argparse.Namespace, names: Sequence[str]) -> None:
        self.executions = 0
        self.findings = 0
        self._arguments = arguments
        self._names = names
        self._share_s = arguments.minutes * 60 / len(names)

    def one(self, number: int, name: str) -> None:
        """Fuzz one target and keep what is worth it."""
        folder: Path = self._arguments.corpus / name
        began, executions = time.monotonic(), 0
        work = Path(tempfile.mkdtemp(prefix="fuzz-"))
        try:
            (work / "inputs").mkdir()
            for number_of, data in enumerate(corpus.read(folder).values()):
                (work / "inputs" / f"seed-{number_of}").write_bytes(data)
            seed = str(random.randrange(1, 2**31) if self._arguments.seed is None else self._arguments.seed)
            for said in self._child(name, work, "fuzz", name, self._arguments.engine, f"{self._share_s}", seed, work):
                if "finding" in said:
                    found = said["finding"]
                    self._report(Finding(**{**found, "data": b64decode(found["data"])}))
                executions = said.get("executions", executions)
                self.progress(f"[{number}/{len(self._names)}] {name}: {executions} in {time.monotonic() - began:.0f} s")
            kept = [s["kept"] for s in self._child(name, work, "keep", name, str(self._arguments.keep), work, folder)]
        finally:
            shutil.rmtree(work, ignore_errors=True)
        self.executions += executions
        self.progress("")
        passed = time.monotonic() - began
        print(f"{name}: {executions} in {passed:.0f} s, {kept[-1] if kept else 0} kept", file=sys.stderr)

    def progress(self, line: str, end: str = "") -> None:
        """One line that is overwritten, at a terminal."""
        if sys.stderr.isatty():
            print(f"\r\x1b[K{line}", end=end, file=sys.stderr, flush=True)

    def _child(self, name: str, work: Path, *argv: str | Path) -> Iterator[dict[str, Any]]:
        """What it says. One that dies or hangs is a finding itself."""
        path = f"{REPOSITORY}:{REPOSITORY / 'addon'}:{os.environ.get('PYTHONPATH', '')}"
        environment = os.environ | {"PYTHONPATH": path}
        command = [sys.executable, "-m", "scripts.fuzzing.child", *map(str, argv)]
        with (work / "stderr").open("wb") as complaints:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=complaints, env=environment, cwd=REPOSITORY
            )
        try:
            yield from _said(process)
        finally:
            hung = process.poll() is None
            hung = hung and not _ends(process)
            process.kill()
            process.wait()
        if hung or process.returncode:
            told = (work / "stderr").read_text(errors="replace").splitlines()[-12:]
            what = "hangs" if hung else f"the process ended with {process.returncode}"
            self._report(Finding(name, what, "\n".join(told), under_way(work / "running")))

    def _report(self, found: Finding) -> None:
        self.findings += 1
        self.progress("")
        print(f"\n{found.target}: {found.what}\n{found.trace}")
        if len(found.data) <= SHOWN_BYTES:
            again = b64encode(found.data).decode()
        else:
            with tempfile.NamedTemporaryFile(prefix=f"fuzz-{found.target}-", delete=False) as file:
                file.write(found.data)
            again = file.name
        print(f"again: ./scripts/fuzz {found.target} --replay {again}", flush=True)


def _said(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """Lines of a child, until it ends or falls silent."""
    assert process.stdout is not None
    with process.stdout as stream, selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        left = b""
        # By the second: those in which this process was stopped do not count.
        while any(selector.select(1) for _ in range(SILENT_S)):
            piece = os.read(stream.fileno(), 1 << 16)
            if not piece:
                return
            *lines, left = (left + piece).split(b"\n")
            yield from map(json.loads, lines)


def _ends(process: subprocess.Popen[bytes]) -> bool:
    """Whether it does, having closed its output."""
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        return False
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fuzz", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", type=_target, metavar="TARGET", help="only these (--list names them)")
    parser.add_argument("--minutes", type=_minutes, default=1.0, metavar="N", help="for all targets together (1)")
    parser.add_argument(
        "--corpus", type=Path, default=CORPUS, metavar="DIR", help="start from it, and keep there what reaches new code"
    )
    parser.add_argument("--keep", type=int, default=12, metavar="N", help="inputs of a target in it at most (12)")
    found = engines.available()
    parser.add_argument("--engine", choices=found, default=found[0], help="%(default)s here")
    parser.add_argument("--seed", type=int, metavar="N", help="of chance; the same inputs again with --engine own")
    parser.add_argument("--replay", type=_input, metavar="BASE64|FILE", help="try this one input on the one target")
    parser.add_argument("--list", action="store_true", help="the names of all targets")
    return parser


def _target(name: str) -> str:
    if name not in TARGETS:
        raise argparse.ArgumentTypeError(f"no target is called {name}; there are {', '.join(TARGETS)}")
    return name


def _minutes(text: str) -> float:
    if not 0 <= (value := float(text)) <= 24 * 60:
        raise argparse.ArgumentTypeError("say minutes, a day's at most")
    return value


def _input(text: str) -> bytes:
    path = Path(text)
    try:
        return path.read_bytes() if path.is_file() else b64decode(text, validate=True)
    except (OSError, NotBase64):
        raise argparse.ArgumentTypeError("neither a file nor base64") from None
