"""Millions of requests on record in seconds each: real rows, multiplied by SQL."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

CHOICES_KEPT = 20_000
"""The pool itself keeps no more."""
TABLES: Mapping[str, tuple[int, float]] = MappingProxyType(
    {"attempts": (91, 1.0), "endings": (31, 1 / 3), "choices": (1, 1.0)}
)
"""The days over which rows are spread, one more than is kept, and how many rows there are for a request."""
DUE = "strftime('%Y-%m-%d %H:%M:%f000', 'now', '-30 days')"
_NUMBER = "printf('%08x-0000-4000-8000-%012x', n.i, n.i)"
_SUMS = """
INSERT INTO usage_days
SELECT substr(started_at, 1, 10), account_id, coalesce(model, ''), coalesce(repository, ''), coalesce(client, ''),
       accounts.name, accounts.provider, count(*), 0, 0, count(input_tokens), sum(input_tokens), sum(cached_tokens),
       sum(output_tokens), sum(reasoning_tokens), sum(written_tokens), sum(nano_credits)
FROM attempts JOIN accounts ON accounts.id = account_id GROUP BY 1, 2, 3, 4, 5
"""


def fill_history(database: Path, requests: int, accounts: int) -> int:
    """Returns the file's bytes. Nothing may have it open; its tables have a few rows, which are taken as samples."""
    db = sqlite3.connect(database, isolation_level=None)
    db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;")
    db.execute(f"CREATE TABLE bench_mark AS SELECT {DUE} AS due")
    for table, (days, share) in TABLES.items():
        most = CHOICES_KEPT if table == "choices" else requests
        _multiply(db, table, min(int(requests * share), most), days, accounts)
    db.execute("DELETE FROM usage_days")
    db.execute(_SUMS)
    db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
    db.close()
    return database.stat().st_size


def _multiply(db: sqlite3.Connection, table: str, count: int, days: int, accounts: int) -> None:
    columns = [(name, kind) for _, name, kind, *_ in db.execute(f"PRAGMA table_info({table})") if name != "id"]
    ago = f"{days * 86400.0} * (1 - n.i / {max(count, 1)}.0)"
    at = f"strftime('%Y-%m-%d %H:%M:%f000', 'now', '-' || ({ago}) || ' seconds')"
    made = {"flow_id": _NUMBER, "account_id": f"1 + n.i % {accounts}"}
    made["chosen_in"] = f"CASE WHEN sample.chosen_in IS NULL THEN NULL ELSE {_NUMBER} END"
    values = [at if kind == "DATETIME" else made.get(name, f"sample.{name}") for name, kind in columns]
    names = ", ".join(name for name, _ in columns)
    db.execute(f"CREATE TEMP TABLE sample AS SELECT * FROM {table} WHERE account_id IS NOT NULL LIMIT 1")
    db.execute(f"DELETE FROM {table}")  # what was made is older than the sample
    db.execute(
        f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count}) "
        f"INSERT INTO {table} ({names}) SELECT {', '.join(values)} FROM n CROSS JOIN sample WHERE {count} > 0"
    )
    db.execute("DROP TABLE temp.sample")
