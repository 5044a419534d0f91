"""Where a flow takes its place at an account, waits for one or for the end of a limit, and gives it back.

While a request waits nothing of an answer is sent: what the client gets is decided before its head goes out, so there
is nothing to keep alive with comments, and nothing that could not be taken back.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic

from msgspec.structs import replace

from seatpool.clock import utcnow
from seatpool.core.policy import Policy
from seatpool.core.selection import FALLBACK, Exhausted, Selection, expect_back, select
from seatpool.core.state import PoolState
from seatpool.providers.base import RequestFacts
from seatpool.service.flows.bonds import Bonds
from seatpool.service.flows.waiting import End, Waiting
from seatpool.service.memory.choices import Choices
from seatpool.service.trail import Trail

logger = logging.getLogger(__name__)

FULL_FOR = timedelta(seconds=5)
"""What an editor is told to wait when no place came free in time."""
GLANCE_S = 1.0
"""For a place everybody waits so long: to be refused silences some clients for ten times as long (copilot.md 9)."""


class Places:
    """One per process."""

    def __init__(
        self, state: PoolState, choices: Choices, bonds: Bonds, patience: Callable[[RequestFacts], float]
    ) -> None:
        """`patience`: how many seconds the client of such a request may be kept waiting."""
        self._state = state
        self._choices = choices
        self._bonds = bonds
        self._patience = patience
        self._waiting = Waiting(self.choose, state.returning)

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def arrive(self, trail: Trail) -> Selection | Exhausted:
        """Choose an account for one that has not waited: those who do come first."""
        if len(self._waiting):
            self._waiting.serve(trail.facts.route.provider)
        return self.choose(trail)

    def choose(self, trail: Trail) -> Selection | Exhausted:
        """Choose an account, and take the flow's place there at once.

        Whoever chooses while this one's credentials are being read is to find it taken.
        """
        state, now = self._state, utcnow()
        choice = self._find(trail, now)
        if isinstance(choice, Selection):
            if trail.asked is not None:
                choice = replace(choice, reason=FALLBACK)
            self._choices.note(trail, choice, now)
            state.use(choice.account.id, now, trail.demand.conversation)
            self._try_limit(trail, choice.account.id, now)
            state.returning.take(choice.account.id, trail.demand.scopes, now)
            trail.slot.take(state, choice.account.id, now)
        return choice

    def hold(self, trail: Trail, account_id: int) -> None:
        """The flow goes out to this account, which it had before or was given: nobody asks whether it is full."""
        now = utcnow()
        trail.slot.take(self._state, account_id, now)
        if trail.probe is None:  # one may have been opened since it was chosen
            self._try_limit(trail, account_id, now)

    # -- waiting

    async def wait(self, trail: Trail, found: Exhausted, policy: Policy) -> Selection | Exhausted:
        """Until somebody can serve the request, where that is worth it; else what is to be told.

        Not where only the editor's own account is there: it would go out without us.
        """
        waited = trail.waited_s, monotonic() - trail.began
        longest_s = self._longest_s(trail.facts, found, policy, *waited)
        if longest_s <= 0 or trail.left:
            return _soon(found)
        self._begins(trail, found, longest_s)
        before = monotonic()
        try:
            result = await self._waiting.wait(trail, found, longest_s)
        finally:
            waited_s = monotonic() - before
            trail.waited_s += waited_s
        if result is End.LATE and trail.demand.bound and not trail.demand.captive:
            trail.let_go()
            result = self.choose(trail)
        served = isinstance(result, Selection)
        if not found.full and served and trail.attempt:
            trail.held, trail.last = True, trail.attempt >= policy.max_attempts
        end = "served" if served else result.value if isinstance(result, End) else "exhausted"
        provider, route = trail.facts.route.provider, trail.facts.route.name
        logger.info(
            "action=waited provider=%s route=%s result=%s after=%.1fs request=%s",
            *(provider, route, end, waited_s, trail.short_id),
        )
        if isinstance(result, End):
            result = self._find(trail, utcnow())
            return _soon(result if isinstance(result, Exhausted) else found)
        return result if isinstance(result, Selection) else _soon(result)

    def would_wait(self, facts: RequestFacts, found: Exhausted, policy: Policy) -> bool:
        """Whether such a request, were it to come now, would wait for what was found."""
        return self._longest_s(facts, found, policy, 0.0, 0.0) > 0

    def must_wait(self, trail: Trail, policy: Policy) -> bool:
        """Whether nobody can serve a flow now, and it would wait for somebody's limit to end."""
        found = self._find(trail, utcnow())
        if isinstance(found, Selection) or found.full:
            return False
        return self._longest_s(trail.facts, found, policy, trail.waited_s, monotonic() - trail.began) > 0

    def abandon(self, trail: Trail) -> None:
        """The client has left: should its flow wait, it does no longer; nor does it begin to."""
        trail.left = True
        self._waiting.abandon(trail.flow_id)

    def close(self) -> None:
        """Nobody waits any more (at shutdown)."""
        self._waiting.close()

    def _longest_s(self, facts: RequestFacts, found: Exhausted, policy: Policy, waited_s: float, age_s: float) -> float:
        """How long to wait for what was found; 0 or less: not at all."""
        if not found.limited or not self._state.usable[facts.route.provider]:
            return 0.0
        patience_s = self._patience(facts) - age_s
        if found.full:
            return min(policy.slot_wait_s, max(patience_s, GLANCE_S)) - waited_s
        if found.soonest is None:
            return 0.0
        longest_s = min(policy.max_wait_s - waited_s, patience_s)
        return longest_s if (found.soonest - utcnow()).total_seconds() <= longest_s else 0.0

    def _begins(self, trail: Trail, found: Exhausted, longest_s: float) -> None:
        self._choices.note(trail, found, utcnow(), waiting=True)
        until = ""
        if not found.full:
            trail.tried -= trail.limited  # from here on their cooldowns alone keep them away
            expect_back(self._state, trail.demand, utcnow())
            until = f" until={found.soonest.isoformat('T', 'milliseconds')}" if found.soonest is not None else ""
        logger.info(
            "action=waiting provider=%s route=%s reason=%s%s longest=%.1fs request=%s",
            *(trail.facts.route.provider, trail.facts.route.name, found.reason, until, longest_s, trail.short_id),
        )

    # -- a place

    def resume(self, trail: Trail) -> None:
        """The client of a WebSocket speaks."""
        trail.slot.resume(self._state, utcnow())

    def rest(self, trail: Trail) -> None:
        """A WebSocket is silent until its client speaks again."""
        if trail.slot.rest(self._state, utcnow()):
            self._waiting.serve(trail.facts.route.provider, most=1)

    def free(self, trail: Trail) -> None:
        """Give the place back, and the right to try a cooldown that was not tried; again does nothing."""
        now, probe, trail.probe = utcnow(), trail.probe, None
        if probe is not None and not trail.tries:
            self._state.open_probe(probe, now)
        if trail.slot.free(self._state, now):
            self._waiting.serve(trail.facts.route.provider, most=1)

    def succeeded(self, trail: Trail, account_id: int, needed: int) -> None:
        """A request was served: after `needed` at the limit that was learnt there is one place more."""
        if self._state.caps.succeed(account_id, self._state.under_way(account_id), needed):
            self._waiting.serve(trail.facts.route.provider, most=1)
        self.answered(trail, account_id)

    def answered(self, trail: Trail, account_id: int) -> None:
        """The account does not refuse: where it has come back from a limit, more may go there."""
        if self._state.returning.served(account_id, trail.demand.scopes):
            self._waiting.serve(trail.facts.route.provider)

    def _try_limit(self, trail: Trail, account_id: int, now: datetime) -> None:
        """Where a limit of the account is to be tried, this request is the one."""
        trail.probe = self._state.take_probe(account_id, trail.demand.scopes, now)
        trail.tries = not trail.facts.route.websocket

    def _find(self, trail: Trail, now: datetime) -> Selection | Exhausted:
        """Who could serve it: where it would leave whoever can read it, that one decides."""
        found = select(self._state, trail.demand, now, trail.tried)
        return self._bonds.select(trail, now) if self._bonds.holds(trail, found, now) else found


def _soon(found: Exhausted) -> Exhausted:
    """What is told of it: who was refused for want of a place may come again soon."""
    return replace(found, soonest=utcnow() + FULL_FOR) if found.full else found
