"""Real SQLite files, and never the keyring of whoever runs the tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from seatpool.store import Store
from tests.store.drawers import Drawer, installed


@pytest.fixture(autouse=True)
def _key_file_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "pool.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(str(path)) as opened:
        yield opened


@pytest.fixture
def other(store: Store, path: Path) -> Iterator[Store]:
    """A second store on the same file, as another process has it."""
    with Store.open(str(path)) as opened:
        yield opened


@pytest.fixture
def drawer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Drawer]:
    yield from installed(Drawer(), monkeypatch)
