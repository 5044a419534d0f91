"""Every input that fuzzing has kept, again: none is stumbled over, nor takes long, however often it is repeated."""

import time
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
LONG = 300_000
ALLOWED_S = 5.0
"""Of processor time, for `LONG` bytes: what grows with the square of them takes minutes."""


@pytest.mark.parametrize("name", TARGETS)
def test_every_kept_input_is_survived(name: str) -> None:
    inputs = sorted((CORPUS / name).iterdir())
    assert inputs
    for path in inputs:
        TARGETS[name].check(path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_a_long_input_takes_no_longer_than_its_length_explains(name: str) -> None:
    for path in sorted((CORPUS / name).iterdir())[::4]:
        data = path.read_bytes()
        began = time.thread_time()
        TARGETS[name].check((data * (LONG // (len(data) or 1)))[:LONG])
        assert time.thread_time() - began < ALLOWED_S + LONG * TARGETS[name].slow_us / 1e6, path


def test_the_corpus_is_small_and_of_known_targets() -> None:
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert len(files) < 300
    assert sum(path.stat().st_size for path in files) < 500_000
    assert {path.parent.name for path in files} <= set(TARGETS)
