"""What proxies have noticed of hosts and of programs."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from seatpool.setup import strangers
from seatpool.setup.doctor.finding import Finding, ours, warning, well
from seatpool.setup.doctor.situation import Situation

SHOWN = 3


def unknown(_situation: Situation) -> Iterator[Finding]:
    """Hosts that look like a provider's, and that this version does not serve."""
    yield from _counted(
        strangers.default_file(),
        "looks like a provider's and is not known: {} connections passed untouched",
        "no host of a provider has been seen that seatpool does not know",
    )


def unknown_paths(_situation: Situation) -> Iterator[Finding]:
    """The same of kinds of requests on the pooled hosts."""
    yield from _counted(
        strangers.paths_file(),
        "is not known: {} requests went with the editor's own login",
        "no request has been seen that seatpool does not know what it is for",
    )


def _counted(file: Path, words: str, none: str) -> Iterator[Finding]:
    rows = strangers.read(file)
    if not rows:
        yield well(none)
    for row in rows[:SHOWN]:
        last = f"the last on {row.last.astimezone(UTC):%Y-%m-%d}"
        yield warning(f"{row.host} {words.format(row.connections)}, {last}; a newer seatpool may serve it")
    if len(rows) > SHOWN:
        yield warning(f"{len(rows) - SHOWN} more such are in {file}")


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
