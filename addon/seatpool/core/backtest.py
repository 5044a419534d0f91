"""How good forecasts would have been: each made from what was known then, and held against what was seen later."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import fmean

import msgspec

from seatpool.core.forecast import ENOUGH, Forecaster
from seatpool.core.usage import ROUNDING

SOON = timedelta(hours=1)
MOMENT = timedelta(microseconds=1)


class Horizon(StrEnum):
    """How far ahead."""

    HOUR = "hour"
    RESET = "reset"


class Case(msgspec.Struct, frozen=True):
    """One forecast and what came of it; shares left."""

    likely: float
    straight: float
    """What a straight line through the period so far would have said."""
    seen: float
    covered: bool | None
    """Whether the range held what was seen; None where there was no range yet."""


class Result(msgspec.Struct, frozen=True):
    """Forecasts of one window over one horizon. Errors are shares, mean and absolute."""

    horizon: Horizon
    cases: int
    error: float | None
    """None: too few cases, or none with a range."""
    straight_error: float | None
    covered: float | None
    """Share of the ranges that held what was seen; 0.8 is what they are made for."""


def backtest(forecaster: Forecaster) -> tuple[Result, ...]:
    """One result for each horizon."""
    return tuple(_result(horizon, tuple(_cases(forecaster, horizon))) for horizon in Horizon)


def _result(horizon: Horizon, cases: Sequence[Case]) -> Result:
    ranged = [case.covered for case in cases if case.covered is not None]
    if len(ranged) < ENOUGH:
        return Result(horizon, len(cases), None, None, None)
    return Result(
        horizon,
        len(cases),
        fmean(abs(case.likely - case.seen) for case in cases),
        fmean(abs(case.straight - case.seen) for case in cases),
        fmean(ranged),
    )


def _cases(forecaster: Forecaster, horizon: Horizon) -> Iterator[Case]:
    for moment in _known(forecaster):
        left, resets_at = forecaster.state(moment)
        later = resets_at - MOMENT if horizon is Horizon.RESET else moment + SOON
        seen = forecaster.record.left_at(later)
        if seen is None or not moment < later < resets_at or later > forecaster.now:
            continue
        share, ranged = forecaster.share(moment, later), forecaster.at(moment).points > 0
        covered = share.least - ROUNDING <= seen <= share.most + ROUNDING if ranged else None
        passed = forecaster.length - (resets_at - moment)
        pace = (1.0 - left) / passed.total_seconds() if passed > timedelta(0) else 0.0
        straight = max(left - pace * (later - moment).total_seconds(), 0.0)
        yield Case(share.likely, straight, seen, covered)


def _known(forecaster: Forecaster) -> Iterable[datetime]:
    """Moments at which the window was known, and not over."""
    for moment in forecaster.moments():
        seen = forecaster.record.known_at(moment)
        if seen is not None and seen.resets_at is not None and seen.resets_at > moment:
            yield moment
