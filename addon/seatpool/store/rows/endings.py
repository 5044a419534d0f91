"""Requests that are over, in the order in which they ended. On an open transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, case, delete, func, insert, select

from seatpool.core.ended import Ended, Recorded
from seatpool.store.databases.engine import Many
from seatpool.store.rows import choices as choice_rows
from seatpool.store.rows import observations
from seatpool.store.schema import as_text, endings

_ADD = Many(insert(endings), [column.name for column in endings.c if column.name != "id"])
_LAST = select(func.coalesce(func.max(endings.c.id), 0))

SLACK = timedelta(seconds=2)
"""By which the moments of a request and of its attempts can differ, being taken in two ways."""


class Wanted(msgspec.Struct, frozen=True):
    """Which requests to tell of."""

    account_ids: frozenset[int] | None = None
    """Those that one of these was asked for last; None: any."""
    since: datetime | None = None
    """Those that began then or later."""


def record(db: Connection, over: Sequence[Ended]) -> None:
    """Add to the record. The accounts must exist."""
    if over:
        _ADD.run(db, map(_row, over))


def newest(db: Connection, wanted: Wanted, limit: int) -> tuple[int, tuple[Recorded, ...]]:
    """The newest of those, the oldest first; and from where to go on with `after`."""
    last: int = db.execute(_LAST).scalar_one()
    rows = db.execute(_wanted(wanted).where(endings.c.id <= last).order_by(endings.c.id.desc()).limit(limit)).all()
    return last, _recorded(db, rows[::-1])


def after(db: Connection, wanted: Wanted, place: int, limit: int) -> tuple[int, tuple[Recorded, ...]]:
    """Those that have ended after a place, the oldest first, and the next place; no number is ever given twice."""
    last: int = db.execute(_LAST).scalar_one()
    if last <= place:
        return place, ()
    rows = db.execute(_wanted(wanted).where(endings.c.id > place).order_by(endings.c.id).limit(limit)).all()
    return rows[-1].id if len(rows) == limit else last, _recorded(db, rows)


def counts(db: Connection, since: datetime) -> Mapping[int | None, int]:
    """How many began then or later, by account; None: those that were never sent."""
    sent = endings.c.number >= endings.c.first
    served = case((sent, endings.c.account_id), else_=None)
    rows = db.execute(select(served, func.count()).where(endings.c.began_at >= since).group_by(served))
    return {row[0]: row[1] for row in rows}


def prune(db: Connection, before: datetime) -> int:
    """Drop those that began before; how many."""
    return db.execute(delete(endings).where(endings.c.began_at < before)).rowcount


def _wanted(wanted: Wanted) -> Select[Any]:
    found = select(endings)
    if wanted.account_ids is not None:
        found = found.where(endings.c.account_id.in_(wanted.account_ids))
    return found if wanted.since is None else found.where(endings.c.began_at >= wanted.since)


def _recorded(db: Connection, rows: Sequence[Row[Any]]) -> tuple[Recorded, ...]:
    if not rows:
        return ()
    flows = {row.flow_id for row in rows}
    since = min(row.sent_at for row in rows) - SLACK
    until = max(row.began_at + timedelta(milliseconds=row.total_ms) for row in rows) + SLACK
    sent: dict[str, list[Any]] = {}
    for attempt in observations.of_requests(db, flows, since, until):
        sent.setdefault(attempt.flow_id, []).append(attempt)
    told_in = {a.chosen_in for made in sent.values() for a in made if a.chosen_in is not None}
    chosen: dict[str, list[Any]] = {}
    for choice in choice_rows.of_requests(db, flows | told_in):
        chosen.setdefault(choice.flow_id, []).append(choice)
    found = []
    for row in rows:
        mine = [a for a in sent.get(row.flow_id, ()) if row.first <= a.number <= row.number]
        earlier = {a.chosen_in: a.account_id for a in mine if a.chosen_in is not None}
        stayed = [c for i, who in earlier.items() for c in chosen.get(i or "", ()) if c.account_id == who][-1:]
        found.append(Recorded(_ended(row), (*stayed, *chosen.get(row.flow_id, ())), tuple(mine)))
    return tuple(found)


def _row(e: Ended) -> tuple[object, ...]:
    """In the order of the table's columns."""
    moments = as_text(e.began_at), as_text(e.sent_at)
    return e.flow_id, e.first, e.number, e.account_id, *moments, e.first_byte_ms, e.total_ms


def _ended(row: Row[Any]) -> Ended:
    took = row.first_byte_ms, row.total_ms
    return Ended(row.flow_id, row.first, row.number, row.account_id, row.began_at, *took, row.sent_at)
