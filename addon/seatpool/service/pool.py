"""Assigns, recovers, remembers: the one place where a replay is decided."""

import asyncio
import logging
import os
import secrets
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from seatpool.clock import utcnow
from seatpool.core.explain import glimpse
from seatpool.core.model import Account, Attempt, Credential, CredentialKind, ProviderName
from seatpool.core.outcome import Outcome, OutcomeKind
from seatpool.core.policy import Policy
from seatpool.core.recovery import Action, Decision, Remedy, decide
from seatpool.core.selection import Exhausted, Selection, select
from seatpool.providers.base import HeaderView, Provider, RequestFacts
from seatpool.providers.registry import PROVIDERS
from seatpool.service.credentials import Credentials
from seatpool.service.keeper import Keeper
from seatpool.service.knowledge import Knowledge
from seatpool.service.primaries import Primaries
from seatpool.service.refresher import Refresher, Sender
from seatpool.service.trail import Assignment, Halted, Trail, demand_of
from seatpool.service.turns import TurnStates
from seatpool.service.vault import Vault
from seatpool.store import Store

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 10.0
"""How often is looked for credentials to renew, and for editors that have gone."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What is known of the answer to an attempt when its head arrives, or fails to."""

    status: int | None
    first_byte_ms: float | None


class PoolService:
    """One per process. Everything but the store's calls runs in the event loop."""

    def __init__(
        self,
        store: Store,
        transport: Sender,
        policy: Policy,
        providers: Mapping[ProviderName, Provider] = PROVIDERS,
    ) -> None:
        vault = Vault(store)
        owner = f"{os.getpid()}-{secrets.token_hex(4)}"
        self.policy = policy
        self.knowledge = Knowledge(store, vault, policy)
        self._providers = providers
        self._refresher = Refresher(store, vault, transport, owner)
        self._primaries = Primaries(store, vault, self.knowledge)
        self._credentials = Credentials(vault, self._refresher, self.knowledge, self._primaries, policy)
        self._keeper = Keeper(self.knowledge, vault, self._credentials, providers, owner)
        self._turns = TurnStates()
        self._tasks: set[asyncio.Task[object]] = set()
        self._watch: asyncio.Task[None] | None = None
        self._refusals: dict[int, tuple[datetime, bytes]] = {}
        """The last limit frame of each account, with its end."""

    # -- life

    def set_policy(self, policy: Policy) -> None:
        """Go on under other numbers."""
        self.policy = self._credentials.policy = policy
        self.knowledge.state.rank(policy.order, utcnow())

    def load(self) -> None:
        """Read the pool from the store (blocking; at start)."""
        self.knowledge.load()

    def start(self) -> None:
        """Begin to follow what other processes write, and to renew credentials before they run out."""
        self.knowledge.start()
        self._watch = asyncio.create_task(self._look_around(), name="seatpool keeper")

    async def stop(self) -> None:
        """Finish what is under way and write what is queued."""
        if self._watch is not None:
            self._watch.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._keeper.drain()
        await self._refresher.drain()
        await self.knowledge.stop()

    async def _look_around(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self._keeper.look(utcnow())
            self._primaries.look_around(utcnow())

    # -- a request

    def open(self, flow_id: str, facts: RequestFacts, headers: HeaderView) -> Trail:
        """Begin a flow's way through the pool; `headers` are the editor's own."""
        return Trail(flow_id, facts, headers, demand_of(facts))

    def note_client(self, provider: ProviderName, headers: HeaderView) -> None:
        """Remember how the person's own editor names itself, for our side calls."""
        self._credentials.note_client(self._providers[provider], headers)

    async def learn(self, trail: Trail, origin: str) -> None:
        """Let the account that the editor is signed in with serve as well; it sent the request to `origin`."""
        if self.policy.learn:
            trail.own = await self._primaries.note(self._provider(trail), trail.facts, trail.headers, origin)

    async def assign(self, trail: Trail) -> Assignment | Exhausted | Halted:
        """Choose an account for the flow's next attempt and take one of its slots."""
        while True:
            now = utcnow()
            choice = select(self.knowledge.state, trail.demand, now, trail.tried)
            self._note(trail, choice, now)
            if isinstance(choice, Exhausted):
                return choice
            # Noted at once: whoever chooses while these credentials are being read is to choose another account.
            self.knowledge.state.use(choice.account.id, utcnow())
            credentials = await self._credentials.of(self._provider(trail), choice.account, trail)
            if credentials is not None:
                return self._begin(trail, choice.account, credentials, choice.reason)
            if trail.halted is not None:
                return trail.halted
            trail.tried.add(choice.account.id)

    def release(self, trail: Trail) -> None:
        """Free the flow's slot; doing it again does nothing."""
        if trail.current is not None:
            self.knowledge.state.release(trail.current.account.id, utcnow())
            trail.current = None

    # -- an answer

    def served(self, trail: Trail, answered: Answered, headers: HeaderView) -> None:
        """An answer that the editor gets as it comes: learn from its head."""
        assignment = trail.current
        if assignment is None:
            return
        now = utcnow()
        provider = self._provider(trail)
        account_id = assignment.account.id
        self.knowledge.observe(account_id, provider.quota(headers, now))
        self.knowledge.state.remember(
            trail.facts.conversation, account_id, now, self.policy.affinity_ttl_s, self.policy.affinity_limit
        )
        token = provider.issued_turn_state(headers)
        if token is not None:
            self._turns.learn(trail.facts.conversation, account_id, token)
        self._record(trail, "ok", answered)

    async def recover(
        self, trail: Trail, outcome: Outcome, answered: Answered, headers: HeaderView | None = None
    ) -> Assignment | None:
        """Decide what follows a refusal or a failure. None: the editor gets it. Else: send again, so."""
        assignment = trail.current
        if assignment is None:
            return None
        now = utcnow()
        if headers is not None:
            self.knowledge.observe(assignment.account.id, self._provider(trail).quota(headers, now))
        key = (assignment.account.id, outcome.kind)
        decision = decide(outcome, attempt=trail.number, repeats=trail.repeats[key], policy=self.policy, now=now)
        trail.repeats[key] += 1
        self._record(trail, outcome.code, answered)
        await self._apply(assignment.account, outcome, decision)
        if decision.until is not None and (trail.soonest is None or decision.until < trail.soonest[0]):
            trail.soonest = (decision.until, trail.number, outcome.code)
        following = await self._follow_up(trail, assignment, outcome, decision.action)
        _log_recovery(trail, assignment, outcome, decision, following)
        if following is None:
            self.release(trail)
        return following

    # -- a WebSocket's frames

    async def server_frame(self, trail: Trail, content: bytes) -> bytes | None:
        """Learn from an upstream's message. Returns what the client gets instead, or None to leave it alone."""
        assignment = trail.current
        if assignment is None:
            return None
        provider = self._provider(trail)
        frame = provider.read_frame(trail.facts, content, utcnow())
        if frame.windows:
            self.knowledge.observe(assignment.account.id, frame.windows)
        if frame.turn_state is not None:
            self._turns.learn(trail.facts.conversation, assignment.account.id, frame.turn_state)
        if frame.outcome is None:
            return None
        decision = decide(frame.outcome, attempt=trail.number, repeats=0, policy=self.policy, now=utcnow())
        if decision.action is Action.REFRESH:
            self._primaries.refused(assignment.credential)
            # The client reconnects by itself; the next handshake is to find a better token.
            self._background(self._credentials.renewed(provider, assignment.account, trail, assignment.credential))
        self._record(trail, frame.outcome.code, Answered(None, None))
        await self._apply(assignment.account, frame.outcome, decision)
        if decision.action is not Action.SWITCH:
            return None
        if decision.until is not None:
            self._refusals[assignment.account.id] = (decision.until, content)
        others = select(self.knowledge.state, trail.demand, utcnow(), {assignment.account.id})
        reconnect = provider.reconnect_frame() if not isinstance(others, Exhausted) else None
        action = "reconnect" if reconnect is not None else "deliver"
        logger.info("account=%s action=%s reason=%s", assignment.account.name, action, frame.outcome.code)
        return reconnect if not isinstance(others, Exhausted) else self._soonest_refusal(provider.name)

    def _soonest_refusal(self, provider: ProviderName) -> bytes | None:
        """The limit frame that ends soonest, as its account's upstream worded it."""
        now, accounts = utcnow(), self.knowledge.state.accounts
        mine = (
            r for i, r in self._refusals.items() if i in accounts and accounts[i].provider is provider and r[0] > now
        )
        return min(mine, default=(now, None))[1]

    def client_frame(self, trail: Trail, content: bytes) -> bytes:
        """The client's message as the serving account may read it; the same object when nothing is changed."""
        assignment = trail.current
        if assignment is None:
            return content
        account_id = assignment.account.id
        own = self._turns.own(trail.facts.conversation, account_id)
        return self._provider(trail).edit_client_frame(content, own, lambda t: self._turns.owned(t, account_id))

    # -- inside

    def _provider(self, trail: Trail) -> Provider:
        return self._providers[trail.facts.route.provider]

    def _begin(
        self, trail: Trail, account: Account, credentials: Mapping[CredentialKind, Credential], reason: str
    ) -> Assignment:
        now = utcnow()
        facts = trail.facts
        turn_state = self._turns.for_account(facts.conversation, facts.turn_state, account.id)
        credential, provider = credentials[facts.needs[0]], self._provider(trail)
        if trail.own is not None and credential is trail.own.credential:
            edits = provider.stay(facts, trail.own.origin, turn_state)
        else:
            edits = provider.edits(facts, account, credentials, turn_state)
        self._keeper.used(account.id, now)
        self.release(trail)
        trail.number += 1
        trail.current = Assignment(
            account, credential, edits, trail.number, reason, now, fresh_connection=trail.number > 1
        )
        self.knowledge.state.acquire(account.id, now)
        return trail.current

    async def _apply(self, account: Account, outcome: Outcome, decision: Decision) -> None:
        if decision.remedy is Remedy.DISABLE:
            await self.knowledge.disable(account, outcome.code)
        elif decision.remedy is Remedy.COOL and decision.until is not None:
            await self.knowledge.cool(account, outcome.scope, outcome.code, decision.until)

    async def _follow_up(
        self, trail: Trail, assignment: Assignment, outcome: Outcome, action: Action
    ) -> Assignment | None:
        account, provider = assignment.account, self._provider(trail)
        match action:
            case Action.DELIVER:
                return None
            case Action.RESEND:
                credentials, reason = await self._credentials.of(provider, account, trail), "resent"
            case Action.REFRESH:
                refused = assignment.credential
                if outcome.kind is OutcomeKind.UNAUTHORIZED:
                    self._primaries.refused(refused)
                credentials, reason = await self._credentials.renewed(provider, account, trail, refused), "renewed"
            case Action.REPAIR:
                repaired = await self._credentials.without(provider, account, trail, outcome.without)
                return self._begin(trail, account, repaired, "repaired") if repaired is not None else None
            case Action.SWITCH:
                credentials, reason = None, ""
        if credentials is not None:
            return self._begin(trail, account, credentials, reason)
        trail.tried.add(account.id)
        following = await self.assign(trail)
        return following if isinstance(following, Assignment) else None

    def _background(self, work: Coroutine[Any, Any, object]) -> None:
        """Work that outlives the hook that began it; awaited at the end."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _note(self, trail: Trail, choice: Selection | Exhausted, now: datetime) -> None:
        """Keep what `seatpool why` is to tell of a choice."""
        request = (trail.flow_id, trail.number + 1, trail.facts.route.name, trail.facts.model)
        self.knowledge.note(glimpse(self.knowledge.state, trail.demand, now, trail.tried, choice, request))

    def _record(self, trail: Trail, code: str, answered: Answered) -> None:
        assignment = trail.current
        if assignment is not None:
            facts = trail.facts
            self.knowledge.record(
                Attempt(
                    trail.flow_id,
                    assignment.number,
                    assignment.account.id,
                    facts.route.name,
                    facts.model,
                    code,
                    answered.status,
                    assignment.started_at,
                    answered.first_byte_ms,
                    assignment.reason,
                )
            )


def _log_recovery(
    trail: Trail, assignment: Assignment, outcome: Outcome, decision: Decision, following: Assignment | None
) -> None:
    action = decision.action.value if following is not None else "deliver"
    target = f" to={following.account.name}" if following is not None else ""
    logger.info(
        "account=%s action=%s%s attempt=%d reason=%s request=%s",
        assignment.account.name,
        action,
        target,
        assignment.number,
        outcome.code,
        trail.short_id,
    )
