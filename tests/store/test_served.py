"""What a server does that a file does not: it goes away and comes back, and it is on another machine."""

import os
import random
import resource
import signal
import string
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from seatpool.core.model import CredentialKind
from seatpool.store import Store, StoreError, StoreUnavailable, Unstorable, located
from tests.harness import pooler, postgres
from tests.store.made import ADDON, NOW, attempt, cooldown, finish, oauth, sign_in, start
from tests.store.served import fresh, told

LIMIT_S = 30
"""Only for what would never come."""
LETS_GO = {
    "idle_in_transaction_session_timeout": "10s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
FIRST_MANY = 1024
"""Number of the first file that `select` does not take."""

NOTHING_OF_IT = """
import sys
from seatpool.store import Store
Store.open(sys.argv[1]).close()
print(*(name for name in sys.modules if "psycopg" in name or "postgres" in name))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    """One of our own, since it is stopped."""
    made = postgres.started(fsync=True)
    yield made
    made.remove()


class Alarm:
    """Rings when the store wakes somebody."""

    def __init__(self) -> None:
        self.rung = threading.Event()

    def __call__(self) -> None:
        self.rung.set()

    def rings(self) -> bool:
        was = self.rung.wait(LIMIT_S)
        self.rung.clear()
        return was


def test_a_change_wakes_who_listens_in_another_process(store: Store, other: Store) -> None:
    alarm, account = Alarm(), sign_in(store)
    ear = other.listen(alarm)
    assert ear is not None and alarm.rings() and ear.hearing
    seen = other.changes(None).revision
    store.cool(cooldown(account, 60))
    assert alarm.rings()
    assert other.news(seen).cooldowns == (cooldown(account, 60),)
    ear.close()
    ear.close()
    alarm.rung.clear()
    store.cool(cooldown(account, 90))
    assert not alarm.rung.is_set() and not ear.hearing


def test_who_has_a_thousand_files_open_hears_all_the_same(store: Store, other: Store) -> None:
    alarm, account = Alarm(), sign_in(store)
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 2 * FIRST_MANY:
        pytest.skip("nobody may have so many here")
    with ExitStack() as many:
        while many.enter_context(Path(os.devnull).open()).fileno() < FIRST_MANY:
            pass
        ear = other.listen(alarm)
        assert ear is not None and alarm.rings() and ear.hearing
        store.cool(cooldown(account, 60))
        assert alarm.rings() and ear.hearing
        ear.close()


def test_behind_a_pooler_everything_works_and_nobody_believes_to_hear(
    server: postgres.Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    direct, alarm = server.new(), Alarm()
    with pooler.before(server.port) as port, ExitStack() as stores:
        store, other = (stores.enter_context(Store.open(direct.replace(str(server.port), str(port)))) for _ in range(2))
        ear = other.listen(alarm)
        while "action=not-hearing reason=pooler" not in caplog.text:
            assert not alarm.rung.wait(0.01)
        account, seen = sign_in(store), other.revision()
        store.cool(cooldown(account, 60))
        assert not ear.hearing and other.news(seen - 1).cooldowns == (cooldown(account, 60),)
        ear.close()


def test_the_server_lets_go_of_machines_that_are_gone() -> None:
    with Store.open(fresh()) as store, store._db.read() as db:
        shown = {name: db.exec_driver_sql(f"SHOW {name}").scalar_one() for name in LETS_GO}
    assert shown == LETS_GO


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_server_that_goes_and_comes_back_costs_an_error_meanwhile_and_nothing_else(
    server: postgres.Server, how: signal.Signals
) -> None:
    alarm = Alarm()
    with Store.open(server.new()) as store:
        account = sign_in(store, credentials=[oauth()])
        ear = store.listen(alarm)
        assert ear is not None and alarm.rings() and ear.hearing
        store.hurry()
        seen = store.changes(None).revision
        stored = store.save_credential(account.id, oauth(2), now=NOW)
        store.cool(cooldown(account, 60))
        server.stop(how)
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="cannot be used") as caught:
                store.cool(cooldown(account, 90))
            assert "\n" not in str(caught.value)
        with pytest.raises(StoreUnavailable, match="Connection refused"):
            store.news(seen)
        assert alarm.rings() and not ear.hearing and store.trouble is not None
        server.start()
        while not ear.hearing:
            assert alarm.rings()
        news = store.news(seen + 2)
        assert news.full, "it may have been another server, or itself of some time ago"
        assert news.cooldowns == (cooldown(account, 60),) and not store.news(news.revision).full
        assert store.credentials(account.id) == {CredentialKind.CODEX_OAUTH: stored}
        store.record(attempts=[attempt(account, 1)])
        assert store.trouble is None and store.cool(cooldown(account, 90)) == cooldown(account, 90)
        ear.close()


def test_nobody_waits_for_long_for_a_server_that_hangs(server: postgres.Server) -> None:
    """It takes connections and acknowledges packets, as its kernel does; it does not answer."""
    with Store.open(server.new()) as store:
        account = sign_in(store)
        store.hurry()
        seen = store.changes(None).revision
        server.freeze()
        try:
            with pytest.raises(StoreUnavailable, match=r"not answered for \d s|timeout expired"):
                store.cool(cooldown(account, 60))
            with pytest.raises(StoreUnavailable, match=r"not answered for \d s|timeout expired"):
                store.cool(cooldown(account, 60))
            with pytest.raises(StoreUnavailable):
                store.news(seen)
        finally:
            server.freeze(thaw=True)
        store.record()  # which is patient, and tries
        assert store.cool(cooldown(account, 60)) == cooldown(account, 60)
        assert store.news(seen).full


def test_a_start_without_the_server_says_so_in_one_line(server: postgres.Server) -> None:
    server.stop()
    with pytest.raises(StoreUnavailable, match="Connection refused; see that the server runs") as caught:
        Store.open(server.url("pool1"))
    assert "\n" not in str(caught.value)
    server.start()


REFUSED = {
    "postgresql+psycopg://me:FAKESECRET@db/pool": r"has a password in it \(postgresql://me@db/pool\); .* PGPASSWORD",
    "postgresql://me@db/pool?password=FAKESECRET": r"has a password in it \(postgresql://me@db/pool\)",
    "postgresql+asyncpg://me@db/pool": r"say postgresql\+psycopg://USER@HOST/DATABASE",
    "postgresql+psycopg://": "names no database",
    "mysql://me:FAKESECRET@db/pool": "mysql databases are not supported; give a path, sqlite",
}


NOT_TO_BE_HAD = {
    "sslmode=verify-full&sslrootcert=system": "look at sslmode",
    "options=-csearch_path%3Dnone": "CREATE SCHEMA",
}


@pytest.mark.parametrize("named", REFUSED)
def test_what_is_refused_and_what_to_say_instead(named: str) -> None:
    with pytest.raises(StoreUnavailable, match=REFUSED[named]) as caught:
        located(named)
    assert "FAKESECRET" not in str(caught.value)


def test_what_a_service_file_says_counts(
    server: postgres.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.new()
    name = url.rpartition("/")[2]
    server.say(f"CREATE SCHEMA apart AUTHORIZATION {postgres.USER}", name)
    (tmp_path / "services").write_text(
        f"[pool]\nhost=127.0.0.1\nport={server.port}\nuser={postgres.USER}\ndbname={name}\n"
        "options=-c search_path=apart\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    named = "postgresql+psycopg://?service=pool"
    assert located(named) == "postgresql://?service=pool"
    Store.open(named).close()
    monkeypatch.setenv("PGSERVICE", "pool")
    Store.open("postgresql+psycopg://").close()
    assert server.say("SELECT DISTINCT schemaname FROM pg_tables WHERE tablename = 'accounts'", name) == "apart"


def test_what_the_server_refuses_is_told_with_what_helps(server: postgres.Server) -> None:
    for asked, said in NOT_TO_BE_HAD.items():
        with pytest.raises(StoreUnavailable, match=said):
            Store.open(f"{server.new()}?{asked}")
    with pooler.before(server.port) as port, pytest.raises(StoreUnavailable, match="a pooler takes no options"):
        Store.open(f"{server.new().replace(str(server.port), str(port))}?options=-csearch_path%3Dpublic")
    for name, said in {"nowhere": "does not exist; make that user and database", "latin": "createdb -E UTF8"}.items():
        if name == "latin":
            server.say(f"CREATE DATABASE latin OWNER {postgres.USER} ENCODING LATIN1 LOCALE 'C' TEMPLATE template0")
        with pytest.raises(StoreUnavailable, match=said):
            Store.open(server.url(name))
    theirs = server.new()
    told_by = theirs.rpartition("/")[2]
    server.say("CREATE TABLE recipes (name text)", told_by)
    with pytest.raises(StoreUnavailable, match="belongs to another program"):
        Store.open(theirs)


def test_a_value_that_cannot_be_kept_is_no_outage() -> None:
    with Store.open(fresh()) as store:
        account = sign_in(store)
        with pytest.raises(Unstorable):
            store.save_login(provider=account.provider, identity="\0", name="x", issuer="", credentials=(), now=NOW)
        with pytest.raises(Unstorable):
            store.rename(account.name, "".join(random.Random(1).choices(string.ascii_letters, k=6000)))
        assert store.trouble is None


def test_text_is_in_the_order_of_its_characters_and_moments_are_utc_whatever_the_server_speaks() -> None:
    url = fresh()
    told(url, f"ALTER ROLE {postgres.USER} IN DATABASE {url.rpartition('/')[2]} SET timezone = 'Asia/Tokyo'")
    with Store.open(url) as store:
        account = sign_in(store)
        assert store.cool(cooldown(account, 60)) == store.changes(None).cooldowns[0]
    assert told(url, "SELECT created_at FROM cooldowns") == NOW.strftime("%Y-%m-%d %H:%M:%S.%f")


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_writers_take_turns_whatever_isolation_the_database_has_by_default(level: str) -> None:
    url = fresh()
    told(url, f"ALTER DATABASE {url.rpartition('/')[2]} SET default_transaction_isolation = '{level}'")
    with Store.open(url) as one, Store.open(url) as other, ThreadPoolExecutor(2) as threads:
        account = sign_in(one)

        def write(store: Store) -> None:
            for number in range(30):
                store.cool(cooldown(account, 60 + number))
                store.acquire("renew:1", store.url, timedelta(seconds=8))

        list(threads.map(write, (one, other)))
        assert one.changes(None).cooldowns == (cooldown(account, 89),)


def test_nothing_of_postgresql_is_loaded_for_a_file(path: Path) -> None:
    """Nor for the migrations of a new one, but for what Alembic loads by itself."""
    Store.open(str(path)).close()
    assert finish(start(NOTHING_OF_IT, path)).split() == []


def test_without_the_driver_it_tells_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "psycopg.py").write_text("raise ImportError('no pq wrapper available')")
    program = "from seatpool.store import Store; Store.open('postgresql+psycopg://me@127.0.0.1:1/pool')"
    env = {"PYTHONPATH": f"{tmp_path}:{ADDON}"}
    said = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=LIMIT_S)
    assert said.stderr.splitlines()[-1].endswith("say pip install 'psycopg[binary]' (in a clone: .venv/bin/pip ...)")


def test_processes_that_open_an_empty_database_at_once_migrate_it_once() -> None:
    url = postgres.shared().new()
    opening = "import sys; from seatpool.store import Store; sys.stdin.readline(); Store.open(sys.argv[1]).close()"
    processes = [start(opening, url) for _ in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        finish(process)
    assert told(url, "SELECT count(*) FROM feed") == "1" and told(url, "SELECT count(*) FROM master_key") == "1"


def test_nobody_waits_for_ever_for_a_process_that_was_stopped_in_the_middle_of_a_write() -> None:
    url = fresh()
    with Store.open(url) as store, Store.open(url) as stopped, stopped._db.write() as db:
        store.hurry()
        with pytest.raises(StoreError, match="lock timeout; another program is busy with it"):
            store.set_paused("work", True, NOW)
        wait = db.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar_one()
        assert wait == "10s", "then the server ends it"
