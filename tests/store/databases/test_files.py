"""A SQLite file that is deleted or replaced while it is open: nothing is written where nobody will find it."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from seatpool.core.model import Affinity, Carried, CredentialKind
from seatpool.store import Store, StoreUnavailable
from seatpool.store.databases import engine as engines
from seatpool.store.databases import sqlite
from seatpool.store.sealing import removal
from tests.store.made import NOW, cooldown, finish, oauth, sign_in, start
from tests.store.test_opening import made_by_schema

LIMIT_S = 30
"""Only for what would never come."""


def files(path: Path) -> list[Path]:
    return [Path(f"{path}{end}") for end in ("", "-wal", "-shm")]


def take_away(path: Path) -> None:
    for file in files(path):
        file.unlink(missing_ok=True)


def copied(path: Path, to: Path) -> Path:
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(to)) as copy:
        source.backup(copy)
    return to


def put(copy: Path, path: Path) -> None:
    take_away(path)
    copy.replace(path)


def test_nothing_is_stored_or_read_or_made_where_the_file_was_deleted(store: Store, path: Path) -> None:
    account = sign_in(store, credentials=[oauth()])
    seen = store.revision()
    with store._db.lookup():  # there are several connections
        store.accounts()
    take_away(path)
    for call in (
        lambda: store.save_credential(account.id, oauth(2), now=NOW),
        lambda: store.cool(cooldown(account, 60)),
        lambda: store.news(seen),
        store.accounts,
    ):
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match=r"its file is gone .*; put it back") as caught:
                call()
            assert "\n" not in str(caught.value)
    assert store.trouble is not None and "gone" in store.trouble
    assert [file.name for file in path.parent.iterdir()] == ["pool.db.key"]


def test_a_file_that_was_moved_away_and_back_is_gone_on_with(store: Store, path: Path, tmp_path: Path) -> None:
    account = sign_in(store)
    store.cool(cooldown(account, 60))
    (tmp_path / "away").mkdir()
    for file in files(path):
        file.rename(tmp_path / "away" / file.name)
    with pytest.raises(StoreUnavailable, match="gone"):
        store.cool(cooldown(account, 90))
    for file in reversed(files(path)):
        (tmp_path / "away" / file.name).rename(file)
    assert store.news(2).cooldowns == (cooldown(account, 60),)
    assert store.cool(cooldown(account, 90)) == cooldown(account, 90) and store.trouble is None
    with Store.open(str(path)) as other:
        assert other.cooldowns(NOW) == (cooldown(account, 90),)


def test_a_copy_that_was_put_in_its_place_is_gone_on_with_by_every_connection(
    store: Store, path: Path, tmp_path: Path
) -> None:
    account = sign_in(store, credentials=[oauth()])
    copy = copied(path, tmp_path / "copy")
    store.cool(cooldown(account, 60))
    seen = store.news(store.changes(None).revision - 1).revision
    with store._db.lookup():  # there are several connections
        store.accounts()
    put(copy, path)
    stored = store.save_credential(account.id, oauth(2), now=NOW)
    with store._db.lookup():
        store.cool(cooldown(account, 90))
    news = store.news(seen)
    assert news.full and news.cooldowns == (cooldown(account, 90),)
    assert store.trouble is None and not store.news(news.revision).full
    with Store.open(str(path)) as other:
        assert other.credentials(account.id) == {CredentialKind.CODEX_OAUTH: stored}
        assert other.cooldowns(NOW) == (cooldown(account, 90),)


def _of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE recipes (name TEXT)")


def _half_of_it(path: Path) -> None:
    whole = path.with_name("whole").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


IMPOSTORS: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.touch(), "no pool's; put a copy back"),
    "of another program": (_of_another_program, "no pool's; put a copy back"),
    "of an older schema": (lambda path: made_by_schema(path, "0001"), "of schema 0001, not .*; start anew"),
    "a new pool, as any command makes it": (lambda path: Store.open(str(path)).close(), "without an account"),
    "no database": (lambda path: path.write_bytes(b"Dear diary, " * 500), "not a database"),
    "half written": (_half_of_it, "malformed"),
}


@pytest.mark.parametrize("what", IMPOSTORS)
def test_what_is_no_pool_is_neither_used_nor_changed_and_waited_out(
    store: Store, path: Path, tmp_path: Path, what: str
) -> None:
    account = sign_in(store)
    (tmp_path / "new").mkdir()
    whole, impostor = copied(path, tmp_path / "new" / "whole"), tmp_path / "new" / "impostor"
    make, said = IMPOSTORS[what]
    make(impostor)
    before = impostor.read_bytes()
    put(impostor, path)
    for call in (lambda: store.cool(cooldown(account, 60)), lambda: store.news(0)):
        with pytest.raises(StoreUnavailable, match=said):
            call()
    assert path.read_bytes() == before
    put(whole, path)
    assert store.news(0).full
    assert store.cool(cooldown(account, 60)) == cooldown(account, 60) and store.trouble is None


def test_a_copy_without_a_log_gets_one(store: Store, path: Path, tmp_path: Path) -> None:
    """As `VACUUM INTO` makes it; in it a reader would keep writers waiting."""
    account = sign_in(store)
    with closing(sqlite3.connect(path)) as db:
        db.execute("VACUUM INTO ?", (str(tmp_path / "copy"),))
    put(tmp_path / "copy", path)
    assert store.accounts() == (account,)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("noticed", [0, 1, 5])
def test_the_log_of_the_former_file_is_kept_out_of_a_copy_that_was_put_in_its_place(
    store: Store, path: Path, tmp_path: Path, noticed: int
) -> None:
    """As a backup comes back, alone: played into it, the log of what was there before would damage it."""
    account = sign_in(store)
    copy = copied(path, tmp_path / "copy")
    for number in range(20):
        store.record(affinities=[Affinity(f"talk-{number}-{i}", account.id, NOW) for i in range(200)])
    if noticed:
        path.unlink()
    for _ in range(noticed):
        with pytest.raises(StoreUnavailable, match="gone"):
            store.accounts()
    copy.replace(path)
    store.set_paused("work", True, NOW)
    with Store.open(str(path)) as other:
        assert [each.paused for each in other.accounts()] == [True]
        assert other.affinities(NOW) == store.affinities(NOW) == ()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert path.with_name(f"{path.name}-wal.former").exists()
    assert path.with_name(f"{path.name}-wal.former") in removal.files(str(path))


HOLD = """
import sys
from seatpool.store import Store
with Store.open(sys.argv[1]) as store:
    print(len(store.accounts()), flush=True)
    for line in sys.stdin:
        print([account.paused for account in store.accounts()], flush=True)
"""


@pytest.mark.parametrize("ends", [("-wal",), ("-shm",), ("-wal", "-shm")], ids="".join)
def test_processes_hear_of_each_other_though_the_log_was_taken_away(
    store: Store, path: Path, ends: tuple[str, ...]
) -> None:
    """By a program that syncs or backs up, or by a person against a database that is busy."""
    account = sign_in(store)
    with store._db.lookup():  # there are several connections
        store.cool(cooldown(account, 60))
    held = start(HOLD, path)
    assert held.stdin is not None and held.stdout is not None and held.stdout.readline() == "1\n"
    for end in ends:
        path.with_name(path.name + end).unlink()
    assert store.cooldowns(NOW) == (cooldown(account, 60),)
    store.set_paused("work", True, NOW)
    held.stdin.write("\n")
    held.stdin.flush()
    assert held.stdout.readline() == "[True]\n"
    finish(held)
    with Store.open(str(path)) as other:
        other.set_paused("work", False, NOW)
    assert [each.paused for each in store.accounts()] == [False]
    assert store.cooldowns(NOW) == (cooldown(account, 60),) and store.trouble is None


def test_nobody_begins_another_log_beside_who_is_at_work_with_the_one_that_was_taken_away(
    store: Store, path: Path
) -> None:
    sign_in(store)
    with store._db.lookup():
        for file in files(path)[1:]:
            file.unlink()
        with pytest.raises(StoreUnavailable, match="just taken away; try again"):
            store.accounts()
    assert len(store.accounts()) == 1


def test_a_log_that_grew_while_somebody_read_is_cut_back(store: Store, path: Path) -> None:
    """As with a browser of databases that is left open for days: SQLite cannot work the log in until it is closed."""
    account = sign_in(store)
    log, limit = path.with_name(f"{path.name}-wal"), sqlite.LOG_MIB << 20

    def write() -> None:
        store.record(carriers=[Carried(account.id, tuple(range(2**16)), NOW)] * 4)

    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT 1 FROM accounts").fetchall()
        while log.stat().st_size < 2 * limit:
            write()
        reader.execute("ROLLBACK")
        for _ in range(3):  # one works it in, the next begins it anew
            write()
        assert log.stat().st_size <= limit


def test_who_has_waited_for_his_turn_on_a_file_that_went_meanwhile_is_told(store: Store, path: Path) -> None:
    assert store.accounts() == ()
    engine = engines.writing(engines.open_engine(engines.resolve(str(path))))
    with engine.connect() as db, db.begin():
        take_away(path)
        with pytest.raises(StoreUnavailable, match="gone"):
            sqlite.begin(db)
    engine.dispose()


def test_who_listens_hears_of_a_file_that_goes_and_of_another_that_comes(
    store: Store, path: Path, tmp_path: Path
) -> None:
    sign_in(store)
    copy = copied(path, tmp_path / "copy")
    woken = threading.Semaphore(0)
    ear = store.listen(woken.release)
    assert woken.acquire(timeout=LIMIT_S) and ear.hearing
    take_away(path)
    while ear.hearing:
        assert woken.acquire(timeout=LIMIT_S)
    assert not path.exists()
    put(copy, path)
    while not ear.hearing:
        assert woken.acquire(timeout=LIMIT_S)
    while woken.acquire(blocking=False):
        pass
    with Store.open(str(path)) as other:
        other.set_paused("work", True, NOW)
    assert woken.acquire(timeout=LIMIT_S)
    ear.close()
