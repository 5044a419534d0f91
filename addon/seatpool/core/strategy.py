"""In which order accounts are asked. The table is the whole story: a strategy is a way to compare candidates.

===============  ======================================================================================
strategy         first is
===============  ======================================================================================
quota            the most useful capacity now for what goes on on it (`Score.merit`), then the lower priority number
drain            whose quota resets first, so that least of it is lost
round-robin      the least recently used
least-busy       with the fewest requests in flight
priority         the lower priority number, then the most useful capacity
weighted         the one furthest behind its share of requests (accounts' weights) since it came, or came back
===============  ======================================================================================

Before any of it: expendable accounts come before normal ones, preserved ones last; and whatever is known to be empty
comes after all others. Equals take turns.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType

import msgspec

from seatpool.core.model import Account, Keeping
from seatpool.core.scoring import Score, Standing

Rank = tuple[float, ...]
"""Least is best; the account's id stands last, so that no two are equal."""
Lane = tuple[float, ...]
"""How every rank begins, whatever the strategy: those of one lane alone are compared by it."""


class Strategy(StrEnum):
    """By what accounts are compared."""

    QUOTA = "quota"
    DRAIN = "drain"
    ROUND_ROBIN = "round-robin"
    LEAST_BUSY = "least-busy"
    PRIORITY = "priority"
    WEIGHTED = "weighted"


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """One account as a strategy sees it."""

    account: Account
    score: Score
    used_at: float
    """When it served last, in seconds since the epoch; 0.0 for never."""
    in_flight: int
    served: float
    """Requests that it has served, divided by its weight; who comes later begins with what the others have."""
    merit: float = 0.0
    """What it is worth to the conversation that it is a candidate for (`Score.merit`), more if a window is to begin."""
    dormant: bool = False
    """It has a window that is to be begun."""


_TIER: Mapping[Keeping, int] = MappingProxyType({Keeping.EXPENDABLE: 0, Keeping.NORMAL: 1, Keeping.PRESERVED: 2})

ORDER: Mapping[Strategy, Callable[[Candidate], Rank]] = MappingProxyType(
    {
        Strategy.QUOTA: lambda c: (-round(c.merit, 3), c.account.priority, c.used_at),
        Strategy.DRAIN: lambda c: (c.score.resets_at or float("inf"), c.account.priority, c.used_at),
        Strategy.ROUND_ROBIN: lambda c: (c.used_at,),
        Strategy.LEAST_BUSY: lambda c: (c.in_flight, c.used_at),
        Strategy.PRIORITY: lambda c: (c.account.priority, -round(c.merit, 3), c.used_at),
        Strategy.WEIGHTED: lambda c: (c.served, c.used_at),
    }
)


class Dormancy(StrEnum):
    """When a request begins a window that begins with its first use."""

    ALWAYS = "always"
    """Whenever there is one, even away from a warm cache."""
    NEW_SESSION_ONLY = "new-session-only"
    """When no warm cache is left for it."""
    DISABLED = "disabled"


def lane(account: Account, score: Score) -> Lane:
    """Among whom an account of this score stands."""
    return (score.standing is Standing.EXHAUSTED, _TIER[account.keeping])


def rank(strategy: Strategy, candidate: Candidate) -> Rank:
    """Where the candidate stands."""
    account = candidate.account
    return (*lane(account, candidate.score), *ORDER[strategy](candidate), account.id)


def is_last_resort(candidate: Candidate) -> bool:
    """Whether anybody else is better: it is empty, or preserved."""
    return candidate.score.standing is Standing.EXHAUSTED or candidate.account.keeping is Keeping.PRESERVED


def fixed(account: Account) -> Rank:
    """The order without any regard to quota and use: by priority alone, so that no limit moves anybody."""
    return (account.priority, account.id)
