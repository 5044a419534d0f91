"""How much useful capacity an account has at this moment, as one number: more is better.

Quota that resets soon is worth using before quota that lasts, and quota that is running ahead of its time is worth
sparing. One window scores

    plan x share left x sqrt(length) / (share of time left x conservation) x health

and of several the longest leads while the shorter ones guard it: a guard that is used faster than its time goes takes
from the score in the measure in which it will hold until the long one resets (codex.md 8, whose numbers are kept).

That is what an account has. What it is worth to one conversation (`Score.merit`) is its pace and its room:

    share left / share of time left x guard / (1 + tokens that go on on it / room)

By simulation (`tests/sim`) accounts compared so refuse less, and move conversations less often, than by the score.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum
from math import exp, log, sqrt
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from seatpool.core.model import QuotaWindow
from seatpool.core.quotas import CHAT, PREMIUM

CAPACITY_S = 1800.0
"""A window of half an hour counts once; longer ones hold more, with the square root of their length."""
CONSERVATION_S = 14_400.0
"""A reset further away than four hours makes its quota worth sparing, with the logarithm of the time."""
HORIZON_S = 1_209_600.0
"""Beyond two weeks nothing is spared more."""
MOST_SPARING = 1 + log(HORIZON_S / CONSERVATION_S)
HEALTH_RANGE = 0.2
"""How far share left and share of time may differ before bonus and penalty are full."""
HEALTH_BONUS = 0.12
HEALTH_PENALTY = 0.18
LITTLE = 0.03
"""Below this share a guard falls off in proportion to what is left."""
LEAST = 1e-6
ROOM_TOKENS = 12_000.0
"""Tokens of conversations that halve the merit of the smallest paid plan, all of whose quota is left.

By simulation: with a third and with three times as much, more is refused and more is read again.
"""
UNTOUCHED_S = 60.0
"""A window of which nothing is used and which ends a whole length from now, within this, has not begun."""

STALE_AFTER_S = 3600.0
"""What was seen longer ago is still the best that is known, and is marked (codex.md 8: stale up to an hour)."""

LENGTHS_S = (5 * 3600.0, 7 * 24 * 3600.0, 30 * 24 * 3600.0)
"""What windows are long; one that does not tell is taken for the shortest that its reset fits into."""
UNKNOWN_S = 7 * 24 * 3600.0
"""An account of which nothing was seen counts as an untouched week, so that it is found out about soon."""

PLAN_WEIGHT: Mapping[str, float] = MappingProxyType(
    {
        "prolite": sqrt(5),
        "self_serve_business_prolite": sqrt(5),
        "pro": sqrt(20),
        "individual_pro": sqrt(5),
        "individual_max": sqrt(20),
    }
)
"""How much larger a plan is than the smallest paid one, under a root, since a large seat is not to be drained first.

Codex: 5 and 20 times plus (codex.md 8). Copilot: 1,500 premium requests to 300, as names of the same ratio; any other
plan counts once.
"""


class Standing(Enum):
    """What is known of a quota."""

    UNKNOWN = "unknown"
    UNLIMITED = "unlimited"
    LIMITED = "limited"
    EXHAUSTED = "exhausted"


class Score(msgspec.Struct, frozen=True, gc=False):
    """A number, and what it came from."""

    value: float
    standing: Standing
    main: str | None = None
    """Bucket of the window that leads."""
    guard: str | None = None
    """Bucket of the window that took most of the score, where one did."""
    factor: float = 1.0
    """What the guard left of it, 0.0 to 1.0."""
    stale: bool = False
    """Nothing that counts was seen within the policy's hour."""
    resets_at: float | None = None
    """When the first of the limited windows resets, in seconds since the epoch."""
    weight: float = 1.0
    """What the plan has multiplied it by."""
    room: float = 1.0
    """Share left of the window that has least."""
    pace: float = 1.0
    """Share left over share of time left in the window that leads, times `factor`: above 1.0 it lasts too long."""
    untouched_since: float | None = None
    """Since when, in seconds since the epoch, a window waits for its first use to begin, as far as is known; begun now,
    it will have reset the sooner."""
    drained: str | None = None
    """Empty bucket that only models draw on which the plan does not include, where the others have no limit."""

    def merit(self, load: float) -> float:
        """What an account is worth to a conversation, where `load` tokens of conversations would go on on it with it.

        The plan counts by how much goes into it, not by how much of it there is: accounts that are used in step with
        their time, large or small, all stay available, while a heavy conversation finds too little room in a small one.
        """
        return self.pace / (1.0 + load / (ROOM_TOKENS * self.weight**2 * max(self.room, LEAST)))


class _Window(NamedTuple):
    """What the formulas need of one window. Times in seconds. A tuple, since it is made for every answer."""

    bucket: str
    left: float
    span: float
    ahead: float
    """Until it resets."""
    told: bool
    """Upstream has named that moment, and it is still to come."""
    since: float
    """When it was seen so, or has reset; seconds since the epoch."""


def score(
    windows: Iterable[QuotaWindow], plan: str | None, now: datetime, *, stale_after_s: float = STALE_AFTER_S
) -> Score:
    """The score of an account by the windows that a request would draw on.

    A window that has reset since it was seen counts as full; one whose reset nobody has told counts as just begun, and
    has reset when its length is over. An empty premium one beside chat without a limit does not count: it is told as
    `drained`.
    """
    weight = PLAN_WEIGHT.get(plan or "", 1.0)
    limited: list[_Window] = []
    unlimited, newest, chat = None, None, False
    moment = now.timestamp()
    for seen in windows:
        if newest is None or seen.observed_at > newest:
            newest = seen.observed_at
        if seen.unlimited:
            unlimited = seen.bucket
            chat = chat or seen.bucket == CHAT
        else:
            limited.append(_aged(seen, moment))
    stale = newest is not None and moment - newest.timestamp() > stale_after_s
    resets_at = min((moment + w.ahead for w in limited if w.told), default=None)
    drained = min((w.bucket for w in limited if _is_drained(w)), default=None) if chat else None
    if drained is not None:
        limited = [w for w in limited if not _is_drained(w)]
    if not limited:
        untouched = window_score(1.0, UNKNOWN_S, UNKNOWN_S, weight)
        if unlimited is None:
            return Score(untouched, Standing.UNKNOWN, weight=weight, untouched_since=moment)
        # Nothing is lost by using it now or later: before what is to be spared, behind what would be lost.
        return Score(
            untouched * 2,
            Standing.UNLIMITED,
            unlimited,
            stale=stale,
            resets_at=resets_at,
            weight=weight,
            pace=2.0,
            drained=drained,
        )
    spent = min((w.bucket for w in limited if w.left <= 0.0), default=None)
    if spent is not None:
        return Score(
            0.0, Standing.EXHAUSTED, spent, stale=stale, resets_at=resets_at, weight=weight, room=0.0, pace=0.0
        )
    main = max(limited, key=_longest)
    factor, guard = 1.0, ""
    for window in limited:
        if window is not main:
            factor, guard = min((factor, guard), (_guard(window, main), window.bucket))
    value = window_score(main.left, main.span, main.ahead, weight) * factor
    return Score(
        value,
        Standing.LIMITED,
        main.bucket,
        guard or None,
        factor,
        stale,
        resets_at,
        weight,
        room=min(w.left for w in limited),
        pace=main.left / max(min(main.ahead / main.span, 1.0), LEAST) * factor,
        untouched_since=max((w.since for w in limited if _untouched(w)), default=None),
        drained=drained,
    )


def window_score(left: float, span: float, ahead: float, weight: float = 1.0) -> float:
    """One window's score: `left` is a share, `span` its length and `ahead` the time to its reset, in seconds."""
    time = min(max(ahead / span, 0.0), 1.0)
    sparing = min(max(1 + log(max(ahead, LEAST) / CONSERVATION_S), 1.0), MOST_SPARING)
    return weight * left * sqrt(span / CAPACITY_S) / (max(time, LEAST) * sparing) * _health(left, time)


def balance(left: float, time: float) -> float:
    """How a window stands beside one whose use has kept step with its time, as a logarithm: below 0 it is ahead."""
    return log(max(left, LEAST) / max(time, LEAST) * _health(left, time))


def _health(left: float, time: float) -> float:
    deviation = min(max((left - time) / HEALTH_RANGE, -1.0), 1.0)
    return 1 + (HEALTH_BONUS if deviation >= 0 else HEALTH_PENALTY) * deviation


def _is_drained(window: _Window) -> bool:
    return window.left <= 0.0 and window.bucket.startswith(PREMIUM)


def _untouched(window: _Window) -> bool:
    return window.left >= 1.0 and window.ahead >= window.span - UNTOUCHED_S


def _longest(window: _Window) -> tuple[float, str]:
    return window.span, window.bucket


def _guard(guard: _Window, main: _Window) -> float:
    concern = min(max((main.ahead - guard.ahead) / guard.span, 0.0), 1.0)
    floor = guard.left / LITTLE if guard.left < LITTLE else 1.0
    return min(floor, 1.0, exp(concern * balance(guard.left, min(max(guard.ahead / guard.span, 0.0), 1.0))))


def _aged(seen: QuotaWindow, moment: float) -> _Window:
    known = float(seen.length_s) if seen.length_s else None
    at = seen.observed_at.timestamp()
    if seen.resets_at is None:
        span = known or UNKNOWN_S
        ends = at + span
        if ends > moment:
            return _Window(seen.bucket, seen.left, span, span, told=False, since=at)
    else:
        ends = seen.resets_at.timestamp()
        if ends > moment:
            return _Window(seen.bucket, seen.left, known or _length(ends - moment), ends - moment, told=True, since=at)
        span = known or _length(ends - at)
    return _Window(seen.bucket, 1.0, span, span, told=False, since=ends)


def _length(ahead: float) -> float:
    return next((length for length in LENGTHS_S if ahead <= length), LENGTHS_S[-1])
