"""Simulated worlds in which everything holds, faults that are found, and seeds that play again exactly."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from scripts.proving import keeping
from scripts.proving.main import Total, play, worlds_with

from tests.harness import REPOSITORY
from tests.proof.mutations import MUTATIONS, Mutation, Outdated, broken_by
from tests.proof.trial import INVARIANTS

PROVE = REPOSITORY / "scripts" / "proving"
SEEDS = 30


def prove(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, PROVE, *arguments], capture_output=True, text=True, timeout=120)


def test_everything_holds_and_a_world_is_the_same_whatever_was_played_before_it() -> None:
    worlds = {world["seed"]: world for world in play(0, SEEDS)}
    assert [(w["seed"], w["broken"], w["why"]) for w in worlds.values() if w["broken"]] == []
    assert len(worlds) == SEEDS
    for name in ("served", "crashes", "rotations"):
        assert sum(world[name] for world in worlds.values()) > SEEDS / 4, f"worlds in which there are {name}"
    (again,) = play(SEEDS - 1, 1)
    assert (again["digest"], again["steps"]) == (worlds[SEEDS - 1]["digest"], worlds[SEEDS - 1]["steps"])


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_fault_in_the_product_breaks_what_must_hold_and_its_seed_plays_that_again(name: str) -> None:
    found = next((world for world in worlds_with(name) if world["broken"] == broken_by(name)), None)
    assert found is not None, f"{MUTATIONS[name]} was not found"
    (again,) = play(found["seed"], 1, name)
    assert again == {**found, "spent_s": again["spent_s"]}


def test_for_each_thing_that_must_hold_there_is_a_fault() -> None:
    assert {broken_by(name) for name in MUTATIONS} == set(INVARIANTS)


def test_what_breaks_is_told_with_its_seed_and_the_command_that_plays_it_again() -> None:
    name = "foreign-host"
    ran = prove("--first", str(MUTATIONS[name].seen_in), "--jobs", "1", "--mutation", name)
    assert ran.returncode == 1, ran.stderr
    broken = re.search(r"^seed (\d+) breaks foreign-host: no credential", ran.stdout, re.MULTILINE)
    assert broken is not None
    assert f"again: ./scripts/prove --seed {broken[1]} --mutation {name}\n" in ran.stdout
    again = prove("--seed", broken[1], "--mutation", name)
    assert again.returncode == 1
    steps = [line for line in ran.stdout.splitlines() if re.match(r" +\d+\.\d{4}  ", line)]
    assert steps and set(steps) <= set(again.stdout.splitlines()), "the very steps"
    assert "broken: foreign-host" in again.stdout


def test_sums_are_written_as_json_and_kept(tmp_path: Path) -> None:
    written = tmp_path / "sums.json"
    ran = prove("--seeds", "2", "--jobs", "1", "--json", str(written), "--keep", str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    assert "2 worlds" in ran.stdout
    sums = json.loads(written.read_text())
    assert sums["worlds"] == 2
    (kept,) = tmp_path.glob("*/proof.json")
    assert f"kept in {kept}" in ran.stdout
    (run,) = json.loads(kept.read_text())["runs"]
    assert sums.items() <= run.items() and run["seatpool"]


def test_a_run_that_is_interrupted_loses_nothing_of_what_was_played(tmp_path: Path) -> None:
    written = tmp_path / "sums.json"
    command = [sys.executable, str(PROVE), "--minutes", "5", "--first", "0", "--jobs", "1", "--json", str(written)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert "worlds" in running.stderr.readline()
        running.send_signal(signal.SIGINT)
        out, error = running.communicate(timeout=30)
    assert (running.returncode, error.splitlines()[-1]) == (130, "prove: interrupted")
    assert f"{json.loads(written.read_text())['worlds']:,} worlds" in out


def test_runs_that_are_kept_add_up(tmp_path: Path) -> None:
    world = {"seed": 7, "broken": "slots", "why": "one too many", "told": []}
    figures = {"first": 1, "steps": 900, "requests": 9, "served": 8, "rotations": 2, "crashes": 1}
    keeping.add({**figures, "code": "abc", "worlds": 1000, "broken": []}, "the one", tmp_path)
    keeping.add({**figures, "code": "def", "worlds": 500, "broken": []}, "the next", tmp_path)
    kept = keeping.add({**figures, "code": "def", "worlds": 2000, "broken": [world]}, "the other", tmp_path)
    assert [run["seatpool"] for run in json.loads(kept.read_text())["runs"]] == ["the one", "the next", "the other"]
    text = kept.with_suffix(".txt").read_text()
    assert re.search(r"^ all of the code that was played last +def +2,500 +1,800 .* 1$", text, re.MULTILINE)
    assert re.search(r"^ all +3,500 +2,700 .* 1$", text, re.MULTILINE)
    assert re.search(r"^ all since the product was last at fault.* 0 .* 0$", text, re.MULTILINE)
    assert "the other: seed 7 breaks slots: one too many" in text
    for code in ("def", "ghi"):
        keeping.add({**figures, "code": code, "worlds": 40, "broken": []}, "since", tmp_path)
    assert re.search(
        r"^ all since the product was last at fault.* 80 +1,800 .* 0$",
        kept.with_suffix(".txt").read_text(),
        re.MULTILINE,
    )
    mistaken = {**figures, "code": "ghi", "worlds": 10, "broken": []}
    keeping.add(mistaken, "the judged", tmp_path)
    runs = json.loads(kept.read_text())
    runs["runs"][-1]["broken"] = [{"seed": 8, "broken": "stays", "why": "it went", "excused": "it had to"}]
    kept.write_text(json.dumps(runs))
    keeping.add({**figures, "code": "ghi", "worlds": 10, "broken": []}, "since", tmp_path)
    text = kept.with_suffix(".txt").read_text()
    assert re.search(r"^ all since the product was last at fault.* 100 +3,600 .* 1$", text, re.MULTILINE)
    assert "the judged: seed 8 breaks stays: it went (the judge's mistake: it had to)" in text
    assert f"[proof]({kept.parent.name}/proof.txt)" in (tmp_path / "README.md").read_text()


def test_worlds_of_other_code_do_not_count_with_those_before() -> None:
    (world,) = play(0, 1)
    total = Total()
    assert total.add(world) and total.add(world)
    assert not total.add({**world, "code": "another"})
    assert (total.worlds, total.code) == (2, world["code"])


def test_wrong_input_is_refused_in_a_line_and_help_has_examples() -> None:
    for wrong in (
        ("--seeds", "0"),
        ("--mutation", "best"),
        ("--json", "/no/where.json"),
        ("--minutes", "-1"),
        ("--keep", "--mutation", "slots"),
    ):
        ran = prove(*wrong)
        assert ran.returncode == 2
        assert "Traceback" not in ran.stderr
        assert wrong[0] in ran.stderr.splitlines()[-1]
    assert "./scripts/prove --seed 4711" in prove("--help").stdout
    assert [line.split()[0] for line in prove("--list").stdout.splitlines()] == list(INVARIANTS)


def test_a_mutation_of_what_has_changed_says_so() -> None:
    wrong = Mutation("seatpool.core.slots", "what is not there", "")
    with pytest.raises(Outdated, match=r"slots\.py"):
        wrong.applied("freed = self.rest(ledger, now)", "slots.py")
