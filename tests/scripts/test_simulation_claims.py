"""What the simulation says of the default at the end follows from its figures, also where they are against it."""

from dataclasses import replace

from scripts.simulation.plot import WIDEST, bars
from scripts.simulation.results import Runs, claims, table

from tests.sim.contestants import DEFAULT, REFERENCE, ROTATION
from tests.sim.measures import Measures
from tests.sim.scenario import Scenario

RUN = Measures(
    requests=1000,
    refusals=100,
    refused_cost=1e6,
    wasted=0.0,
    conversations=50,
    switches=10,
    cold=900_000,
    moved=90_000,
    cached=1,
    uncached=1,
    output=1,
    limits_met=1,
    charged=1e6,
)
FEW, MANY = Scenario(accounts=2), Scenario(accounts=5)


def runs(ours: Measures, theirs: Measures = RUN) -> Runs:
    return {DEFAULT: [ours], REFERENCE: [theirs], ROTATION: [replace(RUN, refusals=400, cold=9_000_000)]}


def test_shares_are_compared_over_all_scenarios() -> None:
    lines = claims({FEW: runs(replace(RUN, refusals=50)), MANY: runs(replace(RUN, refusals=50))}).splitlines()
    assert lines[1] == "  reference: refuses 50 % less, reads 5 % less again after a move and 5 % less in all"
    assert lines[2].startswith("  rotation: refuses 88 % less")
    assert len(lines) == 3


def test_each_scenario_in_which_the_default_is_behind_is_named() -> None:
    told = claims({FEW: runs(replace(RUN, refusals=0)), MANY: runs(replace(RUN, refusals=110))})
    assert "    but codex, 1 person, 5 accounts: refused % 11.00, and not 10.00" in told.splitlines()
    assert "2 accounts" not in told


def test_who_refuses_more_has_not_read_less() -> None:
    """Half as much was read again of half as many requests."""
    refusing = replace(RUN, refusals=550, cold=450_000, moved=45_000)
    shown = table(FEW, runs(RUN, refusing)).splitlines()
    assert shown[2].split()[4:6] == shown[3].split()[4:6] == ["100.0", "1000"]


def test_the_plot_has_a_bar_for_each_as_long_as_its_mean() -> None:
    lines = bars({FEW: runs(replace(RUN, refusals=0)), MANY: runs(replace(RUN, refusals=400))}).splitlines()
    assert lines[0] == "refused %, mean of all scenarios"
    assert [line.count("#") for line in lines[1:4]] == [WIDEST // 2, WIDEST // 4, WIDEST]
    assert lines[1].endswith(" 20.00")
