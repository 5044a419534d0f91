"""What proxies have noticed of hosts and of programs."""

from collections.abc import Iterator
from datetime import UTC, datetime

from seatpool.setup import strangers
from seatpool.setup.doctor.finding import Finding, ours, warning, well
from seatpool.setup.doctor.situation import Situation

SHOWN = 3


def unknown(situation: Situation) -> Iterator[Finding]:
    """Hosts that look like a provider's, and that this version does not serve."""
    rows = strangers.read(situation.strangers or strangers.default_file())
    if not rows:
        yield well("no host of a provider has been seen that seatpool does not know")
    for row in rows[:SHOWN]:
        text = f"{row.host} looks like a provider's and is not known: {row.connections} connections passed untouched"
        yield warning(f"{text}, the last on {row.last.astimezone(UTC):%Y-%m-%d}; a newer seatpool may serve it")
    if len(rows) > SHOWN:
        yield warning(f"{len(rows) - SHOWN} more such hosts are in {situation.strangers or strangers.default_file()}")


def distrust(situation: Situation) -> Iterator[Finding]:
    """Programs that have come through the proxy that runs, and turned round at its certificate."""
    told = situation.running
    if told is None:
        return
    for row in told["distrusted"]:
        at = datetime.fromisoformat(row["last"]).astimezone(UTC)
        text = (
            f"a program refused the proxy's certificate for {row['host']}, {row['times']} times, last at {at:%H:%M} UTC"
        )
        yield warning(
            f"{text}: it does not trust the authority", ours("ca", "trust", "--yes", shown="seatpool ca trust")
        )
    if not told["distrusted"]:
        yield well("no program has refused the proxy's certificates since it was started")
