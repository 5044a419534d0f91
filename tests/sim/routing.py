"""What is asked of a way to choose, and the plainest one."""

from collections.abc import Set as AbstractSet
from typing import Protocol

from tests.sim.upstream import Reply
from tests.sim.workload import Turn


class Router(Protocol):
    """Chooses accounts, named by their place, and hears what comes of it. Times in seconds."""

    def choose(self, turn: Turn, now: float, tried: AbstractSet[int]) -> int | None:
        """The account to ask; None: the client is refused."""

    def served(self, turn: Turn, account: int, reply: Reply, now: float) -> None:
        """The answer streams."""

    def refused(self, turn: Turn, account: int, reply: Reply, now: float) -> bool:
        """A 429 has come. Returns whether the request is to be tried elsewhere."""

    def ended(self, turn: Turn, account: int, reply: Reply, now: float) -> None:
        """The answer has streamed to its end."""


class RoundRobin:
    """Each request on the next account, and none that is known to be limited."""

    def __init__(self, accounts: int) -> None:
        self._until = [0.0] * accounts
        self._next = 0

    def choose(self, turn: Turn, now: float, tried: AbstractSet[int]) -> int | None:
        count = len(self._until)
        for place in (*range(self._next, count), *range(self._next)):
            if place not in tried and self._until[place] <= now:
                self._next = (place + 1) % count
                return place
        return None

    def served(self, turn: Turn, account: int, reply: Reply, now: float) -> None:
        pass

    def refused(self, turn: Turn, account: int, reply: Reply, now: float) -> bool:
        self._until[account] = reply.refused_until or now
        return True

    def ended(self, turn: Turn, account: int, reply: Reply, now: float) -> None:
        pass
