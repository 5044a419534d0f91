"""Requests that wait for a place at an account: until one is free, their time is over, or the client leaves."""

import asyncio
from collections.abc import Callable
from enum import Enum

import msgspec

from seatpool.core.fairness import Fair
from seatpool.core.model import ProviderName
from seatpool.core.selection import Selection
from seatpool.service.trail import Trail

LOOK_EVERY_S = 0.25
"""Places come free in other ways than by a request that ends: a cooldown is over, an account is added."""


class End(Enum):
    """How waiting ends without a place."""

    LATE = "late"
    LEFT = "left"


class _Waiter(msgspec.Struct, eq=False):
    trail: Trail
    result: asyncio.Future[Selection | End]

    def end(self, result: Selection | End) -> None:
        """The first to say so is right."""
        if not self.result.done():
            self.result.set_result(result)


class Waiting:
    """Who waits, by provider. All in the event loop."""

    def __init__(self, choose: Callable[[Trail], Selection | None]) -> None:
        """`choose` takes a place for a flow, if there is one."""
        self._choose = choose
        self._queues: dict[ProviderName, Fair[_Waiter]] = {name: Fair() for name in ProviderName}
        self._by_flow: dict[str, _Waiter] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._by_flow)

    async def wait(self, trail: Trail, longest_s: float) -> Selection | End:
        """Until a place was taken for the flow, or it waits no longer."""
        loop = asyncio.get_running_loop()
        waiter = _Waiter(trail, loop.create_future())
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
            if not self._by_flow and self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def serve(self, provider: ProviderName, most: int | None = None) -> None:
        """There may be places: give them to those whose turn it is, to so many at most."""
        if not self._by_flow:
            return
        queue, served = self._queues[provider], 0
        for conversation, waiter in queue:
            if served == most:
                return
            if waiter.result.done():
                continue  # it has given up, and is about to leave by itself
            choice = self._choose(waiter.trail)
            if choice is not None:
                queue.serve(conversation, waiter)
                waiter.end(choice)
                served += 1

    def abandon(self, flow_id: str) -> None:
        """The client has left: nobody waits for this flow any more."""
        waiter = self._by_flow.get(flow_id)
        if waiter is not None:
            waiter.end(End.LEFT)

    def close(self) -> None:
        """Nobody waits any more (at shutdown)."""
        for waiter in tuple(self._by_flow.values()):
            waiter.end(End.LEFT)

    def _look_again(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is None:
            self._timer = loop.call_later(LOOK_EVERY_S, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        for provider in ProviderName:
            self.serve(provider)
        if self._by_flow:
            self._look_again(loop)
