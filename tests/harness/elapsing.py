"""Time that goes by for leases alone: the clocks by which they end cannot be set by a test."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from tests.harness import postgres

FILE = """UPDATE leases SET begun_s = begun_s - :span_s, over_s = over_s - :span_s,
          until = strftime('%Y-%m-%d %H:%M:%f000', until, -:span_s || ' seconds')"""
SERVER = "UPDATE leases SET until = until - interval '{span_s} seconds'"


def elapse(url: str, span: timedelta) -> None:
    """As if that time had gone by since they were taken, for all leases and claims."""
    span_s = span.total_seconds()
    if url.startswith("postgresql"):
        postgres.shared().say(SERVER.format(span_s=span_s), url.rpartition("/")[2])
    else:
        _file(url, FILE, {"span_s": span_s})


def start_anew(path: Path) -> None:
    """As if the machine had been: its clock is before anything that has begun."""
    _file(str(path), "UPDATE leases SET begun_s = begun_s + 1e9, over_s = over_s + 1e9", {})


def _file(url: str, sql: str, values: dict[str, float]) -> None:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as db, db:
        db.execute(sql, values)
