"""The messages of open WebSockets: in them turns begin and end, limits are told, and all of it teaches something."""

import logging
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from seatpool.clock import utcnow
from seatpool.core.model import ProviderName
from seatpool.core.outcome import OutcomeKind
from seatpool.core.policy import Policy
from seatpool.core.recovery import Action
from seatpool.core.rules import Rule
from seatpool.core.selection import Demand, Exhausted, Selection, select
from seatpool.providers.base import Provider
from seatpool.service.bonds import Bonds
from seatpool.service.credentials import Credentials
from seatpool.service.judging import Judge
from seatpool.service.knowledge import Knowledge
from seatpool.service.lessons import Lessons
from seatpool.service.places import Places
from seatpool.service.poller import Poller
from seatpool.service.primaries import Primaries
from seatpool.service.records import OK, Records
from seatpool.service.ruling import Ruling
from seatpool.service.trail import Trail
from seatpool.service.turns import TurnStates
from seatpool.service.wishes import Wishes

logger = logging.getLogger(__name__)


class Sockets:
    """One per process."""

    def __init__(
        self,
        *,
        knowledge: Knowledge,
        lessons: Lessons,
        bonds: Bonds,
        judge: Judge,
        places: Places,
        records: Records,
        turns: TurnStates,
        ruling: Ruling,
        wishes: Wishes,
        poller: Poller,
        credentials: Credentials,
        primaries: Primaries,
        providers: Mapping[ProviderName, Provider],
        policy: Policy,
        background: Callable[[Coroutine[Any, Any, object]], None],
    ) -> None:
        """`background` sees to work that outlives the hook that began it."""
        self.policy = policy
        self._knowledge = knowledge
        self._lessons = lessons
        self._bonds = bonds
        self._judge = judge
        self._places = places
        self._records = records
        self._turns = turns
        self._ruling = ruling
        self._wishes = wishes
        self._poller = poller
        self._credentials = credentials
        self._primaries = primaries
        self._providers = providers
        self._background = background
        self._refusals: dict[int, tuple[datetime, bytes]] = {}
        """The last limit frame of each account, with its end."""

    def may_go_on(self, trail: Trail, rule: Rule | None, *, beginning: bool) -> bool:
        """Whether the account of a socket may serve a turn that this rule decides about.

        At the `beginning` of a conversation, where no cache is warm, an account that the rule prefers takes it over.
        """
        self._ruling.put(trail, rule)
        demand, current = trail.demand, trail.current
        if current is None:
            return demand.only is None
        if demand.only is not None:
            return current.account.id in demand.only
        if not beginning or not demand.prefer or current.account.id in demand.prefer:
            return True
        now = utcnow()
        better = select(self._knowledge.state, replace(demand, conversation=None), now, {current.account.id})
        if isinstance(better, Exhausted) or better.account.id not in demand.prefer:
            return True
        self._lessons.stays_with(trail, better.account.id, now)
        return False

    async def server_frame(self, trail: Trail, content: bytes) -> bytes | None:
        """Learn from an upstream's message. Returns what the client gets instead, or None to leave it alone."""
        assignment = trail.current
        if assignment is None:
            return None
        provider = self._provider(trail)
        self._records.turn_answered(trail)
        self._bonds.told(trail, content)
        frame = provider.read_frame(trail.facts, content, utcnow())
        if frame.windows:
            self._knowledge.observe(assignment.account.id, frame.windows)
        if frame.turn_state is not None:
            self._turns.learn(trail.facts.conversation, assignment.account.id, frame.turn_state)
        if frame.terminal:
            self._poller.used(assignment.account.id, utcnow())
        self._lessons.drew_on(trail, frame.draws)
        if frame.outcome is None:
            if frame.terminal:
                self._lessons.succeeded(trail, assignment.account.id)
                self._lessons.stays_with(trail, assignment.account.id, utcnow())
                self._lessons.told(trail, frame.tokens)
                self._records.turn_over(trail, OK, frame.tokens)
                self._places.rest(trail)
            return None
        decision = self._judge.decide(trail, assignment.account, frame.outcome, 0, self.policy)
        self._places.rest(trail)
        if decision.action is Action.REFRESH:
            self._primaries.refused(assignment.credential)
            # The client reconnects by itself; the next handshake is to find a better token.
            self._background(self._credentials.renewed(provider, assignment.account, trail, assignment.credential))
        self._records.turn_over(trail, frame.outcome.code, frame.tokens)
        await self._judge.apply(assignment.account, frame.outcome, decision)
        if frame.outcome.kind is OutcomeKind.CARRIER:
            return self._bonds.refused_frame(trail, assignment.account, frame.outcome)
        if decision.action not in (Action.SWITCH, Action.WAIT):
            return None
        if decision.until is not None:
            self._refusals[assignment.account.id] = (decision.until, content)
        others = select(self._knowledge.state, trail.demand, utcnow(), {assignment.account.id})
        goes_on = isinstance(others, Selection) or (
            decision.action is Action.SWITCH and self._wishes.would_help(provider, trail)
        )
        reconnect = provider.reconnect_frame() if goes_on else None
        action = "reconnect" if reconnect is not None else "deliver"
        logger.info("account=%s action=%s reason=%s", assignment.account.name, action, frame.outcome.code)
        return reconnect if goes_on else self._soonest_refusal(trail.demand)

    def _soonest_refusal(self, demand: Demand) -> bytes | None:
        """The limit frame that ends soonest, as its account's upstream worded it."""
        now, accounts = utcnow(), self._knowledge.state.accounts
        able = {i for i, a in accounts.items() if a.provider is demand.provider}
        able &= demand.only if demand.only is not None else able
        mine = (r for i, r in self._refusals.items() if i in able and r[0] > now)
        return min(mine, default=(now, None))[1]

    def client_frame(self, trail: Trail, content: bytes) -> bytes:
        """The client's message as the serving account may read it; the same object when nothing is changed."""
        assignment = trail.current
        if assignment is None:
            return content
        account_id = assignment.account.id
        trail.asked_at = utcnow()
        self._places.resume(trail)
        own, provider = self._turns.own(trail.facts.conversation, account_id), self._provider(trail)
        content = provider.edit_client_frame(content, own, lambda t: self._turns.owned(t, account_id))
        content = self._bonds.client_frame(trail, content)
        wish = assignment.edits.wish
        content = provider.rewrite_frame(content, wish) if wish is not None else content
        self._records.turn_begins(trail, content)
        return content

    def outdated(self, trail: Trail, content: bytes) -> bool:
        """Whether the next turn of a socket belongs on another one.

        This one was opened for what is not wished now, or the turn goes on from an answer of another account.
        """
        if trail.current is None:
            return False
        wished = not self._wishes.outdated(self._provider(trail), trail, trail.current)
        return not wished or self._bonds.misplaced(trail, content)

    def _provider(self, trail: Trail) -> Provider:
        return self._providers[trail.facts.route.provider]
