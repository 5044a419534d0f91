"""The key, where it lives, and that nothing is readable without it."""

import sqlite3
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from seatpool.core.model import CredentialKind
from seatpool.store import Store, StoreUnavailable, WrongKey
from seatpool.store.sealing import keyrings
from tests.store.drawers import Drawer, Silent, StandIn, installed
from tests.store.made import NOW, oauth, sign_in


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Drawer]:
    yield from installed(StandIn(), monkeypatch)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Silent]:
    kept = Silent()
    for _ in installed(kept, monkeypatch):
        yield kept


def test_no_file_of_the_database_holds_anything_secret(store: Store, path: Path) -> None:
    account = sign_in(store, credentials=[oauth()])
    store.save_credential(account.id, oauth(2), now=NOW)
    assert {file.name for file in path.parent.iterdir()} > {"pool.db", "pool.db-wal", "pool.db-shm"}
    for file in path.parent.iterdir():
        assert b"FAKESECRET" not in file.read_bytes(), file.name
    assert store.credentials(account.id)[CredentialKind.CODEX_OAUTH].token == "FAKESECRET-access-2"


def test_an_error_on_the_way_of_a_credential_shows_nothing_of_it(store: Store, path: Path) -> None:
    """Neither in its line nor in the traceback of what caused it, which SQLAlchemy would fill with the values."""
    marked = oauth().token  # by name: a traceback shows this file's lines
    with closing(sqlite3.connect(path)) as db:
        db.execute("ALTER TABLE accounts RENAME TO gone")
    with pytest.raises(StoreUnavailable) as caught:
        sign_in(store, identity=marked, credentials=[oauth()])
    text = "".join(traceback.format_exception(caught.value))
    assert "no such table" in text
    assert "FAKESECRET" not in text


def test_a_damaged_credential_is_told_and_mended_by_a_new_login(store: Store, path: Path) -> None:
    account = sign_in(store, credentials=[oauth()])
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE credentials SET secret = x'00'")
    with pytest.raises(StoreUnavailable, match="damaged; import its login again"):
        store.credentials(account.id)
    sign_in(store, credentials=[oauth(2)])
    assert store.credentials(account.id)[CredentialKind.CODEX_OAUTH].token == "FAKESECRET-access-2"


@pytest.mark.parametrize(
    "key", [None, Fernet.generate_key(), b"not a key", b""], ids=["gone", "other", "no key", "empty"]
)
def test_without_its_key_a_database_is_refused_untouched(path: Path, key: bytes | None) -> None:
    with Store.open(str(path)) as store:
        sign_in(store, credentials=[oauth()])
    file = path.with_name("pool.db.key")
    right = file.read_bytes()
    file.unlink()
    if key is not None:
        file.write_bytes(key)
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    with pytest.raises(WrongKey) as caught:
        Store.open(str(path))
    assert "\n" not in str(caught.value) and "pool.db.key" in str(caught.value)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before
    file.write_bytes(right)
    with Store.open(str(path)) as store:
        assert store.credentials(store.account("work").id)


def test_a_key_file_that_is_there_already_seals_a_new_database(path: Path) -> None:
    """A kill between the making of the key and of the database's first rows leaves one."""
    path.parent.mkdir()
    key = Fernet.generate_key()
    path.with_name("pool.db.key").write_bytes(key)
    Store.open(str(path)).close()
    assert path.with_name("pool.db.key").read_bytes() == key


def test_a_working_keyring_keeps_the_key_and_no_file_does(path: Path, drawer: Drawer) -> None:
    with Store.open(str(path)) as store:
        account = sign_in(store, credentials=[oauth()])
    assert [service for service, _ in drawer.kept] == ["seatpool"]
    assert not path.with_name("pool.db.key").exists()
    with Store.open(str(path)) as store:
        assert store.credentials(account.id)


def test_two_databases_have_two_keys_in_the_keyring(tmp_path: Path, drawer: Drawer) -> None:
    for name in ("one.db", "two.db"):
        Store.open(str(tmp_path / name)).close()
    assert len(set(drawer.kept.values())) == 2


def test_a_locked_keyring_refuses_its_databases_and_makes_no_new_key(path: Path, drawer: Drawer) -> None:
    Store.open(str(path)).close()
    drawer.locked = True
    with pytest.raises(WrongKey, match="unlock the keyring"):
        Store.open(str(path))
    assert [file.name for file in path.parent.iterdir()] == ["pool.db"]


def test_a_keyring_that_asks_its_person_is_waited_for_and_asks_them_once(
    path: Path, silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store.open(str(path)).close()
    silent.answered.clear()
    silent.asked = 0
    with monkeypatch.context() as hurried:
        hurried.setattr(keyrings, "PATIENCE_S", 0.05)
        for _ in range(2):
            with pytest.raises(WrongKey, match="unlock the keyring"):
                Store.open(str(path))
    assert silent.asked == 1
    silent.answered.set()
    Store.open(str(path)).close()


def test_a_person_who_has_said_no_is_let_alone_for_a_while(
    path: Path, silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store.open(str(path)).close()
    silent.asked, silent.locked = 0, True
    monkeypatch.setattr(keyrings, "ASKED_S", -1.0)
    for asked in (1, 1):
        with pytest.raises(WrongKey, match="unlock the keyring"):
            Store.open(str(path))
        assert silent.asked == asked
    silent.locked = False
    monkeypatch.setattr(keyrings, "REFUSED_S", -1.0)
    Store.open(str(path)).close()


def test_a_new_database_under_a_keyring_that_does_not_answer_gets_a_key_file(
    path: Path, silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent.answered.clear()
    monkeypatch.setattr(keyrings, "PATIENCE_S", 0.05)
    Store.open(str(path)).close()
    silent.answered.set()
    assert path.with_name("pool.db.key").is_file()


def test_a_new_database_under_a_locked_keyring_gets_a_key_file(path: Path, drawer: Drawer) -> None:
    drawer.locked = True
    Store.open(str(path)).close()
    assert path.with_name("pool.db.key").is_file()


def test_a_stand_in_for_a_keyring_is_not_trusted(path: Path, stand_in: Drawer) -> None:
    Store.open(str(path)).close()
    assert stand_in.kept == {}
    assert path.with_name("pool.db.key").is_file()


def test_a_key_file_is_taken_before_the_keyring(path: Path, drawer: Drawer, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without:
        without.setenv("SEATPOOL_KEYRING", "off")
        Store.open(str(path)).close()
    Store.open(str(path)).close()
    assert drawer.kept == {}
