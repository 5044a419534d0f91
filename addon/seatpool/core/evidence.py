"""When newer news of an account speaks against its cooldown: the quota that was spent is there again.

Upstream resets windows early at times, and people buy more. What it said is then tried out with a single request.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType

from seatpool.core.model import Cooldown, QuotaWindow, ScopeKind
from seatpool.core.quotas import CHAT, PREMIUM
from seatpool.core.scoring import LITTLE

OF_WINDOWS = frozenset(
    {
        "usage_limit_reached",
        "quota_exceeded",
        "free_quota_exceeded",
        "user_global_rate_limited",
        "user_weekly_rate_limited",
    }
)
"""Reasons that mean an empty window. What was throttled, or has run out of money, no window tells of."""
OF_PREMIUM = "quota_exceeded"
"""The one of them that rests a model, or all of chat, for the quota that models share (copilot.md 5.4)."""
ROLLING: Mapping[str, str] = MappingProxyType(
    {"user_global_rate_limited": "session", "user_weekly_rate_limited": "weekly"}
)
"""Those of them that one window is about, and which (copilot.md 5.1)."""
TRUSTED = frozenset({"usage", "header"})
"""Sources that tell of the account as it stands, not of a stream that began earlier."""


def can_be_refuted(cooldown: Cooldown) -> bool:
    """Whether newer news of windows may speak against it.

    A model's own limit is told by windows under other names, so nothing does; but for that of the month's quota, which
    every model draws on that a plan does not include.
    """
    of_model = cooldown.scope.kind is ScopeKind.MODEL
    return cooldown.reason in OF_WINDOWS and (not of_model or cooldown.reason == OF_PREMIUM)


def refuted(cooldown: Cooldown, windows: Mapping[str, QuotaWindow], funded_at: datetime | None = None) -> bool:
    """Whether every window that a cooldown can be about was seen since to have something left; `windows` by bucket.

    Or whether the account was seen since, at `funded_at`, to be served without them.
    """
    if not can_be_refuted(cooldown):
        return False
    if funded_at is not None and funded_at > cooldown.created_at and cooldown.scope.kind is ScopeKind.ACCOUNT:
        return True
    concerned = list(_concerned(cooldown, windows))
    return bool(concerned) and all(
        w.observed_at > cooldown.created_at and w.source in TRUSTED and (w.unlimited or w.left >= LITTLE)
        for w in concerned
    )


def _concerned(cooldown: Cooldown, windows: Mapping[str, QuotaWindow]) -> Iterable[QuotaWindow]:
    scope, rolling = cooldown.scope, ROLLING.get(cooldown.reason)
    if rolling is not None:
        return (w for w in windows.values() if w.bucket == rolling)
    if cooldown.reason == OF_PREMIUM and (scope.kind is ScopeKind.MODEL or scope.value == CHAT):
        return (w for w in windows.values() if w.bucket.startswith(PREMIUM) or (w.bucket == CHAT and not w.unlimited))
    match scope.kind:
        case ScopeKind.ACCOUNT:
            return (w for w in windows.values() if "/" not in w.bucket)
        case ScopeKind.BUCKET:
            return (w for w in windows.values() if w.bucket == scope.value)
        case ScopeKind.MODEL:
            return ()
