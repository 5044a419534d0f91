"""Late records: batched, in order of arrival, kept while the database is away."""

import random
import sqlite3
import string
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from seatpool.core.explain import glimpse
from seatpool.core.model import Attempt, ProviderName, QuotaWindow
from seatpool.core.selection import Demand, select
from seatpool.core.state import PoolState
from seatpool.service.memory.writer import Writer
from seatpool.store import Store
from tests.service.conftest import Issuer, sign_in
from tests.store.served import fresh

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """On both kinds of database."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))  # where the key of one on a server is
    with Store.open(str(tmp_path / "either.db") if request.param == "sqlite" else fresh()) as opened:
        yield opened


def attempt(account_id: int, number: int, at: datetime = NOW) -> Attempt:
    return Attempt("flow", number, account_id, "responses", None, "ok", 200, at, 1.0)


def test_everything_queued_is_written_and_the_newest_window_stays(store: Store, issuer: Issuer) -> None:
    account = sign_in(store, issuer, "alice")
    writer = Writer(store)
    writer.start()
    for number in range(1200):
        writer.put(attempt(account.id, number))
        writer.put((account.id, QuotaWindow("primary", number / 1200, NOW, "header")))
    assert writer.flush(20)
    assert [a.number for a in store.past.attempts(limit=2000)] == list(range(1199, -1, -1))
    assert [w.left for _, w in store.changes(None).windows] == [1199 / 1200]
    assert store.account("alice").last_used_at == NOW
    writer.close()


def test_the_last_use_of_an_account_is_stored_to_the_minute(store: Store, issuer: Issuer) -> None:
    account = sign_in(store, issuer, "alice")
    writer = Writer(store)
    writer.start()
    for number, (seconds, told) in enumerate([(0, 0), (40, 0), (59, 0), (61, 61), (100, 61), (121, 121)]):
        writer.put(attempt(account.id, number, NOW + timedelta(seconds=seconds)))
        assert writer.flush(20)
        assert store.account("alice").last_used_at == NOW + timedelta(seconds=told)
    assert len(store.past.attempts(limit=9)) == 6
    writer.close()


def test_what_is_queued_is_written_before_the_end(store: Store, issuer: Issuer) -> None:
    account = sign_in(store, issuer, "alice")
    writer = Writer(store)
    writer.start()
    writer.put(attempt(account.id, 1))
    writer.close()
    assert len(store.past.attempts(limit=9)) == 1


def test_rows_wait_for_a_database_that_is_busy(store: Store, issuer: Issuer, tmp_path: Path) -> None:
    account = sign_in(store, issuer, "alice")
    writer = Writer(store)
    writer.start()
    other = sqlite3.connect(tmp_path / "pool.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writer.put(attempt(account.id, 1))
    assert not writer.flush(0.5)
    other.execute("ROLLBACK")
    other.close()
    writer.put(attempt(account.id, 2))
    assert writer.flush(20)
    assert [a.number for a in store.past.attempts(limit=9)] == [2, 1]
    writer.close()


def test_history_gets_a_row_for_each_percent_that_was_written(store: Store, issuer: Issuer) -> None:
    account = sign_in(store, issuer, "alice")
    writer = Writer(store)
    writer.start()
    for left in (0.500, 0.496, 0.489, 0.481, 0.47):
        writer.put((account.id, QuotaWindow("primary", left, NOW + timedelta(seconds=(1 - left) * 1000), "header")))
        assert writer.flush(20)
    writer.close()
    assert [w.left for w in store.past.window_history([account.id])[account.id, "primary"]] == [0.5, 0.489, 0.47]


def test_history_that_could_not_be_written_is_written_later(store: Store, issuer: Issuer, tmp_path: Path) -> None:
    account = sign_in(store, issuer, "alice")
    writer = Writer(store)
    writer.start()
    other = sqlite3.connect(tmp_path / "pool.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writer.put((account.id, QuotaWindow("primary", 0.5, NOW, "header")))
    assert not writer.flush(0.5)
    other.execute("ROLLBACK")
    other.close()
    writer.put(attempt(account.id, 1))
    assert writer.flush(20)
    writer.close()
    assert [w.left for w in store.past.window_history([account.id])[account.id, "primary"]] == [0.5]


def test_a_choice_that_cannot_be_explained_does_not_keep_the_rest_from_being_written(
    store: Store, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    account = sign_in(store, issuer, "alice")
    state = PoolState()
    state.put(account, NOW)
    demand = Demand(ProviderName.CODEX)
    seen = glimpse(state, demand, NOW, set(), select(state, demand, NOW), ("flow", 1, "responses", None, None))
    writer = Writer(store)
    writer.start()
    writer.put(seen._replace(in_flight=()))
    writer.put(attempt(account.id, 1))
    assert writer.flush(20)
    writer.close()
    assert len(store.past.attempts(limit=9)) == 1
    assert "action=choices-lost" in caplog.text


def test_a_row_that_the_database_will_never_take_is_left_out_and_told(
    either: Store, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    account = sign_in(either, issuer, "alice")
    either.hurry()
    writer = Writer(either)
    writer.start()
    long = "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=6000))  # no key of PostgreSQL's
    writer.put(attempt(account.id, 1))
    writer.put(replace(attempt(account.id, 2), outcome=None))
    writer.put(replace(attempt(account.id, 3), repository=long))
    writer.put(attempt(account.id, 4))
    assert writer.flush(20)
    writer.close()
    kept = [a.number for a in either.past.attempts(limit=9)]
    assert kept == ([4, 1] if "postgres" in either.url else [4, 3, 1])
    assert caplog.text.count("action=record-lost kind=Attempt") == 4 - len(kept)
    assert either.trouble is None
    either.disable(account.id, "for a test", NOW)
