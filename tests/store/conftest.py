"""Real SQLite files and a real PostgreSQL server, and never the keyring of whoever runs the tests.

A test that asks for `store` or `url` runs on both. One that asks for `path` as well is about SQLite's file.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from seatpool.store import Store
from tests.store.drawers import Drawer, installed
from tests.store.served import fresh

SQLITE, POSTGRES = "sqlite", "postgres"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "url" in metafunc.fixturenames:
        kinds = [SQLITE] if "path" in metafunc.fixturenames else [SQLITE, POSTGRES]
        metafunc.parametrize("url", kinds, indirect=True)


@pytest.fixture(autouse=True)
def _key_file_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "pool.db"


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """What is given to `Store.open`."""
    return str(tmp_path / "data" / "pool.db") if request.param == SQLITE else fresh()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as opened:
        yield opened


@pytest.fixture
def other(store: Store, url: str) -> Iterator[Store]:
    """A second store on the same database, as another process has it."""
    with Store.open(url) as opened:
        yield opened


@pytest.fixture
def drawer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Drawer]:
    yield from installed(Drawer(), monkeypatch)
