"""The messages of open WebSockets: in them turns begin and end, limits are told, and all of it teaches something."""

import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from seatpool.clock import utcnow
from seatpool.core.model import ProviderName
from seatpool.core.outcome import Outcome, OutcomeKind
from seatpool.core.policy import Policy
from seatpool.core.recovery import Action
from seatpool.core.rules import Rule
from seatpool.core.selection import Demand, Exhausted, Selection, able, select
from seatpool.providers.base import Frame, Provider
from seatpool.service.asking.poller import Poller
from seatpool.service.flows.bonds import Bonds
from seatpool.service.flows.judging import Judge, log_recovery
from seatpool.service.flows.lessons import Lessons
from seatpool.service.flows.places import Places
from seatpool.service.flows.ruling import Ruling
from seatpool.service.flows.turns import TurnStates
from seatpool.service.flows.wishes import Wishes
from seatpool.service.logins.credentials import Credentials
from seatpool.service.logins.primaries import Primaries
from seatpool.service.memory.endings import Endings
from seatpool.service.memory.knowledge import Knowledge
from seatpool.service.memory.records import OK, Records, begins_turn
from seatpool.service.trail import Assignment, Trail, Turn

logger = logging.getLogger(__name__)


FollowUp = Callable[[Trail, Assignment, Outcome, Action], Awaitable[Assignment | None]]

LEFT_BEHIND = Outcome(OutcomeKind.OK, "account-out")
"""Nobody has refused: the account may be asked no longer."""


class Answer(msgspec.Struct, frozen=True):
    """What becomes of a message, other than that it is passed on."""

    content: bytes | None = None
    """The client gets this instead; where there is an `again`, only if that one cannot be had."""
    again: Assignment | None = None
    """The client's message is to be sent (again) on a socket of this one's."""
    message: bytes = b""
    """That message."""
    close: bool = False
    """The message is passed on, and then the socket closed."""


CLOSE = Answer(close=True)


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
        endings: Endings,
        turns: TurnStates,
        ruling: Ruling,
        wishes: Wishes,
        poller: Poller,
        credentials: Credentials,
        primaries: Primaries,
        providers: Mapping[ProviderName, Provider],
        policy: Policy,
        background: Callable[[Coroutine[Any, Any, object]], object],
        follow_up: FollowUp,
    ) -> None:
        """`background` sees to work that outlives the hook that began it; `follow_up` finds who is asked next."""
        self.policy = policy
        self._knowledge = knowledge
        self._lessons = lessons
        self._bonds = bonds
        self._judge = judge
        self._places = places
        self._records = records
        self._endings = endings
        self._turns = turns
        self._ruling = ruling
        self._wishes = wishes
        self._poller = poller
        self._credentials = credentials
        self._primaries = primaries
        self._providers = providers
        self._background = background
        self._follow_up = follow_up
        self._open: dict[str, tuple[Trail, Callable[[], None]]] = {}
        """By flow; what closes each."""
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

    def opened(self, trail: Trail, close: Callable[[], None]) -> None:
        """A handshake went well. `close` closes the socket if no turn is under way by then."""
        self._open[trail.flow_id] = (trail, close)

    def closed(self, trail: Trail) -> None:
        """The socket is no more, or about to be, or none of ours."""
        self._open.pop(trail.flow_id, None)

    def look(self) -> None:
        """An account may be asked no longer: close the sockets that idle on it, so that nobody waits for it.

        One that has not served yet is about to, and so is one whose turn is being moved.
        """
        for trail, close in tuple(self._open.values()):
            if trail.turns and trail.turn is None and not trail.again and self.leaves(trail):
                self._log(trail, "close")
                close()

    def leaves(self, trail: Trail) -> bool:
        """Whether the next turn of a socket belongs on another account.

        Where nobody else could serve it, a limit is better told by the account that has it; but what a person has
        taken out serves no more.
        """
        if trail.current is None:
            return False
        state, now, account_id = self._knowledge.state, utcnow(), trail.current.account.id
        account = state.accounts.get(account_id)
        if account is None or not (state.may_serve(account) or (account.usable and self._is_own(trail, account_id))):
            return True
        if trail.probe is not None and state.blocked(account_id, trail.demand.scopes, now) == trail.probe:
            return False  # its first turn is the one that is to try that limit
        return not able(state, trail.demand, account_id, now) and self._others(trail, account_id)

    async def client_turn(self, trail: Trail, content: bytes) -> Answer | None:
        """Before a client's message goes out: what else is to become of it, if anything is."""
        assignment = trail.current
        if assignment is None or trail.again or not begins_turn(content) or not self.leaves(trail):
            return None
        self._log(trail, "reconnect")
        provider = self._provider(trail)
        carried = provider.carriers(trail.facts.route, content)
        instead = provider.reconnect_frame(carried)
        if instead is not None:
            return self._reconnects(trail, instead)
        trail.next_turn()
        following = await self._moved(trail, assignment, LEFT_BEHIND, Action.SWITCH)
        return Answer(provider.elsewhere_frame("ask again over HTTPS"), following, content)

    async def server_frame(self, trail: Trail, content: bytes) -> Answer | None:
        """Learn from an upstream's message. Returns what is to become of it, if it is not just passed on."""
        assignment, turn = trail.current, trail.turn
        if assignment is None:
            return None
        provider = self._provider(trail)
        self._records.turn_answered(trail)
        self._bonds.told(trail, content)
        message = None
        if turn is not None:
            message, turn.message = turn.message, None
            self._endings.begins(trail)
        frame = provider.read_frame(trail.facts, content, utcnow())
        if frame.windows:
            self._knowledge.observe(assignment.account.id, frame.windows)
        if frame.turn_state is not None:
            self._turns.learn(trail.facts.conversation, assignment.account.id, frame.turn_state)
        if frame.terminal:
            self._poller.used(assignment.account.id, utcnow())
        self._lessons.drew_on(trail, frame.draws)
        if frame.outcome is not None:
            answer = await self._refused(trail, assignment, frame, frame.outcome, content, message)
            if answer is None or answer.again is None:
                self._endings.over(trail)
            return answer
        if not frame.terminal:
            return None
        warmed = turn is not None and turn.warming
        self._lessons.stays_with(trail, assignment.account.id, utcnow())
        if not warmed:
            self._lessons.succeeded(trail, assignment.account.id)
            self._lessons.told(trail, frame.tokens)
        self._records.turn_over(trail, OK, frame.tokens)
        if not warmed:
            self._endings.over(trail)
        self._places.rest(trail)
        if not self.leaves(trail):
            return None
        self._log(trail, "close")
        return CLOSE

    async def _refused(
        self,
        trail: Trail,
        assignment: Assignment,
        frame: Frame,
        outcome: Outcome,
        content: bytes,
        message: bytes | None,
    ) -> Answer | None:
        """The turn has ended in a refusal. `message` is what it refuses, where nothing has come before."""
        account, provider = assignment.account, self._provider(trail)
        decision = self._judge.decide(trail, account, outcome, 0, self.policy)
        trail.probe = None
        self._places.rest(trail)
        if decision.action is Action.REFRESH:
            self._primaries.refused(assignment.credential)
            # The client reconnects by itself; the next handshake is to find a better token.
            self._background(self._credentials.renewed(provider, account, trail, assignment.credential))
        await self._judge.apply(account, outcome, decision)
        self._records.turn_over(trail, outcome.code, frame.tokens)  # until then it is no socket that idles
        if outcome.kind is OutcomeKind.CARRIER:
            return self._reconnects(trail, self._bonds.refused_frame(trail, account, outcome))
        if decision.action not in (Action.SWITCH, Action.WAIT, Action.HOLD):
            return None
        if decision.until is not None:
            self._refusals[account.id] = (decision.until, content)
        if not self._goes_on(trail, account.id, decision.action):
            logger.info("account=%s action=deliver reason=%s", account.name, outcome.code)
            soonest = self._soonest_refusal(trail.demand)
            return Answer(soonest) if soonest is not None else None
        carried = provider.carriers(trail.facts.route, message) if message is not None else None
        instead = provider.reconnect_frame(carried)
        following = None
        if instead is None and message is not None and not carried:
            following = await self._moved(trail, assignment, outcome, decision.action)
        if following is not None:
            log_recovery(trail, assignment, outcome, decision, following)
            self._judge.notices.switched(account, outcome, decision, following.account)
            return Answer(content, following, message or b"")
        action = "reconnect" if instead is not None else "deliver"
        if instead is not None:
            self._judge.notices.switched(account, outcome, decision, None)
        logger.info("account=%s action=%s reason=%s", account.name, action, outcome.code)
        return self._reconnects(trail, instead)

    def _reconnects(self, trail: Trail, instead: bytes | None) -> Answer | None:
        """With this frame the client sees to it."""
        if instead is None:
            return None
        self.closed(trail)
        return Answer(instead)

    async def _moved(self, trail: Trail, assignment: Assignment, outcome: Outcome, action: Action) -> Assignment | None:
        following = await self._follow_up(trail, assignment, outcome, action)
        if following is None:  # it goes on where it is
            self._places.hold(trail, assignment.account.id)
            self._places.rest(trail)
        trail.again = following is not None
        return following

    def _others(self, trail: Trail, account_id: int) -> bool:
        """Whether anybody else could serve the socket's turns now, were they to come anew."""
        found = select(self._knowledge.state, trail.demand, utcnow(), {account_id})
        return isinstance(found, Selection) or self._wishes.would_help(self._provider(trail), trail)

    def _goes_on(self, trail: Trail, account_id: int, action: Action) -> bool:
        """Whether a turn that this account refused would be served, now or in a while, were it to come anew."""
        found = select(self._knowledge.state, trail.demand, utcnow(), {account_id})
        return (
            isinstance(found, Selection)
            or self._places.would_wait(trail.facts, found, self.policy)
            or (action is Action.SWITCH and self._wishes.would_help(self._provider(trail), trail))
        )

    def _is_own(self, trail: Trail, account_id: int) -> bool:
        """Whether it goes out with the login that its editor sent: that one is here as long as its socket is open."""
        return trail.own is not None and trail.own.account_id == account_id

    def _log(self, trail: Trail, action: str) -> None:
        assert trail.current is not None
        name = trail.current.account.name
        logger.info("account=%s action=%s reason=%s request=%s", name, action, LEFT_BEHIND.code, trail.short_id)

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
        account_id, original = assignment.account.id, content
        trail.asked_at = utcnow()
        self._places.resume(trail)
        own, provider = self._turns.own(trail.facts.conversation, account_id), self._provider(trail)
        content = provider.edit_client_frame(content, own, lambda t: self._turns.owned(t, account_id))
        content = self._bonds.client_frame(trail, content)
        wish = assignment.edits.wish
        content = provider.rewrite_frame(content, wish) if wish is not None else content
        former = trail.turn
        if self._records.turn_begins(trail, content):
            self._begin_turn(trail, original, former)
        return content

    def _begin_turn(self, trail: Trail, message: bytes, former: Turn | None) -> None:
        turn = trail.turn
        assert turn is not None
        turn.message, turn.warming = message, self._provider(trail).warms_up(message)
        trail.tries = trail.tries or not turn.warming
        if not trail.again:
            if former is not None and not former.warming:
                self._endings.over(trail)  # its client has given that one up
            trail.next_turn()
        trail.again = False
        named = self._provider(trail).repositories_in(message) if not trail.facts.repositories else ()
        if named:
            trail.facts = replace(trail.facts, repositories=named)
        if turn.model != trail.facts.model and trail.asked is None:  # the handshake of Copilot's is silent about it
            trail.facts, before = replace(trail.facts, model=turn.model), trail.demand
            demand = self._ruling.demand(trail.facts, trail.rule)
            trail.demand = replace(demand, bound=before.bound, owner=before.owner, captive=before.captive)

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
