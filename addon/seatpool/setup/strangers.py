"""What seatpool does not know, counted in files in this person's data directory.

Hosts that look like a provider's; and on its hosts, kinds of requests, as `GET chatgpt.com/backend-api/new/*`. Proxies
add what they have seen; `read` is for whoever tells the person. Two that add in the same instant may lose a count.
"""

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec
import platformdirs

from seatpool import homes

AT_MOST = 50
"""Names that are remembered in each file; whoever makes names up does not fill the disk."""


class Stranger(msgspec.Struct, frozen=True):
    """One of them."""

    host: str
    """Or a kind of requests."""
    connections: int
    """Or requests, since the file was begun. All went through untouched."""
    first: datetime
    last: datetime


def default_file() -> Path:
    """In this person's data directory."""
    return platformdirs.user_data_path("seatpool") / "unknown-hosts.json"


def paths_file() -> Path:
    """Beside it: kinds of requests on pooled hosts."""
    return default_file().with_name("unknown-paths.json")


def read(file: Path) -> tuple[Stranger, ...]:
    """The latest first; nothing where there is no such file, or none that can be understood."""
    try:
        raw = json.loads(file.read_text())
        rows = [
            Stranger(host, int(row["connections"]), *(datetime.fromisoformat(row[each]) for each in ("first", "last")))
            for host, row in raw.items()
        ]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return ()
    return tuple(sorted(rows, key=lambda row: row.last, reverse=True))


def add(file: Path, seen: Mapping[str, int], now: datetime) -> None:
    """Add connections by host, or requests by kind. Raises `OSError`."""
    known = {row.host: row for row in read(file)}
    for host, count in seen.items():
        former = known.get(host)
        known[host] = Stranger(
            host, count + (former.connections if former else 0), former.first if former else now, now
        )
    kept = sorted(known.values(), key=lambda row: row.last, reverse=True)[:AT_MOST]
    rows = {
        row.host: {"connections": row.connections, "first": row.first.isoformat(), "last": row.last.isoformat()}
        for row in kept
    }
    homes.make_private(file.parent, parents=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_text(json.dumps(rows, indent=2))
    draft.replace(file)
