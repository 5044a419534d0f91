"""Reads the files in which other programs keep their logins. Nothing of theirs is ever written to."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import IO

from seatpool.providers.logins import NotALogin

LONGEST_FILE = 1024 * 1024
"""Bytes. The largest login file known has 40 kilobytes."""
LONGEST_LOG = 8 * 1024 * 1024
"""Bytes. SQLite works its log in at 4 megabytes, when nobody reads meanwhile."""

_SQLITE = b"SQLite format 3\x00"


def content_of(path: Path) -> bytes:
    """All of it. Raises `NotALogin` when it is too large or no whole database, `OSError` when it cannot be read."""
    content = _load(path, LONGEST_FILE)
    return _with_its_log(path, content) if content.startswith(_SQLITE) else content


def read(stream: IO[bytes], name: str, longest: int) -> bytes:
    """All of it. Raises `NotALogin` when that is more than `longest` bytes."""
    content = stream.read(longest + 1)
    if len(content) > longest:
        raise NotALogin(f"{name}: longer than {longest // 1024} KiB, so it is no login; nothing was changed")
    return content


def shown(path: Path) -> str:
    """As a person would say it."""
    home = Path.home()
    return f"~/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) and path != home else str(path)


def _load(path: Path, longest: int) -> bytes:
    with path.open("rb") as stream:
        return read(stream, shown(path), longest)


def _with_its_log(path: Path, content: bytes) -> bytes:
    """The database with what its write-ahead log holds, made in a copy: the program may be using the original."""
    log = path.with_name(f"{path.name}-wal")
    if not log.is_file():
        return content
    logged = _load(log, LONGEST_LOG)
    if (_load(path, LONGEST_FILE), _load(log, LONGEST_LOG)) != (content, logged):
        raise NotALogin(f"{path}: was written to while it was read; try again")
    with tempfile.TemporaryDirectory(prefix="seatpool-") as folder:
        copy = Path(folder, "copy.db")
        copy.write_bytes(content)
        copy.with_name("copy.db-wal").write_bytes(logged)
        try:
            with closing(sqlite3.connect(copy)) as db:
                db.execute("PRAGMA journal_mode=DELETE").close()
        except sqlite3.Error:
            raise NotALogin(f"{path}: a database that is damaged or not complete") from None
        return copy.read_bytes()
