"""When a window runs out, if things go on as they do.

The pace is what was used lately, which gives way within some hours to what is usual at each hour of the day. How far
that may be out is not assumed but looked up: the same forecast is made at earlier moments, and what it was out by there
makes the range (the middle 80 of 100, by rank; what is used is never negative, so errors count relative to the size of
what was expected). Nothing later than the moment of a forecast enters it.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from math import ceil, exp

import msgspec
from msgspec.structs import replace

from seatpool.core.model import QuotaWindow
from seatpool.core.usage import ROUNDING, Record, length_of, per_step, steady

HOURS = 24
SHORT = timedelta(days=1)
"""Windows up to this length are looked at in steps of ten minutes, longer ones by the hour."""
PERSISTENCE = timedelta(hours=3)
"""After this time a third of a present deviation from what is usual is left."""
LATELY = timedelta(hours=1)
"""Of "lately", half lies within this time."""
PRIOR_DAYS = 2.0
"""So many days of the mean over all hours weigh in with what was seen of each hour."""
POINTS = 160
"""Earlier moments at most at which the forecast is tried."""
ENOUGH = 20
"""Of those that tell how it went on; with fewer there is no range."""
OUTSIDE = 0.1
"""Share of cases below the range, and above it."""


Curve = Sequence[tuple[float, float]]
"""Use by steps ahead: rising, from (0, 0)."""


class Share(msgspec.Struct, frozen=True):
    """What will be left at some moment, with its range."""

    likely: float
    least: float
    most: float


class Forecast(msgspec.Struct, frozen=True):
    """How one window goes on."""

    left: float
    """Share left now."""
    until: datetime
    """When it resets; where nobody has told, how far is looked ahead."""
    runs_out_at: datetime | None
    """None: it lasts until then."""
    earliest: datetime | None
    latest: datetime | None
    """The range of it; None: it lasts until then."""
    at_reset: Share
    points: int
    """Earlier forecasts that make the range; 0: there is too little history for one."""


class _Tried(msgspec.Struct, frozen=True):
    """A forecast at an earlier moment, by the number of steps before it."""

    step: int
    expected: Sequence[float]
    """Use that was expected, by number of steps ahead."""
    usual: float
    """Of one step."""


class _Curves(msgspec.Struct, frozen=True):
    likely: Curve
    low: Curve
    high: Curve
    points: int


class Forecaster:
    """Forecasts of one window at any moment of its history, and after it."""

    def __init__(self, history: Sequence[QuotaWindow], now: datetime) -> None:
        """At least one observation, the oldest first; none later than now."""
        history = steady(history)
        self.record = Record(history)
        self.length = length = length_of(history)
        self.now = now
        self._step = timedelta(minutes=10) if length <= SHORT else timedelta(hours=1)
        self._used = per_step(_with_beginning(history, length), now, self._step)
        self._first = now - len(self._used) * self._step
        self._seen_from = ceil((history[0].observed_at - self._first) / self._step)
        self._grid = tuple(_grid(max(length // self._step, 1)))
        self._sums = list(accumulate((u or 0.0 for u in self._used), initial=0.0))
        self._empty = list(accumulate((u is None for u in self._used), initial=0))
        self._tried = {tried.step: tried for tried in self._try()}
        self._known: dict[datetime, _Curves] = {}

    def moments(self) -> list[datetime]:
        """Those before now at which a forecast can be had."""
        return [self._first + step * self._step for step in self._tried if step < len(self._used)]

    def at(self, moment: datetime) -> Forecast:
        """The forecast of now, or of one of `moments`."""
        left, until = self.state(moment)
        curves = self._curves(moment)
        ahead = (until - moment) / self._step
        likely, latest, earliest = (_reaches(c, left, ahead) for c in (curves.likely, curves.low, curves.high))
        return Forecast(
            left,
            until,
            self._after(moment, likely),
            self._after(moment, earliest),
            self._after(moment, latest),
            self.share(moment, until),
            curves.points,
        )

    def state(self, moment: datetime) -> tuple[float, datetime]:
        """Share left as it was known then, and when the window resets."""
        seen = self.record.known_at(moment) or self.record.seen[0]
        if seen.resets_at is None:
            return seen.left, moment + self.length
        if seen.resets_at <= moment:
            return 1.0, moment + self.length
        return seen.left, seen.resets_at

    def share(self, moment: datetime, later: datetime) -> Share:
        """What the forecast of `moment` says will be left later in the same period."""
        left, curves = self.state(moment)[0], self._curves(moment)
        ahead = (later - moment) / self._step
        return Share(*(max(left - _value(c, ahead), 0.0) for c in (curves.likely, curves.high, curves.low)))

    def _after(self, moment: datetime, steps: float | None) -> datetime | None:
        return moment + self._step * steps if steps is not None else None

    def _curves(self, moment: datetime) -> _Curves:
        """Use ahead: likely, least and most."""
        if moment not in self._known:
            self._known[moment] = self._read(self._tried[round((moment - self._first) / self._step)])
        return self._known[moment]

    def _read(self, tried: _Tried) -> _Curves:
        likely, low, high = [(0.0, 0.0)], [(0.0, 0.0)], [(0.0, 0.0)]
        points = 0
        for ahead in self._grid[1:]:
            errors = sorted(self._errors(tried.step, ahead))
            expected, size = tried.expected[ahead], _size(tried, ahead)
            if len(errors) >= ENOUGH:
                points = points or len(errors)
                rank = min(ceil((len(errors) + 1) * (1 - OUTSIDE)), len(errors))
                low.append((ahead, max(expected + errors[-rank] * size, low[-1][1])))
                high.append((ahead, max(expected + errors[rank - 1] * size, high[-1][1])))
                expected = min(max(expected, low[-1][1]), high[-1][1])
            elif points:  # so far ahead little was ever tried: the range goes on as it was, around what is expected
                low.append((ahead, max(min(_value(low, ahead), expected), low[-1][1])))
                high.append((ahead, max(_value(high, ahead), expected)))
            likely.append((ahead, max(expected, likely[-1][1])))
        return _Curves(likely, low, high, points) if points else _Curves(likely, likely, likely, 0)

    def _errors(self, before: int, ahead: int) -> Iterator[float]:
        """By how much earlier forecasts were out, of which the end was known at that step."""
        for tried in self._tried.values():
            end = tried.step + ahead
            if end > before:
                return
            if self._empty[end] == self._empty[tried.step]:
                used = self._sums[end] - self._sums[tried.step]
                yield (used - tried.expected[ahead]) / _size(tried, ahead)

    def _try(self) -> Iterator[_Tried]:
        """Go through the history once, and make a forecast now and then, the last one at its end."""
        stride = max(len(self._used) // POINTS, 1)
        pace = _Pace(self._step)
        for index, used in enumerate(self._used):
            if index >= max(self._seen_from, 1) and index % stride == len(self._used) % stride:
                yield self._expect(pace, index)
            pace.take(self._slot(index), used)
        yield self._expect(pace, len(self._used))

    def _expect(self, pace: "_Pace", index: int) -> _Tried:
        slots = (self._slot(index + ahead) for ahead in range(self._grid[-1]))
        return _Tried(index, tuple(accumulate(pace.ahead(slots), initial=0.0)), pace.mean)

    def _slot(self, index: int) -> int:
        return (self._first + index * self._step).hour


class _Pace:
    """What was used lately, and what is usual at each hour of the day."""

    def __init__(self, step: timedelta) -> None:
        self._forget = 0.5 ** (step / LATELY)
        self._fade = exp(-step / PERSISTENCE)
        self._prior = PRIOR_DAYS * max(timedelta(hours=1) / step, 1.0)
        self._sum = [0.0] * HOURS
        self._count = [0] * HOURS
        self._total = self._lately = self._expected = self._weight = 0.0
        self._steps = 0

    @property
    def mean(self) -> float:
        """Of one step."""
        return self._total / max(self._steps, 1)

    def take(self, slot: int, used: float | None) -> None:
        """One step has passed; None: nothing is known of it."""
        if used is None:
            return
        self._sum[slot] += used
        self._count[slot] += 1
        self._total += used
        self._steps += 1
        self._lately = self._lately * self._forget + used
        self._expected = self._expected * self._forget + self._usual(slot)
        self._weight = self._weight * self._forget + 1.0

    def ahead(self, slots: Iterator[int]) -> Iterator[float]:
        """What to expect of the next steps."""
        usual = [self._usual(slot) for slot in range(HOURS)]
        deviation = (self._lately - self._expected) / self._weight if self._weight else 0.0
        for slot in slots:
            yield max(usual[slot] + deviation, 0.0)
            deviation *= self._fade

    def _usual(self, slot: int) -> float:
        return (self._sum[slot] + self._prior * self.mean) / (self._count[slot] + self._prior)


def _with_beginning(history: Sequence[QuotaWindow], length: timedelta) -> list[QuotaWindow]:
    """Before the first observation the period is known by what it has used up by then."""
    first = history[0]
    if first.resets_at is None or first.resets_at - length >= first.observed_at:
        return list(history)
    return [replace(first, left=1.0, observed_at=first.resets_at - length), *history]


def _size(tried: _Tried, ahead: int) -> float:
    """By what errors are measured: large where much was expected, or is usual."""
    return (tried.expected[ahead] + tried.usual * ahead) / 2 + ROUNDING


def _grid(longest: int) -> Iterator[int]:
    """Steps ahead that are looked at, closer where they are near."""
    ahead = 0
    while ahead < longest:
        yield ahead
        ahead = max(ahead + 1, ahead * 4 // 3)
    yield longest


def _value(curve: Curve, ahead: float) -> float:
    """Of a curve between its points; beyond the last it goes on as on the whole so far."""
    index = bisect_right(curve, ahead, key=lambda point: point[0])
    if index == len(curve):
        x, y = curve[-1]
        return y * ahead / x if x else 0.0
    (x0, y0), (x1, y1) = curve[index - 1], curve[index]
    return y0 + (y1 - y0) * (ahead - x0) / (x1 - x0)


def _reaches(curve: Curve, left: float, ahead: float) -> float | None:
    """After how many steps what is left is used up; None where that is not within `ahead`."""
    if left <= ROUNDING:
        return 0.0
    within = [point for point in curve if point[0] < ahead]
    for (x0, y0), (x1, y1) in pairwise([*within, (ahead, _value(curve, ahead))]):
        if y1 >= left > y0:
            return x0 + (x1 - x0) * (left - y0) / (y1 - y0)
    return None
