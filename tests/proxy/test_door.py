"""A database that cannot be opened is tried again and again, for as long as it takes."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from mitmproxy import options

from seatpool.proxy.door import Door
from seatpool.proxy.options import OPTIONS
from seatpool.store import Store
from tests.service.conftest import Issuer, sign_in
from tests.store.drawers import Silent, installed


@pytest.fixture
def opts() -> options.Options:
    made = options.Options()
    for option in OPTIONS:
        made.add_option(option.name, option.typespec, option.default, option.help, option.choices)
    return made


def put(path: Path, provider: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE accounts SET provider = ?", (provider,))


def test_tries_to_open_a_damaged_database_leave_no_thread_behind(
    tmp_path: Path, opts: options.Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")
    path = tmp_path / "pool.db"
    with Store.open(str(path)) as store:
        sign_in(store, Issuer(), "alice")
    put(path, "nobody")
    door, before = Door(str(path), opts), set(threading.enumerate())
    for _ in range(3):
        assert door.open() is None
        assert door.problem is not None and "damaged" in door.problem
    assert set(threading.enumerate()) == before
    put(path, "codex")
    opened = door.open()
    assert opened is not None and door.problem is None
    assert len(set(threading.enumerate()) - before) == 1, "what is queued is written from now on"
    opened.service.knowledge.writer.close()
    opened.store.close()


def test_a_keyring_that_asks_its_person_does_not_keep_the_proxy_from_starting(
    tmp_path: Path, opts: options.Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, silent = tmp_path / "pool.db", Silent()
    monkeypatch.setenv("SEATPOOL_KEYRING", "")
    for _ in installed(silent, monkeypatch):
        Store.open(str(path)).close()
        silent.answered.clear()
        monkeypatch.setattr("seatpool.proxy.door.START_S", 0.05)
        door = Door(str(path), opts)
        for _ in range(2):
            assert door.open() is None
            assert door.problem is not None and "not open yet: the keyring" in door.problem
        assert silent.asked == 3, "twice for the key that was made, and once for what is still open"
        monkeypatch.setattr("seatpool.proxy.door.START_S", 30)
        silent.answered.set()
        opened = door.open()
        assert opened is not None and door.problem is None
        opened.service.knowledge.writer.close()
        opened.store.close()
