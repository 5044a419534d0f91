"""Keeps a request with the account that can read it, and does what the person wants where that one cannot serve.

Whose the contents of a conversation are is learnt from answers: while one streams, only those events are set aside
that hold something (`Handling.marks`), and they are read when it is over; on a socket, the one message that holds it.
To learn from the next request instead would cost less, but what is newest in it is just what nobody could tell: agents
of one session share its key, and may have been served elsewhere meanwhile. What an answer did not show (it was
compressed in an unknown way, or cut inside a mark) is taken to be the owner's when the conversation leaves it.

A request is looked into only where it would leave its owner, where several accounts have served its conversation, and
where a conversation is new here.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from itertools import islice

from msgspec.structs import replace

from seatpool.clock import utcnow
from seatpool.core.model import Account, ProviderName
from seatpool.core.outcome import Outcome
from seatpool.core.policy import Policy
from seatpool.core.provenance import NOBODY, Moving
from seatpool.core.selection import Demand, Exhausted, Selection, owners_limit, select
from seatpool.providers.base import Provider, RequestFacts
from seatpool.providers.carriers import Carrier
from seatpool.providers.repairs import CAUSES, Handling, Repaired, issued, newest
from seatpool.service.logins.remembered import remember
from seatpool.service.memory.knowledge import Knowledge
from seatpool.service.trail import Trail

logger = logging.getLogger(__name__)

REMEMBERED = 4_096
"""Conversations that have moved, the latest."""
LOOKED_AT = 64
"""Of what a request may hold, the newest, until one is known."""
HEAD = 96
"""Bytes of a message in which its type stands."""
_CREATE = b'"response.create"'
_PREVIOUS = b'"previous_response_id"'
_CREATED = b'"response.created"'
NOTHING: frozenset[Carrier] = frozenset()


class Fate(Enum):
    """What becomes of a request that an account could not read."""

    OWN_FAULT = "own-fault"
    """Nothing in it is known to be another account's: the editor reads the refusal."""
    OWNER = "owner"
    """It goes to its owner."""
    REPAIRED = "repaired"
    """It goes out again, without what could not be read."""
    LOST = "lost"
    """It is told its owner's limit (`Bond.verdict`)."""


class Bonds:
    """One per process."""

    def __init__(self, knowledge: Knowledge, providers: Mapping[ProviderName, Provider], policy: Policy) -> None:
        self.policy = policy
        self._knowledge = knowledge
        self._state = knowledge.state
        self._providers = providers
        self._moved: OrderedDict[str, None] = OrderedDict()
        """Conversations that several accounts have served."""
        self._refused: OrderedDict[str, frozenset[Carrier]] = OrderedDict()
        """By conversation, the kinds that some account would not have from another one."""
        self._unreadable: OrderedDict[tuple[str, int], datetime] = OrderedDict()
        """Conversations that an account could not read, and until when it is not asked again."""

    # -- learning

    def marks(self, trail: Trail) -> tuple[bytes, ...]:
        """What to look for in the answer to a request; nothing where there is nobody else to go to."""
        handling = self._handling(trail.facts)
        return handling.marks if handling is not None and len(self._state.accounts) > 1 else ()

    def gave(self, trail: Trail, content: bytes) -> None:
        """An answer is over; this is the part of it that was marked."""
        handling = self._handling(trail.facts)
        if content and handling is not None and trail.current is not None:
            self._knowledge.gave(trail.current.account.id, issued(content, handling), utcnow())

    def told(self, trail: Trail, content: bytes) -> None:
        """The upstream has sent a message on a socket."""
        handling = self._handling(trail.facts)
        if handling is None or trail.current is None or len(self._state.accounts) < 2:
            return
        if content.find(handling.marks[0], 0, HEAD) >= 0:
            self.gave(trail, content)
        elif self.policy.moving is Moving.REPAIR and content.find(_CREATED, 0, HEAD) >= 0:
            named = newest(content, _ANSWER)  # good for as long as the socket: nothing to be kept
            self._knowledge.provenance.learn(named, trail.current.account.id, utcnow().timestamp())

    def serves(self, trail: Trail, account_id: int, now: datetime) -> None:
        """An account is about to be noted as the conversation's."""
        conversation = trail.facts.conversation
        if conversation is not None and self._state.owner(conversation, now) not in (None, account_id):
            remember(self._moved, conversation, None, REMEMBERED)

    # -- choosing

    def holds(self, trail: Trail, choice: Selection | Exhausted, now: datetime) -> bool:
        """Whether a request is tied to an account, so that `select` has to choose."""
        if trail.demand.bound:
            return True
        bond = trail.bond
        if bond.free or not self._concerns(trail, choice, now):
            return False
        self._look(trail, now)
        facts = trail.facts
        if bond.owner is None or not (bond.kinds or facts.turn_state is not None or facts.route.websocket):
            return False
        if self.policy.moving is Moving.NEVER:
            captive = bool(bond.kinds) or facts.route.websocket
        else:
            captive = self.policy.moving is Moving.REPAIR and Carrier.UPLOAD in bond.kinds
        trail.demand = replace(trail.demand, bound=True, owner=bond.owner, captive=captive)
        return True

    def select(self, trail: Trail, now: datetime) -> Selection | Exhausted:
        """Its owner, or whom it may go to. Who could not read it is not asked again for a while."""
        demand = trail.demand
        blind = self._blind(trail, now)
        found = select(self._state, demand, now, trail.tried | blind if blind else trail.tried)
        if blind and isinstance(found, Exhausted) and not found.full:
            return owners_limit(self._state, demand, now)
        return found

    def _concerns(self, trail: Trail, choice: Selection | Exhausted, now: datetime) -> bool:
        facts = trail.facts
        last = self._state.owner(facts.conversation, now)
        if isinstance(choice, Exhausted) and self.policy.moving is not Moving.NEVER and not self._unreadable:
            return False
        if last is None:
            known = bool(self._knowledge.provenance) and self._handling(facts) is not None
            return known and not facts.route.websocket
        return isinstance(choice, Exhausted) or choice.account.id != last or facts.conversation in self._moved

    def _look(self, trail: Trail, now: datetime) -> None:
        """What a request holds, and whose.

        A handshake cannot tell, and the first message behind it repeats the whole conversation (codex.md 5).
        """
        bond, facts = trail.bond, trail.facts
        if bond.seen:
            return
        bond.seen, bond.owner = True, self._state.owner(facts.conversation, now)
        if facts.route.websocket:
            return
        content, handling = bond.body(), self._handling(facts)
        bond.kinds = self._provider(trail).carriers(facts.route, content)
        if bond.kinds and handling is not None:
            givers = (self._giver(key, now) for key in islice(newest(content, handling), LOOKED_AT))
            known = next((giver for giver in givers if giver in self._state.accounts), None)
            bond.owner = known if known is not None else bond.owner

    def _blind(self, trail: Trail, now: datetime) -> set[int]:
        conversation = trail.facts.conversation
        if conversation is None or not self._unreadable:
            return set()
        owner = trail.demand.owner
        known = ((i, self._unreadable.get((conversation, i))) for i in self._state.accounts if i != owner)
        return {account_id for account_id, until in known if until is not None and until > now}

    # -- sending

    def prepare(self, trail: Trail, account: Account) -> bytes | None:
        """The body that is to go to this account instead of the editor's; None: the editor's own."""
        bond = trail.bond
        planned, bond.ready = bond.ready, None
        ready = planned[1] if planned is not None and planned[0] == account.id else None
        if ready is None and bond.seen and bond.kinds and not trail.facts.route.websocket:
            ready = self._repair(trail, account, bond.body, NOTHING)
        if ready is None or not ready.items:
            return None
        log_repaired(trail, account, ready)
        return ready.content

    def _repair(
        self, trail: Trail, account: Account, body: Callable[[], bytes], causes: frozenset[Carrier]
    ) -> Repaired | None:
        """Without what this account has refused for these `causes`, and without what is known to be refused.

        What nobody knows is the owner's, where the conversation leaves that; of what was just refused it is whoever's.
        """
        handling, bond, now = self._handling(trail.facts), trail.bond, utcnow()
        leaves = bond.owner not in (None, account.id)
        kinds = causes
        if self.policy.moving is Moving.REPAIR and handling is not None:
            kinds |= handling.certain | self._refused.get(trail.facts.conversation or "", NOTHING)
        if handling is None or not (leaves or kinds):
            return None
        unknown: list[int] = []

        def foreign(kind: Carrier, key: int) -> bool:
            giver = self._giver(key, now)
            if giver is None:
                if leaves or kind in causes:
                    unknown.append(key)
                giver = NOBODY if kind in causes else bond.owner
            return kind in kinds and giver not in (None, account.id)

        repaired = handling.repair(body(), foreign)
        if leaves and bond.owner is not None:
            self._knowledge.gave(bond.owner, unknown, now)
        elif unknown and repaired.items:
            self._knowledge.provenance.learn(unknown, NOBODY, now.timestamp())
        return repaired

    # -- a refusal

    def refused(self, trail: Trail, account: Account, outcome: Outcome, *, sent_again: bool) -> Fate:
        """What becomes of a request that an account could not read. `sent_again`: it may be."""
        causes, now, bond = CAUSES.get(outcome.code), utcnow(), trail.bond
        if causes is None:
            return Fate.OWN_FAULT
        self._look(trail, now)
        if Carrier.UPLOAD in causes:
            bond.owner = self._uploader(trail, now) or bond.owner
        leaves = bond.owner not in (None, account.id)
        if leaves:
            trail.demand = replace(trail.demand, bound=True, owner=bond.owner)
        if leaves and sent_again and self._owner_can(trail, trail.demand, now):
            self._note_unreadable(trail, account, outcome, now)
            return Fate.OWNER
        if self.policy.moving is Moving.REPAIR and Carrier.UPLOAD not in causes:
            repaired = self._repair(trail, account, bond.body, causes)
            if repaired is not None and repaired.kinds & causes and not repaired.stuck & causes:
                self._note_refused(trail, causes)
                bond.ready = (account.id, repaired)
                if sent_again:
                    return Fate.REPAIRED
        if not leaves:
            return Fate.OWN_FAULT
        if bond.ready is None:
            self._note_unreadable(trail, account, outcome, now, for_good=True)
        bond.verdict = owners_limit(self._state, trail.demand, now)
        return Fate.LOST

    def _owner_can(self, trail: Trail, demand: Demand, now: datetime) -> bool:
        found = select(self._state, replace(demand, captive=True), now, trail.tried)
        return isinstance(found, Selection) or found.full

    def _uploader(self, trail: Trail, now: datetime) -> int | None:
        """The account that editors upload to, which is their own whoever serves them: where that one could serve.

        Not where the request holds what yet another account gave out: then neither can read all of it.
        """
        own = trail.own
        if own is None or not (trail.bond.kinds <= {Carrier.UPLOAD} or self.policy.moving is Moving.REPAIR):
            return None
        demand = replace(trail.demand, bound=True, owner=own.account_id)
        return own.account_id if self._owner_can(trail, demand, now) else None

    def _note_refused(self, trail: Trail, causes: frozenset[Carrier]) -> None:
        conversation = trail.facts.conversation
        if conversation is not None:
            causes |= self._refused.get(conversation, NOTHING)
            remember(self._refused, conversation, causes, REMEMBERED)
            remember(self._moved, conversation, None, REMEMBERED)

    def _note_unreadable(
        self, trail: Trail, account: Account, outcome: Outcome, now: datetime, *, for_good: bool = False
    ) -> None:
        """`for_good`: no repair has helped; where one might, the account is asked again with it."""
        conversation, owner = trail.facts.conversation, self._state.accounts.get(trail.bond.owner or NOBODY)
        if conversation is not None and (for_good or self.policy.moving is not Moving.REPAIR):
            until = now + timedelta(seconds=self.policy.unreadable_s)
            remember(self._unreadable, (conversation, account.id), until, REMEMBERED)
        logger.info(
            "account=%s action=unreadable owner=%s reason=%s request=%s",
            *(account.name, owner.name if owner is not None else None, outcome.code, trail.short_id),
        )

    # -- a socket

    def client_frame(self, trail: Trail, content: bytes) -> bytes:
        """The client's message as the account of its socket can read it, else the very same object."""
        bond, current = trail.bond, trail.current
        if current is None or self._handling(trail.facts) is None or _CREATE not in content:
            return content
        if bond.owner in (None, current.account.id) and trail.facts.conversation not in self._moved:
            return content
        bond.kinds = self._provider(trail).carriers(trail.facts.route, content)
        repaired = self._repair(trail, current.account, lambda: content, NOTHING) if bond.kinds else None
        if repaired is None or not repaired.items:
            return content
        log_repaired(trail, current.account, repaired)
        return repaired.content

    def misplaced(self, trail: Trail, content: bytes) -> bool:
        """Whether a message goes on from an answer that another account gave: its client is to send everything."""
        current = trail.current
        if current is None or self.policy.moving is not Moving.REPAIR or _PREVIOUS not in content:
            return False
        key = next(newest(content, _PREVIOUS_ANSWER), None)
        return key is not None and self._giver(key, utcnow()) not in (None, current.account.id)

    def refused_frame(self, trail: Trail, account: Account, outcome: Outcome) -> bytes | None:
        """What the client gets instead of an upstream's refusal on a socket: it asks anew, and that is decided anew.

        None: the refusal. What its client mends by itself is left to it.
        """
        causes, bond, now, conversation = CAUSES.get(outcome.code), trail.bond, utcnow(), trail.facts.conversation
        if causes is None or conversation is None or Carrier.PREVIOUS in causes:
            return None
        leaves = bond.owner not in (None, account.id)
        able = leaves and self._owner_can(trail, trail.demand, now)
        tries = self.policy.moving is Moving.REPAIR and Carrier.UPLOAD not in causes
        tries = tries and not causes <= self._refused.get(conversation, NOTHING)
        if not leaves and not tries:
            return None
        if able or not tries:
            self._note_unreadable(trail, account, outcome, now, for_good=not able)
            assert bond.owner is not None
            self._knowledge.affinities.note(conversation, bond.owner, now)
        else:
            self._note_refused(trail, causes)
        logger.info("account=%s action=reconnect reason=%s request=%s", account.name, outcome.code, trail.short_id)
        return self._provider(trail).elsewhere_frame("seatpool: this account cannot read the conversation as it is")

    # -- inside

    def _provider(self, trail: Trail) -> Provider:
        return self._providers[trail.facts.route.provider]

    def _handling(self, facts: RequestFacts) -> Handling | None:
        return self._providers[facts.route.provider].handling.get(facts.route.name)

    def _giver(self, key: int, now: datetime) -> int | None:
        return self._knowledge.provenance.giver(key, now.timestamp(), self.policy.affinity_ttl_s)


def log_repaired(trail: Trail, account: Account, repaired: Repaired) -> None:
    """Say that a request goes out without something."""
    logger.info(
        "account=%s action=repaired carriers=%s items=%d request=%s",
        *(account.name, ",".join(sorted(repaired.kinds)), repaired.items, trail.short_id),
    )


def _untouched(content: bytes, _: object) -> Repaired:
    return Repaired(content)


_ANSWER = Handling(_untouched, words=(b'"id"',))
_PREVIOUS_ANSWER = Handling(_untouched, words=(_PREVIOUS,))
