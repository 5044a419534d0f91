"""What a report of the pool is made of. On an open transaction."""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from seatpool.core.seen import Seen
from seatpool.store.rows import accounts, beats, choices, cooldowns, endings, locks, observations

SUBSTITUTED_WITHIN = timedelta(days=1)
"""For so long is said what was served with another model than was asked for, and what had to wait."""
UNKNOWN_WITHIN = timedelta(days=7)
"""For so long is said what upstream refused in a way that no table knows."""


def read(db: Connection, now: datetime, midnight: datetime) -> Seen:
    """Everything that is to be told of this moment."""
    return Seen(
        accounts=accounts.every(db),
        windows=observations.every_window(db),
        cooldowns=cooldowns.live(db, now),
        under_way=beats.every(db),
        today=endings.counts(db, midnight),
        substituted=choices.substituted(db, now - SUBSTITUTED_WITHIN),
        unknown=observations.unknown(db, now - UNKNOWN_WITHIN),
        locks=locks.every(db),
        waited=choices.held(db, now - SUBSTITUTED_WITHIN),
    )
