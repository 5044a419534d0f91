"""The metrics of a pool in the words of Prometheus' conventions: base units, `_total`, names of accounts as labels.

Loaded when somebody asks. No token, no prompt and nobody's id is in here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from seatpool import __version__
from seatpool.core.exposition import Family, Histogram, Sample, of_histogram, text
from seatpool.core.model import Account, Cooldown, QuotaWindow, ScopeKind
from seatpool.core.report import state_of
from seatpool.core.state import PoolState
from seatpool.service.memory.meters import Meters, Table

NOBODY = ""
"""Label of what no account had a part in."""


class Taken(msgspec.Struct, frozen=True):
    """Everything that is told, as it was at one moment."""

    meters: Meters
    accounts: Mapping[int, Account]
    windows: Sequence[tuple[Account, QuotaWindow]]
    cooldowns: Sequence[tuple[Account, Cooldown]]
    under_way: Mapping[int, int]
    limits: Mapping[int, int | None]
    waiting: int
    at: datetime


def take(meters: Meters, state: PoolState, waiting: int, now: datetime) -> Taken:
    """In the event loop: copies, which take much less time than the words for them."""
    accounts = dict(sorted(state.accounts.items()))
    return Taken(
        meters.copy(),
        accounts,
        [(a, w) for a in accounts.values() for w in state.windows.get(a.id, {}).values()],
        [(a, c) for a in accounts.values() for c in state.cooldowns.get(a.id, {}).values() if c.until > now],
        {account_id: state.under_way(account_id) for account_id in accounts},
        {account_id: state.caps.limit(account_id) for account_id in accounts},
        waiting,
        now,
    )


def render(taken: Taken) -> str:
    """What a scrape gets; beside the event loop."""
    return text([*_counted(taken.meters, taken.accounts), *_standing(taken)])


def _counted(meters: Meters, accounts: Mapping[int, Account]) -> Iterator[Family]:
    def of(table: Table, *names: str) -> list[Sample]:
        rows = ((_named(key[0], accounts), key, count.n) for key, count in table.items())
        return [
            Sample({"account": account, **dict(zip(names, key[1:], strict=True))}, count)
            for account, key, count in rows
            if account is not None
        ]

    def spread(histograms: Mapping[int, Histogram]) -> Iterator[Sample]:
        for account_id, histogram in histograms.items():
            account = _named(account_id, accounts)
            if account is not None:
                yield from of_histogram({"account": account}, histogram)

    yield _counter(
        "requests",
        "Requests that are over, by the outcome of their last attempt.",
        of(meters.requests, "model", "outcome"),
    )
    yield _counter("attempts", "Sendings of requests to upstream.", of(meters.attempts, "model", "outcome"))
    yield _counter(
        "tokens",
        "Tokens that upstream has counted; cached ones are input as well.",
        [
            Sample({"account": account, "model": model, "type": kind}, count)
            for (account_id, model), sums in meters.tokens.items()
            if (account := _named(account_id, accounts)) is not None
            for kind, count in zip(("input", "cached", "output"), sums, strict=True)
        ],
    )
    yield Family(
        "seatpool_first_byte_seconds",
        "histogram",
        "From a request to the first byte of its answer for the client.",
        list(spread(meters.first_byte)),
    )
    yield Family(
        "seatpool_added_latency_seconds",
        "histogram",
        "From a request that was read whole to its first sending: what the pool adds, waiting for an account included.",
        list(of_histogram({}, meters.added)),
    )
    yield _counter(
        "refreshes", "Credentials that an issuer was asked for.", of(meters.refreshes, "credential", "outcome")
    )
    yield _counter("cooldowns", "Cooldowns that this process has set.", of(meters.cooldowns, "scope", "reason"))
    yield _counter(
        "notices",
        "Notices to a person.",
        [Sample({"kind": kind, "result": result}, count) for (kind, result), count in meters.notices.items()],
    )
    yield _counter(
        "trace_spans",
        "Spans for the OpenTelemetry collector.",
        [Sample({"result": result}, count) for result, count in meters.spans.items()],
    )


def _standing(taken: Taken) -> Iterator[Family]:
    accounts, windows, cooldowns, now = taken.accounts.values(), taken.windows, taken.cooldowns, taken.at
    resting = {c.account_id for _, c in cooldowns if c.scope.kind is ScopeKind.ACCOUNT}
    limits = ((a, taken.limits[a.id]) for a in accounts)
    yield _gauge(
        "account_info",
        "1 for each account, with its state.",
        (
            Sample(
                {
                    "account": a.name,
                    "provider": a.provider.value,
                    "plan": a.plan or "",
                    "state": state_of(a, None, cooling=a.id in resting),
                },
                1,
            )
            for a in accounts
        ),
    )
    yield _gauge(
        "quota_left_ratio",
        "Share of a limit that is left, 0 to 1, as it was last seen; 1: no limit.",
        (Sample({"account": a.name, "bucket": w.bucket}, w.left) for a, w in windows),
    )
    yield _gauge(
        "quota_reset_timestamp_seconds",
        "When a limit is whole again, where that is known.",
        (Sample({"account": a.name, "bucket": w.bucket}, w.resets_at.timestamp()) for a, w in windows if w.resets_at),
    )
    yield _gauge(
        "quota_observed_timestamp_seconds",
        "When a limit was last seen.",
        (Sample({"account": a.name, "bucket": w.bucket}, w.observed_at.timestamp()) for a, w in windows),
    )
    yield _gauge(
        "cooldown_remaining_seconds",
        "For how long an account, or a part of it, still rests.",
        (
            Sample(
                {"account": a.name, "scope": c.scope.kind.value, "of": c.scope.value, "reason": c.reason},
                (c.until - now).total_seconds(),
            )
            for a, c in cooldowns
        ),
    )
    yield _gauge(
        "in_flight_requests",
        "Requests under way, of all proxies on the database.",
        (Sample({"account": a.name}, taken.under_way[a.id]) for a in accounts),
    )
    yield _gauge(
        "in_flight_limit",
        "How many may be under way at the same time, where there is a bound.",
        (Sample({"account": a.name}, limit) for a, limit in limits if limit is not None),
    )
    yield _gauge(
        "waiting_requests",
        "Requests that wait for a place at an account, or for the end of a limit.",
        [Sample({}, taken.waiting)],
    )
    yield _gauge("build_info", "1, with the version.", [Sample({"version": __version__}, 1)])


def _counter(name: str, told: str, samples: Iterable[Sample]) -> Family:
    return Family(f"seatpool_{name}_total", "counter", told, list(samples))


def _gauge(name: str, told: str, samples: Iterable[Sample]) -> Family:
    return Family(f"seatpool_{name}", "gauge", told, list(samples))


def _named(account_id: int | None, accounts: Mapping[int, Account]) -> str | None:
    """None: it was removed."""
    if account_id is None:
        return NOBODY
    account = accounts.get(account_id)
    return account.name if account is not None else None
