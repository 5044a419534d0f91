"""How often in a row an account, or a part of it, was limited, or a model refused, although nobody said for how long.

The memory is the last cooldown itself, which stays known after its end: so it is stored, shared and lifted with it.
Requests that were under way together make one strike, not several: only one that was sent after the last strike adds
another, and only the success of one that was sent after it clears them.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from seatpool.core.model import WHOLE_ACCOUNT, Cooldown, Scope


def count(held: Cooldown | None, asked_at: datetime) -> int:
    """Strikes with this one, which met a request sent at `asked_at`; `held` is the last cooldown, over or not."""
    if held is None or held.strikes == 0:
        return 1
    return held.strikes + (asked_at > held.created_at)


def settled(
    known: Mapping[Scope, Cooldown], scopes: Iterable[Scope], asked_at: datetime, now: datetime
) -> tuple[Cooldown, ...]:
    """The cooldowns whose strikes are forgotten now that a request for `scopes`, sent at `asked_at`, was served."""
    touched = (known.get(scope) for scope in (WHOLE_ACCOUNT, *scopes))
    return tuple(c for c in touched if c is not None and c.strikes and c.until <= now and c.created_at < asked_at)
