"""How windows were used up: what `usage.worth_keeping` has let through. On an open transaction."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, select

from seatpool.core.model import QuotaWindow
from seatpool.store.databases.engine import Many, upsert
from seatpool.store.schema import as_text, window_history

_ADD = Many(upsert(window_history).on_conflict_do_nothing(), [column.name for column in window_history.c])
_BY_TIME = select(window_history).order_by(*window_history.primary_key.columns)


def record(db: Connection, seen: Sequence[tuple[int, QuotaWindow]]) -> None:
    """Add to the record. The accounts must exist."""
    if seen:
        _ADD.run(db, [_row(account_id, window) for account_id, window in seen])


def of_accounts(db: Connection, ids: Collection[int]) -> dict[tuple[int, str], list[QuotaWindow]]:
    """What is kept of each window, by account id and bucket, the oldest first."""
    found: dict[tuple[int, str], list[QuotaWindow]] = {}
    for account_id in sorted(ids):
        for row in db.execute(_BY_TIME.where(window_history.c.account_id == account_id)):
            window = QuotaWindow(
                row.bucket, row.left, row.observed_at, "history", length_s=row.length_s, resets_at=row.resets_at
            )
            found.setdefault((account_id, row.bucket), []).append(window)
    return found


def prune(db: Connection, before: datetime) -> int:
    """Drop what was seen before; how many."""
    return db.execute(delete(window_history).where(window_history.c.observed_at < before)).rowcount


def _row(account_id: int, w: QuotaWindow) -> tuple[object, ...]:
    """In the order of the table's columns."""
    return account_id, w.bucket, as_text(w.observed_at), w.left, w.length_s, as_text(w.resets_at)
