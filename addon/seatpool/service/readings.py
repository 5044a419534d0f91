"""The metrics of a pool in the words of Prometheus' conventions: base units, `_total`, names of accounts as labels.

Loaded when somebody asks. No token, no prompt and nobody's id is in here.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from seatpool import __version__
from seatpool.core.exposition import Family, Histogram, Sample, of_histogram, text
from seatpool.core.model import Account, ScopeKind
from seatpool.core.state import PoolState
from seatpool.service.meters import Key, Meters

NOBODY = ""
"""Label of what no account had a part in."""


def render(meters: Meters, state: PoolState, waiting: int, now: datetime) -> str:
    """What a scrape gets."""
    return text([*_counted(meters, state.accounts), *_standing(state, waiting, now)])


def _counted(meters: Meters, accounts: Mapping[int, Account]) -> Iterator[Family]:
    def of(table: Mapping[Key, int], *names: str) -> list[Sample]:
        rows = ((_named(key[0], accounts), key, count) for key, count in table.items())
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


def _standing(state: PoolState, waiting: int, now: datetime) -> Iterator[Family]:
    accounts = sorted(state.accounts.values(), key=lambda account: account.id)
    windows = [(a, w) for a in accounts for w in state.windows.get(a.id, {}).values()]
    cooldowns = [(a, c) for a in accounts for c in state.cooldowns.get(a.id, {}).values() if c.until > now]
    limits = ((a, state.caps.limit(a.id)) for a in accounts)
    yield _gauge(
        "account_info",
        "1 for each account, with its state.",
        (
            Sample(
                {
                    "account": a.name,
                    "provider": a.provider.value,
                    "plan": a.plan or "",
                    "state": _state(
                        a, any(c.account_id == a.id and c.scope.kind is ScopeKind.ACCOUNT for _, c in cooldowns)
                    ),
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
        (Sample({"account": a.name}, state.under_way(a.id)) for a in accounts),
    )
    yield _gauge(
        "in_flight_limit",
        "How many may be under way at the same time, where there is a bound.",
        (Sample({"account": a.name}, limit) for a, limit in limits if limit is not None),
    )
    yield _gauge(
        "waiting_requests",
        "Requests that wait for a place at an account, or for the end of a limit.",
        [Sample({}, waiting)],
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


def _state(account: Account, cooling: bool) -> str:
    """As `seatpool status` has it."""
    states = (
        ("disabled", account.disabled is not None),
        ("paused", account.paused),
        ("cooling", cooling),
        ("editor", account.learnt),
    )
    return next((name for name, holds in states if holds), "ready")
