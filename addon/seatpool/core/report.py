"""How the pool stands: one source of rows for the command line, mitmproxy's commands, the page and the metrics.

`report` makes a `Report` of plain values that `msgspec.json.encode` writes as it is; its JSON Schema is in
`report.schema.json` beside this file. Words for a person are in `telling`.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from seatpool.core.locks import RULES
from seatpool.core.model import Account, Cooldown, ProviderName, QuotaWindow, ScopeKind
from seatpool.core.quotas import is_recent
from seatpool.core.scoring import STALE_AFTER_S
from seatpool.core.seen import Seen
from seatpool.core.slots import is_heard

Moment = Annotated[datetime, Meta(tz=True)]
"""Aware of its time zone, which is UTC."""


class WindowRow(msgspec.Struct, frozen=True):
    """One limit of an account, as it was last seen."""

    bucket: Annotated[str, Meta(description="The upstream's name for it, such as `primary` or `chat`.")]
    left: Annotated[float, Meta(description="Share that is left, 0.0 to 1.0; 1.0 where there is no limit.")]
    unlimited: Annotated[bool, Meta(description="There is no limit.")]
    length_s: Annotated[int | None, Meta(description="Its length in seconds, where it is known.")]
    resets_at: Annotated[Moment | None, Meta(description="When it is whole again; may be over.")]
    observed_at: Annotated[Moment, Meta(description="When it was seen so.")]
    source: Annotated[str, Meta(description="Where it was read: `header`, `frame`, `body` or `usage`.")]
    stale: Annotated[bool, Meta(description="It was seen too long ago to go by: more than an hour.")]


class CooldownRow(msgspec.Struct, frozen=True):
    """A timed removal from the choice that is not over."""

    scope: Annotated[ScopeKind, Meta(description="How much of the account rests.")]
    of: Annotated[str | None, Meta(description="The model or bucket that rests; null: the whole account.")]
    reason: Annotated[str, Meta(description="A stable code, such as `usage_limit_reached`.")]
    until: Annotated[Moment, Meta(description="When it ends.")]


class SubstitutedRow(msgspec.Struct, frozen=True):
    """What was served with another model than was asked for, within 24 hours."""

    asked: str
    model: Annotated[str, Meta(description="The one that was sent.")]
    requests: int
    last_at: Moment


class UnknownRow(msgspec.Struct, frozen=True):
    """Refusals that seatpool does not know, within seven days."""

    status: Annotated[int | None, Meta(description="HTTP status; null in a message of a WebSocket.")]
    code: str
    requests: int
    last_at: Moment


class LockRow(msgspec.Struct, frozen=True):
    """What an admin has fixed for every proxy on the database."""

    name: Annotated[str, Meta(description="An option without `pool_`, or `rules`.")]
    value: Annotated[str | None, Meta(description="What it is fixed to; null: rules, which have many lines.")]
    by: Annotated[str, Meta(description="Who has fixed it.")]
    since: Moment


class AccountRow(msgspec.Struct, frozen=True):
    """One account."""

    id: Annotated[int, Meta(description="Its number: it stays, and is never given again.")]
    name: Annotated[str, Meta(description="What a person calls it.")]
    provider: ProviderName
    plan: Annotated[str | None, Meta(description="As its issuer names it.")]
    state: Annotated[
        str,
        Meta(
            description="`ready`, `cooling` (the whole account), `paused`, `disabled`, `editor`: an editor's own, "
            "which serves while that is in use, or `foreign`: not to be used by whoever has asked for this.",
            extra_json_schema={"enum": ["ready", "cooling", "paused", "disabled", "editor", "foreign"]},
        ),
    ]
    disabled_reason: Annotated[str | None, Meta(description="Why it is out of use until a person acts.")]
    priority: Annotated[int, Meta(description="Lower is asked first.")]
    weight: Annotated[float, Meta(description="Its share beside the others', with `pool_strategy=weighted`.")]
    policy: Annotated[str, Meta(description="`normal`, `expendable` or `preserved`.")]
    last_used_at: Moment | None
    in_flight: Annotated[int, Meta(description="Requests under way, of all proxies on this database.")]
    requests_today: Annotated[int, Meta(description="Requests that ended on it since `today_since`.")]
    share_today: Annotated[float | None, Meta(description="Their share of all accounts'; null where there are none.")]
    windows: Annotated[tuple[WindowRow, ...], Meta(description="By bucket.")]
    cooldowns: Annotated[tuple[CooldownRow, ...], Meta(description="The soonest end first.")]
    substituted: Annotated[tuple[SubstitutedRow, ...], Meta(description="The latest first.")] = ()
    unknown_refusals: Annotated[tuple[UnknownRow, ...], Meta(description="The latest first.")] = ()
    owner: Annotated[str | None, Meta(description="Whose it is; null: everybody's.")] = None
    people: Annotated[tuple[str, ...], Meta(description="Who may use it beside its owner.")] = ()


class Report(msgspec.Struct, frozen=True):
    """How the pool stands. Times are ISO 8601 in UTC, shares 0.0 to 1.0."""

    at: Annotated[Moment, Meta(description="The moment that it tells of.")]
    today_since: Annotated[Moment, Meta(description="Midnight where it was asked for.")]
    requests_today: Annotated[int, Meta(description="Requests that ended since then on any account.")]
    unserved_today: Annotated[int, Meta(description="Requests for which nobody could be asked.")]
    waited: Annotated[int, Meta(description="Requests that had to wait for an account within 24 hours.")]
    last_waited_at: Annotated[Moment | None, Meta(description="When the last of them began to.")]
    accounts: Annotated[tuple[AccountRow, ...], Meta(description="By provider, then priority, then name.")]
    person: Annotated[str | None, Meta(description="Who has asked.")] = None
    locks: Annotated[tuple[LockRow, ...], Meta(description="By name.")] = ()


def report(seen: Seen, now: datetime, midnight: datetime, person: str | None = None) -> Report:
    """The report of a moment for a person; `midnight` is when the day began for them."""
    windows = _by_account(seen.windows)
    cooldowns = _by_account((c.account_id, c) for c in sorted(seen.cooldowns, key=lambda c: c.until) if c.until > now)
    instead = _by_account((s.account_id, s) for s in sorted(seen.substituted, key=lambda s: s.last_at, reverse=True))
    strange = _by_account((u.account_id, u) for u in sorted(seen.unknown, key=lambda u: u.last_at, reverse=True))
    under_way: Counter[int] = Counter()
    for each in seen.under_way:
        if is_heard(each, now):
            under_way.update(each.counts)
    served = sum(count for account_id, count in seen.today.items() if account_id is not None)
    return Report(
        at=now,
        today_since=midnight,
        requests_today=served,
        unserved_today=seen.today.get(None, 0),
        waited=seen.waited[0],
        last_waited_at=seen.waited[1],
        accounts=tuple(
            AccountRow(
                id=a.id,
                name=a.name,
                provider=a.provider,
                plan=a.plan,
                state=state_of(
                    a, person, cooling=any(c.scope.kind is ScopeKind.ACCOUNT for c in cooldowns.get(a.id, ()))
                ),
                disabled_reason=a.disabled,
                priority=a.priority,
                weight=a.weight,
                policy=a.keeping.value,
                last_used_at=a.last_used_at,
                in_flight=under_way[a.id],
                requests_today=seen.today.get(a.id, 0),
                share_today=seen.today.get(a.id, 0) / served if served else None,
                windows=tuple(_window(w, now) for w in sorted(windows.get(a.id, ()), key=lambda w: w.bucket)),
                cooldowns=tuple(map(_cooldown, cooldowns.get(a.id, ()))),
                substituted=tuple(
                    SubstitutedRow(s.asked, s.model, s.requests, s.last_at) for s in instead.get(a.id, ())
                ),
                unknown_refusals=tuple(
                    UnknownRow(u.status, u.code, u.requests, u.last_at) for u in strange.get(a.id, ())
                ),
                owner=a.owner,
                people=a.people,
            )
            for a in sorted(seen.accounts, key=lambda a: (a.provider, a.priority, a.name))
        ),
        person=person,
        locks=tuple(LockRow(k.name, None if k.name == RULES else k.value, k.person, k.at) for k in seen.locks),
    )


def _by_account[T](each: Iterable[tuple[int, T]]) -> dict[int, list[T]]:
    found: dict[int, list[T]] = {}
    for account_id, value in each:
        found.setdefault(account_id, []).append(value)
    return found


def state_of(account: Account, person: str | None, *, cooling: bool) -> str:
    """In one word, for a person; `cooling`: the whole account rests."""
    states = (
        ("foreign", not account.open_to(person)),
        ("disabled", account.disabled is not None),
        ("paused", account.paused),
        ("cooling", cooling),
        ("editor", account.learnt),
    )
    return next((name for name, holds in states if holds), "ready")


def _window(w: QuotaWindow, now: datetime) -> WindowRow:
    stale = not is_recent(w.observed_at, now, timedelta(seconds=STALE_AFTER_S))
    return WindowRow(w.bucket, w.left, w.unlimited, w.length_s, w.resets_at, w.observed_at, w.source, stale)


def _cooldown(c: Cooldown) -> CooldownRow:
    return CooldownRow(c.scope.kind, c.scope.value or None, c.reason, c.until)
