"""A database is deleted with its key, wherever that is, and never under a process that uses it."""

import sqlite3
from pathlib import Path

import pytest

from seatpool.store import Store, StoreUnavailable
from seatpool.store.sealing import removal
from tests.store.drawers import Drawer


def test_a_database_and_its_key_file_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")
    where = str(tmp_path / "pool.db")
    assert (removal.files(where), removal.in_use(where)) == ((), False)
    with Store.open(where):
        assert removal.in_use(where)
        with pytest.raises(StoreUnavailable, match="is running on"):
            removal.delete(where)
    assert {path.name for path in removal.files(where)} == {"pool.db", "pool.db.key"}
    removal.delete(where)
    assert list(tmp_path.iterdir()) == []
    removal.delete(where)


def test_a_key_in_the_keyring_goes_with_its_database_and_no_other_does(tmp_path: Path, drawer: Drawer) -> None:
    for name in ("kept.db", "gone.db"):
        Store.open(str(tmp_path / name)).close()
    with Store.open(str(tmp_path / "gone.db")) as store:
        store.keys.rotate()
        gone = store.keys.place().name
    assert len(drawer.kept) == 2
    removal.delete(str(tmp_path / "gone.db"))
    assert [name for _, name in drawer.kept if name == gone] == []
    assert (len(drawer.kept), [path.name for path in tmp_path.iterdir()]) == (1, ["kept.db"])
    Store.open(str(tmp_path / "kept.db")).close()


def test_what_is_no_database_of_ours_stays(tmp_path: Path) -> None:
    for name in ("foreign.db", "text.db"):
        file = tmp_path / name
        if name == "foreign.db":
            db = sqlite3.connect(file)
            db.execute("CREATE TABLE theirs (x)")
            db.close()
        else:
            file.write_text("not a database at all, whatever it is called")
        with pytest.raises(StoreUnavailable, match=f"{name} is left alone"):
            removal.delete(str(file))
        assert file.exists()
