"""Opening: what is made, what is migrated, what is refused and left alone."""

import errno
import os
import sqlite3
import stat
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from msgspec.structs import replace
from sqlalchemy.exc import DBAPIError

from seatpool.core.model import WHOLE_ACCOUNT, Account, Cooldown, ProviderName
from seatpool.store import NewerDatabase, Store, StoreUnavailable, default_url, migrate
from seatpool.store.databases import engine as engines
from seatpool.store.databases import sqlite
from seatpool.store.health import examine
from seatpool.store.schema import metadata
from tests.store.made import NOW, finish, sign_in, start

OPEN = """
import sys
from seatpool.store import Store
sys.stdin.readline()
Store.open(sys.argv[1]).close()
print(*sorted({"alembic", "keyring"} & set(sys.modules)))
"""

NOW_TEXT = NOW.strftime("%Y-%m-%d %H:%M:%S.%f")  # as the store keeps a moment

LIMIT_S = 30
"""Only for what would never come."""

posix_modes = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no POSIX file modes")


def test_the_constants_name_the_migrations_there_are() -> None:
    scripts = ScriptDirectory(str(Path(migrate.__file__).with_name("migrations")))
    assert [script.revision for script in scripts.walk_revisions()][::-1] == list(migrate.REVISIONS)
    assert scripts.get_current_head() == migrate.HEAD


CASCADES = {
    "sqlite": "SELECT sql FROM sqlite_master WHERE sql LIKE '%ON DELETE CASCADE%'",
    "postgresql": "SELECT conname FROM pg_constraint WHERE confdeltype = 'c'",
}


def test_the_migrations_make_the_tables_that_the_code_speaks_of(store: Store, url: str) -> None:
    engine = engines.open_engine(engines.resolve(url))
    with engine.connect() as db:
        context = MigrationContext.configure(db, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        keys = db.exec_driver_sql(CASCADES[db.dialect.name]).all()
    engine.dispose()
    # credentials, cooldowns, windows, affinities, carriers, attempts, choices, endings, window_history
    assert len(keys) == 9
    assert store.revision() == 0


@pytest.fixture
def other_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("other")


@posix_modes
def test_directory_database_log_and_key_are_for_their_owner_alone(store: Store, path: Path) -> None:
    sign_in(store)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == dict.fromkeys(("pool.db", "pool.db-wal", "pool.db-shm", "pool.db.key"), 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@posix_modes
def test_a_directory_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    Store.open(str(tmp_path / "pool.db")).close()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


@posix_modes
def test_the_default_directory_is_made_its_owners_alone_also_if_it_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody chose its mode; one that a person named keeps it, see above."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    ours = Path(default_url().removeprefix("sqlite:///")).parent
    ours.mkdir(mode=0o755)
    Store.open().close()
    assert stat.S_IMODE(ours.stat().st_mode) == 0o700
    ours.chmod(0o755)
    Store.open(default_url()).close()
    assert stat.S_IMODE(ours.stat().st_mode) == 0o755


@posix_modes
def test_a_default_directory_of_another_user_where_we_may_write_is_used_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_arguments: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    folder = tmp_path / "volume/seatpool"
    folder.mkdir(parents=True, mode=0o770)
    monkeypatch.setenv("XDG_DATA_HOME", str(folder.parent))
    monkeypatch.setattr(Path, "chmod", refused)
    Store.open().close()
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


def test_a_database_of_the_first_schema_is_brought_up_with_all_that_it_holds(path: Path) -> None:
    """A Copilot account was known by its handle alone; a Codex account has none."""
    made_by_schema(path, "0001")
    with closing(sqlite3.connect(path)) as db, db:
        for row in (
            (1, "codex", "work", "user-1/ws-1", "chatgpt.com", 5, True, None, "plus", NOW_TEXT),
            (7, "copilot", "octo", "github.com/octo", "github.com", 100, False, "revoked", None, None),
        ):
            db.execute(f"INSERT INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '{NOW_TEXT}', 3)", row)
        db.execute("INSERT INTO cooldowns VALUES (7, 'account', '', 'usage', ?, ?, 3, 0)", (NOW_TEXT, NOW_TEXT))
        db.execute("UPDATE feed SET revision = 3")
    with Store.open(str(path)) as store:
        codex = Account(1, ProviderName.CODEX, "work", "user-1/ws-1", "chatgpt.com", 5, True, None, "plus", NOW)
        copilot = Account(7, ProviderName.COPILOT, "octo", "github.com/octo", "github.com", disabled="revoked")
        assert store.accounts() == (codex, replace(copilot, handle="github.com/octo"))
        assert store.changes(None).cooldowns == (Cooldown(7, WHOLE_ACCOUNT, "usage", NOW, NOW),)
        assert store.revision() == 3
        store.remove("octo")
        assert sign_in(store, identity="new").id == 8  # ids are still never given again


def test_a_path_and_a_url_open_the_same_database(store: Store, path: Path) -> None:
    account = sign_in(store)
    assert store.url == f"sqlite:///{path}"
    with Store.open(store.url) as again:
        assert again.accounts() == (account,)


def test_a_relative_url_is_of_where_it_was_given_and_heard_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other_folder: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with Store.open("sqlite:///pool.db") as store, Store.open(str(tmp_path / "pool.db")) as other:
        monkeypatch.chdir(other_folder)
        assert store.url == other.url == f"sqlite:///{tmp_path / 'pool.db'}"
        woken = threading.Semaphore(0)
        ear = store.listen(woken.release)
        assert woken.acquire(timeout=LIMIT_S) and ear.hearing
        sign_in(other)
        assert woken.acquire(timeout=LIMIT_S)
        ear.close()
    assert list(other_folder.iterdir()) == []


def test_nothing_named_is_the_default_in_the_persons_data_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with Store.open() as store:
        assert store.url == default_url()
        assert Path(store.url.removeprefix("sqlite:///")).is_file()


def test_four_processes_that_open_a_fresh_file_at_once_all_succeed_and_migrate_it_once(path: Path) -> None:
    processes = [start(OPEN, path) for _ in range(4)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        finish(process)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT version_num FROM alembic_version").fetchall() == [(migrate.HEAD,)]
        assert db.execute("SELECT count(*) FROM feed").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM master_key").fetchone() == (1,)
    assert sorted(file.name for file in path.parent.iterdir()) == ["pool.db", "pool.db.key"]


def test_threads_that_open_a_fresh_file_at_once_all_succeed(tmp_path: Path) -> None:
    """The processes above start apart by chance; threads at a barrier meet in every step."""
    together = threading.Barrier(6)

    def open_one(path: str) -> int:
        together.wait()
        with Store.open(path) as store:
            return store.revision()

    with ThreadPoolExecutor(6) as threads:
        for number in range(4):
            assert list(threads.map(open_one, [str(tmp_path / f"{number}.db")] * 6)) == [0] * 6


def test_opening_a_database_that_is_up_to_date_loads_neither_alembic_nor_keyring(path: Path) -> None:
    """Start-up time counts. The first line shows that the question can be answered otherwise."""
    assert finish(start(OPEN, path), "go\n").split() == ["alembic"]
    assert finish(start(OPEN, path), "go\n").split() == []


def test_a_database_of_a_newer_version_is_refused_untouched(path: Path) -> None:
    Store.open(str(path)).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    assert_refused_untouched(path, NewerDatabase, "9999")


def test_a_database_of_another_program_is_refused_untouched(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE recipes (name TEXT)")
    assert_refused_untouched(path, StoreUnavailable, "another program")


def test_a_file_that_is_no_database_is_refused_untouched(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"Dear diary, " * 500)
    assert_refused_untouched(path, StoreUnavailable, "not a database")


def test_a_damaged_database_is_refused_in_one_line(path: Path) -> None:
    with Store.open(str(path)) as store:
        sign_in(store)
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))  # the header's 100 bytes stay
    assert_refused_untouched(path, StoreUnavailable, "malformed")


def test_damage_behind_the_first_pages_is_told_by_the_call_that_meets_it(path: Path) -> None:
    with Store.open(str(path)) as store:
        sign_in(store)
    with closing(sqlite3.connect(path)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'accounts'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    with Store.open(str(path)) as store, pytest.raises(StoreUnavailable) as caught:
        store.accounts()
    assert "\n" not in str(caught.value)


PLACES: dict[str, Callable[[Path], str]] = {
    "a directory": str,
    "below a file": lambda tmp: str(_file(tmp / "file") / "pool.db"),
    "in memory": lambda _: "sqlite://",
    "in memory by name": lambda _: "sqlite:///:memory:",
    "a URI of SQLite's": lambda tmp: f"sqlite:///file:{tmp}/pool.db?uri=true",
    "another kind of database": lambda _: "postgresql://me:FAKESECRET@localhost/pool",
    "an unreadable URL": lambda _: "nonsense://FAKESECRET:x:y@[",
}


@pytest.mark.parametrize("kind", PLACES)
def test_a_place_where_no_database_can_be_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        Store.open(PLACES[kind](tmp_path))
    assert "\n" not in str(caught.value) and "FAKESECRET" not in str(caught.value)


def test_what_is_sorted_needs_no_folder_for_temporary_files(store: Store, path: Path) -> None:
    """A container whose root is read-only may have none, and SQLite calls that a disk I/O error."""
    with store._db.read() as db:
        in_memory = 2
        assert db.exec_driver_sql("PRAGMA temp_store").scalar_one() == in_memory


def test_a_disk_that_is_too_full_to_begin_may_be_called_a_disk_error() -> None:
    """Seen on a disk with less room than the file `-shm` takes; with some more it is "full"."""
    for said in ("disk I/O error", "database or disk is full"):
        told, mend = sqlite.plain(DBAPIError("", {}, sqlite3.OperationalError(said)))
        assert (told, "space" in mend) == (said, True)


def test_a_python_whose_sqlite_is_too_old_is_told_as_such(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.34.1")
    with pytest.raises(StoreUnavailable, match=r"has SQLite 3\.34\.1, and 3\.35 or newer is needed"):
        Store.open(str(path))
    assert not path.exists()
    with pytest.raises(StoreUnavailable, match="is needed"):
        examine(str(path), within_s=1)


def test_a_closed_store_says_so_and_can_be_closed_again(store: Store) -> None:
    store.close()
    store.close()
    for call in (store.revision, store.accounts, lambda: store.clear_cooldowns()):
        with pytest.raises(StoreUnavailable, match="closed"):
            call()


def test_a_database_that_another_program_keeps_locked_is_unavailable_for_writing_only(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BUSY_TIMEOUT_S", 0.05)
    with Store.open(str(path)) as store, closing(sqlite3.connect(path, isolation_level=None)) as db:
        account = sign_in(store)
        db.execute("BEGIN IMMEDIATE")
        assert store.accounts() == (account,)
        with pytest.raises(StoreUnavailable, match="locked; another program"):
            store.set_paused("work", True, NOW)
        db.execute("ROLLBACK")
        assert store.set_paused("work", True, NOW).paused


def made_by_schema(path: Path, revision: str) -> None:
    """What the seatpool of that schema made, as far as the migrations go."""
    sqlite.create_file(path, ours=False)
    engine = engines.open_engine(engines.resolve(str(path)))
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).with_name("migrations")))
    with engines.writing(engine).begin() as db:
        config.attributes["connection"] = db
        command.upgrade(config, revision)
    engine.dispose()


def assert_refused_untouched(path: Path, error: type[Exception], match: str) -> None:
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    with pytest.raises(error, match=match) as caught:
        Store.open(str(path))
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def _file(path: Path) -> Path:
    path.touch()
    return path
