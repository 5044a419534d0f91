"""Where a flow takes its place at an account, waits for one, and gives it back."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from seatpool.clock import utcnow
from seatpool.core.selection import FALLBACK, FULL, Exhausted, Selection, select
from seatpool.core.state import PoolState
from seatpool.service.bonds import Bonds
from seatpool.service.trail import Trail
from seatpool.service.waiting import End, Waiting

logger = logging.getLogger(__name__)


class Places:
    """One per process."""

    def __init__(self, state: PoolState, note: Callable[[Trail, Selection, datetime], None], bonds: Bonds) -> None:
        """`note` keeps what there is to be told of a choice, before it changes anything."""
        self._state = state
        self._note = note
        self._bonds = bonds
        self._waiting = Waiting(self._chosen)

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def choose(self, trail: Trail) -> Selection | Exhausted:
        """Choose an account, and take the flow's place there at once.

        Whoever chooses while this one's credentials are being read is to find it taken.
        """
        state, now = self._state, utcnow()
        choice = select(state, trail.demand, now, trail.tried)
        if self._bonds.holds(trail, choice, now):
            choice = self._bonds.select(trail, now)
        if isinstance(choice, Selection):
            if trail.asked is not None:
                choice = replace(choice, reason=FALLBACK)
            self._note(trail, choice, now)
            state.use(choice.account.id, now, trail.demand.conversation)
            trail.probe = state.take_probe(choice.account.id, trail.demand.scopes, now)
            trail.slot.take(state, choice.account.id, now)
        return choice

    def hold(self, trail: Trail, account_id: int) -> None:
        """The flow goes out to this account, which it had before or was given: nobody asks whether it is full."""
        trail.slot.take(self._state, account_id, utcnow())

    async def wait(self, trail: Trail, longest_s: float) -> Selection | None:
        """For a place, so long in all. Not where only the editor's own account is there: it would go out without us."""
        if not self._state.usable[trail.facts.route.provider]:
            return None
        now = asyncio.get_running_loop().time()
        if trail.wait_until is None:
            trail.wait_until = now + longest_s
        provider, route = trail.facts.route.provider, trail.facts.route.name
        logger.info("action=waiting provider=%s route=%s reason=%s", provider, route, FULL)
        result: Selection | End = await self._waiting.wait(trail, trail.wait_until - now)
        if result is End.LATE and trail.demand.bound and not trail.demand.captive:
            trail.let_go()
            result = self._chosen(trail) or result
        waited_s = asyncio.get_running_loop().time() - now
        end = result.value if isinstance(result, End) else "served"
        logger.info("action=waited provider=%s route=%s result=%s after=%.1fs", provider, route, end, waited_s)
        return result if isinstance(result, Selection) else None

    def abandon(self, flow_id: str) -> None:
        """The client has left: should its flow wait, it does no longer."""
        self._waiting.abandon(flow_id)

    def resume(self, trail: Trail) -> None:
        """The client of a WebSocket speaks."""
        trail.slot.resume(self._state, utcnow())

    def rest(self, trail: Trail) -> None:
        """A WebSocket is silent until its client speaks again."""
        if trail.slot.rest(self._state, utcnow()):
            self._waiting.serve(trail.facts.route.provider, most=1)

    def free(self, trail: Trail) -> None:
        """Give the place back; doing it again does nothing."""
        if trail.slot.free(self._state, utcnow()):
            self._waiting.serve(trail.facts.route.provider, most=1)

    def succeeded(self, trail: Trail, account_id: int, needed: int) -> None:
        """A request was served: after `needed` at the limit that was learnt there is one place more."""
        if self._state.caps.succeed(account_id, self._state.under_way(account_id), needed):
            self._waiting.serve(trail.facts.route.provider, most=1)

    def close(self) -> None:
        """Nobody waits any more (at shutdown)."""
        self._waiting.close()

    def _chosen(self, trail: Trail) -> Selection | None:
        choice = self.choose(trail)
        return choice if isinstance(choice, Selection) else None
