"""A database that is to be no more: its files, and its key wherever that is kept."""

import sqlite3
from contextlib import closing
from pathlib import Path

from seatpool.store.databases import engine as engines
from seatpool.store.databases.files import BESIDE, FORMER
from seatpool.store.errors import StoreUnavailable
from seatpool.store.sealing import masterkey, rotation

_BESIDE = ("", *BESIDE, f"{BESIDE[0]}{FORMER}", "-journal", ".key", ".key.new")
_MAGIC = b"SQLite format 3\0"


def files(url_or_path: str = "") -> tuple[Path, ...]:
    """Those of this database that are there. `""` is the default one. Raises `StoreUnavailable`."""
    where = _place(url_or_path)
    return tuple(path for path in (Path(f"{where}{end}") for end in _BESIDE) if path.exists())


def databases(folder: Path) -> tuple[Path, ...]:
    """Every database of seatpool's that lies in a folder, whatever it is called."""
    return tuple(path for path in sorted(folder.glob("*")) if path.is_file() and _is_ours(path))


def key_files() -> tuple[Path, ...]:
    """Key files on this machine, of whichever database."""
    return masterkey.at_hand()


def is_of_server(key: Path) -> bool:
    """Whether a key file is for a database on a server. That database is not ours to delete: others use it."""
    return masterkey.is_of_server(key)


def in_use(url_or_path: str = "") -> bool:
    """Whether another process has it open."""
    where = _place(url_or_path)
    if not Path(where).exists():
        return False
    try:
        with closing(sqlite3.connect(where, timeout=0.5)) as db:
            # It takes everybody else to be gone to leave the write-ahead log; the next opening begins it again.
            db.execute("PRAGMA journal_mode=DELETE").close()
    except sqlite3.OperationalError as error:
        return "locked" in str(error)
    except sqlite3.DatabaseError:
        return False  # it is none
    return False


def delete(url_or_path: str = "") -> None:
    """All of it. Raises `StoreUnavailable`: another process has it open, or it is something else; `OSError`."""
    where = _place(url_or_path)
    if in_use(url_or_path):
        raise StoreUnavailable(f"a seatpool is running on {where}; end it first")
    if Path(where).exists():
        key_id = _key_id(where)
        if key_id and masterkey.place(where, key_id).file is None:
            masterkey.forget((key_id, *rotation.former_keys(key_id)))
    for path in files(url_or_path):
        path.unlink(missing_ok=True)


def _place(url_or_path: str) -> str:
    return engines.place(engines.resolve(url_or_path))


def _is_ours(path: Path) -> bool:
    """It is only read: until this is known it may be anybody's."""
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                return False
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
            return db.execute("SELECT 1 FROM sqlite_master WHERE name = 'master_key'").fetchone() is not None
    except (OSError, sqlite3.DatabaseError):
        return False


def _key_id(where: str) -> str | None:
    """None where no key was made yet. What is no database of ours is left alone."""
    try:
        with closing(sqlite3.connect(where)) as db:
            row = db.execute("SELECT key_id FROM master_key").fetchone()
    except sqlite3.DatabaseError as error:
        if Path(where).stat().st_size == 0:
            return None
        raise StoreUnavailable(f"{where} is left alone, it is no database of seatpool's ({error})") from None
    return str(row[0]) if row else None
