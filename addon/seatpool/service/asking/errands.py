"""What is asked of an issuer about an account in use, or one that is missed, and what is learnt from the answer.

Lists of models are kept in memory alone: each process asks for its own, some few times a day.
"""

import logging
from datetime import datetime, timedelta
from typing import Protocol

from msgspec.structs import replace

from seatpool.clock import utcnow
from seatpool.core.model import Account, Credential, ProviderName, QuotaWindow
from seatpool.core.policy import Policy
from seatpool.core.quotas import is_recent
from seatpool.providers.base import Provider
from seatpool.providers.http import HttpReply, HttpRequest
from seatpool.providers.sidecalls import ClientHeaders, Held, Models, NotTold, Usage
from seatpool.service.memory.knowledge import Knowledge
from seatpool.service.memory.vault import Vault
from seatpool.service.threads import apart
from seatpool.store import Store, Superseded

logger = logging.getLogger(__name__)

REVALIDATE = timedelta(minutes=3)
"""Quota that was seen longer ago is asked for (codex.md 8)."""
OF_RESTING = timedelta(minutes=15)
"""The same of an account that serves nobody, since it is limited, while requests come that it could else serve."""
MODELS_FOR = timedelta(hours=6)
"""An account in use is asked for its models again after so long, before its list proves nothing any more."""
FETCH = timedelta(seconds=25)
"""How long an answer may take, all told (codex.md 8)."""


class Errand(Protocol):
    """One kind of question. Its answers are good for everybody, so one process asks at a time."""

    name: str
    """In leases and log lines."""
    every: timedelta
    """One account is asked about again after so long at the earliest."""
    lease: timedelta
    """How long nobody else may ask."""
    shared: bool
    """What one process is told, all know: so the lease is not given back with the answer."""
    renews: bool
    """Nobody else renews a login that has run out meanwhile, since the account serves nobody."""

    def due(self, account: Account, now: datetime, jitter: timedelta) -> bool:
        """Whether the answer is wanted; `jitter` is how much later than it could be."""

    def request(
        self, provider: Provider, account: Account, held: Held, client: ClientHeaders, now: datetime
    ) -> HttpRequest | None:
        """The question; None where no credential is there to ask with now."""

    async def told_already(self, account: Account, now: datetime) -> bool:
        """Whether another process has asked meanwhile; then this one knows as well."""

    async def take(
        self, provider: Provider, account: Account, held: Held, reply: HttpReply, asked_at: datetime
    ) -> NotTold | None:
        """Learn from an answer; returns what stood in the way."""


class UsageErrand:
    """How much quota is left."""

    name = "usage"
    lease = REVALIDATE  # it is what keeps all processes together to one look in this time
    shared = True

    def __init__(
        self, store: Store, vault: Vault, knowledge: Knowledge, policy: Policy, every: timedelta = REVALIDATE
    ) -> None:
        self.policy = policy
        self.every = every
        self.renews = every >= OF_RESTING
        self._store = store
        self._vault = vault
        self._knowledge = knowledge

    def due(self, account: Account, now: datetime, jitter: timedelta) -> bool:
        """Whether nothing was seen lately; a first look waits for nobody."""
        if not self.policy.poll_usage:
            return False
        seen = self._knowledge.state.observed_at(account.id)
        return seen is None or not is_recent(seen, now, self.every + jitter)

    def request(
        self, provider: Provider, account: Account, held: Held, client: ClientHeaders, now: datetime
    ) -> HttpRequest | None:
        """The provider's own."""
        return provider.usage_request(account, held, client, now)

    async def told_already(self, account: Account, now: datetime) -> bool:
        """Read what others have stored: it may be newer than what has come here by itself."""
        stored = await apart(self._store.windows, account.id)
        self._knowledge.state.observe(account.id, stored, now)
        return any(is_recent(window.observed_at, now, self.every) for window in stored)

    async def take(
        self, provider: Provider, account: Account, held: Held, reply: HttpReply, asked_at: datetime
    ) -> NotTold | None:
        """Windows, which are gone with another plan, what else pays; the plan; whose workspace it is, where unknown.

        An answer is no newer than its question: a refusal that came between them is not spoken against.
        """
        told = provider.read_usage(account, held, reply, utcnow())
        if isinstance(told, NotTold):
            return told
        await self.learn(account, told, asked_at)
        if told.credential is not None:
            await self._complete(account, told.credential)
        return None

    async def learn(self, account: Account, told: Usage, asked_at: datetime) -> None:
        """The same of what was told, whoever has asked."""
        seen = tuple(replace(w, observed_at=asked_at) for w in told.windows)
        named = {window.bucket for window in seen}
        gone = (QuotaWindow.none(bucket, asked_at, "usage") for bucket in told.gone if bucket not in named)
        self._knowledge.observe(account.id, (*seen, *gone))
        if told.funded:
            self._knowledge.funded(account.id, asked_at)
        await self._knowledge.learn_plan(account, told.plan)

    async def _complete(self, account: Account, credential: Credential) -> None:
        try:
            stored = await apart(
                self._store.save_credential, account.id, credential, now=utcnow(), expected=credential.generation
            )
        except Superseded:
            return  # renewed meanwhile: the next look completes that one
        self._vault.put(account.id, stored)
        logger.info("account=%s action=workspace-learnt", account.name)


class ModelsErrand:
    """Which models the account has."""

    name = "models"
    every = MODELS_FOR
    lease = FETCH
    shared = False
    renews = False

    def __init__(self, knowledge: Knowledge, policy: Policy) -> None:
        self.policy = policy
        self._knowledge = knowledge
        self._asked_at: dict[int, datetime] = {}
        self._entries: dict[int, Models] = {}
        """Whole lists; kept only where an editor is to see them."""

    def due(self, account: Account, now: datetime, jitter: timedelta) -> bool:
        """Only where there is somebody else to choose, or an editor's list to add to."""
        if self._knowledge.state.usable[account.provider] < 2 and not self.policy.union_models:
            return False
        asked_at = self._asked_at.get(account.id)
        if asked_at is None or self._knowledge.state.models.of(account.id) is None:
            return True
        return now - asked_at >= MODELS_FOR + jitter or (self.policy.union_models and account.id not in self._entries)

    def request(
        self, provider: Provider, account: Account, held: Held, client: ClientHeaders, now: datetime
    ) -> HttpRequest | None:
        """The provider's own."""
        return provider.models_request(account, held, client, now)

    async def told_already(self, account: Account, now: datetime) -> bool:
        """Never: what another process was told, it keeps to itself."""
        return False

    async def take(
        self, provider: Provider, account: Account, held: Held, reply: HttpReply, asked_at: datetime
    ) -> NotTold | None:
        """The account's list. An empty one is nobody's, and not believed."""
        told = provider.read_models(reply, utcnow())
        if isinstance(told, NotTold):
            return told
        if not told:
            return NotTold("no-models")
        self._asked_at[account.id] = asked_at
        included = provider.included(told)
        self._knowledge.state.models.put(account.id, account.provider, frozenset(told), asked_at, included)
        self._entries.pop(account.id, None)
        if self.policy.union_models:
            self._entries[account.id] = told
        return None

    def union(self, provider: ProviderName) -> Models:
        """Every model that some usable account of the pool has, of the account that is asked first."""
        accounts = (self._knowledge.state.accounts.get(account_id) for account_id in self._entries)
        mine = [a for a in accounts if a is not None and a.provider is provider and a.usable]
        found: dict[str, bytes] = {}
        for account in sorted(mine, key=lambda a: (a.priority, a.id)):
            for name, entry in self._entries[account.id].items():
                found.setdefault(name, entry)
        return found
