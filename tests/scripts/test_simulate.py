"""The simulation at a terminal, over a day: it prints what it has, writes what is asked for, and says what is wrong."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.harness import REPOSITORY

SIMULATE = REPOSITORY / "scripts" / "simulation"
DAY = ("--weeks", "0.15", "--people", "1", "--accounts", "2", "--seed", "3")


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SIMULATE, *arguments], capture_output=True, text=True, timeout=60)


def test_a_table_a_claim_a_plot_and_every_run_as_json(tmp_path: Path) -> None:
    written, drawn = tmp_path / "day.json", tmp_path / "day.svg"
    ran = simulate(*DAY, "--json", str(written), "--plot", str(drawn))
    assert ran.returncode == 0, ran.stderr
    names = {line.split()[0] for line in ran.stdout.splitlines() if line and line[0].islower()}
    assert {"quota", "drain", "reference", "rotation"} <= names
    assert "  reference: refuses " in ran.stdout
    assert "refused %, mean of all scenarios\n  quota " in ran.stdout, "the plot"
    runs = json.loads(written.read_text())
    assert {(run["provider"], run["seed"]) for run in runs} == {("codex", 3), ("copilot", 3)}
    assert all(run["requests"] > 100 for run in runs)
    assert ET.parse(drawn).getroot().tag.endswith("svg")
    assert "codex, 1 person" in ran.stderr, "progress"
    assert simulate(*DAY).stdout == ran.stdout, "the same seed, the same figures"


def test_wrong_input_is_refused_in_a_line() -> None:
    for wrong in (("--people", "0"), ("--strategy", "best"), ("--weeks", "0"), ("--plot", "/no/where.svg")):
        ran = simulate(*wrong)
        assert ran.returncode == 2
        assert "Traceback" not in ran.stderr
        assert wrong[0] in ran.stderr.splitlines()[-1]


def test_help_has_examples() -> None:
    assert "./scripts/simulate --quick" in simulate("--help").stdout


def test_ctrl_c_ends_it_cleanly() -> None:
    running = subprocess.Popen(
        [sys.executable, SIMULATE, "--weeks", "0.15", "--people", "20"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert running.stderr is not None
        # The first progress line comes after the first run; by now it is in the midst of the next.
        assert "codex, 20 people" in running.stderr.readline()
        running.send_signal(signal.SIGINT)
        _, told = running.communicate(timeout=20)
    finally:
        running.kill()
    assert running.returncode == 130
    assert told.splitlines()[-1] == "simulate: interrupted"
    assert "Traceback" not in told
