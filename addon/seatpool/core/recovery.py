"""What follows from an outcome. The table is the whole story; `decide` reads it.

==================  ==============  =========  ==================================================================
outcome             first time      then       remedy for the account
==================  ==============  =========  ==================================================================
ok                  deliver         -          none
quota-spent         switch, hold    -          cool until the reset; the walk may visit every account once
rate-limited        switch, hold    -          cool until the named end, else a minute, and longer when it goes on
unauthorized        refresh         switch     cool shortly when a renewed token is refused as well
misdirected         refresh         deliver    none: its endpoints are read again
not-entitled        switch          -          cool the model, longer each time up to a day; disable a whole account
revoked             deliver         -          disable; never the next account (promises.md)
carrier             repair          -          none: its owner serves it, or it is repaired as far as may be (`Moving`)
server-error        resend          deliver    none; one that names a time is met with a pause, or delivered
overloaded          deliver         -          none: not the account's limit; a brief one is met with a pause
client-error        deliver         -          none
connect-failed      resend          switch     none
stale-connection    resend          deliver    none
unanswered          deliver         -          none: it may have been served; `replay_unanswered` switches
==================  ==============  =========  ==================================================================

What is brief, and ends within `short_wait_s` where it names an end, is met with a pause and the same account, once: a
short throttle is over before another account has read the conversation (copilot.md 5.4). A server's error that names a
time is as brief as that time, and is not asked again before.

Of a limit, `Blame` may say that it is not the account's: the address's is delivered and costs the account nothing, too
many at once has the request wait for a place.

Where everybody is limited and the first limit ends soon, the request waits for that end. Every sending counts, before
it waited as after, so that it goes on within `max_attempts`; who has none left, or has walked through all accounts, is
held and sent once more, as its editor would do by itself at that time, and what comes of that is delivered. There is
one walk at most, before the wait. With `max_attempts=1` what was refused is never sent again.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from types import MappingProxyType

import msgspec

from seatpool.core.model import ScopeKind
from seatpool.core.outcome import Outcome, OutcomeKind
from seatpool.core.policy import Policy


class Action(Enum):
    """What to do with the flow."""

    DELIVER = "deliver"
    """The editor gets this answer."""
    SWITCH = "switch"
    """The same request on another account."""
    REFRESH = "refresh"
    """The same request on the same account with a renewed credential."""
    REPAIR = "repair"
    """The same request without the thing that the account cannot read, or on the account that can."""
    WAIT = "wait"
    """The same request as soon as an account, this one or another, has a place for it."""
    PAUSE = "pause"
    """The same request on the same account, not before `Decision.resume_at`."""
    HOLD = "hold"
    """The same request once more where everybody is limited, and not before the first of these limits is over."""
    RESEND = "resend"
    """The same request as it was, on a fresh connection."""


class Blame(Enum):
    """What a limit is about."""

    ACCOUNT = "account"
    ADDRESS = "address"
    """Where we come from: the next account would meet it as well."""
    CROWD = "crowd"
    """Too many requests of the account at once: no time is named, and fewer are sent from now on."""


class Remedy(Enum):
    """What to do with the account."""

    NONE = "none"
    COOL = "cool"
    DISABLE = "disable"


class Rule(msgspec.Struct, frozen=True):
    """One row of the table."""

    first: Action
    then: Action | None = None
    remedy: Remedy = Remedy.NONE
    remedy_first: bool = True
    """False: the remedy is only for the second time."""
    cooldown: str = "rate_limit_cooldown_s"
    """Name of the policy's number that stands in when the upstream names no end."""
    longest: str = ""
    """Name of the policy's number up to which that grows with every strike; empty: it stays as it is."""
    limit: bool = False
    """A limit: `rotate_on_limit=false` turns switching and cooling off."""
    walks: bool = False
    """May go beyond `max_attempts`, once per account and kind of outcome."""


RULES: Mapping[OutcomeKind, Rule] = MappingProxyType(
    {
        OutcomeKind.OK: Rule(Action.DELIVER),
        OutcomeKind.QUOTA_SPENT: Rule(
            Action.SWITCH,
            remedy=Remedy.COOL,
            cooldown="quota_cooldown_s",
            longest="longest_guess_s",
            limit=True,
            walks=True,
        ),
        OutcomeKind.RATE_LIMITED: Rule(Action.SWITCH, remedy=Remedy.COOL, longest="longest_guess_s", limit=True),
        OutcomeKind.UNAUTHORIZED: Rule(
            Action.REFRESH, Action.SWITCH, Remedy.COOL, remedy_first=False, cooldown="unauthorized_cooldown_s"
        ),
        OutcomeKind.MISDIRECTED: Rule(Action.REFRESH, Action.DELIVER),
        OutcomeKind.NOT_ENTITLED: Rule(
            Action.SWITCH, remedy=Remedy.COOL, cooldown="first_entitlement_s", longest="entitlement_cooldown_s"
        ),
        OutcomeKind.REVOKED: Rule(Action.DELIVER, remedy=Remedy.DISABLE),
        OutcomeKind.CARRIER: Rule(Action.REPAIR),
        OutcomeKind.SERVER_ERROR: Rule(Action.RESEND, Action.DELIVER),
        OutcomeKind.OVERLOADED: Rule(Action.DELIVER),
        OutcomeKind.CLIENT_ERROR: Rule(Action.DELIVER),
        OutcomeKind.CONNECT_FAILED: Rule(Action.RESEND, Action.SWITCH),
        # Nothing was received: such a sending is not counted against the person's limit.
        OutcomeKind.STALE_CONNECTION: Rule(Action.RESEND, Action.DELIVER, walks=True),
        OutcomeKind.UNANSWERED: Rule(Action.DELIVER),
    }
)


class Decision(msgspec.Struct, frozen=True):
    """What to do with the flow and with the account."""

    action: Action
    remedy: Remedy = Remedy.NONE
    until: datetime | None = None
    """End of the cooldown, when `remedy` is COOL."""
    strikes: int = 0
    """What to remember with that cooldown (see `strikes`), where the end is our guess."""
    pause_s: float | None = None
    """Of a PAUSE: after so long the same account is asked again. No moment: the clock may be set meanwhile."""


def decide(
    outcome: Outcome,
    *,
    attempt: int,
    repeats: int,
    policy: Policy,
    now: datetime,
    strikes: int = 1,
    blame: Blame = Blame.ACCOUNT,
    held: bool = False,
    last: bool = False,
) -> Decision:
    """Decide what follows.

    `attempt` is the number of this sending (from 1), `repeats` how often this account answered this flow with this
    kind of outcome before, `strikes` which refusal without a time in a row this would be, `blame` what it is
    about where it is a limit. `held`: the request was refused before, and waited for a limit to end; `last`: it has
    had the one more sending that comes of that.
    """
    rule = RULES[outcome.kind]
    action = rule.first if repeats == 0 or rule.then is None else rule.then
    if outcome.kind is OutcomeKind.UNANSWERED and policy.replay_unanswered:
        action = Action.SWITCH
    if rule.limit and (blame is Blame.ADDRESS or not policy.rotate_on_limit):
        return Decision(Action.DELIVER)
    if rule.limit and blame is Blame.CROWD:
        return Decision(Action.WAIT if attempt < policy.max_attempts else Action.DELIVER)
    pause_s = _pause_s(outcome, policy, now) if repeats == 0 and attempt < policy.max_attempts else None
    if pause_s is not None:
        action = Action.PAUSE
    elif action is Action.RESEND and outcome.until is not None:
        action = Action.DELIVER  # the editor waits as long as it likes
    walks = rule.walks and not (rule.limit and held)
    if action is not Action.DELIVER and attempt >= policy.max_attempts and not walks:
        action = Action.HOLD if rule.limit and not last and policy.max_attempts > 1 else Action.DELIVER
    remedy = rule.remedy if rule.remedy_first or repeats > 0 else Remedy.NONE
    if outcome.kind is OutcomeKind.NOT_ENTITLED and outcome.scope.kind is ScopeKind.ACCOUNT:
        remedy = Remedy.DISABLE
    if remedy is not Remedy.COOL:
        return Decision(action, remedy, pause_s=pause_s)
    struck = strikes if rule.longest and outcome.until is None else 0
    return Decision(action, remedy, cooldown_end(outcome, rule, policy, now, struck), struck, pause_s)


def _pause_s(outcome: Outcome, policy: Policy, now: datetime) -> float | None:
    """How long until the same account is asked again; None where that is not wise."""
    timed = outcome.kind is OutcomeKind.SERVER_ERROR and outcome.until is not None
    if not outcome.brief and not timed:
        return None
    pause_s = policy.brief_pause_s if outcome.until is None else (outcome.until - now).total_seconds()
    return pause_s if pause_s <= policy.short_wait_s else None


def cooldown_end(outcome: Outcome, rule: Rule, policy: Policy, now: datetime, strikes: int = 0) -> datetime:
    """The upstream's time in full where it names one (within reason), else the policy's, longer with every strike."""
    if outcome.until is not None:
        return min(outcome.until, now + timedelta(seconds=policy.longest_cooldown_s))
    guess_s: float = getattr(policy, rule.cooldown)
    if strikes > 1:
        grown_s = guess_s * policy.repeated_limit_factor ** min(strikes - 1, 10)
        guess_s = max(guess_s, min(grown_s, getattr(policy, rule.longest)))
    return now + timedelta(seconds=guess_s)
