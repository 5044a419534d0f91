"""A test that is run so stands still at times, and what comes of it is told."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import REPOSITORY

STANDS_STILL = """
import time

def test_it():
    before = time.monotonic()
    while (now := time.monotonic()) - before < 0.3:
        before = now
        time.sleep(0.001)
"""
FAILS = "def test_it():\n    assert False\n"


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
@pytest.mark.parametrize(
    ("text", "code", "said"), [(STANDS_STILL, 0, "1 passed"), (FAILS, 1, "1 failed")], ids=["passes", "fails"]
)
def test_processes_are_halted_and_go_on(tmp_path: Path, text: str, code: int, said: str) -> None:
    (tmp_path / "test_it.py").write_text(text)
    command = [sys.executable, "-m", "tests.harness.halting", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path]
    ran = subprocess.run([*command, tmp_path], cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
    assert (ran.returncode, said in ran.stdout) == (code, True), ran.stdout + ran.stderr
