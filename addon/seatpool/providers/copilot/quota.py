"""Quota, as headers, the user's own record and WebSocket frames tell it (copilot.md 5.1 to 5.3)."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from urllib.parse import parse_qsl

from seatpool.core.model import QuotaWindow
from seatpool.providers.copilot.wire import moment, truth
from seatpool.providers.http import HeaderView
from seatpool.providers.tolerant import Json, mapping, number

SESSION = "session"
WEEKLY = "weekly"

ROLLING_S: Mapping[str, int] = MappingProxyType({SESSION: 5 * 3600, WEEKLY: 7 * 24 * 3600})
"""Lengths of the windows that exist in headers alone (copilot.md 5.1)."""
MONTH_S = 30 * 24 * 3600
"""All the others end with the month (copilot.md 5.2)."""

RECORDED = ("chat", "completions", "premium_interactions")
"""Buckets that a user's own record names where the plan has them (copilot.md 5.2); others stand in headers alone."""

OWN_BUCKETS: Mapping[str, str] = MappingProxyType({name: name for name in ("embeddings", "images", "decisions")})
"""What is limited by itself, by route, as far as anybody knows: no answer tells how much of it is left, and a refusal
costs no chat."""

SNAPSHOT = "x-quota-snapshot-"
RATELIMIT = "x-usage-ratelimit-"
_BUCKET = re.compile(r"[a-z][a-z0-9_]{0,39}")

_SHORT_NAMES = MappingProxyType(
    {"ent": "entitlement", "rem": "percent_remaining", "ovPerm": "overage_permitted", "rst": "reset_date"}
)
_RESETS = ("quota_reset_at", "reset_date")


def of_headers(headers: HeaderView, now: datetime) -> tuple[QuotaWindow, ...]:
    """Windows of `x-quota-snapshot-*` and `x-usage-ratelimit-*`; they are the serving account's."""
    return tuple(_read_headers(headers, now))


def _read_headers(headers: HeaderView, now: datetime) -> Iterator[QuotaWindow]:
    for name, value in headers.items():
        lower = name.lower()
        if not lower.startswith("x-"):
            continue
        snapshot = lower.startswith(SNAPSHOT)
        if not snapshot and not lower.startswith(RATELIMIT):
            continue
        bucket = lower.removeprefix(SNAPSHOT).removeprefix(RATELIMIT)
        found = {_SHORT_NAMES.get(k, k): v for k, v in parse_qsl(value)}
        if not snapshot:
            found.pop("entitlement", None)  # always 0 here, and means nothing
        window = _window(bucket, found, "header", now)
        if window is not None:
            yield window


def of_snapshots(snapshots: object, source: str, now: datetime, resets: object = None) -> tuple[QuotaWindow, ...]:
    """Windows of a `quota_snapshots` object; `resets` is the end of those that name none."""
    found = (_window(bucket, mapping(snapshot), source, now, resets) for bucket, snapshot in mapping(snapshots).items())
    return tuple(w for w in found if w is not None)


def of_user(user: Json, now: datetime) -> tuple[QuotaWindow, ...]:
    """Windows of `/copilot_internal/user`, in its present form or the free seats' older one (copilot.md 5.2)."""
    resets = user.get("quota_reset_date_utc") or user.get("quota_reset_date") or user.get("limited_user_reset_date")
    windows = of_snapshots(user.get("quota_snapshots"), "usage", now, resets)
    return windows or of_snapshots(_older(user), "usage", now, resets)


def gone_of_user(user: Json, now: datetime) -> tuple[str, ...]:
    """The buckets that the plan does not have, by such a record; none by one of which anything cannot be read."""
    snapshots = {**mapping(user.get("quota_snapshots")), **_older(user)}
    if not snapshots or not all(map(_is_readable, snapshots.values())):
        return ()
    named = {window.bucket for window in of_user(user, now)}
    return tuple(bucket for bucket in RECORDED if bucket not in named) if named else ()


def _older(user: Json) -> Json:
    monthly = mapping(user.get("monthly_quotas"))
    return {
        bucket: {"remaining": left, "entitlement": monthly.get(bucket)}
        for bucket, left in mapping(user.get("limited_user_quotas")).items()
    }


def _is_readable(snapshot: object) -> bool:
    told = mapping(snapshot)
    return truth(told.get("unlimited")) is True or _share(told, number(told.get("entitlement"))) is not None


def _window(bucket: str, told: Json, source: str, now: datetime, resets: object = None) -> QuotaWindow | None:
    """One window; None where the plan has no such bucket or it says nothing of what is left."""
    if not _BUCKET.fullmatch(bucket):
        return None
    entitlement = number(told.get("entitlement"))
    has_quota = truth(told.get("has_quota"))
    unlimited = truth(told.get("unlimited")) is True or entitlement == -1
    left = 1.0 if unlimited else _share(told, entitlement)
    if left is None:
        return None
    if not unlimited and entitlement == 0 and (left == 0 or has_quota is False):
        return None  # a free seat's premium bucket: not spent, but none of its own
    if has_quota is False:
        left, unlimited = 0.0, False  # so a pooled seat says that the pool is spent
    stated = next((told[key] for key in _RESETS if told.get(key)), resets)
    return QuotaWindow(
        bucket=bucket,
        left=left,
        observed_at=now,
        source=source,
        unlimited=unlimited,
        length_s=ROLLING_S.get(bucket, MONTH_S),
        resets_at=moment(stated, now),
    )


def _share(told: Json, entitlement: float | None) -> float | None:
    """Share left, from the percentage (below zero with overage) or from absolute numbers."""
    percent = number(told.get("percent_remaining"))
    if percent is None:
        remaining = number(told.get("remaining"))
        if remaining is None or not entitlement or entitlement < 0:
            return None
        percent = 100.0 * remaining / entitlement
    return min(1.0, max(0.0, percent / 100.0))
