"""Requests that wait for a place at an account, or for a limit to end: until somebody can serve them, their time is
over, it has become clear that nobody will in that time, or the client leaves."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum

import msgspec
from msgspec.structs import replace

from seatpool.clock import utcnow
from seatpool.core.fairness import Fair
from seatpool.core.model import ProviderName
from seatpool.core.returning import Returning
from seatpool.core.selection import Demand, Exhausted, Selection
from seatpool.service.trail import Trail

LOOK_EVERY_S = 0.25
"""Places come free in other ways than by a request that ends: a cooldown is over, an account is added."""
AT_MOST = 256
"""Requests that wait; each keeps its body in memory, and a client's connection."""


class End(Enum):
    """How waiting ends without a place."""

    LATE = "late"
    LEFT = "left"
    CROWDED = "crowded"
    """Too many wait already."""


Result = Selection | Exhausted | End
"""`Exhausted`: nobody will be there in time."""


class _Waiter(msgspec.Struct, eq=False):
    trail: Trail
    result: asyncio.Future[Result]
    until: datetime
    """So long it can wait."""
    limited: bool
    """For a limit's end, not only for a place."""

    def end(self, result: Result) -> None:
        """The first to say so is right."""
        if not self.result.done():
            self.result.set_result(result)


class Waiting:
    """Who waits, by provider. All in the event loop."""

    def __init__(self, choose: Callable[[Trail], Selection | Exhausted], returning: Returning) -> None:
        """`choose` takes a place for a flow, if there is one; `returning` is kept while somebody's limit matters."""
        self._choose = choose
        self._returning = returning
        self._closed = False
        self._queues: dict[ProviderName, Fair[_Waiter]] = {name: Fair() for name in ProviderName}
        self._by_flow: dict[str, _Waiter] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._by_flow)

    async def wait(self, trail: Trail, found: Exhausted, longest_s: float) -> Result:
        """Until a place was taken for the flow, or it waits no longer; `found` is what it waits for."""
        if self._closed or len(self._by_flow) >= AT_MOST:
            return End.LEFT if self._closed else End.CROWDED
        loop = asyncio.get_running_loop()
        until = utcnow() + timedelta(seconds=longest_s)
        waiter = _Waiter(trail, loop.create_future(), until, limited=not found.full)
        queue = self._queues[trail.facts.route.provider]
        conversation = trail.facts.conversation or trail.flow_id
        queue.add(conversation, waiter)
        self._by_flow[trail.flow_id] = waiter
        deadline = loop.call_later(max(longest_s, 0.0), waiter.end, End.LATE)
        self._look_again(loop)
        try:
            return await waiter.result
        finally:
            deadline.cancel()
            queue.discard(conversation, waiter)
            if self._by_flow.get(trail.flow_id) is waiter:
                del self._by_flow[trail.flow_id]
            if waiter.limited and not any(each.limited for each in self._by_flow.values()):
                self._returning.clear()
            if not self._by_flow and self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def serve(self, provider: ProviderName, most: int | None = None) -> None:
        """There may be places: give them to those whose turn it is, to so many at most."""
        if not self._by_flow:
            return
        queue, served = self._queues[provider], 0
        nobody: dict[tuple[Demand, frozenset[int]], Exhausted] = {}
        for conversation, waiter in queue:
            if served == most:
                return
            if waiter.result.done():
                continue  # it has given up, and is about to leave by itself
            trail = waiter.trail
            alike = replace(trail.demand, conversation=None), frozenset(trail.tried)
            choice = nobody.get(alike) or self._choose(trail)
            if isinstance(choice, Selection):
                queue.serve(conversation, waiter)
                waiter.end(choice)
                served += 1
                continue
            if not trail.demand.bound:
                nobody[alike] = choice  # who asks for the same need not be asked about
            if not choice.full and (choice.soonest is None or choice.soonest > waiter.until):
                waiter.end(choice)

    def abandon(self, flow_id: str) -> None:
        """The client has left: nobody waits for this flow any more."""
        waiter = self._by_flow.get(flow_id)
        if waiter is not None:
            waiter.end(End.LEFT)

    def close(self) -> None:
        """Nobody waits any more (at shutdown)."""
        self._closed = True
        for waiter in tuple(self._by_flow.values()):
            waiter.end(End.LEFT)

    def _look_again(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is None:
            self._timer = loop.call_later(LOOK_EVERY_S, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        self._returning.look(utcnow())
        for provider in ProviderName:
            self.serve(provider)
        if self._by_flow:
            self._look_again(loop)
