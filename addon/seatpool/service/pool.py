"""Assigns, recovers, remembers: the one place where a replay is decided."""

import asyncio
import logging
import os
import secrets
from collections import Counter
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from seatpool.clock import utcnow
from seatpool.core.model import (
    WHOLE_ACCOUNT,
    Account,
    Attempt,
    Cooldown,
    Credential,
    CredentialKind,
    ProviderName,
    QuotaWindow,
    Scope,
    ScopeKind,
)
from seatpool.core.outcome import Outcome
from seatpool.core.policy import Policy
from seatpool.core.recovery import Action, Decision, Remedy, decide
from seatpool.core.selection import RENEWAL, Exhausted, select
from seatpool.core.state import PoolState
from seatpool.providers.base import HeaderView, Provider, RenewalRefused, Renewed, RequestFacts
from seatpool.providers.registry import PROVIDERS
from seatpool.service.refresher import Refresher, Sender
from seatpool.service.trail import Assignment, Trail, demand_of
from seatpool.service.turns import TurnStates
from seatpool.service.vault import Vault
from seatpool.service.writer import Writer
from seatpool.store import Changes, Store, StoreError

logger = logging.getLogger(__name__)

FOLLOW_EVERY_S = 0.25
"""How often the store is asked whether another process has written: the promise is 250 ms."""


KEPT = timedelta(days=30)
"""How long attempts and ended cooldowns are kept."""


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
        self.policy = policy
        self.state = PoolState(by_quota=policy.rotate_on_limit)
        self.in_flight: Counter[int] = Counter()
        self.turns = TurnStates()
        self._providers = providers
        self._store = store
        self._vault = Vault(store)
        self._owner = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._refresher = Refresher(store, self._vault, transport, self._owner)
        self._writer = Writer(store)
        self._client_headers: dict[ProviderName, tuple[tuple[str, str], ...]] = {}
        self._revision: int | None = None
        self._follower: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[object]] = set()

    # -- life

    def set_policy(self, policy: Policy) -> None:
        """Go on under other numbers."""
        self.policy = policy
        self.state.rank(by_quota=policy.rotate_on_limit, now=utcnow())

    def load(self) -> None:
        """Read the pool from the store (blocking; at start)."""
        self._take_changes(self._store.changes(None))

    def start(self) -> None:
        """Begin to follow what other processes write; drop what is too old to be of use."""
        self._background(self._prune())
        self._follower = asyncio.create_task(self._follow(), name="seatpool follower")

    async def stop(self) -> None:
        """Finish what is under way and write what is queued."""
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._refresher.drain()
        await asyncio.to_thread(self._writer.close)

    @property
    def roster(self) -> dict[ProviderName, int]:
        """How many accounts there are that a person has not taken out."""
        usable = Counter(a.provider for a in self.state.accounts.values() if a.usable)
        return {name: usable[name] for name in ProviderName}

    def serves(self, provider: ProviderName) -> bool:
        """Whether there is any account of this provider that a person has not taken out."""
        return any(a.provider is provider and a.usable for a in self.state.accounts.values())

    # -- a request

    def open(self, flow_id: str, facts: RequestFacts, headers: HeaderView) -> Trail:
        """Begin a flow's way through the pool; `headers` are the editor's own."""
        return Trail(flow_id, facts, headers, demand_of(facts))

    def note_client(self, provider: ProviderName, headers: HeaderView) -> None:
        """Remember how the person's own editor names itself, for our side calls."""
        named = self._providers[provider].client_headers(headers)
        if named:
            self._client_headers[provider] = named

    async def assign(self, trail: Trail) -> Assignment | Exhausted:
        """Choose an account for the flow's next attempt and take one of its slots."""
        while True:
            choice = select(self.state, trail.demand, utcnow(), trail.tried)
            if isinstance(choice, Exhausted):
                return choice
            credentials = await self._credentials(choice.account, trail)
            if credentials is not None:
                return self._begin(trail, choice.account, credentials, choice.reason)
            trail.tried.add(choice.account.id)

    def release(self, trail: Trail) -> None:
        """Free the flow's slot; doing it again does nothing."""
        if trail.current is not None:
            self.in_flight[trail.current.account.id] -= 1
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
        self.observe(account_id, provider.quota(headers, now))
        self.state.remember(
            trail.facts.conversation, account_id, now, self.policy.affinity_ttl_s, self.policy.affinity_limit
        )
        token = provider.issued_turn_state(headers)
        if token is not None:
            self.turns.learn(trail.facts.conversation, account_id, token)
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
            self.observe(assignment.account.id, self._provider(trail).quota(headers, now))
        key = (assignment.account.id, outcome.kind)
        decision = decide(outcome, attempt=trail.number, repeats=trail.repeats[key], policy=self.policy, now=now)
        trail.repeats[key] += 1
        self._record(trail, outcome.code, answered)
        await self._apply(assignment.account, outcome, decision)
        if decision.until is not None and (trail.soonest is None or decision.until < trail.soonest[0]):
            trail.soonest = (decision.until, trail.number, outcome.code)
        following = await self._follow_up(trail, assignment, outcome, decision.action)
        _log_recovery(assignment, outcome, decision, following)
        if following is None:
            self.release(trail)
        return following

    def observe(self, account_id: int, windows: tuple[QuotaWindow, ...]) -> None:
        """Take in quota windows that some answer told."""
        for window in windows:
            if self.state.observe(account_id, window, window.observed_at):
                self._writer.put((account_id, window))

    # -- a WebSocket's frames

    async def server_frame(self, trail: Trail, content: bytes) -> bytes | None:
        """Learn from an upstream's message. Returns what the client gets instead, or None to leave it alone."""
        assignment = trail.current
        if assignment is None:
            return None
        provider = self._provider(trail)
        frame = provider.read_frame(trail.facts, content, utcnow())
        if frame.windows:
            self.observe(assignment.account.id, frame.windows)
        if frame.turn_state is not None:
            self.turns.learn(trail.facts.conversation, assignment.account.id, frame.turn_state)
        if frame.outcome is None:
            return None
        decision = decide(frame.outcome, attempt=trail.number, repeats=0, policy=self.policy, now=utcnow())
        if decision.action is Action.REFRESH:
            # The client reconnects by itself; the next handshake is to find a better token.
            self._background(self._renewed(assignment.account, trail, assignment.credential))
        self._record(trail, frame.outcome.code, Answered(None, None))
        await self._apply(assignment.account, frame.outcome, decision)
        if decision.action is not Action.SWITCH:
            return None
        others = select(self.state, trail.demand, utcnow(), {assignment.account.id})
        replacement = provider.reconnect_frame() if not isinstance(others, Exhausted) else None
        logger.info(
            "account=%s action=%s reason=%s",
            assignment.account.name,
            "reconnect" if replacement is not None else "deliver",
            frame.outcome.code,
        )
        return replacement

    def client_frame(self, trail: Trail, content: bytes) -> bytes:
        """The client's message as the serving account may read it; the same object when nothing is changed."""
        assignment = trail.current
        if assignment is None:
            return content
        account_id = assignment.account.id
        own = self.turns.own(trail.facts.conversation, account_id)
        return self._provider(trail).edit_client_frame(content, own, lambda t: self.turns.owned(t, account_id))

    # -- inside

    def _provider(self, trail: Trail) -> Provider:
        return self._providers[trail.facts.route.provider]

    def _begin(
        self, trail: Trail, account: Account, credentials: Mapping[CredentialKind, Credential], reason: str
    ) -> Assignment:
        now = utcnow()
        facts = trail.facts
        turn_state = self.turns.for_account(facts.conversation, facts.turn_state, account.id)
        edits = self._provider(trail).edits(facts, account, credentials, turn_state)
        self.release(trail)
        trail.number += 1
        trail.current = Assignment(
            account, credentials[facts.needs[0]], edits, trail.number, reason, now, fresh_connection=trail.number > 1
        )
        self.in_flight[account.id] += 1
        self.state.use(account.id, now)
        return trail.current

    async def _credentials(
        self, account: Account, trail: Trail, refused: Credential | None = None
    ) -> Mapping[CredentialKind, Credential] | None:
        """Everything that the request needs of an account, fresh enough to send; None when the first cannot be had."""
        provider = self._provider(trail)
        found: dict[CredentialKind, Credential] = {}
        now = utcnow()
        for index, kind in enumerate(trail.facts.needs):
            if kind in trail.given_up or (index > 0 and provider.holds(trail.headers, found[trail.facts.needs[0]])):
                continue
            held = self._vault.get(account.id, kind)
            unusable = refused if index == 0 else None
            if held is None or held is unusable or not provider.ready(held, now):
                held = await self._obtain(provider, account, kind, unusable)
            if held is not None:
                found[kind] = held
            elif index == 0:
                return None
        return found

    async def _obtain(
        self, provider: Provider, account: Account, kind: CredentialKind, refused: Credential | None
    ) -> Credential | None:
        if refused is None:
            held = (await self._vault.held(account.id)).get(kind)
            if held is not None and provider.ready(held, utcnow()):
                return held
        try:
            result = await self._refresher.renew(
                provider, account, kind, refused=refused, client_headers=self._client_headers.get(provider.name, ())
            )
        except StoreError as error:
            logger.warning("account=%s action=renewal-failed reason=%s: %s", account.name, type(error).__name__, error)
            return self._good_enough(account, kind, refused)
        if isinstance(result, Renewed):
            self.observe(account.id, result.windows)
            await self._learn_plan(account, result.plan)
            return result.credential
        await self._renewal_refused(account, kind, result)
        return None

    def _good_enough(self, account: Account, kind: CredentialKind, refused: Credential | None) -> Credential | None:
        """While the database is away: what memory holds, unless it is known to be of no use."""
        held = self._vault.get(account.id, kind)
        if held is None or held is refused or (held.expires_at is not None and held.expires_at <= utcnow()):
            return None
        return held

    async def _learn_plan(self, account: Account, plan: str | None) -> None:
        if plan is not None and plan != account.plan:
            await asyncio.to_thread(self._store.set_plan, account.id, plan)

    async def _renewal_refused(self, account: Account, kind: CredentialKind, refusal: RenewalRefused) -> None:
        code = RENEWAL + refusal.code
        now = utcnow()
        if kind is CredentialKind.COPILOT_SESSION:
            logger.info("account=%s action=without-session reason=%s", account.name, code)
        elif refusal.durable and not refusal.kind_only:
            await self._disable(account, code)
        else:
            default_s = self.policy.entitlement_cooldown_s if refusal.kind_only else self.policy.renewal_cooldown_s
            until = refusal.retry_at or now + timedelta(seconds=default_s)
            scope = Scope(ScopeKind.BUCKET, str(kind)) if refusal.kind_only else WHOLE_ACCOUNT
            await self._cool(account, scope, code, until)

    async def _apply(self, account: Account, outcome: Outcome, decision: Decision) -> None:
        if decision.remedy is Remedy.DISABLE:
            await self._disable(account, outcome.code)
        elif decision.remedy is Remedy.COOL and decision.until is not None:
            await self._cool(account, outcome.scope, outcome.code, decision.until)

    async def _cool(self, account: Account, scope: Scope, reason: str, until: datetime) -> None:
        """Durable before anything follows from it, so that other processes and the next start see it."""
        now = utcnow()
        cooldown = Cooldown(account.id, scope, reason, until, now)
        self.state.cool(cooldown, now)
        part = f" {scope.kind}={scope.value}" if scope.value else ""
        logger.warning(
            "account=%s action=cooldown%s until=%s reason=%s",
            account.name,
            part,
            until.isoformat("T", "seconds"),
            reason,
        )
        try:
            await asyncio.to_thread(self._store.cool, cooldown)
        except StoreError as error:  # memory knows; a database that is away must not cost the request
            logger.warning(
                "account=%s action=cooldown-not-stored reason=%s: %s", account.name, type(error).__name__, error
            )

    async def _disable(self, account: Account, reason: str) -> None:
        self.state.put(replace(self.state.accounts.get(account.id, account), disabled=reason), utcnow())
        logger.warning("account=%s action=disabled reason=%s", account.name, reason)
        try:
            await asyncio.to_thread(self._store.disable, account.id, reason, utcnow())
        except StoreError as error:
            logger.warning(
                "account=%s action=disable-not-stored reason=%s: %s", account.name, type(error).__name__, error
            )

    async def _follow_up(
        self, trail: Trail, assignment: Assignment, outcome: Outcome, action: Action
    ) -> Assignment | None:
        account = assignment.account
        match action:
            case Action.DELIVER:
                return None
            case Action.RESEND:
                credentials = await self._credentials(account, trail)
                reason = "resent"
            case Action.REPAIR:
                if outcome.without is None or outcome.without in trail.given_up:
                    return None
                trail.given_up.add(outcome.without)
                self._vault.drop(account.id, outcome.without)
                credentials = await self._credentials(account, trail)
                reason = "repaired"
            case Action.REFRESH:
                credentials = await self._renewed(account, trail, assignment.credential)
                reason = "renewed"
            case Action.SWITCH:
                credentials = None
                reason = ""
        if credentials is not None:
            return self._begin(trail, account, credentials, reason)
        trail.tried.add(account.id)
        following = await self.assign(trail)
        return None if isinstance(following, Exhausted) else following

    async def _renewed(
        self, account: Account, trail: Trail, refused: Credential
    ) -> Mapping[CredentialKind, Credential] | None:
        """After a 401: a burst of them renews once, since those who come late find a newer token already there."""
        now = self._vault.get(account.id, refused.kind)
        if now is not None and now.token != refused.token:
            return await self._credentials(account, trail)
        return await self._credentials(account, trail, refused=now or refused)

    def _background(self, work: Coroutine[Any, Any, object]) -> None:
        """Work that outlives the hook that began it; awaited at the end."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _record(self, trail: Trail, code: str, answered: Answered) -> None:
        assignment = trail.current
        if assignment is not None:
            facts = trail.facts
            self._writer.put(
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
                )
            )

    # -- what other processes write

    async def _follow(self) -> None:
        failing = False
        while True:
            await asyncio.sleep(FOLLOW_EVERY_S)
            try:
                if await asyncio.to_thread(self._store.revision) != self._revision:
                    self._take_changes(await asyncio.to_thread(self._store.changes, self._revision))
                failing = False
            except StoreError as error:  # the pool goes on from memory while the database is away
                if not failing:
                    logger.warning("action=follow-failed reason=%s: %s", type(error).__name__, error)
                failing = True

    async def _prune(self) -> None:
        try:
            await asyncio.to_thread(self._store.prune, before=utcnow() - KEPT)
        except StoreError as error:
            logger.warning("action=prune-failed reason=%s: %s", type(error).__name__, error)

    def _take_changes(self, changes: Changes) -> None:
        now = utcnow()
        before = self.roster
        if changes.full:
            names = {a.id for a in changes.accounts}
            self.state.forget_all_but(names)
            self._vault.forget_all_but(names)
        for account in changes.accounts:
            self.state.put(account, now)
        for account_id, scope in changes.cleared:
            self.state.lift(account_id, scope, now)
        for cooldown in changes.cooldowns:
            self.state.cool(cooldown, now)
        for account_id, window in changes.windows:
            self.state.observe(account_id, window, now)
        self._vault.catch_up(changes.generations)
        if self.roster != before and self._revision is not None:
            logger.info("action=pool %s", " ".join(f"{name}={count}" for name, count in self.roster.items()))
        self._revision = changes.revision


def _log_recovery(assignment: Assignment, outcome: Outcome, decision: Decision, following: Assignment | None) -> None:
    action = decision.action.value if following is not None else "deliver"
    target = f" to={following.account.name}" if following is not None else ""
    logger.info(
        "account=%s action=%s%s attempt=%d reason=%s",
        assignment.account.name,
        action,
        target,
        assignment.number,
        outcome.code,
    )
