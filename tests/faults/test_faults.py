"""The matrix: every fault on every wire for both providers."""

import pytest

from tests.faults.cells import CELLS, Cell
from tests.faults.faults import GROUPS
from tests.faults.readme import README, in_step
from tests.faults.running import Matrix, Outcome
from tests.faults.table import TABLE, expected, fits
from tests.harness.namespace import why_no_namespaces
from tests.upstream.tokens import MARKER


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    reason = why_no_namespaces()
    if reason is not None:
        pytest.skip(f"the matrix needs a namespace of its own: {reason}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEATPOOL_KEYRING", "off")
        return Matrix(tmp_path_factory.mktemp("faults"), CELLS).run()


@pytest.mark.timeout(600)  # the first one waits for all
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.id)
def test_what_the_client_gets_who_is_asked_and_who_pays(outcome: Outcome, cell: Cell) -> None:
    assert outcome.seen[cell] == expected(cell)


def test_no_slot_is_taken_once_the_client_has_everything_or_has_left(outcome: Outcome) -> None:
    assert outcome.held == []
    assert outcome.left == {"busy": {}, "waiting": 0, "open": 0}


def test_every_sending_that_arrived_is_on_record_and_no_other(outcome: Outcome) -> None:
    assert outcome.unrecorded == []


def test_the_log_shows_no_traceback_and_no_token(outcome: Outcome) -> None:
    assert [line for line in outcome.log if "Traceback" in line or "crashed" in line or MARKER in line] == []


def test_no_token_is_on_the_disk(outcome: Outcome) -> None:
    assert outcome.leaks == []


def test_every_word_of_the_table_is_about_a_cell() -> None:
    assert {fault.name for faults in GROUPS.values() for fault in faults} == TABLE.keys()
    decided = {(cell.fault.name, next(key for key in TABLE[cell.fault.name] if fits(key, cell))) for cell in CELLS}
    assert {(name, key) for name, row in TABLE.items() for key in row} == decided


def test_the_appendix_of_the_readme_is_in_step() -> None:
    text = README.read_text()
    assert in_step(text) == text, "say `python -m tests.faults`"
