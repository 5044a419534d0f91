"""The benchmark, with counts so small that its figures mean nothing: it runs to its end and leaves no row out."""

import json
import socket
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from scripts.benchmark.axes.filling import fill_history
from scripts.benchmark.client import Broken
from scripts.benchmark.field import fill
from scripts.benchmark.goals import Goal
from scripts.benchmark.keeping import Findings, keep, machine
from scripts.benchmark.main import main
from scripts.benchmark.peers import installing
from scripts.benchmark.peers.codex_lb import CODEX_LB
from scripts.benchmark.turns import Round, while_served

from seatpool.core.model import Attempt
from seatpool.store import Store
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
    "added, 8-event stream, p50": 1.10,
    "added, 8-event stream, p99": 1.25,
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


def bench(*arguments: str, timeout_s: float = 200) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, BENCH, *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s, check=False)


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


AXES = {
    "accounts": {"json_ms", "json_x", "short_ms", "short_x", "start_s", "memory_mb"},
    "streams": {"bare_kb", "pool_kb", "kb_x", "bare_ms", "pool_ms", "ms_x"},
    "requests": {"bare_mb", "pool_mb", "mb_x", "pool_ms", "ms_x"},
    "history": {"start_s", "pruned_s", "ms", "x", "memory_mb", "status_s", "usage_s", "file_mb"},
    "processes": {"bare_ms", "ms", "x", "idle_ms", "memory_mb"},
    "writes": {"transactions", "rows", "kb"},
}
AXES_TINY = ("--rounds", "1", "--small", "6", "--short", "4", "--starts", "1", "--accounts", "3", "--connections", "2")


@pytest.mark.parametrize(
    ("names", "sizes"), [(("accounts", "requests"), [1, 2]), (("streams", "history", "processes", "writes"), [2])]
)
def test_every_axis_is_measured_where_it_is_told_and_told_in_a_table(
    names: tuple[str, ...], sizes: list[int], tmp_path: Path
) -> None:
    file = tmp_path / "axes.json"
    where = ",".join(map(str, sizes))
    ran = bench("--axes", ",".join(names), "--sizes", where, *AXES_TINY, "--json", str(file))
    assert ran.returncode == 0, ran.stderr
    written = json.loads(file.read_text())["axes"]
    assert written.keys() == set(names)
    for name, axis in written.items():
        assert axis["columns"].keys() == AXES[name]
        assert all(row.keys() == {"at", *AXES[name]} and min(row.values()) >= 0 for row in axis["rows"])
        assert any(line.startswith(f"{axis['along']}  ") for line in ran.stdout.splitlines())
        assert all(goal["name"] in ran.stdout for goal in axis["goals"])
        if name == "writes":  # at the rate that was had; every request is on record once
            assert all("attempts 1.00" in note for note in axis["notes"])
            assert all(0 < row["transactions"] < row["rows"] for row in axis["rows"])
        else:
            assert [row["at"] for row in axis["rows"]] == sizes


def test_a_history_is_as_long_as_was_said_and_a_days_share_of_it_is_due(tmp_path: Path) -> None:
    database = tmp_path / "pool.db"
    at = datetime(2026, 11, 21, 12, tzinfo=UTC)
    fill(database, 2)
    with Store.open(str(database)) as store:
        first = store.accounts()[0].id
        store.record(attempts=[Attempt("flow", 1, first, "responses", "gpt-x", "ok", 200, at, 5.0)])
    fill_history(database, 9300, 2)
    db = sqlite3.connect(database)
    assert db.execute("SELECT count(*), count(DISTINCT flow_id) FROM attempts").fetchone() == (9300, 9300)
    assert db.execute("SELECT sum(requests) FROM usage_days").fetchone() == (9300,)
    assert db.execute("SELECT count(DISTINCT account_id) FROM attempts").fetchone() == (2,)
    db.close()
    with Store.open(str(database)) as store:
        now = datetime.now(UTC)
        assert 90 <= store.prune(before=now - timedelta(days=30), attempts=now - timedelta(days=90)) <= 115


def test_what_is_kept_has_text_figures_and_plots_and_names_no_machine(tmp_path: Path) -> None:
    goal = Goal("CPU", "1 ms", "2 ms", 2.0, 1.05, 0.75)
    rows = [{"at": 2, "ms": 1.0}, {"at": 100, "ms": 1.1}]
    axis = {"along": "accounts", "columns": {"ms": "CPU, ms"}, "rows": rows, "goals": [], "notes": []}
    about = machine()
    keep(Findings("goals", "a table", {"goals": [goal.as_json()], "machine": about}), "1.2.3", tmp_path)
    folder = keep(Findings("axes", "tables", {"axes": {"accounts": axis}, "machine": about}), "1.2.3", tmp_path)
    assert {path.name for path in folder.iterdir()} == {
        *("goals.txt", "goals.json", "goals.svg", "axes.txt", "axes.json", "accounts.svg")
    }
    keep(Findings("goals", "a table", {"goals": [goal.as_json()], "machine": about}), "1.10.0", tmp_path)
    index = (tmp_path / "README.md").read_text()
    assert index.index("## 1.10.0") < index.index("(1.10.0/goals.svg)") < index.index("## 1.2.3")
    assert "(1.2.3/axes.txt)" in index and "(1.2.3/goals.svg)" not in index
    assert "CPU, ms" in (folder / "accounts.svg").read_text()
    assert {"cores", "python", "mitmproxy", "date"} <= about.keys()
    assert not any(
        word in path.read_text() for path in folder.iterdir() for word in (socket.gethostname(), str(REPOSITORY))
    )


def test_a_viewer_costs_what_it_does_while_its_own_proxy_serves() -> None:
    serves_s, news_s, idle_s, turns_s = 0.6, 0.02, 0.005, 1.5
    alone = Round(600, turns_s, serves_s)
    both = serves_s + news_s * turns_s + (news_s - idle_s) * turns_s
    seen = while_served(Round(600, turns_s, both, idle_s), alone)
    assert seen.cpu_s == pytest.approx(serves_s + news_s * turns_s)
    assert while_served(alone, alone) == alone


def test_a_peer_that_cannot_be_had_is_told_in_a_line(tmp_path: Path) -> None:
    too_new = replace(CODEX_LB, python=(9, 9))
    with pytest.raises(Broken, match=r"codex-lb needs Python 9\.9 or newer"):
        installing.programs(too_new, tmp_path)
    nowhere = replace(CODEX_LB, python=(3, 12), package=str(tmp_path / "nothing.whl"))
    with pytest.raises(Broken, match=r"codex-lb could not be installed: .*nothing\.whl"):
        installing.programs(nowhere, tmp_path)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (("--axes", "accounts,colours"), "'colours' is none of accounts, streams,"),
        (("--sizes", "3"), "--sizes goes with --axes"),
        (("--axes", "accounts", "--sizes", "few"), "say numbers with commas between"),
        (("--axes", "accounts", "--peer", "litellm"), "two runs"),
        (("--keep", "../x"), "is no version"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(wrong)
    assert told in capsys.readouterr().err


def test_what_cannot_be_drawn_is_told_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit):
        main(["--keep"])
    assert "--keep draws with matplotlib" in capsys.readouterr().err


def test_a_count_that_makes_no_sense_is_refused_in_a_line() -> None:
    ran = bench("--rounds", "0")
    assert ran.returncode == 2
    assert "say 1 or more" in ran.stderr.splitlines()[-1]
    assert "Traceback" not in ran.stderr


def test_help_has_examples() -> None:
    ran = bench("--help")
    assert ran.returncode == 0
    assert "./scripts/bench --quick" in ran.stdout
