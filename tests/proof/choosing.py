"""Looks at whom processes choose to ask, and at whom they leave out."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from http import HTTPStatus

from seatpool.core.model import ProviderName
from seatpool.core.policy import Policy
from seatpool.core.strategy import Strategy
from tests.proof.editor import Desk
from tests.proof.issuer import Seat
from tests.proof.loop import Loop, Owner
from tests.proof.proxy import Proxy
from tests.proof.trial import Trial
from tests.proof.upstream import Upstream
from tests.proof.weather import Weather

HEARD_S = 3.0
"""By then what one process has learnt is known to the others, where nothing is wrong with the database."""
CHOSEN_S = 0.5
"""So long after an account was chosen it is asked, where nothing stands in the way."""
FREED_S = 16.0
"""By then every process knows that a place was freed, also where it was held by one that was killed."""
KEPT_S = 6.0
"""By then it is on record where a conversation is."""
UNDER_WAY_S = 0.5
"""So long after it was sent an editor gets something, whatever has become of who sent it."""
UNREACHED_S = 5.0
"""A request takes no longer over its attempts, where none of them waits."""


class Choosing:
    """One per world."""

    def __init__(
        self,
        loop: Loop,
        trial: Trial,
        weather: Weather,
        upstream: Upstream,
        desk: Desk,
        policy: Policy,
        owners: Mapping[Owner, Proxy],
        *,
        rogue: float,
    ) -> None:
        """`owners`: as the judge's; `rogue`: share of the flows that go astray."""
        self._loop = loop
        self._trial = trial
        self._weather = weather
        self._upstream = upstream
        self._desk = desk
        self._issuer = upstream.issuer
        self._policy = policy
        self._owners = owners
        self._rogue = rogue
        self._asked: dict[str, tuple[int, ...]] = {}
        """Ids of the accounts that an editor's request was sent with."""
        self._chosen_by: dict[tuple[Owner, int], float] = {}
        """When a process chose an account last that it asked, by its id: turns are each process' own."""
        self._held_at: defaultdict[int, float] = defaultdict(float)
        """When a place at an account was held last."""
        self._over_at: dict[str, float] = {}
        """When an editor's request came to its end."""
        self._unsent_at = -math.inf
        """When one came to its end for which an account may have been chosen, and none was asked."""
        self._killed_at: list[float] = []

    def asked(self, proxy: Proxy, request: str, seat: Seat, decided: float, *, noticed: bool) -> None:
        """A process asks an account. `decided`: when it began to choose; `noticed`: it knew of a clock that was set."""
        before = self._asked.get(request, ())
        self._asked[request] = (*before, seat.id)
        self._held_at[seat.id] = self._loop.now
        if not before and noticed:
            self._look_at_caches(proxy, request, seat, decided)
            self._look_at_order(proxy, request, seat, decided)
        if before[-1:] != (seat.id,):  # the same once more is no turn
            seat.chosen_at = max(seat.chosen_at, decided)
            self._chosen_by[proxy.owner, seat.id] = decided

    def refused(self, request: str, provider: ProviderName) -> None:
        """An editor was told of limits."""
        answers, asked = self._upstream.answers.get(request, []), self._asked.get(request, ())
        plainly = len(asked) == len(answers) and all(answer.until and answer.whole for answer in answers)
        tried_enough = len(asked) >= self._policy.max_attempts
        if self._weather.moved_nobody or not self._weather.steady or self._rogue or not plainly or tried_enough:
            return  # limits were not all that stood in its way
        for seat in self._issuer.seats.values():
            if seat.provider is provider and seat.usable and not self._is_in_doubt(seat, self._loop.now):
                self._trial.broken("useful", f"{request} was refused, and nothing ails {seat.name}")

    def over(self, request: str) -> None:
        """An editor's request has come to an end."""
        self._hold(self._asked.get(request, ()))
        self._over_at[request] = self._loop.now
        under_way = self._under_way()
        for seat in self._issuer.seats.values():
            if seat.id in under_way:  # perhaps chosen for it, and never asked
                seat.chosen_at = self._loop.now
        answered = request in self._upstream.answers and not self._rogue  # else by a host that another addon chose
        if request not in self._asked and not answered:
            self._unsent_at = self._loop.now

    def killed(self, proxy: Proxy) -> None:
        """A process is no more; others count for a while what it had under way."""
        self._killed_at.append(self._loop.now)
        self._hold(proxy.service.knowledge.state.in_flight)

    def _hold(self, account_ids: Iterable[int]) -> None:
        for account_id in account_ids:
            self._held_at[account_id] = self._loop.now

    def _look_at_order(self, proxy: Proxy, request: str, seat: Seat, decided: float) -> None:
        known_there = any(seat.id in self._asked.get(each, ()) for each in self._desk.before(request))
        changed = self._weather.ordered_at > min(decided, self._loop.now - UNREACHED_S)
        chosen_at = self._chosen_by.get((proxy.owner, seat.id), -math.inf)
        if known_there or changed or self._is_unkept(chosen_at):
            return
        heard_s = HEARD_S + 2 * self._weather.skew_s if len(self._owners) > 1 else CHOSEN_S
        under_way, astray = self._under_way(), self._may_be_astray()
        for other in self._issuer.seats.values():
            waited = other.chosen_at + heard_s < chosen_at < decided - heard_s and not astray
            first = {
                None: other.priority < seat.priority,
                Strategy.PRIORITY: other.priority < seat.priority,
                Strategy.ROUND_ROBIN: waited and other.id not in under_way and self._unsent_at <= other.chosen_at,
            }.get(proxy.service.policy.order, False)
            if first and other.provider is seat.provider and other.usable and not self._is_in_doubt(other, decided):
                self._trial.broken("in-order", f"{request} begins on {seat.name}, and {other.name} comes before that")

    def _look_at_caches(self, proxy: Proxy, request: str, seat: Seat, decided: float) -> None:
        before = self._desk.before(request)
        answers = [answer for each in before for answer in self._upstream.answers.get(each, ())]
        served = next(
            (answer for answer in reversed(answers) if answer.arrived and answer.status == HTTPStatus.OK), None
        )
        if served is None or served.seat is None or answers[-1].seat != served.seat:
            return
        home, at = self._issuer.seats[served.seat], self._over_at[served.request]
        asked = [seat_id for each in before for seat_id in self._asked.get(each, ())]
        elsewhere = bool(asked) and asked[-1] != home.id
        by_old_time = at < self._weather.set_at and at < proxy.began_at
        if home is not seat and not (
            elsewhere or by_old_time or self._is_unkept(at) or self._is_in_doubt(home, decided)
        ):
            self._trial.broken("stays", f"{request} goes to {seat.name}, and {home.name} has served {served.request}")

    def _may_be_astray(self) -> bool:
        """Whether a request is under way for which an account had its turn, and was not asked."""
        return self._rogue > 0 and not self._desk.waiting <= self._asked.keys()

    def _under_way(self) -> set[int]:
        """Ids of the accounts that serve a request, or are about to."""
        living = (each for each in self._owners.values() if not each.dead)
        return {account_id for each in living for account_id in each.service.knowledge.state.in_flight}

    def _is_unkept(self, at: float) -> bool:
        """Whether what was then may be on no record."""
        return not self._weather.steady or any(-UNDER_WAY_S < each - at < KEPT_S for each in self._killed_at)

    def _is_in_doubt(self, seat: Seat, decided: float) -> bool:
        """Whether there may have been a reason not to ask an account when that was decided."""
        full = self._policy.max_in_flight and decided - self._held_at[seat.id] < FREED_S
        unreached_at = max(self._weather.unreached_at, self._upstream.late_at)  # to try is an attempt as well
        return seat.ails or bool(full) or self._loop.now - unreached_at < UNREACHED_S
