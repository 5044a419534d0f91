"""A SQLite file that is deleted or replaced while it is open: nothing is written where nobody will find it."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from seatpool.core.model import Carried, CredentialKind
from seatpool.store import Store, StoreUnavailable, sqlite
from seatpool.store import engine as engines
from tests.store.made import NOW, cooldown, oauth, sign_in
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
