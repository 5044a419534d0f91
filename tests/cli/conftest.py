"""What the tests of commands share."""

from pathlib import Path

import pytest


@pytest.fixture
def own_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A database of the test's own, no system keyring, and a wide terminal."""
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")
    monkeypatch.setenv("SEATPOOL_DB", str(tmp_path / "pool.db"))
    monkeypatch.setenv("COLUMNS", "200")
