"""The report of the pool as it is stored: what `seatpool status` shows, mitmproxy's commands, and whoever else."""

from datetime import datetime

from seatpool.core.report import Report, report
from seatpool.store import Store


def read(store: Store, now: datetime) -> Report:
    """Blocking; some milliseconds; for whoever has the store open. The day is that of this machine's time zone."""
    midnight = now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    return report(store.seen(now, midnight), now, midnight.astimezone(now.tzinfo), store.team.person)
