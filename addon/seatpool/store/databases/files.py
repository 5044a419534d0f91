"""Which file is behind the path of a SQLite database.

A file that is deleted or replaced lives on for who has it open: what is written there is lost, and nothing tells. So it
is looked at again whenever a connection is taken and a writer has its turn, which takes some microseconds.

The same goes for the two files beside it. Who opens the database next makes a new log, and from then on neither hears
of what the other has written (which commands said was done), nor keeps out of its way. And the log of a file that was
replaced would be played into the new one, which is the end of it.
"""

import logging
import os
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from seatpool.store.errors import StoreUnavailable
from seatpool.store.migrate import HEAD

logger = logging.getLogger(__name__)

TRIES = 3
"""To open the file that was just looked at."""

BESIDE = ("-wal", "-shm")
"""What the names of the log, and of what finds things in it, end with."""
FORMER = ".former"
"""What is put behind the name of a log whose file was replaced."""

Identity = tuple[int, int]
"""Device and inode: another file has others, for as long as this one is open."""

_HEAD = 32
"""Bytes at the beginning of a log, with random numbers in them: only a copy of it has the same."""

_open: set["Opened"] = set()
"""Every connection of this process: all that have one file open share what finds things in its log."""
_former: dict[Path, tuple[Identity, Identity, bytes]] = {}
"""By path: a file that was there, and its log with the head of it, which was left behind."""


class Opened(sqlite3.Connection):
    """A connection that knows its file."""

    path: Path
    file: Identity
    beside: tuple[Identity | None, ...]
    """Its log and what finds things in it; None for what is not there, as before the first use of a new file."""

    def stands(self) -> bool:
        """Whether its files are still those at its path. Raises `StoreUnavailable` where no database is there."""
        return _at(self.path) == self.file and self.has_its_log()

    def has_its_log(self) -> bool:
        """Whether the files beside it are those that it uses."""
        found = _beside(self.path)
        if None in self.beside:
            self.beside = found
        return self.beside == found

    def must_stand(self) -> None:
        """Raises `StoreUnavailable` where they are not."""
        if not self.stands():
            raise _replaced(self.path)

    def close(self) -> None:
        """As its parent. Nothing is lost of a log that was taken away, and one that was left behind is known again."""
        if self in _open:
            _open.discard(self)
            self._leave()
        super().close()

    def _leave(self) -> None:
        log = _beside(self.path)[0]
        if _identity(str(self.path)) != self.file:
            if log is not None and log == self.beside[0]:
                _former[self.path] = self.file, log, _head(self.path)
        elif log is None:  # and nobody has begun another one
            with suppress(sqlite3.Error):  # amid a transaction
                self.execute("PRAGMA wal_checkpoint").close()


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
        _must_be_left(path, before, tuple(_open))
        _set_aside(path, before)
        db = sqlite3.connect(
            f"{path.as_uri()}?mode=rw",
            uri=True,
            timeout=timeout_s,
            isolation_level=None,  # Python's own idea of when to BEGIN is switched off
            check_same_thread=False,
            factory=Opened,
        )
        db.path, db.file, db.beside = path, before, (None,) * len(BESIDE)
        try:
            db.execute("PRAGMA data_version").close()  # from the first use on its log is there, and stays
            if db.stands():
                _open.add(db)
                return db
        except BaseException:
            db.close()
            raise
        db.close()
    raise _replaced(path)


def _must_be_left(path: Path, file: Identity, others: Iterable[Opened]) -> None:
    """Raises `StoreUnavailable` while another connection has the same file open with a log that is gone by now."""
    if not all(other.has_its_log() for other in others if other.path == path and other.file == file):
        raise StoreUnavailable(f"the database {path} cannot be used: its log was just taken away; try again")


def _set_aside(path: Path, file: Identity) -> None:
    """Leave no log of a former file beside the one that is there now."""
    of, *left = _former.pop(path, (file,))
    if of == file or left != [_beside(path)[0], _head(path)]:
        return
    log, finder = (_named(path, end) for end in BESIDE)
    with suppress(OSError):  # another process was faster
        log.replace(_named(log, FORMER))
        finder.unlink(missing_ok=True)
        logger.warning("action=log-set-aside: %s is of the file that was there before", _named(log, FORMER))


def _head(path: Path) -> bytes:
    with suppress(OSError), _named(path, BESIDE[0]).open("rb") as log:
        return log.read(_HEAD)
    return b""


def _named(path: Path, end: str) -> Path:
    return path.with_name(f"{path.name}{end}")


def _beside(path: Path) -> tuple[Identity | None, ...]:
    return tuple(_identity(f"{path}{end}") for end in BESIDE)


def _identity(path: str) -> Identity | None:
    try:
        found = os.stat(path)  # noqa: PTH116 # a path of pathlib's takes longer to make than to look at
    except OSError:
        return None
    return found.st_dev, found.st_ino


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
