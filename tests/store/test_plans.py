"""What is done for every batch and for every look costs the same with ten accounts and ten thousand."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from seatpool.core.ended import Ended
from seatpool.core.model import Account, Affinity, Carried, Cooling, CredentialKind, UnderWay
from seatpool.store import Store
from tests.store.made import NOW, at, attempt, cooldown, oauth, sign_in, window
from tests.store.rows.test_choices import choice

SCAN = re.compile(r"SCAN (?!feed|master_key|under_way|json_each|used|made|(\d+ )?CONSTANT ROW)\w+")
"""Of tables that have a row, or one for each process, and of what a statement brings along."""


def work(store: Store, account: Account) -> None:
    """Everything that comes in batches, and what is asked beside them."""
    store.record(
        attempts=[attempt(account, 1)],
        windows=[(account.id, window(1, 0.5))],
        used={account.id: at(1)},
        choices=[choice(account_id=account.id)],
        history=[(account.id, window(1, 0.5))],
        coolings=[Cooling(ends=cooldown(account, 60))],
        affinities=[Affinity("talk", account.id, at(1))],
        carriers=[Carried(account.id, (1,), NOW)],
        under_way=UnderWay("a", NOW, {account.id: 1}),
        ended=[Ended("flow-1", 1, 1, account.id, NOW, 10.0, 20.0, NOW)],
    )
    store.cool(cooldown(account, 1))
    store.news(store.revision())
    stored = store.credentials(account.id)[CredentialKind.CODEX_OAUTH]
    store.save_credential(account.id, oauth(2), now=NOW, expected=stored.generation)
    store.acquire("renewal", "a", at(60) - NOW)
    store.release("renewal", "a")
    store.disable(account.id, "revoked", NOW)


@contextmanager
def executed() -> Iterator[dict[str, Any]]:
    """Statements with the parameters that they were given first."""
    seen: dict[str, Any] = {}

    def note(_db: Any, _cursor: Any, sql: str, given: Any, _context: Any, many: bool) -> None:
        seen.setdefault(sql, given[0] if many else given)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_no_statement_of_a_batch_looks_at_every_row(store: Store, path: Path) -> None:
    account = sign_in(store, credentials=[oauth()])
    with executed() as seen:
        work(store, account)
    explained = {sql: given for sql, given in seen.items() if re.match("SELECT|INSERT|UPDATE|DELETE", sql)}
    assert len(explained) > 20
    with closing(sqlite3.connect(path)) as db:
        plans = {sql: db.execute(f"EXPLAIN QUERY PLAN {sql}", given).fetchall() for sql, given in explained.items()}
    assert {sql: plan for sql, plan in plans.items() if any(SCAN.match(step[3]) for step in plan)} == {}
