"""Reads the files in which other programs keep their logins. Nothing of theirs is ever written to."""

import sqlite3
import sys
import tempfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import IO

import msgspec

from seatpool.providers.logins import ImportedLogin, NotALogin
from seatpool.providers.registry import PROVIDERS
from seatpool.setup import places

STDIN = Path("-")
LONGEST_FILE = 1024 * 1024
"""Bytes. The largest login file known has 40 kilobytes."""
LONGEST_LOG = 8 * 1024 * 1024
"""Bytes. SQLite works its log in at 4 megabytes, when nobody reads meanwhile."""

_SQLITE = b"SQLite format 3\x00"
_KNOWN = (
    "Codex, opencode or pi (auth.json), Copilot's editors (auth.db, apps.json, hosts.json),"
    " the Copilot CLI (config.json) or gh (hosts.yml)"
)


class Candidate(msgspec.Struct, frozen=True):
    """A login, and the file that holds it."""

    login: ImportedLogin
    path: Path
    """`-` for standard input."""


class Gathered(msgspec.Struct, frozen=True):
    """What was found."""

    candidates: list[Candidate] = msgspec.field(default_factory=list)
    complaints: list[str] = msgspec.field(default_factory=list)
    """One line for each file that could not be read."""

    def take(self, path: Path) -> None:
        """Read one file; what is wrong with it becomes a complaint."""
        try:
            logins, complaints = parse(path, content_of(path))
        except OSError as error:
            self.complaints.append(f"{path}: {error.strerror or error}")
        except NotALogin as error:
            self.complaints.append(str(error))
        else:
            self.candidates.extend(Candidate(login, path) for login in logins)
            self.complaints.extend(complaints)


def gather(paths: Iterable[Path]) -> Gathered:
    """The logins of files that are looked at without having been named: what is wrong with one harms no other."""
    found = Gathered()
    for path in paths:
        found.take(path)
    return found


def search(directory: Path) -> Gathered:
    """The logins in a folder. Raises `NotALogin` when there is none, with the reason."""
    found = gather(places.files_in(directory))
    if not found.candidates:
        looked_for = ", ".join(places.FILES)
        raise NotALogin(
            found.complaints[0] if found.complaints else f"{directory}: no login here; looked for {looked_for}"
        )
    return found


def content_of(path: Path) -> bytes:
    """All of it. Raises `NotALogin` when it is too large, `OSError` when it cannot be read."""
    if path == STDIN:
        return _read(sys.stdin.buffer, path, LONGEST_FILE)
    content = _load(path, LONGEST_FILE)
    return _with_its_log(path, content) if content.startswith(_SQLITE) else content


def beginning_of(path: Path) -> bytes:
    """Enough of a file to tell what it is."""
    return _first(path, 256)


def parse(path: Path, content: bytes) -> tuple[list[ImportedLogin], list[str]]:
    """The logins that a file holds, of every provider, and what is wrong with parts of it.

    Raises `NotALogin` when it holds none.
    """
    logins: list[ImportedLogin] = []
    complaints: list[str] = []
    for provider in PROVIDERS.values():
        try:
            logins.extend(provider.read_login(path.name, content) or ())
        except NotALogin as error:
            complaints.append(f"{shown(path)}{str(error).removeprefix(path.name)}")
    if not logins:
        raise NotALogin(complaints[0] if complaints else f"{shown(path)}: not a login of {_KNOWN}; nothing was changed")
    return logins, complaints


def shown(path: Path) -> str:
    """As a person would say it."""
    if path == STDIN:
        return "standard input"
    home = Path.home()
    return f"~/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) and path != home else str(path)


def _first(path: Path, size: int) -> bytes:
    with path.open("rb") as stream:
        return stream.read(size)


def _load(path: Path, longest: int) -> bytes:
    with path.open("rb") as stream:
        return _read(stream, path, longest)


def _read(stream: IO[bytes], path: Path, longest: int) -> bytes:
    content = stream.read(longest + 1)
    if len(content) > longest:
        raise NotALogin(f"{shown(path)}: longer than {longest // 1024} KiB, so it is no login; nothing was changed")
    return content


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
