"""The report of the pool as it is stored: what `seatpool status` shows, mitmproxy's commands, and whoever else."""

from datetime import datetime

from seatpool.clock import here
from seatpool.core.report import Report, report
from seatpool.store import Store


def read(store: Store, now: datetime) -> Report:
    """Blocking; some milliseconds; for whoever has the store open. The day is that of this machine's time zone."""
    midnight = here(now.astimezone().date()).astimezone(now.tzinfo)
    return report(store.seen(now, midnight), now, midnight, store.team.person)
