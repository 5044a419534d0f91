"""What programs leave on disk, looked at from outside."""

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from tests.upstream.tokens import MARKER

LOGINS = frozenset({"logins"})
"""Folders of sign-in files: these are what a leak test starts from."""


def leaks(folder: Path, besides: Collection[str] = LOGINS) -> list[str]:
    """The files below a folder that show a token: databases with their logs, key files, dumps, cores, anything."""
    files = (path for path in folder.rglob("*") if path.is_file() and not {*path.parts} & {*besides})
    return sorted(str(path.relative_to(folder)) for path in files if MARKER.encode() in path.read_bytes())


def whole(database: Path) -> bool:
    """Whether SQLite finds nothing wrong with the file, log included."""
    with closing(sqlite3.connect(database)) as db:
        return bool(db.execute("PRAGMA integrity_check").fetchall() == [("ok",)])
