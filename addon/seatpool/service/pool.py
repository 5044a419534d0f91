"""Assigns, recovers, remembers: the one place where a replay is decided."""

import asyncio
import logging
import os
import secrets
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from msgspec.structs import replace

from seatpool.clock import utcnow
from seatpool.core.catalogue import Draws
from seatpool.core.model import Account, Credential, CredentialKind, ProviderName
from seatpool.core.outcome import Outcome, OutcomeKind
from seatpool.core.policy import Policy
from seatpool.core.recovery import RULES, Action
from seatpool.core.rules import Rule
from seatpool.core.selection import Exhausted
from seatpool.providers.base import Frame, Provider, RequestFacts
from seatpool.providers.http import HeaderView, HttpReply
from seatpool.providers.registry import PROVIDERS
from seatpool.providers.sidecalls import Models, Usage
from seatpool.service.asking.errands import OF_RESTING, ModelsErrand, UsageErrand
from seatpool.service.asking.poller import Poller
from seatpool.service.flows.bonds import Bonds, Fate
from seatpool.service.flows.judging import Judge, log_recovery, pause
from seatpool.service.flows.lessons import Lessons
from seatpool.service.flows.places import Places
from seatpool.service.flows.ruling import Ruling
from seatpool.service.flows.sockets import Sockets
from seatpool.service.flows.turns import TurnStates
from seatpool.service.flows.wishes import Wishes, log_substitute
from seatpool.service.logins.credentials import Credentials
from seatpool.service.logins.keeper import Keeper
from seatpool.service.logins.primaries import Primaries
from seatpool.service.logins.refresher import Refresher, Sender
from seatpool.service.memory.choices import Choices
from seatpool.service.memory.endings import Endings
from seatpool.service.memory.follower import Follower
from seatpool.service.memory.knowledge import Knowledge
from seatpool.service.memory.records import SWITCHING_PROTOCOLS, Ending, Records
from seatpool.service.memory.vault import Vault
from seatpool.service.memory.writer import Writer
from seatpool.service.tasks import Tasks
from seatpool.service.telling.notices import Notices
from seatpool.service.telling.traces import Traces
from seatpool.service.trail import Answered, Assignment, Bond, Halted, Trail
from seatpool.store import Store

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 10.0
"""How often is looked for credentials to renew, and for editors that have gone."""


class PoolService:
    """One per process. Everything but the store's calls runs in the event loop."""

    def __init__(
        self,
        store: Store,
        transport: Sender,
        policy: Policy,
        providers: Mapping[ProviderName, Provider] = PROVIDERS,
        writer: Callable[[Store], Writer] = Writer,
    ) -> None:
        vault = Vault(store)
        owner = f"{os.getpid()}-{secrets.token_hex(4)}"
        self.policy = policy
        self.knowledge = Knowledge(store, vault, policy, owner, writer)
        self.follower = Follower(store, vault, self.knowledge, policy)
        self._providers = providers
        self._refresher = Refresher(store, vault, transport, owner)
        self._refresher.counted = self.knowledge.meters.renewed
        self._primaries = Primaries(store, vault, self.knowledge)
        self._credentials = Credentials(vault, self._refresher, self.knowledge, self._primaries, policy)
        self._keeper = Keeper(self.knowledge, vault, self._credentials, providers, owner)
        self.notices = Notices(store, self.knowledge.state, self.knowledge.meters, transport)
        self.notices.follow(policy)
        self._traces = Traces(self.knowledge.state, self.knowledge.meters, transport)
        self._traces.follow(policy.otlp_endpoint)
        self._judge = Judge(self.knowledge, self.notices)
        self._choices = Choices(self.knowledge.state, self.knowledge.note)
        self.bonds = Bonds(self.knowledge, providers, policy)
        self._places = Places(
            self.knowledge.state,
            self._choices,
            self.bonds,
            lambda facts: providers[facts.route.provider].patience(facts),
        )
        self._records = Records(self.knowledge.record)
        self._endings = Endings(self.knowledge.ended)
        self._models = ModelsErrand(self.knowledge, policy)
        self._usage = UsageErrand(store, vault, self.knowledge, policy)
        self._usage_of_resting = UsageErrand(store, vault, self.knowledge, policy, OF_RESTING)
        self._poller = Poller(
            store,
            vault,
            self.knowledge,
            self._credentials,
            transport,
            providers,
            owner,
            errands=(self._usage, self._models),
            of_resting=(self._usage_of_resting,),
        )
        draws = Draws()
        self._lessons = Lessons(self.knowledge, self._places, draws, self.bonds, policy)
        self._turns = TurnStates()
        self.ruling = Ruling(self.knowledge.state, draws)
        self._wishes = Wishes(self.knowledge.state, self.ruling, policy)
        self._tasks = Tasks()
        self._watch: asyncio.Task[None] | None = None
        self.sockets = Sockets(
            knowledge=self.knowledge,
            lessons=self._lessons,
            bonds=self.bonds,
            judge=self._judge,
            places=self._places,
            records=self._records,
            endings=self._endings,
            turns=self._turns,
            ruling=self.ruling,
            wishes=self._wishes,
            poller=self._poller,
            credentials=self._credentials,
            primaries=self._primaries,
            providers=providers,
            policy=policy,
            background=self._background,
            follow_up=self._follow_up,
        )
        self.knowledge.changed = self._changed
        self.follower.clock_set = self._clock_set
        self.follower.restore = self._refresher.restore

    # -- life

    def set_policy(self, policy: Policy) -> None:
        """Go on under other numbers."""
        self.policy = self._credentials.policy = self._models.policy = policy
        self._usage.policy = self._usage_of_resting.policy = policy
        self._wishes.policy = self._lessons.policy = self.sockets.policy = self.bonds.policy = policy
        self.notices.follow(policy)
        self._traces.follow(policy.otlp_endpoint)
        self.knowledge.state.follow(policy, utcnow())
        self.knowledge.state.caps.most = policy.max_in_flight
        self.follower.ledger_days = policy.ledger_days

    def load(self) -> None:
        """Read the pool from the store (blocking; at start)."""
        self.knowledge.load()

    def start(self) -> None:
        """Begin to follow what other processes write, and to renew credentials before they run out."""
        self.follower.start()
        self._watch = asyncio.create_task(self._look_around(), name="seatpool keeper")
        self.notices.look()

    async def stop(self) -> None:
        """Finish what is under way and write what is queued."""
        self._places.close()
        if self._watch is not None:
            self._watch.cancel()
        await self._tasks.drain()
        await self._poller.stop()
        await self._keeper.drain()
        await self.notices.stop()
        await self._traces.stop()
        await self._refresher.stop()
        await self.follower.stop()
        await self.knowledge.stop()

    async def _look_around(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self._keeper.look(utcnow())
            self._poller.look(utcnow())
            self._primaries.look_around(utcnow())
            self.notices.look()

    def _clock_set(self) -> None:
        self._keeper.clock_set()
        self._poller.clock_set()

    def _changed(self) -> None:
        """Somebody may be asked no longer, or again."""
        self.sockets.look()
        if self._watch is not None:
            self.notices.look()

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
        return Trail(flow_id, facts, headers, self.ruling.demand(facts, rule), rule, bond=Bond(body))

    def note_client(self, provider: ProviderName, headers: HeaderView) -> None:
        """Remember how the person's own editor names itself, for our side calls."""
        self._credentials.note_client(self._providers[provider], headers)

    def models(self, provider: ProviderName) -> Models:
        """The models of the pooled accounts, where an editor is to see them."""
        return self._models.union(provider) if self.policy.union_models else {}

    def looked_up(self, provider: Provider, identity: str, reply: HttpReply, asked_at: datetime) -> None:
        """An editor has asked for the quota of its own login: what it was told counts, where that is the pool's too.

        Nobody else asks for that of an account which is only learnt, and a person who has used a banked reset, or
        bought credits, looks at once whether they are there.
        """
        account = self.knowledge.state.identified(provider.name, identity)
        told = provider.read_usage(account, {}, reply, utcnow()) if account is not None else None
        if account is not None and isinstance(told, Usage):
            self._background(self._usage.learn(account, told, asked_at))

    async def learn(self, trail: Trail, origin: str) -> None:
        """Let the account that the editor is signed in with serve as well; it sent the request to `origin`."""
        if self.policy.learn:
            trail.own = await self._primaries.note(self._provider(trail), trail.facts, trail.headers, origin)
            self.ruling.put(trail, trail.rule)  # it may be one that the rule names

    async def assign(self, trail: Trail) -> Assignment | Exhausted | Halted:
        """Choose an account for the next attempt and take a place there; wait where all are taken, or limited."""
        try:
            return await self._assign(trail)
        except BaseException:
            self._places.free(trail)
            raise

    async def _assign(self, trail: Trail) -> Assignment | Exhausted | Halted:
        while True:
            choice = self._places.arrive(trail)
            self._poller.wanted(trail.demand, utcnow())
            if isinstance(choice, Exhausted):
                choice = await self._places.wait(trail, choice, self.policy)
            if isinstance(choice, Exhausted):
                self._choices.note(trail, choice, utcnow())
                if self._wishes.substitute(self._provider(trail), trail, choice):
                    continue
                self._endings.unsent(trail)
                self.notices.exhausted(trail, trail.exhausted or choice)
                return trail.exhausted or choice
            credentials = await self._credentials.of(self._provider(trail), choice.account, trail)
            if credentials is not None and self._is_limited(trail, choice.account):
                self._places.free(trail)  # its login was renewed, and it has been limited meanwhile
                continue
            if credentials is not None:
                if trail.asked is not None:
                    log_substitute(trail, choice.account)
                return self._begin(trail, choice.account, credentials, choice.reason)
            self._places.free(trail)
            if trail.halted is not None:
                self._endings.unsent(trail)
                return trail.halted
            trail.tried.add(choice.account.id)

    def release(self, trail: Trail) -> None:
        """The flow is over, or the pool has no hand in it any more: free its place. Again does nothing."""
        trail.current = None
        self._places.free(trail)
        self.sockets.closed(trail)

    @property
    def waiting(self) -> int:
        """How many requests wait for a place at an account, or for the end of a limit."""
        return len(self._places)

    def metrics(self) -> Callable[[], str]:
        """How it stands and what was counted now; what that gives is as Prometheus reads it, and takes its time."""
        from seatpool.service.telling.readings import render, take  # nobody else needs it

        return partial(render, take(self.knowledge.meters, self.knowledge.state, self.waiting, utcnow()))

    def abandon(self, trail: Trail) -> None:
        """The client of a flow has left: should it wait for a place, or be about to, it does no longer."""
        self._places.abandon(trail)

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
        self._lessons.stays_with(trail, account_id, now)
        token = provider.issued_turn_state(headers)
        if token is not None:
            self._turns.learn(trail.facts.conversation, account_id, token)
        self._records.served(trail, answered)
        self._endings.begins(trail)
        if answered.status == SWITCHING_PROTOCOLS:  # a handshake draws on nothing yet
            self._places.rest(trail)
            self._places.answered(trail, account_id)
        else:
            self._lessons.succeeded(trail, account_id)
        self._lessons.drew_on(trail, provider.draws(headers))

    def ended(self, trail: Trail, ending: Ending) -> None:
        """The flow is over, in whatever way: note what was served, and what its account's cache holds now."""
        self._lessons.told(trail, ending.tokens)
        self.bonds.gave(trail, ending.issued)
        self._records.ended(trail, ending)
        self._endings.over(trail)
        if ending.refusal is not None and trail.current is not None:
            # Too late for this answer; but the editor asks again, and is to find another account.
            account, refusal = trail.current.account, ending.refusal
            decision = self._judge.decide(trail, account, refusal, 0, self.policy)
            self._background(self._judge.apply(account, refusal, decision))

    async def recover(
        self, trail: Trail, outcome: Outcome, answered: Answered, headers: HeaderView | None = None
    ) -> Assignment | None:
        """Decide what follows a refusal or a failure. None: the editor gets it. Else: send again, so."""
        assignment = trail.current
        if assignment is None:
            return None
        await trail.remedied()
        trail.tries = True
        if headers is not None:
            self.knowledge.observe(assignment.account.id, self._provider(trail).quota(headers, utcnow()))
            self._lessons.drew_on(trail, self._provider(trail).draws(headers))
        key = (assignment.account.id, outcome.kind)
        decision = self._judge.decide(trail, assignment.account, outcome, trail.repeats[key], self.policy)
        trail.repeats[key] += 1
        self._records.refused(trail, outcome.code, answered)
        # Nothing of what follows is shown to the client before this is durable; but it can be on its way meanwhile.
        trail.remedy = self._background(self._judge.apply(assignment.account, outcome, decision))
        if decision.until is not None:
            trail.refused(decision.until, outcome.code, utcnow())
        await pause(decision)
        if decision.action is Action.PAUSE and self._is_limited(trail, assignment.account, decision.until):
            decision = replace(decision, action=Action.SWITCH)  # another request has met a limit there meanwhile
        following = await self._follow_up(trail, assignment, outcome, decision.action)
        log_recovery(trail, assignment, outcome, decision, following)
        if following is None:
            await trail.remedied()
            self.release(trail)
        else:
            self.notices.switched(assignment.account, outcome, decision, following.account)
        return following

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
        wish = self._wishes.of(provider, trail, account)
        if wish is not None:
            edits = replace(edits, wish=wish)
        self._keeper.used(account.id, now)
        self._places.hold(trail, account.id)
        self._poller.used(account.id, now)
        trail.number += 1
        trail.asked_of, trail.sent_at = account.id, trail.sent_at or now
        trail.current = Assignment(account, credential, edits, trail.number, reason, now)
        trail.repaired = self.bonds.prepare(trail, account)
        trail.asked_at = now
        return trail.current

    async def _follow_up(
        self, trail: Trail, assignment: Assignment, outcome: Outcome, action: Action
    ) -> Assignment | None:
        account, provider = assignment.account, self._provider(trail)
        match action:
            case Action.DELIVER:
                if outcome.kind is OutcomeKind.CARRIER:
                    self.bonds.refused(trail, account, outcome, sent_again=False)
                return None
            case Action.RESEND | Action.REFRESH if self._is_limited(trail, account):
                credentials, reason = None, ""  # another request was told so meanwhile
            case Action.RESEND | Action.PAUSE:
                credentials, reason = await self._credentials.of(provider, account, trail), "resent"
            case Action.REFRESH:
                refused = assignment.credential
                if outcome.kind is OutcomeKind.UNAUTHORIZED:
                    self._primaries.refused(refused)
                credentials, reason = await self._credentials.renewed(provider, account, trail, refused), "renewed"
            case Action.REPAIR:
                credentials, reason = (
                    await self._credentials.without(provider, account, trail, outcome.without),
                    "repaired",
                )
                fate = self.bonds.refused(trail, account, outcome, sent_again=True) if credentials is None else None
                if fate is Fate.REPAIRED:
                    credentials = await self._credentials.of(provider, account, trail)
                elif credentials is None and fate is not Fate.OWNER:
                    return None
            case Action.HOLD if not self._places.must_wait(trail, self.policy):
                return None
            case Action.SWITCH | Action.WAIT | Action.HOLD:
                credentials, reason = None, ""
        if credentials is not None and (action is Action.PAUSE or not self._is_limited(trail, account)):
            return self._begin(trail, account, credentials, reason)
        self._places.free(trail)
        if action is not Action.WAIT:
            trail.tried.add(account.id)
            if RULES[outcome.kind].limit:
                trail.limited.add(account.id)
        following = await self.assign(trail)
        return following if isinstance(following, Assignment) else None

    def _is_limited(self, trail: Trail, account: Account, own: datetime | None = None) -> bool:
        """Whether a limit keeps the account from this request, other than the one that it is to try.

        `own`: the end of the limit that it has met itself, and waited for.
        """
        held = self.knowledge.state.blocked(account.id, trail.demand.scopes, utcnow())
        return held is not None and held != trail.probe and (own is None or held.until > own)

    def _background[T](self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Work that outlives the hook that began it; begun at once, and awaited at the end."""
        return self._tasks.begin(work, at_once=True)
