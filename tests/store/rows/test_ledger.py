"""The days' sums: one with the attempts, whoever writes them, and there when those are gone."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from msgspec.structs import replace

from seatpool.core.ledger import Counts
from seatpool.core.model import Attempt, Tokens
from seatpool.store import Store, StoreError
from seatpool.store.databases import engine as engines
from tests.store.made import at, attempt, sign_in
from tests.store.test_opening import made_by_schema

LONG_AGO = date(2000, 1, 1)


def used(store: Store) -> dict[tuple[str | None, ...], Counts]:
    """By day, account, model, repository and client."""
    return {(u.day, u.account, u.model, u.repository, u.client): u.counts for u in store.past.usage(LONG_AGO)}


OUTCOMES = {
    "ok": Counts(1, 0, 0, 1, Tokens(9, 8, 7, 6, 5, 4)),
    "left": Counts(1, 1, 0, 1, Tokens(9, 8, 7, 6, 5, 4)),
    "cut": Counts(1, 1, 0, 1, Tokens(9, 8, 7, 6, 5, 4)),
    "usage_limit_reached": Counts(0, 0, 1, 0, Tokens(9, 8, 7, 6, 5, 4)),
}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_how_an_attempt_ended_says_what_it_is_counted_as(store: Store, outcome: str) -> None:
    made = replace(attempt(sign_in(store), 0), outcome=outcome, tokens=Tokens(9, 8, 7, 6, 5, 4))
    store.record(attempts=[made])
    assert list(used(store).values()) == [OUTCOMES[outcome]]
    assert store.past.attempts(limit=9) == (made,)


def test_a_handshake_is_no_request(store: Store) -> None:
    store.record(attempts=[replace(attempt(sign_in(store), 0), status=101)])
    assert used(store) == {}


def test_what_was_never_told_stays_unknown_and_is_not_taken_for_nothing(store: Store) -> None:
    account = sign_in(store)
    one = attempt(account, 0)
    store.record(attempts=[one, replace(one, tokens=Tokens(None, None, 3))])
    (counts,) = used(store).values()
    assert counts == Counts(2, 0, 0, 1, Tokens(None, None, 3))
    store.record(attempts=[one])
    store.record(attempts=[replace(one, tokens=Tokens(5, 0, None, 0))])
    (counts,) = used(store).values()
    assert counts == Counts(4, 0, 0, 2, Tokens(5, 0, 3, 0))


def test_days_are_those_of_utc_and_each_client_and_repository_has_its_own(store: Store) -> None:
    account = sign_in(store)
    east = datetime(2026, 3, 29, 1, 30, tzinfo=timezone(timedelta(hours=9)))
    made = [
        replace(attempt(account, 0), started_at=east),
        replace(attempt(account, 0), started_at=east, client="vscode"),
        replace(attempt(account, 0), started_at=east, client="vscode", repository="h/o/n"),
        replace(attempt(account, 0), started_at=datetime(2026, 3, 29, 0, 0, tzinfo=UTC), model=None),
    ]
    store.record(attempts=made)
    assert [key for key, counts in used(store).items() if counts.requests == 1] == [
        ("2026-03-28", "work", "gpt", None, None),
        ("2026-03-28", "work", "gpt", None, "vscode"),
        ("2026-03-28", "work", "gpt", "h/o/n", "vscode"),
        ("2026-03-29", "work", None, None, None),
    ]
    assert [u.day for u in store.past.usage(date(2026, 3, 29))] == ["2026-03-29"]


def test_sums_stay_when_attempts_and_accounts_are_gone(store: Store) -> None:
    account = sign_in(store)
    store.record(attempts=[attempt(account, 0), attempt(account, 99)])
    before = used(store)
    assert store.prune(before=at(100), attempts=at(50)) == 1
    assert store.past.attempts(limit=9) == (attempt(account, 99),)
    store.remove("work")
    assert used(store) == before
    store.record(attempts=[attempt(account, 101)])
    assert used(store) == before, "nothing is written for who is gone"


def test_a_batch_that_fails_counts_nothing(store: Store) -> None:
    account = sign_in(store)
    bad = replace(attempt(account, 1), first_byte_ms=object())  # type: ignore[arg-type]
    with pytest.raises(StoreError, match=r"type 'object'|such a value"):
        store.record(attempts=[attempt(account, 0), bad])
    assert used(store) == {} and store.past.attempts(limit=9) == ()


def test_several_processes_add_to_the_same_day(store: Store, other: Store) -> None:
    account = sign_in(store)
    made = [replace(attempt(account, 0), tokens=Tokens(1, None, 2))] * 50

    def write(into: Store) -> None:
        for _ in range(4):
            into.record(attempts=made)

    with ThreadPoolExecutor() as threads:
        list(threads.map(write, (store, other)))
    assert list(used(store).values()) == [Counts(400, 0, 0, 400, Tokens(400, None, 800))]


def test_what_was_recorded_before_there_were_sums_is_summed_up(path: Path) -> None:
    made_by_schema(path, "0011")
    engine = engines.open_engine(engines.resolve(str(path)))
    with engines.writing(engine).begin() as db:
        db.exec_driver_sql(
            "INSERT INTO accounts (id, provider, name, identity, issuer, priority, paused, state_since, revision)"
            " VALUES (7, 'codex', 'work', 'i', 'chatgpt.com', 100, 0, '2026-03-29 00:00:00.000000', 1)"
        )
        for outcome, status, tokens in (("ok", 200, 9), ("cut", 200, None), ("no", 429, None), ("ok", 101, None)):
            db.exec_driver_sql(
                "INSERT INTO attempts (flow_id, number, account_id, route, model, outcome, status, started_at,"
                " input_tokens) VALUES ('f', 1, 7, 'responses', 'gpt', ?, ?, '2026-03-29 23:59:59.000000', ?)",
                (outcome, status, tokens),
            )
    engine.dispose()
    with Store.open(str(path)) as store:
        assert used(store) == {
            ("2026-03-29", "work", "gpt", None, None): Counts(2, 1, 1, 1, Tokens(9, None, None)),
        }
        old: Attempt = store.past.attempts(limit=1)[0]
        assert (old.client, old.repository) == (None, None)
