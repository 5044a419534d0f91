"""What the pool costs against the number of something: `./scripts/bench --axes`.

axis          what is measured along, its table and its goals; what every axis is given
accounts      in the pool
streams       open at the same time
history       requests on record
filling       makes them: real rows, multiplied by SQL
processes     on one database
requests      served by one process: is memory flat?
writes        transactions, rows and bytes in the database for a request, at several rates
counting      SQLite's own count of them
"""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from scripts.benchmark.axes.accounts import along_accounts
from scripts.benchmark.axes.axis import Axis, Setting
from scripts.benchmark.axes.history import along_history
from scripts.benchmark.axes.processes import along_processes
from scripts.benchmark.axes.requests import along_requests
from scripts.benchmark.axes.streams import along_streams
from scripts.benchmark.axes.writes import along_rates

AXES: Mapping[str, Callable[[Setting], Awaitable[Axis]]] = MappingProxyType(
    {
        "accounts": along_accounts,
        "streams": along_streams,
        "history": along_history,
        "processes": along_processes,
        "requests": along_requests,
        "writes": along_rates,
    }
)

FULL: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "accounts": (2, 10, 100, 1_000, 10_000),
        "streams": (100, 500, 1_000, 2_000),
        "history": (0, 10_000, 1_000_000, 10_000_000),
        "processes": (1, 2, 4, 8),
        "requests": tuple(range(5_000, 100_001, 5_000)),
        "writes": (1, 10, 100, 10_000),
    }
)
"""Where it is measured; the last of `writes` is more than can be had."""
QUICK: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "accounts": (2, 10, 100, 1_000),
        "streams": (50, 200),
        "history": (0, 10_000, 100_000),
        "processes": (1, 2, 4),
        "requests": tuple(range(500, 4_001, 500)),
        "writes": (10, 10_000),
    }
)

__all__ = ["AXES", "FULL", "QUICK", "Axis", "Setting"]
