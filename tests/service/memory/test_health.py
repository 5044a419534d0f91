"""A database that is away: requests are served from memory, and nothing that was to be stored is lost."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from seatpool.core.model import Attempt, CredentialKind
from seatpool.core.outcome import Outcome, OutcomeKind
from seatpool.providers.http import Headers
from seatpool.service.memory.writer import Writer
from seatpool.service.pool import PoolService
from seatpool.service.trail import Answered, Assignment, Trail
from seatpool.store import Store, StoreUnavailable
from seatpool.store.databases.engine import BUSY_TIMEOUT_S
from tests.service.conftest import Issuer, sign_in
from tests.service.test_pool import GOT_429, begin, spent

FILES = ("pool.db", "pool.db-wal", "pool.db-shm")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


async def test_limits_found_while_the_database_is_locked_are_stored_afterwards(
    store: Store, issuer: Issuer, service: PoolService, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for person in ("alice", "bob", "carol"):
        sign_in(store, issuer, person)
    service.load()
    service.follower.start()
    revoked = Outcome(OutcomeKind.REVOKED, "deactivated_workspace")
    with locked(tmp_path / "pool.db"):
        trail, first = await begin(service)
        second = await service.recover(trail, spent(), GOT_429)
        assert second is not None, "the next account serves"
        begun = time.monotonic()
        third = await service.recover(trail, spent(), GOT_429)
        assert third is not None
        assert await service.recover(trail, revoked, Answered(402, 3.0)) is None
        assert time.monotonic() - begun < BUSY_TIMEOUT_S, "what is known to be away is not waited for again"
        assert store.cooldowns(datetime.now(UTC)) == ()
        for _ in range(400):
            if "action=database-away" in caplog.text:
                break
            await asyncio.sleep(0.05)
    for _ in range(400):
        if len(store.cooldowns(datetime.now(UTC))) == 2 and store.disabled(third.account.id):
            break
        await asyncio.sleep(0.05)
    assert {c.account_id for c in store.cooldowns(datetime.now(UTC))} == {first.account.id, second.account.id}
    assert store.disabled(third.account.id) == "deactivated_workspace"
    for _ in range(400):
        if "action=database-back" in caplog.text:
            break
        await asyncio.sleep(0.05)
    assert caplog.text.count("action=database-away") == caplog.text.count("action=database-back") == 1


async def test_a_token_that_is_refused_and_cannot_be_renewed_now_is_not_sent_again(
    store: Store, issuer: Issuer, service: PoolService, tmp_path: Path
) -> None:
    for person in ("alice", "bob"):
        sign_in(store, issuer, person)
    service.load()
    trail, first = await begin(service)
    with locked(tmp_path / "pool.db"):
        again = await service.recover(trail, Outcome(OutcomeKind.UNAUTHORIZED, "token_expired"), Answered(401, 3.0))
        assert again is not None and again.account.id != first.account.id
        for number in range(3):
            _, other = await begin(service, f"talk-{number}")
            assert other.account.id == again.account.id
    assert issuer.refreshes == 0
    for number in range(400):
        _, other = await begin(service, f"later-{number}")
        if other.account.id == first.account.id:
            break
        await asyncio.sleep(0.05)
    assert (other.account.id, issuer.refreshes) == (first.account.id, 1)
    assert other.credential.token != first.credential.token


async def test_a_rotated_token_serves_from_memory_and_is_stored_when_the_lock_has_gone(
    store: Store, issuer: Issuer, service: PoolService, tmp_path: Path
) -> None:
    """The database goes away between the lease and the answer of the issuer."""
    account = sign_in(store, issuer, "alice")
    service.load()
    trail, first = await begin(service)
    store.hurry()
    before = store.credentials(account.id)[CredentialKind.CODEX_OAUTH]
    lock = locked(tmp_path / "pool.db")

    send = issuer.send

    async def send_and_lock(request: object) -> object:
        answer = await send(request)  # type: ignore[arg-type]
        if issuer.refreshes == 1 and not entered:
            entered.append(lock.__enter__())
        return answer

    entered: list[None] = []
    issuer.send = send_and_lock  # type: ignore[assignment, method-assign] # the issuer is the test's own
    begun = time.monotonic()
    again = await service.recover(trail, Outcome(OutcomeKind.UNAUTHORIZED, "token_expired"), Answered(401, 3.0))
    assert again is not None
    assert time.monotonic() - begun < 6.0
    assert again.credential.token != first.credential.token
    assert store.credentials(account.id)[CredentialKind.CODEX_OAUTH].token == before.token
    lock.__exit__(None, None, None)
    for _ in range(400):
        stored = store.credentials(account.id)[CredentialKind.CODEX_OAUTH]
        if stored.token == again.credential.token:
            break
        await asyncio.sleep(0.05)
    assert stored.token == again.credential.token
    assert stored.generation == before.generation + 1


def test_rows_are_written_when_a_lock_has_gone_although_nothing_new_comes(
    store: Store, issuer: Issuer, tmp_path: Path
) -> None:
    account = sign_in(store, issuer, "alice")
    writer = Writer(store)
    writer.start()
    with locked(tmp_path / "pool.db"):
        writer.put(Attempt("flow", 1, account.id, "responses", None, "ok", 200, datetime.now(UTC), 1.0))
        assert not writer.flush(0.3)
        time.sleep(5.2)  # until the attempt at writing has failed
    deadline = time.monotonic() + 10
    while not store.past.attempts(limit=9):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    writer.close()


def test_a_row_that_no_database_takes_does_not_keep_the_others_back(
    store: Store, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    account = sign_in(store, issuer, "alice")
    writer = Writer(store)
    writer.start()
    for number in range(8):
        at = datetime.now(UTC) if number != 3 else datetime.now()  # noqa: DTZ005 # the mistake that is meant
        writer.put(Attempt("flow", number, account.id, "responses", None, "ok", 200, at, 1.0))
    assert writer.flush(10)
    writer.close()
    assert sorted(a.number for a in store.past.attempts(limit=9)) == [0, 1, 2, 4, 5, 6, 7]
    assert caplog.text.count("action=record-lost kind=Attempt") == 1


def test_a_moment_that_nobody_wrote_is_damage_and_not_a_crash(store: Store, issuer: Issuer, tmp_path: Path) -> None:
    sign_in(store, issuer, "alice")
    with sqlite3.connect(tmp_path / "pool.db") as other:
        other.execute("UPDATE accounts SET state_since = 'x', last_used_at = 'not a moment', provider = 'nobody'")
    other.close()
    with pytest.raises(StoreUnavailable, match="is damaged"):
        store.changes(None)


async def until(happened: Callable[[], object]) -> None:
    for _ in range(400):
        if happened():
            return
        await asyncio.sleep(0.05)
    assert happened()


async def serving(store: Store, issuer: Issuer, service: PoolService) -> tuple[Trail, Assignment]:
    """A pool of two that follows its database, and a request on one of them."""
    for person in ("alice", "bob"):
        sign_in(store, issuer, person)
    service.load()
    service.follower.start()
    return await begin(service)


async def test_limits_found_while_the_file_is_gone_are_stored_when_it_is_back(
    store: Store, issuer: Issuer, service: PoolService, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trail, first = await serving(store, issuer, service)
    (tmp_path / "away").mkdir()
    for name in FILES:
        (tmp_path / name).rename(tmp_path / "away" / name)
    second = await service.recover(trail, spent(), GOT_429)
    assert second is not None and second.account.id != first.account.id
    await until(lambda: "action=database-away" in caplog.text)
    assert not any((tmp_path / name).exists() for name in FILES)
    for name in reversed(FILES):
        (tmp_path / "away" / name).rename(tmp_path / name)
    await until(lambda: "action=database-back" in caplog.text)
    await until(lambda: store.cooldowns(datetime.now(UTC)))
    assert [held.account_id for held in store.cooldowns(datetime.now(UTC))] == [first.account.id]
    with closing(sqlite3.connect(tmp_path / "pool.db")) as db:
        assert db.execute("SELECT count(*) FROM cooldowns").fetchone() == (1,)


async def test_another_pool_in_the_place_of_ours_is_gone_on_with_and_nobody_is_taken_for_somebody_else(
    store: Store, issuer: Issuer, service: PoolService, tmp_path: Path
) -> None:
    ours = [sign_in(store, issuer, person) for person in ("alice", "bob")]
    service.load()
    service.follower.start()
    await begin(service)  # so a credential is at hand
    (tmp_path / "other").mkdir()
    with Store.open(str(tmp_path / "other" / "pool.db")) as other:
        theirs = sign_in(other, issuer, "carol")
    assert theirs.id == ours[0].id
    for name in FILES:
        (tmp_path / name).unlink()
    for name in ("pool.db.key", "pool.db"):
        (tmp_path / "other" / name).replace(tmp_path / name)
    await until(lambda: {held.name for held in service.knowledge.state.accounts.values()} == {"carol"})
    _, asked = await begin(service, "talk-2")
    assert asked.account.name == "carol"
    assert asked.credential.attributes["account_id"] == "ws-carol"


def overwrite(folder: Path) -> None:
    for name in FILES:  # without the last, caches could hide it for good
        with (folder / name).open("r+b") as file:
            file.write(b"\xa5" * max((folder / name).stat().st_size, 4096))


async def test_pages_that_are_overwritten_while_it_runs_cost_no_request(
    store: Store, issuer: Issuer, service: PoolService, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trail, _ = await serving(store, issuer, service)
    overwrite(tmp_path)
    with caplog.at_level(logging.CRITICAL, "seatpool.service.memory.writer"):
        following = await service.recover(trail, spent(), GOT_429)
        assert following is not None
        trail = service.open("flow-2", trail.facts, Headers())
        again = await service.assign(trail)
    assert getattr(again, "account", None) == following.account
    for _ in range(400):
        if service.follower.health.problem is not None:
            break
        await asyncio.sleep(0.05)
    assert service.follower.health.problem is not None
