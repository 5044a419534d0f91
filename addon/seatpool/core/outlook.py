"""What a window's past and its forecast look like, as values that are written as JSON as they are."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from seatpool.core.forecast import Forecaster
from seatpool.core.model import QuotaWindow
from seatpool.core.report import AccountRow, WindowRow
from seatpool.core.usage import length_of

POINTS = 120
"""Of a curve, about."""


class Point(msgspec.Struct, frozen=True):
    """What was left at some moment."""

    at: datetime
    left: float


class Ahead(msgspec.Struct, frozen=True):
    """What will be left at some moment, as things go on."""

    at: datetime
    likely: float
    least: float
    most: float


class Outlook(msgspec.Struct, frozen=True):
    """One limited window. Times are ISO 8601 in UTC, shares 0.0 to 1.0."""

    account: str
    bucket: str
    runs_out_at: Annotated[datetime | None, Meta(description="null: it lasts until its reset.")]
    earliest: Annotated[datetime | None, Meta(description="The range of it; null: it lasts, or nothing is known.")]
    latest: datetime | None
    resets_at: Annotated[datetime, Meta(description="Where nobody has told: how far is looked ahead.")]
    range_known: Annotated[bool, Meta(description="There is enough history for a range.")]
    past: Annotated[tuple[Point, ...], Meta(description="Within the window's length, the oldest first.")]
    ahead: Annotated[tuple[Ahead, ...], Meta(description="From now until it resets.")]


def outlooks(
    rows: Iterable[AccountRow], history: Mapping[tuple[int, str], Sequence[QuotaWindow]], now: datetime
) -> tuple[Outlook, ...]:
    """Of every window that has a limit; `history` by account id and bucket, the oldest observation first."""
    found = []
    for row in rows:
        for window in row.windows:
            if not window.unlimited:
                past = [w for w in history.get((row.id, window.bucket), ()) if w.observed_at < window.observed_at]
                found.append(_outlook(row.name, window, [*past, _seen(window)], now))
    return tuple(found)


def _outlook(name: str, window: WindowRow, seen: Sequence[QuotaWindow], now: datetime) -> Outlook:
    now = max(now, window.observed_at)
    forecaster = Forecaster(seen, now)
    told = forecaster.at(now)
    steps = [now + (told.until - now) * i / 12 for i in range(13)]
    ahead = (Ahead(at, s.likely, s.least, s.most) for at in steps for s in [forecaster.share(now, at)])
    return Outlook(
        account=name,
        bucket=window.bucket,
        runs_out_at=told.runs_out_at,
        earliest=told.earliest if told.points else None,
        latest=told.latest if told.points else None,
        resets_at=told.until,
        range_known=bool(told.points),
        past=_past(seen, now - length_of(seen)),
        ahead=tuple(ahead),
    )


def _past(seen: Sequence[QuotaWindow], since: datetime) -> tuple[Point, ...]:
    """With what was left when a period ended and another began, so that a curve of it falls and jumps."""
    points: list[Point] = []
    for w in seen:
        if w.observed_at < since:
            continue
        if points and w.left > points[-1].left:
            points.append(Point(max(points[-1].at, w.observed_at - timedelta(seconds=1)), points[-1].left))
        points.append(Point(w.observed_at, w.left))
    stride = max(len(points) // POINTS, 1)
    return tuple(points[::-stride][::-1])


def _seen(w: WindowRow) -> QuotaWindow:
    return QuotaWindow(w.bucket, w.left, w.observed_at, w.source, length_s=w.length_s, resets_at=w.resets_at)
