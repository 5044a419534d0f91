"""Which file is behind the path of a SQLite database.

A file that is deleted or replaced lives on for who has it open: what is written there is lost, and nothing tells. So it
is looked at again whenever a connection is taken and a writer has its turn, which takes two microseconds.
"""

import logging
import sqlite3
from pathlib import Path

from seatpool.store.errors import StoreUnavailable
from seatpool.store.migrate import HEAD

logger = logging.getLogger(__name__)

TRIES = 3
"""To open the file that was just looked at."""

Identity = tuple[int, int]
"""Device and inode: another file has others, for as long as this one is open."""


class Opened(sqlite3.Connection):
    """A connection that knows its file."""

    path: Path
    file: Identity

    def stands(self) -> bool:
        """Whether its file is still the one at its path. Raises `StoreUnavailable` where none is there."""
        return _at(self.path) == self.file

    def must_stand(self) -> None:
        """Raises `StoreUnavailable` where it is not."""
        if not self.stands():
            raise _replaced(self.path)


class Connector:
    """Makes the connections of an engine, which go on with whatever pool stands at the path."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._known: Identity | None = None
        """The file that was opened last; None before the first, which others look into."""

    def __call__(self) -> Opened:
        """A new connection. Raises `StoreUnavailable` or `sqlite3.Error`."""
        db = connect(self._path, self._timeout_s)
        if self._known is not None and self._known != db.file:
            try:
                _take_up(db)
            except BaseException:
                db.close()
                raise
            logger.warning("action=database-replaced: another file is at %s, the pool goes on with it", self._path)
        self._known = db.file
        return db


def connect(path: Path, timeout_s: float) -> Opened:
    """Open a file that exists: nothing is made here. Raises `StoreUnavailable` or `sqlite3.Error`."""
    for _ in range(TRIES):
        before = _at(path)
        db = sqlite3.connect(
            f"{path.as_uri()}?mode=rw",
            uri=True,
            timeout=timeout_s,
            isolation_level=None,  # Python's own idea of when to BEGIN is switched off
            check_same_thread=False,
            factory=Opened,
        )
        db.path, db.file = path, before
        try:
            if db.stands():
                return db
        except StoreUnavailable:
            db.close()
            raise
        db.close()
    raise _replaced(path)


def _at(path: Path) -> Identity:
    try:
        found = path.stat()
    except OSError as error:
        said = f"its file is gone ({error.strerror or type(error).__name__}); put it back"
        raise StoreUnavailable(f"the database {path} cannot be used: {said}") from error
    return found.st_dev, found.st_ino


def _take_up(db: Opened) -> None:
    """Refuse a file that is no pool, or not whole yet, and leave it as it is."""
    fault = _fault(db)
    if fault is not None:
        raise StoreUnavailable(f"the database {db.path} cannot be used: another file is in its place, {fault}")
    if db.execute("PRAGMA journal_mode").fetchone() != ("wal",):  # as a copy may have it
        db.execute("PRAGMA journal_mode=WAL").close()


def _fault(db: Opened) -> str | None:
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone() is None:
        return "which is no pool's; put a copy back"
    found = db.execute("SELECT version_num FROM alembic_version").fetchone()
    if found != (HEAD,):
        return f"of schema {found and found[0]}, not {HEAD}; start anew to use it"
    if db.execute("SELECT 1 FROM accounts").fetchone() is None:  # any command makes one where there is none
        return "a pool without an account; put a copy back, or sign in"
    return None


def _replaced(path: Path) -> StoreUnavailable:
    return StoreUnavailable(f"the database {path} cannot be used: another file was just put in its place; try again")
