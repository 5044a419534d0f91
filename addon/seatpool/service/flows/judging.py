"""From a refusal to what follows for its account: strikes are counted, and limits that are not its own told apart."""

import asyncio
import logging
from datetime import datetime, timedelta

from seatpool.clock import utcnow
from seatpool.core.egress import Egress
from seatpool.core.model import Account, ProviderName
from seatpool.core.outcome import Outcome
from seatpool.core.policy import Policy
from seatpool.core.recovery import Blame, Decision, Remedy, decide
from seatpool.service.afterwards import say
from seatpool.service.memory.knowledge import Knowledge
from seatpool.service.telling.notices import Notices
from seatpool.service.telling.unknown import Unknown
from seatpool.service.trail import Assignment, Trail

logger = logging.getLogger(__name__)

TOLD_EVERY = timedelta(minutes=1)
"""How often is said that the address is limited."""


class Judge:
    """One per process."""

    def __init__(self, knowledge: Knowledge, notices: Notices) -> None:
        self._knowledge = knowledge
        self.notices = notices
        self._egress = Egress()
        self._told: dict[ProviderName, datetime] = {}
        self._unknown = Unknown()

    def decide(self, trail: Trail, account: Account, outcome: Outcome, repeats: int, policy: Policy) -> Decision:
        """What follows from a refusal of `account`, which refused this flow so `repeats` times before."""
        self._unknown.note(account.provider, outcome)
        asked_at = trail.asked_at or utcnow()
        blame = self._blame(account, outcome, asked_at, policy)
        if blame is Blame.ADDRESS:
            trail.soonest = None  # the guess at the first account's limit is taken back
        return decide(
            outcome,
            attempt=trail.attempt,
            repeats=repeats,
            policy=policy,
            now=utcnow(),
            strikes=self._knowledge.strikes(account.id, outcome.scope, asked_at),
            blame=blame,
            held=trail.held,
            last=trail.last,
        )

    async def apply(self, account: Account, outcome: Outcome, decision: Decision) -> None:
        """Rest or disable the account, as was decided."""
        if decision.remedy is Remedy.DISABLE:
            await self._knowledge.disable(account, outcome.code)
        elif decision.remedy is Remedy.COOL and decision.until is not None:
            await self._knowledge.cool(account, outcome.scope, outcome.code, decision.until, decision.strikes)

    def _blame(self, account: Account, outcome: Outcome, asked_at: datetime, policy: Policy) -> Blame:
        if not policy.rotate_on_limit:
            return Blame.ACCOUNT
        if outcome.concurrent:
            under_way = self._knowledge.state.under_way(account.id)
            self._lower(account, outcome, under_way, asked_at)
            # Where it was the only one, other programs are at it, and to ask again at once would meet them again.
            return Blame.CROWD if outcome.until is None and under_way > 1 else Blame.ACCOUNT
        if outcome.anonymous and self._is_shared(account, outcome, policy.egress_within_s):
            return Blame.ADDRESS
        return Blame.ACCOUNT

    def _lower(self, account: Account, outcome: Outcome, under_way: int, asked_at: datetime) -> None:
        caps = self._knowledge.state.caps
        if caps.refuse(account.id, under_way, asked_at, utcnow()):
            logger.info(
                "account=%s action=cap in_flight=%d limit=%s reason=%s",
                account.name,
                under_way,
                caps.limit(account.id),
                outcome.code,
            )

    def _is_shared(self, account: Account, outcome: Outcome, within_s: float) -> bool:
        now = utcnow()
        others = self._egress.meet(account.provider, account.id, now, within_s)
        for account_id, since in others.items():
            self._knowledge.absolve(account_id, outcome.scope, outcome.code, since)
        if others and now - self._told.get(account.provider, now - TOLD_EVERY) >= TOLD_EVERY:
            self._told[account.provider] = now
            logger.warning(
                "action=egress-limited provider=%s accounts=%d reason=%s: your address is limited, not your accounts; "
                "no other one is asked",
                account.provider,
                len(others) + 1,
                outcome.code,
            )
        return bool(others)


async def pause(decision: Decision) -> None:
    """Wait until the same account may be asked again, where that was decided just now."""
    if decision.pause_s is not None:
        await asyncio.sleep(decision.pause_s)


def log_recovery(
    trail: Trail, assignment: Assignment, outcome: Outcome, decision: Decision, following: Assignment | None
) -> None:
    """Say what came of a refusal or a failure."""
    action = decision.action.value if following is not None else "deliver"
    target = f" to={following.account.name}" if following is not None else ""
    say(
        logger.info,
        "account=%s action=%s%s attempt=%d reason=%s whose=%s request=%s",
        assignment.account.name,
        action,
        target,
        assignment.number,
        outcome.code,
        outcome.about.value,
        trail.short_id,
    )
