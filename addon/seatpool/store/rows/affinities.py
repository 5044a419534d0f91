"""Affinity rows, on an open transaction: which conversation is on which account."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select

from seatpool.core.model import Affinity
from seatpool.store.databases import revisions
from seatpool.store.databases.engine import Many, upsert
from seatpool.store.schema import affinities, as_text

MOST = 10_000
"""Told at once; the newest of them. A process remembers no more (`Policy.affinity_limit`)."""

_NEW = upsert(affinities)
_PUT = Many(
    _NEW.on_conflict_do_update(
        index_elements=[affinities.c.conversation],
        set_={column.name: _NEW.excluded[column.name] for column in affinities.c if not column.primary_key},
        where=affinities.c.served_at <= _NEW.excluded.served_at,
    ),
    [column.name for column in affinities.c],
)
_NEWEST = select(affinities).order_by(affinities.c.served_at.desc(), affinities.c.conversation).limit(MOST)
_CHANGED = _NEWEST.where(affinities.c.revision > bindparam("after"))


def save(db: Connection, held: Sequence[Affinity]) -> None:
    """The newest of each conversation stays. The accounts must exist."""
    if held:
        revision = revisions.take(db)
        _PUT.run(db, [(a.conversation, a.account_id, as_text(a.served_at), a.cached_tokens, revision) for a in held])


def changed(db: Connection, after: int) -> tuple[Affinity, ...]:
    """Those stamped after this revision, the oldest first; of more than `MOST` the newest."""
    return tuple(map(_affinity, reversed(db.execute(_CHANGED, {"after": after}).all())))


def since(db: Connection, moment: datetime) -> tuple[Affinity, ...]:
    """Those served at that moment or later, the oldest first; of more than `MOST` the newest."""
    return tuple(map(_affinity, reversed(db.execute(_NEWEST.where(affinities.c.served_at >= moment)).all())))


def prune(db: Connection, before: datetime) -> int:
    """Drop those served last before then; how many. Nobody needs to hear of it."""
    return db.execute(delete(affinities).where(affinities.c.served_at < before)).rowcount


def _affinity(row: Row[Any]) -> Affinity:
    return Affinity(row.conversation, row.account_id, row.served_at, row.cached_tokens)
