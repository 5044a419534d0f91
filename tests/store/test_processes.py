"""Threads, processes and kills: what the store promises to those who share a file."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from seatpool.core.model import CredentialKind
from seatpool.store import Store, StoreUnavailable
from tests.store.made import NOW, at, attempt, cooldown, finish, oauth, sign_in, start, window

ACQUIRE = """
import sys
from datetime import timedelta
from tests.store.made import Store
with Store.open(sys.argv[1]) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    print(store.acquire("renew", sys.argv[2], timedelta(minutes=1)).name)
"""

MANY = 2000

SAVE_FOREVER = """
import sys
from tests.store.made import NOW, Store, cooldown, oauth
store = Store.open(sys.argv[1])
account = store.account("work")
for number in range(2, 1_000_000):
    store.cool(cooldown(account, number))
    print(store.save_credential(account.id, oauth(number), now=NOW).generation, flush=True)
"""


def test_of_two_processes_that_ask_at_once_one_gets_the_lease(store: Store, url: str) -> None:
    processes = [start(ACQUIRE, url, owner) for owner in "ab"]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert sorted(finish(process).strip() for process in processes) == ["FREE", "REFUSED"]
    assert not store.acquire("renew", "c", timedelta(minutes=1))


def test_a_kill_loses_no_credential_or_cooldown_that_was_acknowledged(url: str) -> None:
    """Each line of the program was printed after its commit; the kill comes in the middle of what follows."""
    with Store.open(url) as store:
        account = sign_in(store, credentials=[oauth(1)])
    process = start(SAVE_FOREVER, url)
    assert process.stdout is not None
    seen = [process.stdout.readline() for _ in range(50)]
    process.kill()
    rest, err = process.communicate(timeout=60)
    assert process.returncode == -9, err
    acknowledged = int([*seen, *rest.splitlines(keepends=True)][-1])
    with Store.open(url) as store:
        kept = store.credentials(account.id)[CredentialKind.CODEX_OAUTH]
        # The one under way when the kill came may be there or not; n-th save is number n, generation n.
        assert kept.generation in (acknowledged, acknowledged + 1)
        assert kept.token == oauth(kept.generation).token
        assert store.cooldowns(NOW)[0].until in (at(kept.generation), at(kept.generation + 1))
        assert store.save_credential(account.id, oauth(), now=NOW).generation == kept.generation + 1
    if "://" not in url:
        with closing(sqlite3.connect(url)) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_threads_of_two_stores_write_and_read_at_once_and_nothing_is_lost(store: Store, other: Store) -> None:
    account = sign_in(store, credentials=[oauth()])
    revisions = [store.revision()]

    def work(number: int) -> None:
        mine = (store, other)[number % 2]
        mine.save_credential(account.id, oauth(number), now=NOW)
        mine.record(attempts=[attempt(account, number)], windows=[(account.id, window(number, 0.5))])
        mine.cool(cooldown(account, number))
        revisions.append(mine.changes(revisions[0]).revision)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(1, 41)))
    everything = other.changes(None)
    assert everything.generations == {(account.id, CredentialKind.CODEX_OAUTH): 41}
    assert [held.until for held in everything.cooldowns] == [at(40)]
    assert [seen.observed_at for _, seen in everything.windows] == [at(40)]
    assert len(store.past.attempts(limit=99)) == 40
    assert max(revisions) <= everything.revision


def test_closing_during_a_read_closes_its_connection_when_it_is_done(store: Store, path: Path) -> None:
    """SQLite removes the log with its last connection."""
    with store._db.read() as db:
        store.close()
        assert db.exec_driver_sql("SELECT count(*) FROM accounts").scalar_one() == 0
        assert path.with_name("pool.db-wal").exists()
    assert not path.with_name("pool.db-wal").exists()


def test_closing_under_busy_threads_leaves_no_connection_open(path: Path) -> None:
    """A connection left to the garbage collector would warn, and warnings are errors here."""
    store = Store.open(str(path))
    account = sign_in(store)
    at_work = threading.Barrier(4, timeout=60)

    def work() -> bool:
        for number in range(MANY):
            try:
                store.cool(cooldown(account, number))
                store.accounts()
            except StoreUnavailable:
                return True
            if number == 0:
                at_work.wait()
        return False

    with ThreadPoolExecutor(3) as threads:
        refused = [threads.submit(work) for _ in range(3)]
        at_work.wait()
        store.close()
        assert [each.result() for each in refused] == [True] * 3
    assert sorted(file.name for file in path.parent.iterdir()) == ["pool.db", "pool.db.key"]
