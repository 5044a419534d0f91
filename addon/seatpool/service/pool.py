"""Assigns, recovers, remembers: the one place where a replay is decided."""

import asyncio
import logging
import os
import secrets
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from msgspec.structs import replace

from seatpool.clock import utcnow
from seatpool.core.catalogue import Draws
from seatpool.core.model import Account, Credential, CredentialKind, ProviderName, Tokens
from seatpool.core.outcome import Outcome, OutcomeKind
from seatpool.core.policy import Policy
from seatpool.core.recovery import Action
from seatpool.core.rules import Rule
from seatpool.core.selection import Demand, Exhausted, Selection, select
from seatpool.providers.base import Frame, HeaderView, Models, Provider, RequestFacts
from seatpool.providers.registry import PROVIDERS
from seatpool.service.choices import Choices
from seatpool.service.credentials import Credentials
from seatpool.service.errands import ModelsErrand, UsageErrand
from seatpool.service.judging import Judge, log_recovery
from seatpool.service.keeper import Keeper
from seatpool.service.knowledge import Knowledge
from seatpool.service.places import Places
from seatpool.service.poller import Poller
from seatpool.service.primaries import Primaries
from seatpool.service.records import OK, SWITCHING_PROTOCOLS, Ending, Records
from seatpool.service.refresher import Refresher, Sender
from seatpool.service.ruling import Ruling
from seatpool.service.trail import Answered, Assignment, Halted, Trail, carries_something
from seatpool.service.turns import TurnStates
from seatpool.service.vault import Vault
from seatpool.service.wishes import Wishes, log_substitute
from seatpool.store import Store

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 10.0
"""How often is looked for credentials to renew, and for editors that have gone."""


FULL_FOR_S = 5.0
"""What an editor is told to wait when no place came free in time."""


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
        self.knowledge = Knowledge(store, vault, policy, owner)
        self._providers = providers
        self._refresher = Refresher(store, vault, transport, owner)
        self._primaries = Primaries(store, vault, self.knowledge)
        self._credentials = Credentials(vault, self._refresher, self.knowledge, self._primaries, policy)
        self._keeper = Keeper(self.knowledge, vault, self._credentials, providers, owner)
        self._judge = Judge(self.knowledge)
        self._choices = Choices(self.knowledge.state, self.knowledge.note)
        self._places = Places(self.knowledge.state, self._choices.note)
        self._records = Records(self.knowledge.record)
        self._models = ModelsErrand(self.knowledge, policy)
        self._usage = UsageErrand(store, vault, self.knowledge, policy)
        errands = (self._usage, self._models)
        self._poller = Poller(store, vault, self.knowledge, self._credentials, transport, providers, owner, errands)
        self._draws = Draws()
        self._turns = TurnStates()
        self.ruling = Ruling(self.knowledge.state, self._draws)
        self._wishes = Wishes(self.knowledge.state, self.ruling, policy)
        self._tasks: set[asyncio.Task[object]] = set()
        self._watch: asyncio.Task[None] | None = None
        self._refusals: dict[int, tuple[datetime, bytes]] = {}
        """The last limit frame of each account, with its end."""

    # -- life

    def set_policy(self, policy: Policy) -> None:
        """Go on under other numbers."""
        self.policy = self._credentials.policy = self._usage.policy = self._models.policy = policy
        self._wishes.policy = policy
        self.knowledge.state.follow(policy, utcnow())
        self.knowledge.state.caps.most = policy.max_in_flight

    def load(self) -> None:
        """Read the pool from the store (blocking; at start)."""
        self.knowledge.load()

    def start(self) -> None:
        """Begin to follow what other processes write, and to renew credentials before they run out."""
        self.knowledge.start()
        self._watch = asyncio.create_task(self._look_around(), name="seatpool keeper")

    async def stop(self) -> None:
        """Finish what is under way and write what is queued."""
        self._places.close()
        if self._watch is not None:
            self._watch.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._poller.stop()
        await self._keeper.drain()
        await self._refresher.drain()
        await self.knowledge.stop()

    async def _look_around(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self._keeper.look(utcnow())
            self._poller.look(utcnow())
            self._primaries.look_around(utcnow())

    # -- a request

    def open(
        self,
        flow_id: str,
        facts: RequestFacts,
        headers: HeaderView,
        rule: Rule | None = None,
        body: Callable[[], bytes] = bytes,
    ) -> Trail:
        """Begin a flow's way through the pool, under the rule that decides about it.

        `headers` are the editor's own, `body` gives the decoded body and is called only where it matters.
        """
        carries = partial(carries_something, self._providers[facts.route.provider], facts, body)
        return Trail(flow_id, facts, headers, self.ruling.demand(facts, rule), rule, carries=carries)

    def note_client(self, provider: ProviderName, headers: HeaderView) -> None:
        """Remember how the person's own editor names itself, for our side calls."""
        self._credentials.note_client(self._providers[provider], headers)

    def models(self, provider: ProviderName) -> Models:
        """The models of the pooled accounts, where an editor is to see them."""
        return self._models.union(provider) if self.policy.union_models else {}

    async def learn(self, trail: Trail, origin: str) -> None:
        """Let the account that the editor is signed in with serve as well; it sent the request to `origin`."""
        if self.policy.learn:
            trail.own = await self._primaries.note(self._provider(trail), trail.facts, trail.headers, origin)
            self.ruling.put(trail, trail.rule)  # it may be one that the rule names

    async def assign(self, trail: Trail) -> Assignment | Exhausted | Halted:
        """Choose an account for the flow's next attempt and take a place there; wait for one where all are taken."""
        try:
            return await self._assign(trail)
        except BaseException:
            self._places.free(trail)
            raise

    async def _assign(self, trail: Trail) -> Assignment | Exhausted | Halted:
        while True:
            choice = self._places.choose(trail)
            if isinstance(choice, Exhausted) and choice.full:
                waited = await self._places.wait(trail, self.policy.slot_wait_s)
                choice = waited or replace(choice, soonest=utcnow() + timedelta(seconds=FULL_FOR_S))
            if isinstance(choice, Exhausted):
                self._choices.note(trail, choice, utcnow())
                if self._wishes.substitute(self._provider(trail), trail, choice):
                    continue
                return trail.exhausted or choice
            credentials = await self._credentials.of(self._provider(trail), choice.account, trail)
            if credentials is not None:
                if trail.asked is not None:
                    log_substitute(trail, choice.account)
                return self._begin(trail, choice.account, credentials, choice.reason)
            self._places.free(trail)
            if trail.halted is not None:
                return trail.halted
            trail.tried.add(choice.account.id)

    def release(self, trail: Trail) -> None:
        """The flow is over, or the pool has no hand in it any more: free its place. Again does nothing."""
        trail.current = None
        self._places.free(trail)

    @property
    def waiting(self) -> int:
        """How many requests wait for a place at an account."""
        return len(self._places)

    def abandon(self, flow_id: str) -> None:
        """The client of a flow has left: should it wait for a place, it does no longer."""
        self._places.abandon(flow_id)

    # -- an answer

    def read_event(self, trail: Trail, data: bytes) -> Frame:
        """What an event of a streamed answer says."""
        return self._provider(trail).read_event(trail.facts, data, utcnow())

    def served(self, trail: Trail, answered: Answered, headers: HeaderView) -> None:
        """An answer that the editor gets as it comes: learn from its head."""
        assignment = trail.current
        if assignment is None:
            return
        now = utcnow()
        provider = self._provider(trail)
        account_id = assignment.account.id
        self.knowledge.observe(account_id, provider.quota(headers, now))
        self._stays_with(trail, account_id, now)
        token = provider.issued_turn_state(headers)
        if token is not None:
            self._turns.learn(trail.facts.conversation, account_id, token)
        self._records.served(trail, answered)
        if answered.status == SWITCHING_PROTOCOLS:  # a handshake draws on nothing yet
            self._places.rest(trail)
        else:
            self._succeeded(trail, account_id)
        self._learn_draws(trail, provider.draws(headers))

    def ended(self, trail: Trail, ending: Ending) -> None:
        """The flow is over, in whatever way: note what was served, and what its account's cache holds now."""
        self._told(trail, ending.tokens)
        self._records.ended(trail, ending)
        if ending.refusal is not None and trail.current is not None:
            # Too late for this answer; but the editor asks again, and is to find another account.
            account, refusal = trail.current.account, ending.refusal
            decision = self._judge.decide(trail, account, refusal, 0, self.policy)
            self._background(self._judge.apply(account, refusal, decision))

    def _told(self, trail: Trail, tokens: Tokens | None) -> None:
        if tokens is not None and trail.current is not None:
            known = trail.facts.conversation, trail.current.account.id
            self.knowledge.affinities.told(*known, utcnow(), self.policy, tokens)

    def _succeeded(self, trail: Trail, account_id: int) -> None:
        self.knowledge.succeeded(account_id, trail.demand.scopes, trail.asked_at or utcnow(), trail.probe)
        trail.probe = None
        self._places.succeeded(trail, account_id, self.policy.slot_successes)

    async def recover(
        self, trail: Trail, outcome: Outcome, answered: Answered, headers: HeaderView | None = None
    ) -> Assignment | None:
        """Decide what follows a refusal or a failure. None: the editor gets it. Else: send again, so."""
        assignment = trail.current
        if assignment is None:
            return None
        if headers is not None:
            self.knowledge.observe(assignment.account.id, self._provider(trail).quota(headers, utcnow()))
            self._learn_draws(trail, self._provider(trail).draws(headers))
        key = (assignment.account.id, outcome.kind)
        decision = self._judge.decide(trail, assignment.account, outcome, trail.repeats[key], self.policy)
        trail.repeats[key] += 1
        self._records.refused(trail, outcome.code, answered)
        await self._judge.apply(assignment.account, outcome, decision)
        if decision.until is not None and (trail.soonest is None or decision.until < trail.soonest[0]):
            trail.soonest = (decision.until, trail.number, outcome.code)
        following = await self._follow_up(trail, assignment, outcome, decision.action)
        log_recovery(trail, assignment, outcome, decision, following)
        if following is None:
            self.release(trail)
        return following

    # -- a WebSocket's frames

    def may_go_on(self, trail: Trail, rule: Rule | None, *, beginning: bool) -> bool:
        """Whether the account of a socket may serve a turn that this rule decides about.

        At the `beginning` of a conversation, where no cache is warm, an account that the rule prefers takes it over.
        """
        self.ruling.put(trail, rule)
        demand, current = trail.demand, trail.current
        if current is None:
            return demand.only is None
        if demand.only is not None:
            return current.account.id in demand.only
        if not beginning or not demand.prefer or current.account.id in demand.prefer:
            return True
        now = utcnow()
        better = select(self.knowledge.state, replace(demand, conversation=None), now, {current.account.id})
        if isinstance(better, Exhausted) or better.account.id not in demand.prefer:
            return True
        self._stays_with(trail, better.account.id, now)
        return False

    async def server_frame(self, trail: Trail, content: bytes) -> bytes | None:
        """Learn from an upstream's message. Returns what the client gets instead, or None to leave it alone."""
        assignment = trail.current
        if assignment is None:
            return None
        provider = self._provider(trail)
        self._records.turn_answered(trail)
        frame = provider.read_frame(trail.facts, content, utcnow())
        if frame.windows:
            self.knowledge.observe(assignment.account.id, frame.windows)
        if frame.turn_state is not None:
            self._turns.learn(trail.facts.conversation, assignment.account.id, frame.turn_state)
        if frame.terminal:
            self._poller.used(assignment.account.id, utcnow())
        self._learn_draws(trail, frame.draws)
        if frame.outcome is None:
            if frame.terminal:
                self._succeeded(trail, assignment.account.id)
                self._stays_with(trail, assignment.account.id, utcnow())
                self._told(trail, frame.tokens)
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
        if decision.action not in (Action.SWITCH, Action.WAIT):
            return None
        if decision.until is not None:
            self._refusals[assignment.account.id] = (decision.until, content)
        others = select(self.knowledge.state, trail.demand, utcnow(), {assignment.account.id})
        goes_on = isinstance(others, Selection) or (
            decision.action is Action.SWITCH and self._wishes.would_help(provider, trail)
        )
        reconnect = provider.reconnect_frame() if goes_on else None
        action = "reconnect" if reconnect is not None else "deliver"
        logger.info("account=%s action=%s reason=%s", assignment.account.name, action, frame.outcome.code)
        return reconnect if goes_on else self._soonest_refusal(trail.demand)

    def _soonest_refusal(self, demand: Demand) -> bytes | None:
        """The limit frame that ends soonest, as its account's upstream worded it."""
        now, accounts = utcnow(), self.knowledge.state.accounts
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
        wish = assignment.edits.wish
        content = provider.rewrite_frame(content, wish) if wish is not None else content
        self._records.turn_begins(trail, content)
        return content

    def outdated(self, trail: Trail) -> bool:
        """Whether the next turn of a socket belongs on another one: this one was opened for what is not wished now."""
        return trail.current is not None and self._wishes.outdated(self._provider(trail), trail, trail.current)

    # -- inside

    def _provider(self, trail: Trail) -> Provider:
        return self._providers[trail.facts.route.provider]

    def _stays_with(self, trail: Trail, account_id: int, now: datetime) -> None:
        self.knowledge.affinities.note(trail.facts.conversation, account_id, now, self.policy)

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
        wish = self._wishes.of(provider, trail, account)
        if wish is not None:
            edits = replace(edits, wish=wish)
        self._keeper.used(account.id, now)
        self._places.hold(trail, account.id)
        self._poller.used(account.id, now)
        trail.number += 1
        trail.current = Assignment(
            account, credential, edits, trail.number, reason, now, fresh_connection=trail.number > 1
        )
        trail.asked_at = now
        return trail.current

    def _learn_draws(self, trail: Trail, draws: tuple[str, ...] | None) -> None:
        if self._draws.learn(trail.facts.model, draws):
            trail.demand = replace(trail.demand, buckets=self._draws.of(trail.facts.model))

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
            case Action.SWITCH | Action.WAIT:
                credentials, reason = None, ""
        if credentials is not None:
            return self._begin(trail, account, credentials, reason)
        self._places.free(trail)
        if action is not Action.WAIT:
            trail.tried.add(account.id)
        following = await self.assign(trail)
        return following if isinstance(following, Assignment) else None

    def _background(self, work: Coroutine[Any, Any, object]) -> None:
        """Work that outlives the hook that began it; awaited at the end."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
