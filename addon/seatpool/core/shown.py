"""What an editor is shown as its quota, where that is not the account's that has just served it."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from seatpool.core.model import QuotaWindow
from seatpool.core.scoring import PLAN_WEIGHT


class Showing(StrEnum):
    """Whose numbers an editor sees."""

    UPSTREAM = "upstream"
    """Those that came."""
    PRIMARY = "primary"
    """Those of the account that it is signed in with."""
    POOL = "pool"
    """What all accounts have left."""


class Shown(msgspec.Struct, frozen=True):
    """The numbers to show in the place of those that came."""

    windows: Mapping[str, QuotaWindow]
    """By bucket; what is not here is not known, and nothing is shown of it."""
    now: datetime
    plan: str | None = None
    """Of the account that the editor is signed in with; None where that is not known."""
    sizes: Mapping[str, float] = MappingProxyType({})
    """How much a bucket holds, where the person's own account has said so."""


Member = tuple[str | None, Iterable[QuotaWindow]]
"""An account's plan, and what is known of its quota."""


def up_to_date(window: QuotaWindow, now: datetime) -> QuotaWindow:
    """A window that has reset since it was seen is whole again, and ends a length later."""
    ends = window.resets_at
    if ends is None or ends > now:
        return window
    length = timedelta(seconds=window.length_s or 0)
    ends = ends + length * ((now - ends) // length + 1) if length else None
    return replace(window, left=1.0, resets_at=ends)


def as_known(windows: Iterable[QuotaWindow], now: datetime) -> dict[str, QuotaWindow]:
    """One account's own windows, by bucket."""
    return {window.bucket: up_to_date(window, now) for window in windows}


def together[K: Hashable](
    members: Iterable[Member], now: datetime, alike: Callable[[QuotaWindow], K]
) -> dict[K, QuotaWindow]:
    """The windows of several accounts as if they were one account's; those that are `alike` become one.

    What is left is the mean, in which each plan counts by its size and an account of which nothing is known does not
    count at all; one account without a limit makes all of it unlimited. It resets when something comes back first.
    """
    found: dict[K, list[tuple[float, QuotaWindow]]] = {}
    for plan, windows in members:
        size = PLAN_WEIGHT.get(plan or "", 1.0) ** 2  # a root is kept there
        for window in windows:
            found.setdefault(alike(window), []).append((size, up_to_date(window, now)))
    return {key: _one(parts) for key, parts in found.items()}


def _one(parts: list[tuple[float, QuotaWindow]]) -> QuotaWindow:
    first = parts[0][1]
    unlimited = next((window for _, window in parts if window.unlimited), None)
    if unlimited is not None:
        return unlimited
    ends = [w.resets_at for _, w in parts if w.resets_at is not None and w.left < 1.0]
    ends = ends or [w.resets_at for _, w in parts if w.resets_at is not None]
    left = sum(size * w.left for size, w in parts) / sum(size for size, _ in parts)
    return replace(first, left=left, resets_at=min(ends, default=None))
