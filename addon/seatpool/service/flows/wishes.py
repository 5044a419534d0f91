"""What a request says otherwise than its editor wrote it, where the person wants that: another model, more speed."""

import logging

from msgspec.structs import replace

from seatpool.clock import utcnow
from seatpool.core.fastmode import FastMode, has_room
from seatpool.core.model import Account, CredentialKind, Keeping
from seatpool.core.policy import Policy
from seatpool.core.scoring import score
from seatpool.core.selection import Exhausted, Selection, select
from seatpool.core.state import PoolState
from seatpool.providers.base import Provider
from seatpool.providers.rewriting import Wish
from seatpool.service.flows.ruling import Ruling
from seatpool.service.trail import Assignment, Trail

logger = logging.getLogger(__name__)


class Wishes:
    """One per process."""

    def __init__(self, state: PoolState, ruling: Ruling, policy: Policy) -> None:
        self.policy = policy
        self._state = state
        self._ruling = ruling
        self._spacious: set[int] = set()
        """Accounts that had room for speed when that was asked last."""

    # -- another model

    def substitute(self, provider: Provider, trail: Trail, found: Exhausted) -> bool:
        """Nobody was found: go on with the next substitute. False: there is none, and `trail.exhausted` tells the rest.

        An account without a place is one that can serve: that is no reason to ask for something else.
        """
        trail.exhausted = _sooner(trail.exhausted, found)
        if found.full or not self.policy.fallback:
            return False
        left = (m for m in self._substitutes(provider, trail) if m not in trail.substituted)
        model = next(left, None)
        if model is None:
            return False
        trail.substituted.add(model)
        # Those that a cooldown keeps from one model may be asked for another; the others have failed for any.
        now, scopes = utcnow(), trail.demand.scopes
        trail.tried = {i for i in trail.tried if self._state.blocked(i, scopes, now) is None}
        trail.asked = trail.asked or trail.facts
        trail.facts = replace(trail.facts, model=model)
        self._ruling.put(trail, trail.rule)
        return True

    def would_help(self, provider: Provider, trail: Trail) -> bool:
        """Whether somebody could serve one of the substitutes, were the request to come anew."""
        facts, now = trail.asked or trail.facts, utcnow()
        for model in self._substitutes(provider, trail):
            demand = self._ruling.demand(replace(facts, model=model), trail.rule, substitute=True)
            if isinstance(select(self._state, demand, now), Selection):
                return True
        return False

    def _substitutes(self, provider: Provider, trail: Trail) -> tuple[str, ...]:
        """None in auto mode: there the model is the session's, which the issuer has chosen (copilot.md 4)."""
        facts = trail.asked or trail.facts
        if facts.route.name not in provider.replaceable or CredentialKind.COPILOT_SESSION in facts.needs:
            return ()
        return self.policy.fallback.of(facts.model)

    # -- an attempt

    def of(self, provider: Provider, trail: Trail, account: Account) -> Wish | None:
        """What the attempt that is about to go to this account is to say; None: what the editor wrote."""
        fast = self._fast(provider, trail, account)
        if trail.asked is not None:
            return Wish(trail.asked.model, trail.facts.model, fast)
        return Wish(fast=True) if fast else None

    def outdated(self, provider: Provider, trail: Trail, assignment: Assignment) -> bool:
        """Whether a socket was opened for what is not wished any more; its handshake has told it to upstream."""
        wish = assignment.edits.wish
        if wish is None:
            return False
        if wish.fast and not self._fast(provider, trail, assignment.account):
            return True
        if trail.asked is None:
            return False
        demand = self._ruling.demand(trail.asked, trail.rule)
        return isinstance(select(self._state, demand, utcnow()), Selection)

    def _fast(self, provider: Provider, trail: Trail, account: Account) -> bool:
        mode = self.policy.fast_mode
        if mode is FastMode.DISABLED or trail.facts.route.name not in provider.hastened:
            return False
        if mode is FastMode.ALWAYS:
            return True
        room = account.keeping is not Keeping.PRESERVED and self._has_room(account, trail.demand.buckets)
        (self._spacious.add if room else self._spacious.discard)(account.id)
        return room

    def _has_room(self, account: Account, buckets: tuple[str, ...]) -> bool:
        """By the windows that every request draws on, and by those of its model alone."""
        now, already = utcnow(), account.id in self._spacious
        if not has_room(self._state.score(account.id, now), already=already):
            return False
        known = self._state.windows.get(account.id, {}) if buckets else {}
        own = [known[bucket] for bucket in buckets if bucket in known]
        return not own or has_room(score(own, account.plan, now), already=already)


def log_substitute(trail: Trail, account: Account) -> None:
    """Say that a request goes out for another model."""
    assert trail.asked is not None
    reason = trail.exhausted.reason if trail.exhausted is not None else None
    logger.info(
        "account=%s action=fallback model=%s asked=%s reason=%s request=%s",
        *(account.name, trail.facts.model, trail.asked.model, reason or "nobody", trail.short_id),
    )


def _sooner(asked: Exhausted | None, other: Exhausted) -> Exhausted:
    """What the editor is told: the first, unless something of what came later ends before that."""
    if asked is None:
        return other
    if not (asked.limited and other.limited) or asked.soonest is None or other.soonest is None:
        return asked
    return other if other.soonest < asked.soonest else asked
