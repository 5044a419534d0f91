"""The days' sums of what was used, on an open transaction. They stay when requests and accounts are forgotten."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, select

from seatpool.core.ledger import NO_TOKENS, Counts, Used
from seatpool.core.model import Attempt, ProviderName, Tokens
from seatpool.core.reasons import HANDSHAKE, WARM_UP
from seatpool.store.databases.engine import Many
from seatpool.store.schema import accounts, usage_days

COUNTS = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "written_tokens", "nano_credits")
"""The columns of `Tokens`, in its order."""
SERVED, ABORTED = "ok", ("left", "cut")

NOTHING = Counts()

_PLACE = ("day", "model", "repository", "client")
"""With the account's id, what there is one row for."""
_REQUESTS = ("requests", "aborted", "failed", "told")

Key = tuple[str, str, str, str, int]
"""`_PLACE`, and the account's id."""


def _add() -> Many:
    """No SQLAlchemy: it knows no such INSERT ... SELECT."""
    given = (*_PLACE, *_REQUESTS, *COUNTS)
    more = [f"{name} = usage_days.{name} + excluded.{name}" for name in _REQUESTS]
    more += [
        f"{name} = CASE WHEN excluded.{name} IS NULL THEN usage_days.{name}"
        f" ELSE coalesce(usage_days.{name}, 0) + excluded.{name} END"
        for name in COUNTS
    ]
    into = f"INSERT INTO usage_days ({', '.join(given)}, account_id, account, provider)"
    or_else = (
        f" ON CONFLICT ({', '.join(_PLACE)}, account_id) DO UPDATE SET account = excluded.account, {', '.join(more)}"
    )
    of_made = ", ".join(f"made.column{place}" for place in range(1, len(given) + 1))
    one = ", ".join("?" * len(given))
    return Many(
        f"{into} SELECT {of_made}, id, name, provider FROM (VALUES ({one}, ?)) AS made"  # noqa: S608 # names of ours
        f" JOIN accounts ON accounts.id = made.column{len(given) + 1} WHERE true{or_else}",
        [*given, "account_id"],
        elsewhere=f"{into} SELECT {one}, id, name, provider FROM accounts WHERE id = ?{or_else}",  # noqa: S608 # likewise
    )


_ADD = _add()
_SINCE = (
    select(usage_days, accounts.c.name)
    .select_from(usage_days.outerjoin(accounts, accounts.c.id == usage_days.c.account_id))
    .order_by(usage_days.c.day)
)


def add(db: Connection, made: Sequence[Attempt]) -> None:
    """Count these in. Of an account that is gone nothing is."""
    sums: dict[Key, Counts] = {}
    for attempt in made:
        counts = _counts(attempt)
        if counts != NOTHING:
            key = _key(attempt)
            sums[key] = sums[key] + counts if key in sums else counts
    _ADD.run(db, _rows(sums.items()))


def since(db: Connection, first: date) -> tuple[Used, ...]:
    """What was used on that day and later, day by day."""
    return tuple(map(_used, db.execute(_SINCE.where(usage_days.c.day >= first.isoformat()))))


def _key(a: Attempt) -> Key:
    # That of whoever has sent it, by this machine's clock: at five in the afternoon in California UTC is a day ahead.
    day = a.started_at.astimezone().date().isoformat()
    return day, a.model or "", a.repository or "", a.client or "", a.account_id


def _counts(a: Attempt) -> Counts:
    if a.status == HANDSHAKE:
        return NOTHING
    aborted, tokens = a.outcome in ABORTED, a.tokens or NO_TOKENS
    if not aborted and a.outcome != SERVED:
        return Counts(failed=1, tokens=tokens)
    if a.reason == WARM_UP:
        return Counts(tokens=tokens)
    return Counts(1, int(aborted), told=int(tokens != NO_TOKENS), tokens=tokens)


def _rows(sums: Iterable[tuple[Key, Counts]]) -> list[tuple[object, ...]]:
    """In the order of the statement's parameters."""
    return [(*key[:-1], c.requests, c.aborted, c.failed, c.told, *c.tokens, key[-1]) for key, c in sums]


def _used(row: Row[Any]) -> Used:
    return Used(
        row.day,
        row.account_id,
        row.name or row.account,
        ProviderName(row.provider),
        row.model or None,
        row.repository or None,
        row.client or None,
        Counts(row.requests, row.aborted, row.failed, row.told, Tokens(*(getattr(row, name) for name in COUNTS))),
    )
