"""A pool on a real SQLite file, without a proxy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from seatpool.core.model import Account
from seatpool.page.site import Site
from seatpool.store import Store
from tests.store.made import sign_in


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")
    with Store.open(str(tmp_path / "pool.db")) as opened:
        for name in ("work", "a/b <i>"):
            sign_in(opened, name, identity=name)
        yield opened


class Told(list[tuple[str, bool]]):
    """What a proxy would hear."""

    def hear(self, account: Account, rested: bool) -> None:
        self.append((account.name, rested))


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def site(store: Store, told: Told, tmp_path: Path) -> Site:
    return Site(lambda: store, told.hear, lambda: tmp_path / "data" / "page-token")
