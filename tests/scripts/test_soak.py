"""`scripts/soak`: a minute of everything going wrong around real proxies."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from scripts.soaking.databases import DATABASES, Postgres, Sqlite
from scripts.soaking.plan import LAST_S, OF_A_PROXY, plan
from scripts.soaking.verdict import ENDED, crashes

from tests.harness import REPOSITORY
from tests.harness.marks import needs_namespaces

SOAK = REPOSITORY / "scripts" / "soaking"
KINDS = {"kill", "stop", "packets", "upstream", *Sqlite.faults}


def test_a_seed_tells_the_faults_and_each_kind_comes_before_any_comes_twice() -> None:
    faults = plan(7, 600, 4, Sqlite.faults)
    assert faults == plan(7, 600, 4, Sqlite.faults)
    assert faults != plan(8, 600, 4, Sqlite.faults)
    kinds = [fault.kind for fault in faults]
    rounds = [kinds[at : at + len(KINDS)] for at in range(0, len(kinds) - len(KINDS), len(KINDS))]
    assert len(rounds) > 10 and all(set(each) == KINDS for each in rounds)
    assert {fault.proxy for fault in faults if fault.kind in OF_A_PROXY} == {0, 1, 2, 3}
    assert all(fault.at + fault.lasts_s <= 600 - LAST_S for fault in faults), "at the end there is calm"
    assert {*DATABASES} == {"sqlite", "postgres"} and {*Sqlite.faults} & {*Postgres.faults} == set()


def test_a_crash_is_told_with_its_stack_and_the_one_that_an_older_python_logs_at_its_end_is_none() -> None:
    stack = ["handle: <Handle ...>", "Traceback (most recent call last):", "  File ...", "CancelledError"]
    assert crashes(["action=start", f"{ENDED}.<locals>.callback(<Task ...>)", *stack]) == []
    (told,) = crashes(["action=start", "Exception in callback ours()", *stack])
    assert told.splitlines()[0] == "Exception in callback ours()" and told.endswith("CancelledError")
    assert crashes(["action=start", "client disconnect"]) == []


@needs_namespaces
@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk and lost packets need root")
def test_whatever_goes_wrong_nothing_acknowledged_is_lost_and_each_error_has_its_cause(tmp_path: Path) -> None:
    """As much of it as there is time for; `./scripts/soak` takes ten minutes."""
    told = tmp_path / "soak.json"
    argv = [sys.executable, SOAK, "--minutes", "0.7", "--seed", "1", "--pause", "0.6", "--json", told]
    ran = subprocess.run(list(map(str, argv)), capture_output=True, text=True, check=False, timeout=200)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    report = json.loads(told.read_text())
    assert report["broken"] == []
    assert report["faults"].keys() == KINDS
    assert {"http1", "http2", "socket", "copilot"} == report["requests"].keys()
    assert report["failed"].get("unexplained", 0) == 0
    assert report["moved"] > 0 and {"cooldowns", "requests", "rotations"} <= report["kept"].keys()
    assert "every invariant held" in ran.stdout


@needs_namespaces
@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk needs root")
def test_ctrl_c_ends_it_and_all_that_it_has_started(tmp_path: Path) -> None:
    argv = [sys.executable, SOAK, "--seed", "1", "--proxies", "1", "--minutes", "5"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    running = subprocess.Popen(list(map(str, argv)), stderr=subprocess.PIPE, text=True, env=environment)
    assert running.stderr is not None
    assert "requests" in running.stderr.readline()
    assert _started_in(tmp_path), "it runs"
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert (running.returncode, said.splitlines()[-1]) == (130, "soak: interrupted")
    assert _started_in(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def _started_in(folder: Path) -> list[str]:
    """Command lines of processes that name it."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = each.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found
