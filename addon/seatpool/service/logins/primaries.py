"""The accounts that editors are signed in with, learnt from their own requests.

Such an account is a row like any other, so that it can be paused, shown and rested; its token is held in memory alone,
is never renewed by us, and is given up when upstream refuses it, when its conversation goes on under another login, or
when the editor has not been seen for a while: nobody tells a proxy that a person has signed out.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from seatpool.clock import utcnow
from seatpool.core.model import Account, Credential
from seatpool.providers.base import Provider, RequestFacts
from seatpool.providers.http import HeaderView
from seatpool.providers.logins import ImportedLogin
from seatpool.service.logins.remembered import digest, remember
from seatpool.service.memory.knowledge import Knowledge
from seatpool.service.memory.vault import Vault
from seatpool.service.threads import aside
from seatpool.service.trail import Own
from seatpool.store import Store, StoreError

logger = logging.getLogger(__name__)

SEEN_FOR = timedelta(minutes=15)
"""How long after its last request an editor counts as signed in."""
LIMIT = 1_000
"""Logins and refused tokens remembered; the oldest are forgotten first."""

Key = tuple[str | None, ...]
"""The values of the headers that identify a login, and where the request goes."""


class _Present(msgspec.Struct):
    """One login of an editor."""

    account_id: int
    credential: Credential
    conversation: str | None
    """Of its last request: one that goes on under another login tells that this one has signed out."""
    seen_at: datetime
    learnt: bool
    """False: a person has put this very account into the pool as well."""


class Primaries:
    """Who the editors behind this proxy are signed in as."""

    def __init__(self, store: Store, vault: Vault, knowledge: Knowledge) -> None:
        self._store = store
        self._vault = vault
        self._knowledge = knowledge
        self._present: OrderedDict[Key, _Present] = OrderedDict()
        self._refused: OrderedDict[bytes, None] = OrderedDict()
        self._learning: dict[Key, asyncio.Task[_Present | None]] = {}
        self._told = False

    async def note(self, provider: Provider, facts: RequestFacts, headers: HeaderView, origin: str) -> Own | None:
        """The login that a request came with, as an account of the pool; None where it cannot be one."""
        key = (*(headers.get(name) for name in provider.identifying), origin)
        known = self._present.get(key)
        if known is not None:
            known.seen_at, known.conversation = utcnow(), facts.conversation
            return self._own(known, origin)
        login = provider.primary(facts, headers, origin, utcnow())
        if login is None or digest(login.credentials[0].token) in self._refused:
            return None
        task = self._learning.get(key)
        if task is None:
            task = asyncio.create_task(self._learn(provider, login, key, facts.conversation))
            self._learning[key] = task
            task.add_done_callback(lambda _: self._learning.pop(key, None))
        found = await asyncio.shield(task)
        return self._own(found, origin) if found is not None else None

    def _own(self, seen: _Present, origin: str) -> Own | None:
        """None where the account is one that this person may not use: the pool has no hand in it then."""
        known = seen.account_id in self._knowledge.state.accounts
        return Own(seen.account_id, seen.credential, origin) if known else None

    def refused(self, credential: Credential) -> None:
        """Upstream does not take this token any more: it serves nobody until the editor brings another one."""
        remember(self._refused, digest(credential.token), None, LIMIT)
        self._drop(key for key, seen in self._present.items() if seen.credential.token == credential.token)

    def look_around(self, now: datetime) -> None:
        """Give up the logins of editors that have gone, and tokens that are over."""
        self._drop(
            key
            for key, seen in self._present.items()
            if now - seen.seen_at > SEEN_FOR
            or (seen.credential.expires_at is not None and seen.credential.expires_at <= now)
        )

    async def merge(self, provider: Provider, account: Account, credential: Credential) -> None:
        """A credential of a pooled account has come: where it shows that an editor's login is the same account, there
        is one account and not two."""
        for seen in tuple(self._present.values()):
            if seen.learnt and provider.same_owner(seen.credential, credential):
                await self._forget(seen.account_id, "pooled-already")
                seen.account_id, seen.learnt = account.id, False

    async def _learn(
        self, provider: Provider, login: ImportedLogin, key: Key, conversation: str | None
    ) -> _Present | None:
        credential = login.credentials[0]
        try:
            account = self._pooled(provider, login) or await self._join(login)
        except StoreError as error:
            logger.warning("action=not-learnt reason=%s: %s", type(error).__name__, error)
            return None
        for known in self._present.values():  # the same login at another host, with its hosts put together
            if known.credential.token == credential.token:
                credential = replace(credential, endpoints={**known.credential.endpoints, **credential.endpoints})
        seen = _Present(account.id, credential, conversation, utcnow(), account.learnt)
        for old, known in tuple(self._present.items()):  # what the editor has renewed is replaced
            same = known.account_id == account.id and known.credential.kind is credential.kind
            if same and known.credential.token != credential.token:
                del self._present[old]
        await self._supersede(seen)
        self._present[key] = seen
        while len(self._present) > LIMIT:
            self._drop([next(iter(self._present))])
        if account.learnt:
            self._vault.put(account.id, credential)
            self._knowledge.state.arrive(account.id, utcnow())
        return seen

    def _pooled(self, provider: Provider, login: ImportedLogin) -> Account | None:
        """The account of this login where the pool knows it already."""
        found = self._knowledge.state.identified(login.provider, login.identity or "")
        if found is not None or provider.names_owner:
            return found
        credential = login.credentials[0]
        for account in self._knowledge.state.accounts.values():
            held = self._vault.get(account.id, credential.kind) if account.provider is login.provider else None
            if not account.learnt and held is not None and provider.same_owner(held, credential):
                return account
        return None

    async def _join(self, login: ImportedLogin) -> Account:
        account, added = await aside(
            self._store.save_login,
            provider=login.provider,
            identity=login.identity or "",
            name=login.name,
            issuer=login.issuer,
            plan=login.plan,
            credentials=(),
            learnt=True,
            now=utcnow(),
        )
        self._knowledge.state.put(account, utcnow())
        if added:
            logger.info("account=%s action=learnt provider=%s", account.name, account.provider)
        if not self._told:
            self._told = True
            logger.info(
                "action=learning: the accounts that your editors are signed in with serve as well; "
                "--set pool_learn=false keeps them out"
            )
        return account

    async def _supersede(self, seen: _Present) -> None:
        """The same conversation with another login: the one before has signed out."""
        gone = [
            key
            for key, known in self._present.items()
            if known.conversation is not None
            and known.conversation == seen.conversation
            and known.account_id != seen.account_id
            and known.credential.kind is seen.credential.kind
        ]
        lost = {self._present[key].account_id for key in gone if self._present[key].learnt}
        self._drop(gone)
        for account_id in lost - {known.account_id for known in self._present.values()}:
            await self._forget(account_id, "signed-out")

    async def _forget(self, account_id: int, reason: str) -> None:
        account = self._knowledge.state.accounts.get(account_id)
        if account is None:
            return
        logger.info("account=%s action=forgotten reason=%s", account.name, reason)
        self._knowledge.state.forget(account_id)
        try:
            await aside(self._store.forget, account_id)
        except StoreError as error:
            logger.warning("account=%s action=not-forgotten reason=%s", account.name, type(error).__name__)

    def _drop(self, keys: Iterable[Key]) -> None:
        for key in tuple(keys):
            seen = self._present.pop(key)
            if seen.learnt and all(known.account_id != seen.account_id for known in self._present.values()):
                self._vault.drop(seen.account_id, seen.credential.kind)
                self._knowledge.state.leave(seen.account_id, utcnow())
