"""One run: every turn in its time. Time is counted, never waited for."""

from collections.abc import Callable
from heapq import heappop, heappush

from tests.sim.measures import Measures, Meterman
from tests.sim.routing import Router
from tests.sim.scenario import BEGAN_S, Scenario, World, world
from tests.sim.upstream import Reply, cost
from tests.sim.workload import Turn


def simulate(scenario: Scenario, make: Callable[[World], Router]) -> Measures:
    """Ask everything that the scenario's people ask; the router chooses."""
    made = world(scenario)
    run = _Run(made, make(made))
    for turn in made.turns:
        run.ask(turn)
    run.end(float("inf"))
    return run.counted.reduce()


class _Run:
    def __init__(self, made: World, router: Router) -> None:
        self.counted = Meterman(made.seats)
        self._seats = made.seats
        self._router = router
        self._open: list[tuple[float, int, Turn, int, Reply]] = []

    def ask(self, turn: Turn) -> None:
        """Until an account serves it, or the router has none to name."""
        self.end(turn.at)
        now, tried = turn.at, set[int]()
        self.counted.requests += 1
        warmest = self.counted.warmest(turn, now)
        while (account := self._router.choose(turn, now + BEGAN_S, tried)) is not None:
            reply = self._seats[account].ask(turn, now)
            if reply.refused_until is None:
                self._router.served(turn, account, reply, now + BEGAN_S)
                self.counted.serve(turn, account, reply, warmest)
                heappush(self._open, (now + turn.duration_s, self.counted.requests, turn, account, reply))
                return
            self.counted.limits_met += 1
            reply = Reply(reply.refused_until + BEGAN_S, reply.told)
            if not self._router.refused(turn, account, reply, now + BEGAN_S):
                break
            tried.add(account)
        self.counted.refuse(turn, now)

    def end(self, now: float) -> None:
        """End the answers that are over by now."""
        while self._open and self._open[0][0] <= now:
            at, _, turn, account, reply = heappop(self._open)
            price = cost(turn, reply.cached)
            self._seats[account].charge(price, at)
            self.counted.charged += price
            self._router.ended(turn, account, reply, at + BEGAN_S)
