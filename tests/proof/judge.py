"""Looks at what processes do, and at what is left when they have gone."""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain

from tests.proof.choosing import HEARD_S, Choosing
from tests.proof.database import Database
from tests.proof.issuer import Issuer, Seat
from tests.proof.loop import Loop, Owner
from tests.proof.network import Line
from tests.proof.proxy import Proxy
from tests.proof.trial import Trial
from tests.proof.upstream import Upstream
from tests.proof.weather import Weather

NOTICED_S = 0.5
"""A clock that was set is noticed a quarter of a second later at most; until then a limit may seem to be over."""
NOTICED_LATE_S = 8.0
"""The same where the database is slow, locked or away: who notices it may be waiting for that."""


class Judge:
    """One per world."""

    def __init__(
        self,
        loop: Loop,
        trial: Trial,
        weather: Weather,
        upstream: Upstream,
        owners: Mapping[Owner, Proxy],
        database: Database,
        choosing: Choosing,
    ) -> None:
        """`owners`: all processes, filled by whoever starts them."""
        self._loop = loop
        self._trial = trial
        self._weather = weather
        self._upstream = upstream
        self._issuer: Issuer = upstream.issuer
        self._owners = owners
        self._database = database
        self._sent: Counter[int] = Counter()
        """Requests and handshakes with an account's credential, by its id."""
        self._off_s: dict[str, float] = {}
        """By how much the clocks were off when a request was sent, less what this had drifted by then: a process may
        learn from the answer before the clock is set, and be done with it after that."""
        self.choosing = choosing
        self._tries: dict[str, Seat] = {}
        """Accounts by the requests that try a limit that newer news speaks against."""
        self._tried: dict[tuple[str, float], str] = {}
        """Which of them was refused, by account and end of the limit; it may have waited and tried again."""
        self._forgotten: dict[str, float] = {}
        """Since when limits of before bind nobody, by account."""
        upstream.served = self._served

    # -- while it goes on

    def asked(self, line: Line, request: str, seat: Seat) -> None:
        """A process sends a request with an account's credential."""
        self._sent[seat.id] += 1
        self._off_s[request] = self._off_now()
        proxy = self._owners[line.owner]
        if proxy.service.knowledge.state.in_flight[seat.id] < 1:
            self._trial.broken("slots", f"{proxy.owner} asks {seat.name} for {request} and holds no place there")
        flow_id, decided = proxy.flows.get(request, ("", 0.0))
        exchange = proxy.pool.exchanges._open.get(flow_id)
        probe = exchange is not None and exchange.trail is not None and exchange.trail.probe is not None
        if probe:
            self._tries[request] = seat
            self._loop.note(f"{proxy.owner} tries {seat.name} with {request}")
        else:
            self._tries.pop(request, None)
        # One that began before the clock was set may have waited, and have chosen when nobody had noticed yet.
        noticed = decided > self._weather.set_at + (NOTICED_S if self._weather.orderly else NOTICED_LATE_S)
        if proxy.service.policy.rotate_on_limit and not probe and noticed:
            self._look_at_limits(proxy, request, seat, decided)
        self.choosing.asked(proxy, request, seat, decided, noticed=noticed)

    def _off_now(self) -> float:
        return abs(self._issuer.skew_s) - self._weather.drift_s

    def _look_at_limits(self, proxy: Proxy, request: str, seat: Seat, decided: float) -> None:
        slack_s = self._weather.drift_s + 2 * self._weather.skew_s + 1.5
        others = self._living() if self._weather.orderly else ()
        for other in (proxy, *others):
            left_s = other.known.get(seat.name, 0.0) - self._issuer.now
            heard = other.told_at.get(seat.name, 0.0) + (HEARD_S if other is not proxy else 0.0)
            if left_s > slack_s + other.off_s.get(seat.name, 0.0) and decided > heard:
                why = f"{proxy.owner} asks {seat.name} for {request}, {left_s:.0f} s before the limit ends that"
                self._trial.broken("cooldown", f"{why} {other.owner} was told of")

    def _served(self, request: str, seat: Seat) -> None:
        """Where that tried a limit, or one that is over before its time, no limit of before binds anybody."""
        if request in self._tries or seat.is_back:
            seat.is_back = False
            self.forget((seat.name,))

    def forget(self, names: Iterable[str]) -> None:
        """What processes were told of these accounts' limits binds nobody any more."""
        for name in names:
            self._forgotten[name] = self._loop.now
            for proxy in self._owners.values():
                proxy.known.pop(name, None)

    def told(self, proxy: Proxy, request: str) -> None:
        """A process has dealt with a refusal."""
        if not proxy.service.policy.rotate_on_limit:
            return
        for answer in self._upstream.answers.get(request, [])[-1:]:
            if answer.until and answer.whole and answer.seat is not None:
                if answer.at < self._forgotten.get(answer.seat, 0.0):
                    continue  # it is dealt with late
                off_s = max(self._off_now(), self._off_s[request])
                if proxy.known.get(answer.seat, 0.0) == answer.until:
                    off_s = max(off_s, proxy.off_s[answer.seat])
                if answer.until >= proxy.known.get(answer.seat, 0.0):
                    proxy.known[answer.seat], proxy.off_s[answer.seat] = answer.until, off_s
                proxy.told_at[answer.seat] = self._loop.now
                self._look_at_tries(proxy, request)

    def _look_at_tries(self, proxy: Proxy, request: str) -> None:
        """One that tries a limit was refused."""
        seat = self._tries.pop(request, None)
        if seat is None or seat.spent_until <= self._issuer.now:
            return
        if self._tried.setdefault((seat.name, seat.spent_until), request) != request:
            self._trial.broken("tried-once", f"{proxy.owner} tries {seat.name} with {request}, as was done before")

    def started_anew(self) -> None:
        """The machine: whose turn it is to try a limit is kept as long as it runs."""
        self._tried.clear()

    def killed(self, proxy: Proxy) -> None:
        """A process is no more."""
        self.choosing.killed(proxy)
        for seat in self._issuer.seats.values():
            if proxy.owner in seat.asking:
                seat.asking.remove(proxy.owner)

    def _living(self) -> tuple[Proxy, ...]:
        return tuple(each for each in self._owners.values() if not each.dead)

    # -- when it is over

    def everybody_has_gone(self) -> None:
        """Every editor: nothing is under way any more."""
        for proxy in self._living():
            if proxy.service._refresher._running:
                self._trial.broken("answered", f"everybody has gone, and {proxy.owner} still waits to renew a login")
            held = dict(proxy.service.knowledge.state.in_flight)
            if any(held.values()):
                self._trial.broken("slots", f"everybody has gone, and {proxy.owner} counts {held}")
            if proxy.service.waiting or len(proxy.pool.exchanges):
                self._trial.broken("slots", f"everybody has gone, and {proxy.owner} still has flows")
        for seat in self._issuer.seats.values():
            last = seat.rotations[-1] if seat.rotations else None
            lost = last is None or not last.arrived or last.asked_by.dead
            if last is not None and not lost and self._trial.stored(seat) != last.fresh:
                self._trial.broken("spent-token", f"the last token of {seat.name} is not stored")

    def ended(self, proxy: Proxy, *, writes: bool) -> None:
        """A process has ended; `writes`: the database took everything that it had to write for that."""
        self._weather.complete = self._weather.complete and writes
        for seat in self._issuer.seats.values():
            if proxy.owner in seat.asking:
                self._trial.broken("answered", f"{proxy.owner} has ended while it renews {seat.name}")
        if writes:
            self._database.left_by(proxy, steady=self._weather.steady)

    def all_have_ended(self) -> None:
        """Every process: what is in the database is all that there will be."""
        self._database.sums()
        if self._weather.complete:
            ids = {seat.name: seat.id for seat in self._issuer.seats.values()}
            self._database.holds(self._sent, ids)
            self._database.spent(chain.from_iterable(self._upstream.answers.values()), ids)
