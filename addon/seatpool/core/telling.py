"""A report in words, cell by cell: the same wherever a person reads it."""

from datetime import datetime, timedelta

from seatpool.core.reasons import out_of_use
from seatpool.core.report import AccountRow, Report, WindowRow
from seatpool.core.spans import ago, span

WIDE = 10
"""Characters of a bar."""
FULL, EMPTY = "█", "░"
EIGHTHS = " ▏▎▍▌▋▊▉"
PLAIN = ("#", "-")
"""Of a bar where those cannot be shown."""
MONTH_S = 28 * 86_400
"""The shortest."""
JUST_NOW = timedelta(minutes=10)
COLUMNS = ("account", "provider", "plan", "state", "quota left", "in flight", "today", "last used")


def cells(row: AccountRow, now: datetime, *, plain: bool = False) -> tuple[str, ...]:
    """In the order of `COLUMNS`; what has several parts has several lines."""
    return (
        row.name,
        row.provider,
        row.plan or "-",
        state(row, now),
        "\n".join(f"{bar(w, now, plain=plain)} {window(w, now)}" for w in row.windows) or "not seen yet",
        str(row.in_flight or "-"),
        today(row),
        ago(row.last_used_at, now),
    )


def state(row: AccountRow, now: datetime) -> str:
    """Whether it may be asked, what of it rests for how long and why, and what else is to be known."""
    if row.state == "foreign":
        return f"not yours to use: {row.owner}'s"
    if row.disabled_reason is not None:
        return out_of_use(row.disabled_reason)
    parts = [row.state] if row.state != "cooling" else []
    for held in row.cooldowns:
        part = f"{held.of} " if held.of else ""
        parts.append(f"{part}cooling {span(held.until - now)}: {held.reason}")
    instead = (f"{s.model} for {s.asked}: {s.requests} in 24 h, last {ago(s.last_at, now)}" for s in row.substituted)
    unknown = (
        f"unknown refusal {u.status or 'in a message'} {u.code}: {u.requests} in 7 days, last {ago(u.last_at, now)}"
        for u in row.unknown_refusals
    )
    return "\n".join((*parts, *instead, *unknown))


def window(w: WindowRow, now: datetime) -> str:
    """What is left, until when, and when that was seen if it was not just now."""
    if w.unlimited:
        return f"{w.bucket} unlimited"
    name = limit(w.bucket, w.length_s)
    if is_over(w, now):
        return f"{name} reset since"
    resets = f", resets in {span(w.resets_at - now)}" if w.resets_at is not None else ""
    seen = (
        f" (seen {ago(w.observed_at, now)}{', stale' if w.stale else ''})"
        if w.stale or now - w.observed_at > JUST_NOW
        else ""
    )
    return f"{name} {w.left:.0%}{resets}{seen}"


def limit(bucket: str, length_s: int | None) -> str:
    """A limit's name, with its length in seconds where that tells something: of what is `primary` on one plan and
    `secondary` on another. A month it is where nothing else is said.
    """
    return f"{bucket} ({span(timedelta(seconds=length_s))})" if length_s and length_s < MONTH_S else bucket


def bar(w: WindowRow, now: datetime, *, plain: bool = False) -> str:
    """What is left, to be seen at a glance; `plain`: with characters that every terminal has."""
    left = 1.0 if w.unlimited or is_over(w, now) else min(1.0, max(0.0, w.left))
    if plain:
        whole = round(left * WIDE)
        return PLAIN[0] * whole + PLAIN[1] * (WIDE - whole)
    whole, part = divmod(round(left * WIDE * 8), 8)
    return (FULL * whole + (EIGHTHS[part] if part else "")).ljust(WIDE, EMPTY)


def is_over(w: WindowRow, now: datetime) -> bool:
    """Whether it has been reset since it was seen."""
    return w.resets_at is not None and w.resets_at <= now


def today(row: AccountRow) -> str:
    """Its share of the day's requests."""
    return f"{row.share_today:.0%} ({row.requests_today})" if row.share_today else "-"


def gist(row: AccountRow, now: datetime) -> str:
    """One line, which stays the same until something but the time has changed."""
    rests = [f"{c.of or 'all'} cooling until {c.until:%Y-%m-%dT%H:%M:%SZ}: {c.reason}" for c in row.cooldowns]
    quota = [
        f"{w.bucket}={'unlimited' if w.unlimited else 'reset' if is_over(w, now) else f'{w.left:.0%}'}"
        for w in row.windows
    ]
    under_way = [f"{row.in_flight} in flight"] if row.in_flight else []
    why = [out_of_use(row.disabled_reason)] if row.disabled_reason is not None else [row.state]
    if row.state == "foreign":
        why = [f"not yours to use: {row.owner}'s"]
    return f"{row.name}: {', '.join((*why, *rests, *quota, *under_way))}"


def locked(report: Report) -> str | None:
    """What is locked, in one line; None where nothing is."""
    each = (f"{k.name}{'' if k.value is None else f'={k.value}'} (by {k.by})" for k in report.locks)
    return f"locked for every proxy on this database: {', '.join(each)}" if report.locks else None
