"""The benchmark, with counts so small that its figures mean nothing: it runs to its end and leaves no row out."""

import json
import subprocess
import sys
from pathlib import Path

from tests.harness import REPOSITORY

BENCH = REPOSITORY / "scripts" / "benchmark"
TINY = {
    "rounds": 1,
    "small": 8,
    "short": 8,
    "long": 2,
    "latency": 4,
    "failovers": 3,  # one more than a batch of those that take an account out
    "soak": 0,
    "streams": 3,
    "starts": 1,
    "accounts": 6,
    "crowd": 12,
    "connections": 2,
}
GOALS = {
    "CPU per request, small JSON": 1.05,
    "CPU per request, 8-event stream": 1.05,
    "CPU per request, 200-event stream": 1.05,
    "CPU per request, small JSON, the page watched": 1.02,
    "added first byte, 8-event stream, p50": 1.10,
    "added first byte, 8-event stream, p99": 1.25,
    "failover, extra over a bare short stream": 0.75,
    "CPU per request, small JSON, 12 accounts over 10": 1.05,
    "choice among 10": 1.0,
    "choice among 1000": 1.0,
    "start, 6 accounts": 1.5,
    "memory after 27 requests": 1.25,  # 8 + 8 + 2 under load, 4 + 4 + 1 without
    "memory per stream, 3 open": 1.1,
}


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, BENCH, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_one_run_prints_every_figure_and_every_goal_and_writes_them_as_json(tmp_path: Path) -> None:
    counts = [part for name, count in TINY.items() for part in (f"--{name}", str(count))]
    ran = bench(*counts, "--json", str(tmp_path / "results.json"))
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    for kind in ("small JSON", "8-event stream", "200-event stream"):
        for target in ("direct", "bare", "pool"):
            assert sum(line.startswith(f"{kind}, {target} ") for line in lines) == 1
    written = json.loads((tmp_path / "results.json").read_text())
    assert {goal["name"]: goal["must"] for goal in written["goals"]} == GOALS
    for name in GOALS:
        row = next(line for line in lines if line.startswith(f"{name}  "))
        assert row.endswith((" aim met", " met", " NOT MET"))
    aims = {goal["name"]: goal["aim"] for goal in written["goals"]}
    assert aims["CPU per request, 200-event stream"] == 0.95
    assert aims["choice among 10"] is None
    assert lines[-1].startswith("must: ")
    assert f" of {sum(aim is not None for aim in aims.values())} met" in lines[-1].partition("; aim: ")[2]
    assert len(written["measured"]["failover_ms"]["refused"]) == TINY["failovers"]


def test_a_count_that_makes_no_sense_is_refused_in_a_line() -> None:
    ran = bench("--rounds", "0")
    assert ran.returncode == 2
    assert "say 1 or more" in ran.stderr.splitlines()[-1]
    assert "Traceback" not in ran.stderr


def test_help_has_examples() -> None:
    ran = bench("--help")
    assert ran.returncode == 0
    assert "./scripts/bench --quick" in ran.stdout
