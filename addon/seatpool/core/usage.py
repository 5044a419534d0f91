"""How quota was used up, read from what was seen of a window over the time.

A window tells what is left of it, now and then. Between two observations of one period the difference was used; where a
reset lies between them, what is missing since. While a window is empty nothing can be used, so nothing is known of what
would have been.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec

from seatpool.core.model import QuotaWindow
from seatpool.core.scoring import LENGTHS_S, UNKNOWN_S

LEAST_CHANGE = 0.01
"""Upstreams tell shares in whole percents; a smaller change is not worth a row."""
LONGEST_SILENCE = timedelta(minutes=10)
"""After this time a smaller change is worth one."""
ROUNDING = 0.005
"""By so much a share may differ from what it is; less is empty."""

SAME_END = timedelta(minutes=2)
"""By so much one reset is told apart at most: as a time, and as one from now on."""
LAPSE = 5
"""So many observations in a row may be of something else before they are what holds."""

LOOKS_BACK = timedelta(days=31)
"""What is older tells nothing of a window."""


def worth_keeping(before: QuotaWindow | None, seen: QuotaWindow) -> bool:
    """Whether an observation belongs into the history, of which `before` is the last."""
    if seen.unlimited or seen.gone:
        return False
    return (
        before is None
        or abs(seen.left - before.left) >= LEAST_CHANGE - 1e-9
        or seen.observed_at - before.observed_at >= LONGEST_SILENCE
        or not same_period(before, seen)
    )


def same_period(before: QuotaWindow, after: QuotaWindow) -> bool:
    """Whether no reset lies between two observations of one window."""
    if before.resets_at is not None and before.resets_at <= after.observed_at:
        return False
    return after.left <= before.left + ROUNDING


def steady(history: Sequence[QuotaWindow]) -> list[QuotaWindow]:
    """The history without lapses: what tells of another reset, after which the period before it goes on.

    About each sixth answer of ChatGPT's to a question for usage may be of a window that has hardly begun, of the same
    account seconds later not (robinebers/openusage issue 903, openai/codex issues 23190 and 32409). Of such a jump and
    back all of a window would seem to be used.
    """
    kept: list[QuotaWindow] = []
    for seen in history:
        places = range(len(kept) - 1, max(len(kept) - 2 - LAPSE, -1), -1)
        former = next((at for at in places if _goes_on(kept[at], seen)), None)
        if former is not None:
            del kept[former + 1 :]
        kept.append(seen)
    return kept


def _goes_on(before: QuotaWindow, after: QuotaWindow) -> bool:
    """Whether both are surely of one period."""
    if before.resets_at is None or after.resets_at is None or not same_period(before, after):
        return False
    return abs(after.resets_at - before.resets_at) <= SAME_END


def began_at(before: QuotaWindow, after: QuotaWindow) -> datetime:
    """When the period of `after` began, where a reset lies between the two; the latest that fits."""
    begin = before.observed_at
    if before.resets_at is not None and before.resets_at <= after.observed_at:
        begin = max(begin, before.resets_at)
    if after.resets_at is not None and after.length_s is not None:
        begin = max(begin, after.resets_at - timedelta(seconds=after.length_s))
    return min(begin, after.observed_at)


class Spell(msgspec.Struct, frozen=True):
    """A time in which a share was used evenly, as far as is known."""

    begin: datetime
    end: datetime
    used: float
    empty: bool = False
    """Nothing was left to be used."""


def spells(history: Sequence[QuotaWindow], until: datetime) -> Iterator[Spell]:
    """The history as spells, one after the other, the last ending at `until`. The oldest observation stands first."""
    for before, after in pairwise(history):
        begin, used = before.observed_at, max(before.left - after.left, 0.0)
        if not same_period(before, after):
            begin = began_at(before, after)
            yield Spell(before.observed_at, begin, 0.0, before.left <= ROUNDING)
            # A share that grew for no known reason was given, and tells nothing of use.
            used = 1.0 - after.left if begin > before.observed_at else 0.0
        yield Spell(begin, after.observed_at, used, before.left <= ROUNDING and begin == before.observed_at)
    if history:
        last = history[-1]
        empty_until = min(until, last.resets_at or until) if last.left <= ROUNDING else last.observed_at
        if empty_until > last.observed_at:
            yield Spell(last.observed_at, empty_until, 0.0, empty=True)
        yield Spell(max(empty_until, last.observed_at), until, 0.0)


def length_of(history: Sequence[QuotaWindow]) -> timedelta:
    """How long the window is, where its last observation does not say: the shortest usual length that fits."""
    last = history[-1]
    if last.length_s:
        return timedelta(seconds=last.length_s)
    ahead = max((w.resets_at - w.observed_at for w in history if w.resets_at is not None), default=None)
    if ahead is None:
        return timedelta(seconds=UNKNOWN_S)
    return timedelta(seconds=next((s for s in LENGTHS_S if ahead <= timedelta(seconds=s)), LENGTHS_S[-1]))


def per_step(history: Sequence[QuotaWindow], until: datetime, step: timedelta) -> list[float | None]:
    """Shares used in steps of equal length, the last ending at `until`; None where the window was empty.

    It begins with the first observation, the oldest, or `LOOKS_BACK` before `until`.
    """
    if not history or until <= history[0].observed_at:
        return []
    count = min(until - history[0].observed_at, LOOKS_BACK) // step
    first = until - count * step
    used: list[float | None] = [0.0] * count
    for spell in spells(history, until):
        # What was used at one moment stands for what nobody has seen: put it into the step before.
        begin = spell.begin if spell.end > spell.begin else spell.end - step
        index = max((begin - first) // step, 0)
        while index < count and first + index * step < spell.end:
            edge = first + index * step
            share = (min(spell.end, edge + step) - max(begin, edge)) / (spell.end - begin)
            known = used[index]
            used[index] = None if spell.empty or known is None else known + spell.used * share
            index += 1
    return used


class Record:
    """A history that can be asked what was left at some moment."""

    def __init__(self, history: Sequence[QuotaWindow]) -> None:
        """The oldest observation stands first."""
        self.seen = history
        self._times = [w.observed_at for w in history]

    def known_at(self, moment: datetime) -> QuotaWindow | None:
        """What had been seen by then."""
        index = bisect_right(self._times, moment)
        return self.seen[index - 1] if index else None

    def left_at(self, moment: datetime) -> float | None:
        """Share left, between observations as if it were used evenly; None before the first."""
        index = bisect_right(self._times, moment)
        if not index:
            return None
        before = self.seen[index - 1]
        if index == len(self.seen) or not same_period(before, self.seen[index]):
            return before.left
        after = self.seen[index]
        passed = (moment - before.observed_at) / (after.observed_at - before.observed_at)
        return before.left + (after.left - before.left) * passed
