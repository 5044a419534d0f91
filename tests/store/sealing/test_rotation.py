"""A new key: nothing is lost, whatever is killed; whoever runs goes on; the old key is gone."""

import os
import random
import signal
import sqlite3
import stat
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.fernet import Fernet, InvalidToken
from keyring.errors import KeyringLocked
from msgspec.structs import replace

from seatpool.core.model import Credential, CredentialKind
from seatpool.store import KeyPlace, Store, StoreUnavailable, WrongKey
from seatpool.store.databases import engine as engines
from tests.store.drawers import Drawer, installed
from tests.store.made import NOW, finish, oauth, sign_in, start

KIND = CredentialKind.CODEX_OAUTH
posix = pytest.mark.skipif(sys.platform == "win32", reason="forks, and looks at POSIX file modes")

IN_EVERY_LINE = """
import sys
from pathlib import Path
from tests.store.rotating import in_every_line
print(in_every_line(Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2] else None))
"""
FOREVER = "import sys; from pathlib import Path; from tests.store.rotating import forever; forever(Path(sys.argv[1]))"


def key_file(path: Path) -> Path:
    return path.with_name("pool.db.key")


def sealed(path: Path) -> list[bytes]:
    with closing(sqlite3.connect(path)) as db:
        return [secret for (secret,) in db.execute("SELECT secret FROM credentials")]


def opens(key: bytes, blob: bytes) -> bool:
    try:
        return bool(Fernet(key).decrypt(blob))
    except InvalidToken:
        return False


@posix
def test_the_new_key_seals_everything_and_the_old_one_nothing(store: Store, path: Path) -> None:
    first = sign_in(store, "first", identity="1", credentials=[oauth(1)])
    second = sign_in(
        store, "second", identity="2", credentials=[oauth(2), Credential(CredentialKind.GITHUB_OAUTH, "x")]
    )
    before, everything = store.changes(None), store.every_credential()
    old = key_file(path).read_bytes().strip()
    assert store.keys.rotate() == 3
    new = key_file(path).read_bytes().strip()
    assert [(opens(old, blob), opens(new, blob)) for blob in sealed(path)] == [(False, True)] * 3
    assert store.every_credential() == everything
    assert store.changes(None) == before  # generations too: nobody has to read anything again
    assert store.save_credential(first.id, oauth(3), now=NOW).generation == 2
    assert stat.S_IMODE(key_file(path).stat().st_mode) == 0o600
    with Store.open(str(path)) as again:
        assert again.credentials(first.id)[KIND].token == oauth(3).token
        assert again.credentials(second.id) == everything[second.id]


def test_an_empty_pool_gets_a_new_key_as_well(store: Store, path: Path) -> None:
    old = key_file(path).read_bytes()
    assert store.keys.rotate() == 0
    assert key_file(path).read_bytes() != old
    Store.open(str(path)).close()


def test_the_old_key_opens_nothing_that_is_left_in_the_files(store: Store, path: Path) -> None:
    """Neither in the log nor in pages that are no longer used."""
    sign_in(store, credentials=[oauth()])
    former = sealed(path)[0]
    store.keys.rotate()
    for file in path.parent.iterdir():
        assert former not in file.read_bytes(), file.name


# what another process does that has had the database open since before, and how often the key was changed meanwhile
GOING_ON: dict[str, Callable[[Store, int], object]] = {
    "reads one": lambda other, account_id: other.credentials(account_id),
    "reads all": lambda other, _: other.every_credential(),
    "writes": lambda other, account_id: other.save_credential(account_id, oauth(2), now=NOW),
    "signs in": lambda other, _: sign_in(other, credentials=[oauth(2)]),
    "rotates": lambda other, _: other.keys.rotate(),
}


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("what", GOING_ON)
def test_a_process_that_runs_goes_on_with_the_new_key(
    store: Store, other: Store, path: Path, what: str, times: int
) -> None:
    account = sign_in(store, credentials=[oauth()])
    for _ in range(times):
        store.keys.rotate()
    GOING_ON[what](other, account.id)
    written = what in ("writes", "signs in")
    expected = replace(oauth(2 if written else 1), generation=2 if written else 1)
    assert store.credentials(account.id) == other.credentials(account.id) == {KIND: expected}
    assert [opens(key_file(path).read_bytes().strip(), blob) for blob in sealed(path)] == [True]


def test_a_read_under_way_sees_what_it_began_with(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where another thread of its process knows the new key by then."""
    monkeypatch.setattr(engines, "BUSY_TIMEOUT_S", 0.05)  # so long the emptying of the log waits for readers
    with Store.open(str(path)) as store, Store.open(str(path)) as other:
        account = sign_in(store, credentials=[oauth()])
        with other._db.read() as db:
            db.exec_driver_sql("SELECT count(*) FROM credentials").scalar_one()
            store.keys.rotate()
            assert other.credentials(account.id)[KIND].token == oauth().token
            vault = other.keys.vault(db)
            (blob,) = db.exec_driver_sql("SELECT secret FROM credentials").one()
            assert vault.open(Credential(KIND, ""), blob).token == oauth().token


def test_threads_and_processes_that_read_and_write_meanwhile_meet_no_wrong_key(store: Store, other: Store) -> None:
    account = sign_in(store, credentials=[oauth(0)])

    def work(number: int) -> str:
        mine = (store, other)[number % 2]
        if number % 5 == 0:
            mine.keys.rotate()
        elif number % 5 == 1:
            mine.save_credential(account.id, oauth(0), now=NOW)
        return mine.credentials(account.id)[KIND].token

    with ThreadPoolExecutor(6) as threads:
        assert set(threads.map(work, range(60))) == {oauth(0).token}


@posix
@pytest.mark.parametrize("place", ["file", "keyring"])
def test_a_rotation_killed_in_any_line_loses_nothing(path: Path, place: str) -> None:
    process = start(IN_EVERY_LINE, path, path.parent / "chest" if place == "keyring" else "")
    assert int(finish(process)) > 20


@posix
def test_rotations_killed_at_random_moments_under_a_running_process_lose_nothing(store: Store, path: Path) -> None:
    account = sign_in(store, credentials=[oauth(1)])
    store.keys.rotate()
    begun = time.perf_counter()
    store.keys.rotate()
    length_s = time.perf_counter() - begun
    process = start(FOREVER, path)
    assert process.stdin is not None and process.stdout is not None
    for seed in range(20):
        process.stdin.write("go\n")
        process.stdin.flush()
        pid = int(process.stdout.readline())
        time.sleep(random.Random(seed).uniform(0, 2 * length_s))
        os.kill(pid, signal.SIGKILL)
        assert process.stdout.readline() == "dead\n"
        assert store.credentials(account.id)[KIND].token == oauth(seed + 1).token
        store.save_credential(account.id, oauth(seed + 2), now=NOW)
        with Store.open(str(path)) as fresh:
            assert fresh.credentials(account.id)[KIND] == replace(oauth(seed + 2), generation=seed + 2)
        assert len(key_file(path).read_text().split()) == 1
    finish(process)
    with store._db.read() as db:
        assert int(store.keys.vault(db).key_id.partition("-")[2]) >= 22  # two here, one at least of each


def test_a_key_that_a_kill_left_in_the_file_goes_at_the_next_opening(path: Path) -> None:
    with Store.open(str(path)) as store:
        account = sign_in(store, credentials=[oauth()])
    right = key_file(path).read_bytes()
    for other_key in (Fernet.generate_key() + b"\n" + right, right + Fernet.generate_key() + b"\n"):
        key_file(path).write_bytes(other_key)
        key_file(path).with_name("pool.db.key.new").write_bytes(right[:9])
        with Store.open(str(path)) as store:
            assert store.credentials(account.id)
        assert key_file(path).read_bytes() == right
        assert sorted(file.name for file in path.parent.iterdir()) == ["pool.db", "pool.db.key"]


def test_a_damaged_credential_stays_damaged_and_keeps_no_other_from_the_new_key(store: Store, path: Path) -> None:
    sign_in(store, "broken", identity="1", credentials=[oauth(1)])
    good = sign_in(store, "good", identity="2", credentials=[oauth(2)])
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE credentials SET secret = x'00' WHERE account_id <> ?", (good.id,))
    assert store.keys.rotate() == 1
    assert store.every_credential().keys() == {good.id}


def test_a_database_whose_key_is_another_is_neither_rotated_nor_touched(path: Path) -> None:
    with Store.open(str(path)) as store, Store.open(str(path)) as running:
        sign_in(store, credentials=[oauth()])
        store.keys.rotate()
        right = key_file(path).read_bytes()
        key_file(path).write_bytes(Fernet.generate_key())
        before = sealed(path)
        with pytest.raises(WrongKey, match=r"pool\.db\.key"):
            running.keys.rotate()
        assert sealed(path) == before
        key_file(path).write_bytes(right)
        assert running.keys.rotate() == 1


def test_a_key_file_that_cannot_be_written_leaves_the_old_key_in_force(store: Store, path: Path) -> None:
    account = sign_in(store, credentials=[oauth()])
    key_file(path).with_name("pool.db.key.new").mkdir()  # where the new file would be made
    before = key_file(path).read_bytes()
    with pytest.raises(StoreUnavailable, match="key file") as caught:
        store.keys.rotate()
    assert "\n" not in str(caught.value)
    assert key_file(path).read_bytes() == before
    with Store.open(str(path)) as again:
        assert again.credentials(account.id) == store.credentials(account.id)


def test_in_a_keyring_the_new_key_takes_the_place_of_the_old(path: Path, drawer: Drawer) -> None:
    with Store.open(str(path)) as store:
        account = sign_in(store, credentials=[oauth()])
        place = store.keys.place()
        for times in (1, 2):
            assert store.keys.rotate() == 1
            assert [name for _, name in drawer.kept] == [f"{place.name}-{times}"]
        assert store.keys.place() == KeyPlace(None, "seatpool", f"{place.name}-2")
    with Store.open(str(path)) as store:
        assert store.credentials(account.id)
    assert not key_file(path).exists()


def test_a_keyring_that_was_locked_meanwhile_keeps_the_old_key(path: Path, drawer: Drawer) -> None:
    with Store.open(str(path)) as store:
        account = sign_in(store, credentials=[oauth()])
        before, kept = sealed(path), dict(drawer.kept)
        drawer.locked = True
        with pytest.raises(StoreUnavailable, match="unlock"):
            store.keys.rotate()
        assert (sealed(path), drawer.kept) == (before, kept)
        assert store.credentials(account.id)


def test_a_process_that_cannot_get_at_the_new_key_yet_can_later(path: Path, drawer: Drawer) -> None:
    """Whoever has a rotated refresh token to store tries again when the database is unavailable."""
    with Store.open(str(path)) as store, Store.open(str(path)) as running:
        account = sign_in(store, credentials=[oauth()])
        store.keys.rotate()
        drawer.locked = True
        with pytest.raises(StoreUnavailable, match="unlock the keyring"):
            running.save_credential(account.id, oauth(2), now=NOW)
        drawer.locked = False
        assert running.save_credential(account.id, oauth(2), now=NOW).generation == 2
        assert store.credentials(account.id)[KIND].token == oauth(2).token


def test_a_key_stays_in_its_file_where_a_keyring_has_come_up_since(
    path: Path, drawer: Drawer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file wins as long as it is there, so the new key has to be in it."""
    with monkeypatch.context() as without:
        without.setenv("SEATPOOL_KEYRING", "off")
        Store.open(str(path)).close()
    with Store.open(str(path)) as store:
        store.keys.rotate()
        assert store.keys.place() == KeyPlace(key_file(path))
    assert drawer.kept == {}
    Store.open(str(path)).close()


class Sticky(Drawer):
    """One that goes away after so many deletions."""

    deletions = 0

    def delete_password(self, service: str, username: str) -> None:
        self.deletions -= 1
        if self.deletions < 0:
            raise KeyringLocked("locked meanwhile")
        super().delete_password(service, username)


def test_keys_that_several_kills_left_in_a_keyring_all_go_at_last(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for drawer in installed(Sticky(), monkeypatch):
        with Store.open(str(path)) as store:
            left = []
            for deletions in (0, 0, 0, 1, 9):  # in this order: three are left, one of four goes, all of four go
                drawer.deletions = deletions
                store.keys.rotate()
                left.append(len(drawer.kept))
        assert left == [2, 3, 4, 4, 1]
