"""Paths as a person writes them, and this person's data directory. All raise `StoreUnavailable` without a home."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seatpool import homes
from seatpool.store.errors import StoreUnavailable


def absolute(named: str) -> Path:
    """With the folder in the place of a `~`."""
    with _plainly():
        return homes.expanded(named).absolute()


def data() -> Path:
    """Where the database is unless one is named, and the keys of those on servers."""
    with _plainly():
        return homes.data()


def default_url() -> str:
    """Of the database that is used unless one is named."""
    return f"sqlite:///{data() / 'pool.db'}"


@contextmanager
def _plainly() -> Iterator[None]:
    try:
        yield
    except homes.NoHome as error:
        raise StoreUnavailable(str(error)) from error
