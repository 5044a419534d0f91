"""What is wrong with the pool: what can be seen from here, and what the proxies that run have left word of."""

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click

from seatpool.core.spans import ago
from seatpool.setup import troubles
from seatpool.store import Store, StoreError, located

LEAST_FREE = 2 * 1024 * 1024
"""Bytes on the database's disk below which a write may fail."""


def say(database: str, store: Store | None, now: datetime) -> None:
    """On standard error, a line each; nothing where all is well."""
    for line in (*seen(database, store), *_left(database, now)):
        click.echo(f"warning: {line}", err=True)


def seen(database: str, store: Store | None) -> Iterator[str]:
    """What can be seen from here, a line each."""
    where = Path(located(database))
    free = shutil.disk_usage(where.parent).free if where.parent.is_dir() else None
    if free is not None and free < LEAST_FREE:
        yield f"the disk of {where} is nearly full ({free // 1024} KiB left); free some space"
    problem = store.unwritable() if store is not None else None
    if problem is not None:
        yield problem


def _left(database: str, now: datetime) -> Iterator[str]:
    try:
        left = troubles.read(located(database))
    except StoreError:
        return
    for trouble in left:
        yield f"the proxy (process {trouble.pid}) says since {ago(trouble.since, now)}: {trouble.what}"
