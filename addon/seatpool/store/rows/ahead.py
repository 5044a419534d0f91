"""Rows of the future: written before the clock was set back. On an open transaction.

The latest word counts, so they would hide whatever is written until the clock has caught up.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection, update

from seatpool.store.schema import accounts, affinities, windows

DIFFER = timedelta(minutes=1)
"""By so much the clocks of those who write may differ."""
_WRITTEN_AT = (windows.c.observed_at, affinities.c.served_at, accounts.c.last_used_at)


def call_back(db: Connection, now: datetime) -> int:
    """Let what is of the future be of this moment; how many rows. Nobody needs to hear of it: see `Quotas.observe`."""
    since = now + DIFFER
    return sum(
        db.execute(update(column.table).where(column > since).values({column: now})).rowcount for column in _WRITTEN_AT
    )
