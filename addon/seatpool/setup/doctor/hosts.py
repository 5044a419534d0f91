"""What proxies have noticed of hosts and of programs."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from seatpool.setup import strangers, trust
from seatpool.setup.doctor.authority import TRUST, pairs_of
from seatpool.setup.doctor.finding import Finding, theirs, warning, well
from seatpool.setup.doctor.situation import Situation
from seatpool.setup.trust import Root

SHOWN = 3
REMEMBERED = timedelta(days=30)
"""What was not seen for so long is not worth a word."""
ALL = theirs("seatpool status --strays")


def unknown(situation: Situation) -> Iterator[Finding]:
    """Hosts that look like a provider's, and that this version does not serve."""
    yield from _counted(
        situation,
        "hosts",
        strangers.default_file(),
        situation.is_stranger,
        "looks like a provider's and is not known: {} connection{} passed untouched",
        "no host of a provider has been seen that seatpool does not know",
    )


def unknown_paths(situation: Situation) -> Iterator[Finding]:
    """The same of kinds of requests on the pooled hosts."""
    yield from _counted(
        situation,
        "paths",
        strangers.paths_file(),
        lambda _: True,
        "is not known: {} request{} went with the editor's own login",
        "no request has been seen that seatpool does not know what it is for",
    )


def _counted(
    situation: Situation, kind: str, file: Path, still: Callable[[str], bool], words: str, none: str
) -> Iterator[Finding]:
    """What is in the file, and what the proxy that runs has not written into it yet."""
    found = {row.host: (row.last, row.connections) for row in strangers.read(file)}
    for name, count in ((situation.running or {}).get("unwritten", {}).get(kind, {})).items():
        found[name] = (situation.now, count + found.get(name, (situation.now, 0))[1])
    rows = sorted(((last, name, count) for name, (last, count) in found.items() if still(name)), reverse=True)
    rows = [row for row in rows if situation.now - row[0] <= REMEMBERED]
    if not rows:
        yield well(none)
    for last, name, count in rows[:SHOWN]:
        said = words.format(count, "" if count == 1 else "s")
        day = f"the last on {last.astimezone(UTC):%Y-%m-%d}"
        yield warning(f"{name} {said}, {day}; a newer seatpool may serve it", ALL)
    if len(rows) > SHOWN:
        yield warning(f"there are {len(rows) - SHOWN} more such", ALL)


def distrust(situation: Situation) -> Iterator[Finding]:
    """Programs that have come through the proxy that runs, and turned round at its certificate."""
    told = situation.running
    if told is None:
        return
    for row in told["distrusted"]:
        at = datetime.fromisoformat(row["last"]).astimezone(UTC)
        times = "once" if row["times"] == 1 else f"{row['times']} times"
        text = f"a program refused the proxy's certificate for {row['host']}, {times}, last at {at:%H:%M} UTC"
        if row["trusted_since"]:
            yield well(f"{text}; since then it was taken ({row['trusted_since']})")
        else:
            mend = theirs("seatpool setup") if _stores_trust(situation) else TRUST
            yield warning(f"{text}: it does not trust the authority", mend)
    if not told["distrusted"]:
        yield well("no program has refused the proxy's certificates since it was started")


def _stores_trust(situation: Situation) -> bool:
    """Whether every store has the root, so that it is a program which wants a file."""
    current = pairs_of(situation.authority)[:1]
    roots = [Root(*each) for each in situation.authority.roots()] if current else []
    roots = [root for root in roots if root.tag == current[0].tag]
    found = [store for store in trust.stores(situation.machine) if not store.lacking]
    return bool(found and roots) and all(store.trusts(root) for store in found for root in roots)
