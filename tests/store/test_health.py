"""A database looked at from outside: nothing in it changes, whatever state it is in."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from seatpool.store import Store, StoreUnavailable
from seatpool.store.databases.mounts import elsewhere
from seatpool.store.health import examine
from seatpool.store.migrate import HEAD


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")
    path = tmp_path / "pool.db"
    Store.open(str(path)).close()
    return path


def test_one_that_is_well(database: Path) -> None:
    health = examine(str(database), 5)
    assert (health.schema, health.fault, health.busy, health.unchecked) == (HEAD, None, False, False)
    assert (health.unwritable, health.open_to_others) == ((), ())
    assert health.size == database.stat().st_size


def test_one_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert examine(str(tmp_path / "none.db"), 5).size is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "sqlite:///:memory:", "mysql://somewhere/else"])
def test_what_names_no_database_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreUnavailable):
        examine(name or str(tmp_path), 5)


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE alembic_version SET version_num = '9999'", (True, False, False)),
        ("UPDATE alembic_version SET version_num = '0009'", (False, True, False)),
        ("DROP TABLE alembic_version", (False, False, True)),
    ],
)
def test_whose_it_is(database: Path, statement: str, what: tuple[bool, bool, bool]) -> None:
    with closing(sqlite3.connect(database)) as db, db:
        db.execute(statement)
    health = examine(str(database), 5)
    assert (health.is_newer, health.is_older, health.foreign) == what


def test_somebody_who_holds_it(database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        assert examine(str(database), 5).busy


def test_no_time_to_look_it_through(database: Path) -> None:
    with closing(sqlite3.connect(database)) as db, db:
        numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n LIMIT 9999)"
        db.execute(f"CREATE TABLE many AS {numbers} SELECT * FROM n")
    assert examine(str(database), -1).unchecked


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() == 0, reason="an administrator writes everywhere")
def test_a_file_that_cannot_be_written(database: Path) -> None:
    database.chmod(0o400)
    assert examine(str(database), 5).unwritable == (database,)


def test_no_database_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"nothing like it, but long enough to be one" * 100)
    assert examine(str(path), 5).fault == "file is not a database"


def test_a_value_that_nobody_has_written_is_damage_while_something_is_written_too(store: Store) -> None:
    with (
        pytest.raises(StoreUnavailable, match=r"is damaged: what it holds cannot be read \(KeyError\)"),
        store._db.write(),
    ):
        raise KeyError("a kind of limit that there never was")
    assert store.trouble is not None and "is damaged" in store.trouble


MOUNTED = {
    "/home/me/.local/share/seatpool/pool.db": "nfs4",
    "/data/pool.db": "virtiofs",
    "/mnt/my disk/pool.db": "9p",
    "/mnt/my disk/here/pool.db": None,
    "/database/pool.db": None,
    "/pool.db": None,
}


@pytest.mark.parametrize("path", MOUNTED)
def test_a_disk_of_another_machine_is_told(path: str, tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "40 22 0:50 / /home rw,relatime shared:5 master:2 - nfs4 server:/home rw,vers=4.2\n"
        "41 22 8:1 /old /data rw,relatime - ext4 /dev/sda1 rw\n"
        "42 41 0:51 / /data rw,relatime - virtiofs mount0 rw\n"
        "43 22 0:52 / /mnt/my\\040disk rw,noatime - 9p C: rw,aname=drvfs\n"
        "44 43 8:2 / /mnt/my\\040disk/here rw - ext4 /dev/sdb rw\n"
    )
    assert elsewhere(Path(path), table) == MOUNTED[path]


def test_where_no_mounts_are_told_nothing_is(tmp_path: Path) -> None:
    assert elsewhere(tmp_path, tmp_path / "none") is None
