"""What was seen: quota windows and attempts. On an open transaction."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select

from seatpool.core.model import Attempt, QuotaWindow, Tokens
from seatpool.core.outcome import UNKNOWN
from seatpool.core.seen import Unknown
from seatpool.store.databases import revisions
from seatpool.store.databases.engine import Many, upsert
from seatpool.store.rows import ledger
from seatpool.store.schema import as_text, attempts, windows

_KEY = (windows.c.account_id, windows.c.bucket)
_SEEN = upsert(windows)
_PUT = Many(
    _SEEN.on_conflict_do_update(
        index_elements=list(_KEY),
        set_={column.name: _SEEN.excluded[column.name] for column in windows.c if column not in set(_KEY)},
        where=windows.c.observed_at <= _SEEN.excluded.observed_at,
    ),
    [column.name for column in windows.c],
)
_ADD = Many(insert(attempts), [column.name for column in attempts.c if column.name != "id"])
_CHANGED = select(windows).where(windows.c.revision > bindparam("after")).order_by(*_KEY)
_UNTOLD = Tokens(None, None, None)
_NEWEST_FIRST = select(attempts).order_by(attempts.c.started_at.desc(), attempts.c.id.desc())


def record_windows(db: Connection, seen: Sequence[tuple[int, QuotaWindow]]) -> None:
    """The newest observation of each window stays. The accounts must exist."""
    if not seen:
        return
    revision = revisions.take(db)
    _PUT.run(db, [_window_row(account_id, window, revision) for account_id, window in seen])


def changed_windows(db: Connection, after: int) -> tuple[tuple[int, QuotaWindow], ...]:
    """Those stamped after this revision, with their accounts' ids; those that are gone among them."""
    rows = db.execute(_CHANGED, {"after": after})
    return tuple((row.account_id, _window(row)) for row in rows)


def windows_of(db: Connection, account_id: int) -> tuple[QuotaWindow, ...]:
    """Those of one account that there are."""
    rows = db.execute(select(windows).where(windows.c.account_id == account_id).order_by(*_KEY))
    return tuple(window for window in map(_window, rows) if not window.gone)


def record_attempts(db: Connection, made: Sequence[Attempt]) -> None:
    """Add to the record and to the days' sums; no revision, nobody follows it. The accounts must exist."""
    if made:
        _ADD.run(db, map(_attempt_row, made))
        ledger.add(db, made)


def newest_attempts(db: Connection, limit: int, account_id: int | None) -> tuple[Attempt, ...]:
    """By their start, the newest first; of one account, or of all."""
    wanted = _NEWEST_FIRST if account_id is None else _NEWEST_FIRST.where(attempts.c.account_id == account_id)
    return tuple(map(_attempt, db.execute(wanted.limit(limit))))


def attempts_of(db: Connection, flow_id: str) -> tuple[Attempt, ...]:
    """Those of one request, the first first."""
    return tuple(
        map(_attempt, db.execute(select(attempts).where(attempts.c.flow_id == flow_id).order_by(attempts.c.id)))
    )


def of_requests(db: Connection, flow_ids: Iterable[str], since: datetime, until: datetime) -> tuple[Attempt, ...]:
    """Those of several requests that were sent between two moments, in the order in which they were recorded."""
    wanted = attempts.c.started_at.between(since, until) & attempts.c.flow_id.in_(sorted(flow_ids))
    return tuple(map(_attempt, db.execute(select(attempts).where(wanted).order_by(attempts.c.id))))


def every_window(db: Connection) -> tuple[tuple[int, QuotaWindow], ...]:
    """As they were seen last, with their accounts' ids."""
    return tuple(seen for seen in changed_windows(db, -1) if not seen[1].gone)


def unknown(db: Connection, since: datetime) -> tuple[Unknown, ...]:
    """Refusals since then that no table knows, the most frequent kinds of them."""
    kind = (attempts.c.account_id, attempts.c.status, attempts.c.outcome)
    rows = db.execute(
        select(*kind, func.count().label("requests"), func.max(attempts.c.started_at).label("last_at"))
        .where(attempts.c.started_at >= since, attempts.c.outcome.startswith(UNKNOWN, autoescape=True))
        .group_by(*kind)
        .order_by(func.count().desc())
        .limit(100)
    )
    return tuple(Unknown(r.account_id, r.status, r.outcome.removeprefix(UNKNOWN), r.requests, r.last_at) for r in rows)


def prune(db: Connection, before: datetime) -> int:
    """Drop attempts that started before; how many."""
    return db.execute(delete(attempts).where(attempts.c.started_at < before)).rowcount


def _window_row(account_id: int, w: QuotaWindow, revision: int) -> tuple[object, ...]:
    """In the order of the table's columns."""
    observed_at, resets_at = as_text(w.observed_at), as_text(w.resets_at)
    return account_id, w.bucket, w.left, observed_at, w.source, w.unlimited, w.length_s, resets_at, revision


def _attempt_row(a: Attempt) -> tuple[object, ...]:
    """In the order of the table's columns."""
    started_at, told = as_text(a.started_at), a.tokens
    return (
        a.flow_id,
        a.number,
        a.account_id,
        a.route,
        a.model,
        a.outcome,
        a.status,
        started_at,
        a.first_byte_ms,
        a.reason,
        a.chosen_in,
        a.total_ms,
        *(told or _UNTOLD),
        a.client,
        a.repository,
    )


def _window(row: Row[Any]) -> QuotaWindow:
    return QuotaWindow(
        bucket=row.bucket,
        left=row.left,
        observed_at=row.observed_at,
        source=row.source,
        unlimited=row.unlimited,
        length_s=row.length_s,
        resets_at=row.resets_at,
    )


def _attempt(row: Row[Any]) -> Attempt:
    told = Tokens(*(getattr(row, name) for name in ledger.COUNTS))
    return Attempt(
        flow_id=row.flow_id,
        number=row.number,
        account_id=row.account_id,
        route=row.route,
        model=row.model,
        outcome=row.outcome,
        status=row.status,
        started_at=row.started_at,
        first_byte_ms=row.first_byte_ms,
        reason=row.reason,
        chosen_in=row.chosen_in,
        total_ms=row.total_ms,
        tokens=told if told != _UNTOLD else None,
        client=row.client,
        repository=row.repository,
    )
