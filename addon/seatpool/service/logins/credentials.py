"""The credentials that a request needs of an account: from memory where they are fresh, else by a renewal."""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from seatpool.clock import utcnow
from seatpool.core.model import WHOLE_ACCOUNT, Account, Credential, CredentialKind, ProviderName, Scope, ScopeKind
from seatpool.core.policy import Policy
from seatpool.core.selection import RENEWAL, REVOKED
from seatpool.providers.base import Provider
from seatpool.providers.http import HeaderView
from seatpool.providers.sidecalls import ClientHeaders, RenewalRefused, Renewed, Why
from seatpool.service.logins.primaries import Primaries
from seatpool.service.logins.refresher import Refresher
from seatpool.service.memory.knowledge import Knowledge
from seatpool.service.memory.vault import Vault
from seatpool.service.trail import Halted, Trail
from seatpool.store import StoreError

logger = logging.getLogger(__name__)


BELIEVED_AFTER = timedelta(minutes=10)
"""How long a refusal has to go on that is known to pass."""


class Credentials:
    """Joins vault and refresher; a refused renewal rests or disables the account."""

    def __init__(
        self, vault: Vault, refresher: Refresher, knowledge: Knowledge, primaries: Primaries, policy: Policy
    ) -> None:
        self.policy = policy
        self._vault = vault
        self._refresher = refresher
        self._knowledge = knowledge
        self._primaries = primaries
        refresher.consequences = self._renewal_refused
        self._client_headers: dict[ProviderName, ClientHeaders] = {}
        self._dead: dict[tuple[int, CredentialKind], str] = {}
        """Tokens that upstream takes no more, and that could not be renewed since the database was away: by account."""
        self._doubted: dict[int, datetime] = {}
        """Since when an account's login is refused in a way that is not believed at once."""
        self._unreached: dict[int, int] = {}
        """How often in a row nobody was there to renew an account's login."""

    def note_client(self, provider: Provider, headers: HeaderView) -> None:
        """Remember how the person's own editor names itself, for our side calls."""
        named = provider.client_headers(headers)
        if named:
            self._client_headers[provider.name] = named

    def client_headers(self, provider: ProviderName) -> ClientHeaders:
        """How the person's own editor names itself; empty before one was seen."""
        return self._client_headers.get(provider, ())

    async def of(
        self, provider: Provider, account: Account, trail: Trail, refused: Credential | None = None
    ) -> Mapping[CredentialKind, Credential] | None:
        """Everything that the request needs of an account, fresh enough to send; None when the first cannot be had.

        An editor's own login is taken as the editor sent it, with whatever else it sent along. An account that has been
        removed, or taken from this person, gives nothing any more, were it in the middle of a renewal.
        """
        known = self._knowledge.state.accounts
        found = await self._of(provider, account, trail, refused) if account.id in known else None
        return found if account.id in known else None

    async def _of(
        self, provider: Provider, account: Account, trail: Trail, refused: Credential | None
    ) -> Mapping[CredentialKind, Credential] | None:
        if trail.own is not None and trail.own.account_id == account.id:
            return {trail.facts.needs[0]: trail.own.credential}
        found: dict[CredentialKind, Credential] = {}
        now = utcnow()
        for index, kind in enumerate(trail.facts.needs):
            if kind in trail.given_up or (index > 0 and provider.holds(trail.headers, found[trail.facts.needs[0]])):
                continue
            held = self._vault.get(account.id, kind)
            unusable = refused if index == 0 else None
            if self._dead and held is not None and self._dead.get((account.id, kind)) == held.token:
                unusable = held
            if held is None or held is unusable or not provider.ready(held, now):
                held = await self._obtain(provider, account, kind, unusable, trail)
            if held is not None:
                found[kind] = held
            elif index == 0:
                return None
        return found

    async def _obtain(
        self, provider: Provider, account: Account, kind: CredentialKind, refused: Credential | None, trail: Trail
    ) -> Credential | None:
        if account.learnt and kind is not CredentialKind.COPILOT_SESSION:
            return None  # access only: its editor renews it
        why = Why.MISSING if refused is None else Why.REFUSED
        try:
            if refused is None:
                held = (await self._vault.held(account.id)).get(kind)
                if held is not None and provider.ready(held, utcnow()):
                    return held
            result = await self._renew(provider, account, kind, why, refused)
        except StoreError as error:
            logger.warning("account=%s action=renewal-failed reason=%s: %s", account.name, type(error).__name__, error)
            if refused is not None:
                self._dead[account.id, kind] = refused.token
            return self._good_enough(account, kind, refused)
        if isinstance(result, Renewed):
            self._dead.pop((account.id, kind), None)
            return result.credential
        if result.revoked:
            trail.halted = Halted(account, result.code)
        return None

    async def keep(self, provider: Provider, account: Account, held: Credential) -> bool:
        """Renew a credential while it is good; whether it was."""
        try:
            result = await self._renew(provider, account, held.kind, Why.EARLY, held)
        except StoreError as error:
            logger.warning("account=%s action=renewal-failed reason=%s: %s", account.name, type(error).__name__, error)
            return False
        return isinstance(result, Renewed)

    async def _renew(
        self, provider: Provider, account: Account, kind: CredentialKind, why: Why, stale: Credential | None
    ) -> Renewed | RenewalRefused:
        editor = self.client_headers(provider.name)
        result = await self._refresher.renew(provider, account, kind, why=why, stale=stale, client_headers=editor)
        if isinstance(result, Renewed):
            self._doubted.pop(account.id, None)
            self._unreached.pop(account.id, None)
            self._knowledge.observe(account.id, result.windows)
            await self._knowledge.learn_plan(account, result.plan)
            await self._primaries.merge(provider, account, result.credential)
        return result

    def _good_enough(self, account: Account, kind: CredentialKind, refused: Credential | None) -> Credential | None:
        """While the database is away: what memory holds, unless it is known to be of no use."""
        held = self._vault.get(account.id, kind)
        if held is None or held is refused or (held.expires_at is not None and held.expires_at <= utcnow()):
            return None
        return held

    async def renewed(
        self, provider: Provider, account: Account, trail: Trail, refused: Credential
    ) -> Mapping[CredentialKind, Credential] | None:
        """After a 401: a burst of them renews once, since those who come late find a newer token already there.

        An editor's own token is the editor's to renew; where the account is pooled besides, its own login takes over.
        """
        if trail.own is not None and refused is trail.own.credential:
            trail.own = None
        now = self._vault.get(account.id, refused.kind)
        if now is not None and now.token != refused.token:
            return await self.of(provider, account, trail)
        return await self.of(provider, account, trail, refused=now or refused)

    async def without(
        self, provider: Provider, account: Account, trail: Trail, kind: CredentialKind | None
    ) -> Mapping[CredentialKind, Credential] | None:
        """After a refusal of a second credential: everything but that one; None where it was given up before."""
        if kind is None or kind in trail.given_up:
            return None
        trail.given_up.add(kind)
        self._vault.drop(account.id, kind)
        return await self.of(provider, account, trail)

    async def _renewal_refused(self, account: Account, kind: CredentialKind, why: Why, refusal: RenewalRefused) -> None:
        """Rest or disable the account; while the held credential is good, only for a durable refusal."""
        code = (REVOKED if refusal.revoked else RENEWAL) + refusal.code
        now = utcnow()
        durable = refusal.durable and not (refusal.doubtful and self._in_doubt(account, now))
        if why is Why.EARLY and (refusal.kind_only or not durable):
            logger.info("account=%s action=not-renewed-early reason=%s", account.name, refusal.code)
        elif kind is CredentialKind.COPILOT_SESSION:
            logger.info("account=%s action=without-session reason=%s", account.name, code)
        elif durable and not refusal.kind_only:
            await self._knowledge.disable(account, code)
        else:
            until = refusal.retry_at or now + timedelta(seconds=self._rest_s(account, refusal))
            scope = Scope(ScopeKind.BUCKET, str(kind)) if refusal.kind_only else WHOLE_ACCOUNT
            await self._knowledge.cool(account, scope, code, until)

    def _rest_s(self, account: Account, refusal: RenewalRefused) -> float:
        """Where no time is named. A network that comes up a moment later is not to find everybody at rest."""
        if refusal.kind_only:
            return self.policy.entitlement_cooldown_s
        if not refusal.unreached:
            return self.policy.renewal_cooldown_s
        times = self._unreached[account.id] = self._unreached.get(account.id, -1) + 1
        return min(self.policy.unreached_cooldown_s * 2.0 ** min(times, 10), self.policy.renewal_cooldown_s)

    def _in_doubt(self, account: Account, now: datetime) -> bool:
        since = self._doubted.setdefault(account.id, now)
        if now - since < BELIEVED_AFTER:
            return True
        del self._doubted[account.id]
        return False
