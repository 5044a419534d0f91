"""What a database took, by SQLite's own count: the frames of its write-ahead log, and triggers on every table."""

import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Self

TALLY = "bench_rows"
HEADER, FRAME_HEADER = 32, 24


class Ledger:
    """`with Ledger(database) as ledger:` counts from there on; `rows`, `transactions` and `pages` are since then.

    Holds a reader's mark, so that the log is not begun anew meanwhile.
    """

    def __init__(self, database: Path | str) -> None:
        self._log = Path(f"{database}-wal")
        self._db = sqlite3.connect(database, isolation_level=None, timeout=30)
        self._held = sqlite3.connect(database, isolation_level=None, timeout=30)
        self._before = (0, 0)

    @staticmethod
    def prepare(database: Path | str) -> None:
        """Let every table of a database count what is done to its rows."""
        db = sqlite3.connect(database, isolation_level=None, timeout=30)
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        db.execute(f"CREATE TABLE {TALLY} (name TEXT PRIMARY KEY, rows INTEGER) WITHOUT ROWID")
        for name in tables:
            if not name.startswith("sqlite_"):
                db.execute(f"INSERT INTO {TALLY} VALUES (?, 0)", (name,))
                for deed in ("INSERT", "UPDATE", "DELETE"):
                    count = f"UPDATE {TALLY} SET rows = rows + 1 WHERE name = '{name}'"
                    db.execute(f"CREATE TRIGGER bench_{name}_{deed} AFTER {deed} ON {name} BEGIN {count}; END")
        db.close()

    def __enter__(self) -> Self:
        self._db.execute(f"UPDATE {TALLY} SET rows = 0")  # something in the log, or the mark would hold nothing
        self._held.execute("BEGIN")
        self._held.execute(f"SELECT count(*) FROM {TALLY}").fetchone()
        self._before = frames(self._log)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()
        self._db.close()

    def rows(self) -> dict[str, int]:
        """By table."""
        return dict(self._db.execute(f"SELECT name, rows FROM {TALLY} WHERE rows > 0 ORDER BY rows DESC"))

    def written(self) -> tuple[int, int]:
        """Transactions, and pages without those of the tally."""
        commits, pages = (now - was for now, was in zip(frames(self._log), self._before, strict=True))
        return commits, pages - commits


def frames(log: Path) -> tuple[int, int]:
    """Transactions and pages in a write-ahead log: of its frames those that bear its own salt count."""
    data = log.read_bytes()
    size = int.from_bytes(data[8:12], "big")
    salt, commits, pages = data[16:24], 0, 0
    for begin in range(HEADER, len(data) - FRAME_HEADER - size + 1, FRAME_HEADER + size):
        if data[begin + 8 : begin + 16] != salt:
            break
        pages += 1
        commits += data[begin + 4 : begin + 8] != b"\0\0\0\0"
    return commits, pages


def page_size(database: Path | str) -> int:
    """In bytes."""
    db = sqlite3.connect(database, timeout=30)
    size: int = db.execute("PRAGMA page_size").fetchone()[0]
    db.close()
    return size
