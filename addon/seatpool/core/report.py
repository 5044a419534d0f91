"""Status rows out of the pool's values: one source for the command line, the addon and whatever shows the pool."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec
from msgspec.structs import replace

from seatpool.core.model import Account, Cooldown, QuotaWindow, ScopeKind
from seatpool.core.scoring import STALE_AFTER_S


class Substituted(msgspec.Struct, frozen=True):
    """Requests that an account served with another model than was asked for."""

    account_id: int
    asked: str
    model: str
    """The one that was sent."""
    requests: int
    last_at: datetime


class Unknown(msgspec.Struct, frozen=True):
    """Refusals of an account that no table knows; each was delivered as it came."""

    account_id: int
    status: int | None
    """None where it came in a message of a WebSocket."""
    code: str
    requests: int
    last_at: datetime


class AccountRow(msgspec.Struct, frozen=True):
    """One account as a person wants to see it."""

    account: Account
    state: str
    """`ready`, `cooling`, `paused`, `disabled`, or `editor`: an editor's own, which serves while that is in use."""
    windows: tuple[QuotaWindow, ...]
    cooldowns: tuple[Cooldown, ...]
    """The live ones, soonest end first."""
    stale: frozenset[str] = frozenset()
    """Buckets of the windows that were last seen too long ago to go by."""
    substituted: tuple[Substituted, ...] = ()
    """The latest first."""
    unknown: tuple[Unknown, ...] = ()
    """The latest first."""


def rows(
    accounts: Iterable[Account],
    windows: Mapping[int, Iterable[QuotaWindow]],
    cooldowns: Iterable[Cooldown],
    now: datetime,
    substituted: Iterable[Substituted] = (),
    unknown: Iterable[Unknown] = (),
) -> tuple[AccountRow, ...]:
    """Rows by provider, then priority, then name."""
    instead, strange = _latest_first(substituted), _latest_first(unknown)
    live: dict[int, list[Cooldown]] = {}
    for cooldown in sorted(cooldowns, key=lambda c: c.until):
        if cooldown.until > now:
            live.setdefault(cooldown.account_id, []).append(cooldown)
    ordered = sorted(accounts, key=lambda a: (a.provider, a.priority, a.name))
    found = (_row(a, tuple(windows.get(a.id, ())), tuple(live.get(a.id, ())), now) for a in ordered)
    return tuple(
        replace(row, substituted=tuple(instead.get(row.account.id, ())), unknown=tuple(strange.get(row.account.id, ())))
        for row in found
    )


def _latest_first[T: (Substituted, Unknown)](told: Iterable[T]) -> dict[int, list[T]]:
    """By account."""
    found: dict[int, list[T]] = {}
    for each in sorted(told, key=lambda t: t.last_at, reverse=True):
        found.setdefault(each.account_id, []).append(each)
    return found


def _row(
    account: Account, windows: tuple[QuotaWindow, ...], cooldowns: tuple[Cooldown, ...], now: datetime
) -> AccountRow:
    whole = any(c.scope.kind is ScopeKind.ACCOUNT for c in cooldowns)
    states = (
        ("disabled", account.disabled is not None),
        ("paused", account.paused),
        ("cooling", whole),
        ("editor", account.learnt),
    )
    state = next((name for name, holds in states if holds), "ready")
    stale = frozenset(w.bucket for w in windows if (now - w.observed_at).total_seconds() > STALE_AFTER_S)
    return AccountRow(account, state, tuple(sorted(windows, key=lambda w: w.bucket)), cooldowns, stale)


def as_json(row: AccountRow) -> dict[str, object]:
    """The row as plain values; times are ISO 8601 in UTC, shares are 0.0 to 1.0."""
    account = row.account
    return {
        "name": account.name,
        "provider": str(account.provider),
        "plan": account.plan,
        "state": row.state,
        "disabled_reason": account.disabled,
        "priority": account.priority,
        "weight": account.weight,
        "policy": str(account.keeping),
        "last_used_at": _iso(account.last_used_at),
        "windows": [
            {
                "bucket": w.bucket,
                "left": w.left,
                "unlimited": w.unlimited,
                "length_s": w.length_s,
                "resets_at": _iso(w.resets_at),
                "observed_at": _iso(w.observed_at),
                "source": w.source,
                "stale": w.bucket in row.stale,
            }
            for w in row.windows
        ],
        "cooldowns": [
            {
                "scope": str(c.scope.kind),
                "of": c.scope.value or None,
                "reason": c.reason,
                "until": _iso(c.until),
            }
            for c in row.cooldowns
        ],
        "substituted": [
            {"asked": s.asked, "model": s.model, "requests": s.requests, "last_at": _iso(s.last_at)}
            for s in row.substituted
        ],
        "unknown_refusals": [
            {"status": u.status, "code": u.code, "requests": u.requests, "last_at": _iso(u.last_at)}
            for u in row.unknown
        ],
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
