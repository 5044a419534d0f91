"""What is looked at in the database of a simulated world: whenever something was written, and of those that ended."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from tests.proof.loop import Loop
from tests.proof.proxy import Proxy
from tests.proof.trial import Trial
from tests.proof.upstream import Answer
from tests.proof.world import moment

COUNTED = (
    "select account_id, sum(requests), sum(failed), coalesce(sum(input_tokens), 0) from usage_days group by account_id"
)
_MET = "outcome in ('ok', 'left', 'cut')"
_HANDSHAKE = int(HTTPStatus.SWITCHING_PROTOCOLS)
ROWS = (
    f"select account_id, sum({_MET} and coalesce(reason, '') <> 'warm-up'), sum(not {_MET}),"  # ours
    f" coalesce(sum(input_tokens), 0) from attempts where coalesce(status, 0) <> {_HANDSHAKE} group by account_id"
)
"""By account: requests that came to an answer, others, tokens; as the days' sums have them, and as the rows do."""
HELD = "select counts from under_way where owner = ?"
RIGHTS = "select key from leases where owner = ? and key like 'renew:%' and over_s > ?"
SENT = "select account_id, count(*), coalesce(sum(input_tokens), 0) from attempts group by account_id"
"""By account: requests, tokens."""


class Database:
    """The judge reads it by itself, with none of the product's code."""

    def __init__(self, path: str, trial: Trial, loop: Loop, skew_s: float) -> None:
        self._path = path
        self._trial = trial
        self._loop = loop
        self._skew_s = skew_s
        self._cooling: dict[tuple[Any, ...], tuple[str, int, int]] = {}

    def written(self, db: sqlite3.Connection) -> None:
        """Look at limits, at the end of a transaction that has written something: none may have been shortened."""
        rows = db.execute("select account_id, scope, value, until, lifted, revision from cooldowns")
        seen = {row[:3]: row[3:] for row in rows}
        now = str(moment() + timedelta(seconds=2 * self._skew_s + 1))
        for key, (until, lifted, revision) in seen.items():
            before = self._cooling.get(key)
            if before is None or lifted > before[1]:
                continue  # it was ended on purpose; what is there now is another one
            runs = before[1] < before[2] and _comparable(before[0]) > _comparable(now)
            if runs and lifted < revision and _comparable(until) < _comparable(before[0]):
                self._trial.broken("cooldown", f"a stored one until {before[0]} was shortened to {until}")
        self._cooling = seen  # type: ignore[assignment]

    def left_by(self, proxy: Proxy, *, steady: bool) -> None:
        """Look at what is left of one that has ended; `steady`: nothing of the database failed while it lived."""
        owner, known = proxy.service._refresher._owner, proxy.service.knowledge.state.cooldowns
        with closing(sqlite3.connect(self._path)) as db:
            told = db.execute(HELD, (owner,)).fetchone()
            rights = db.execute(RIGHTS, (owner, self._loop.up())).fetchall()
            rows = db.execute("select account_id, scope, value, until from cooldowns")
            kept = {(account, scope, value): until for account, scope, value, until in rows}
        if told is not None and told[0] != "{}":
            self._trial.broken("slots", f"{proxy.owner} has ended, and holds {told[0]} for the others")
        if rights and steady:  # else giving back may have failed, and it ends by itself
            self._trial.broken("answered", f"{proxy.owner} has ended, and nobody else may {rights[0][0]}")
        for account_id, cooldowns in known.items():
            for scope, cooldown in cooldowns.items():
                until = kept.get((account_id, str(scope.kind), scope.value))
                if cooldown.until > moment() and (
                    until is None or _comparable(until) < cooldown.until.replace(tzinfo=None)
                ):
                    self._trial.broken("on-record", f"{proxy.owner} has ended, and {cooldown} is kept as {until}")

    def sums(self) -> None:
        """Compare the days' sums with the rows that they are of."""
        counted, rows = ({row[0]: row[1:] for row in self._all(query) if any(row[1:])} for query in (COUNTED, ROWS))
        if counted != rows:
            self._trial.broken("on-record", f"days sum up to {counted} of what makes {rows}")

    def holds(self, sent: Mapping[int, int], ids: Mapping[str, int]) -> None:
        """Look for a row of every request that was sent, by account."""
        kept = {account_id: count for account_id, count, _ in self._all(SENT)}
        for name, account_id in ids.items():
            if kept.get(account_id, 0) < sent[account_id]:
                why = f"{sent[account_id]} requests were sent as {name}, {kept.get(account_id, 0)} kept"
                self._trial.broken("on-record", why)

    def spent(self, answers: Iterable[Answer], ids: Mapping[str, int]) -> None:
        """Compare tokens: at least those of the answers that an editor has got, at most those that were told."""
        least, most = Counter[str](), Counter[str]()
        for answer in answers:
            if answer.seat is not None and answer.tokens:
                most[answer.seat] += answer.tokens
                least[answer.seat] += answer.tokens if answer.arrived else 0
        kept = {account_id: tokens for account_id, _, tokens in self._all(SENT)}
        for name, account_id in ids.items():
            if not least[name] <= kept.get(account_id, 0) <= most[name]:
                why = f"{kept.get(account_id, 0)} tokens of {name} are kept of {least[name]} to {most[name]}"
                self._trial.broken("on-record", why)

    def _all(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._path)) as db:
            return db.execute(query).fetchall()


def _comparable(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=None)
