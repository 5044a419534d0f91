"""The prior scorer of codex.md 8, as it is described there: the thing to beat.

It keeps usage rows that are fresh for a minute and usable for an hour, ranks by score, touches dormant windows for new
sessions, and holds a conversation for five minutes after its last success. Where the description leaves room it is
given the better reading: rows that are fetched in the background are there at once, and Copilot's windows are known to
it, which it never knew.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from math import exp, log, sqrt

from tests.sim.scenario import BEGAN_S, World
from tests.sim.upstream import Reply, Seat, Told
from tests.sim.workload import Turn

FRESH_S, USABLE_S = 60.0, 3_600.0
POLLED_AFTER_S, ACTIVE_S = 180.0, 300.0
STICKY_S = 300.0
SUPPRESSED_S = 1_800.0
COOLDOWN_S = 60.0
MARGIN = 0.35
CONSERVATION_S, HORIZON_S, CAPACITY_S = 14_400.0, 1_209_600.0, 1_800.0
WEIGHTS = {"prolite": sqrt(5), "pro": sqrt(20), "individual_pro": sqrt(5)}


class Sticky(StrEnum):
    """What a conversation's account means."""

    ALWAYS = "always"
    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class _Row:
    """An account's usage as it was fetched."""

    told: tuple[Told, ...]
    at: float

    @property
    def valid_until(self) -> float:
        return self.at + min((t.resets_in_s for t in self.told if not t.dormant), default=float("inf"))

    @property
    def blocked(self) -> bool:
        return any(t.used_share >= 1.0 for t in self.told)


class Reference:
    """One process of it."""

    def __init__(self, made: World, sticky: Sticky = Sticky.ALWAYS) -> None:
        self._seats: list[Seat] = made.seats
        self._sticky = sticky
        count = len(self._seats)
        self._rows: list[_Row | None] = [None] * count
        self._cooling = [0.0] * count
        self._used = [float("-inf")] * count
        self._touched: dict[tuple[int, str], float] = {}
        self._held: dict[str, tuple[int, float]] = {}
        self._trying: Iterator[int] = iter(())

    def choose(self, turn: Turn, now: float, tried: AbstractSet[int]) -> int | None:
        if not tried:
            self._trying = self._order(turn, now)
        return next((place for place in self._trying if place not in tried), None)

    def served(self, turn: Turn, account: int, reply: Reply, now: float) -> None:
        self._cooling[account] = 0.0
        self._used[account] = now
        self._held[turn.conversation] = (account, now)
        row = self._rows[account]
        for told in row.told if row is not None else ():
            if told.dormant:
                self._touched[account, told.bucket] = now + SUPPRESSED_S

    def refused(self, turn: Turn, account: int, reply: Reply, now: float) -> bool:
        self._cooling[account] = now + COOLDOWN_S  # neither the body's time nor the headers are read
        return True

    def ended(self, turn: Turn, account: int, reply: Reply, now: float) -> None:
        pass

    # -- the order of one request

    def _order(self, turn: Turn, now: float) -> Iterator[int]:
        able = [place for place in range(len(self._seats)) if self._cooling[place] <= now]
        self._keep_rows(now)
        known = {place: row for place in able if (row := self._rows[place]) is not None}
        self._warm(now)
        if len(known) < len(able):  # "quota cache warming": the stored order
            return iter(able)
        return self._ranked(turn, known, now)

    def _ranked(self, turn: Turn, rows: dict[int, _Row], now: float) -> Iterator[int]:
        """By the rows as they were; nothing is compared for a conversation that stays where it is."""
        holder = self._holder(turn, now)
        if self._sticky is Sticky.ALWAYS and holder in rows and self._score(holder, rows[holder], now) > 0:
            yield holder
        scores = {place: self._score(place, row, now) for place, row in rows.items()}
        order = sorted(rows, key=lambda place: (-scores[place], place))
        order = self._touch(turn, rows, order, now)
        yield from self._stick(turn, scores, order, now)

    def _touch(self, turn: Turn, rows: dict[int, _Row], order: list[int], now: float) -> list[int]:
        """An untouched window is begun by a new session; the longer one first."""
        if self._holder(turn, now) is not None:
            return order
        found = {place: self._dormant(place, row, now) for place, row in rows.items()}
        dormant = [place for place in order if found[place]]
        if not dormant:
            return order
        first = max(dormant, key=lambda place: (found[place], -order.index(place)))
        return [first, *(place for place in order if place != first)]

    def _dormant(self, place: int, row: _Row, now: float) -> int:
        longest = max((t.length_s or 0.0 for t in row.told), default=0.0)
        awake = [t for t in row.told if t.dormant and self._touched.get((place, t.bucket), 0.0) <= now]
        if row.blocked or not awake:
            return 0
        return 2 if any((t.length_s or 0.0) == longest for t in awake) else 1

    def _stick(self, turn: Turn, scores: dict[int, float], order: list[int], now: float) -> list[int]:
        holder = self._holder(turn, now)
        if holder is None or scores.get(holder, 0.0) <= 0:
            return order
        if self._sticky is Sticky.AUTO:
            best, base = scores[order[0]], scores[holder]
            margin = MARGIN * (0.5 + 0.5 * min(base, best) / max(base, best, 0.001))
            if best > base * (1 + margin):
                return order
        return [holder, *(place for place in order if place != holder)]

    def _holder(self, turn: Turn, now: float) -> int | None:
        place, at = self._held.get(turn.conversation, (-1, float("-inf")))
        return place if now - at < STICKY_S else None

    # -- usage rows

    def _keep_rows(self, now: float) -> None:
        """The poller has been round; and whatever ran out is fetched for all before anything goes on."""
        for place, row in enumerate(self._rows):
            active = now - self._used[place] < ACTIVE_S
            if row is not None and active and now - row.at > POLLED_AFTER_S:
                self._fetch(place, now)
        stale = [r for r in self._rows if r is not None and (now >= r.valid_until or now - r.at > USABLE_S)]
        if stale:
            for place in range(len(self._seats)):
                self._fetch(place, now)

    def _warm(self, now: float) -> None:
        """In the background, so that this request does not see it."""
        for place, row in enumerate(self._rows):
            if row is None or now - row.at > FRESH_S:
                self._fetch(place, now)

    def _fetch(self, place: int, now: float) -> None:
        self._rows[place] = _Row(self._seats[place].told(now - BEGAN_S), now)

    # -- scores

    def _score(self, place: int, row: _Row, now: float) -> float:
        if row.blocked:
            return 0.0
        weight = WEIGHTS.get(self._seats[place].plan, 1.0)
        age = now - row.at
        windows = [(1.0 - t.used_share, _span(t), max(t.resets_in_s - age, 0.0) or _span(t)) for t in row.told]
        return weight * reduced(windows)


def reduced(windows: list[tuple[float, float, float]]) -> float:
    """The score of windows, each its share left, its span and the time to its reset; plans count once."""
    main = max(windows, key=lambda w: w[1])
    factors = [_guard(w, main) for w in windows if w is not main]
    return _window_score(*main) * min(factors, default=1.0)


def _window_score(left: float, span: float, ahead: float) -> float:
    time = min(max(ahead / span, 0.0), 1.0)
    sparing = min(max(1 + log(max(ahead, 1e-6) / CONSERVATION_S), 1.0), 1 + log(HORIZON_S / CONSERVATION_S))
    deviation = min(max((left - time) / 0.2, -1.0), 1.0)
    boost = 1 + (0.12 if deviation >= 0 else 0.18) * deviation
    return left * sqrt(span / CAPACITY_S) / (max(time, 1e-6) * sparing) * boost


def _guard(guard: tuple[float, float, float], main: tuple[float, float, float]) -> float:
    left, span, ahead = guard
    time = min(max(ahead / span, 1e-6), 1.0)
    lead = log(max(_window_score(left, span, ahead), 1e-9) / _window_score(time, span, ahead))
    concern = min(max((main[2] - ahead) / span, 0.0), 1.0)
    floor = left / 0.03 if left < 0.03 else 1.0
    return min(floor, 1.0, exp(concern * lead))


def _span(told: Told) -> float:
    if told.length_s is not None:
        return told.length_s
    return 30 * 86_400.0
