"""Counting for `/metrics`: what it says, read by Prometheus' own parser, and what it costs."""

import re
from datetime import UTC, datetime, timedelta

from prometheus_client.parser import text_string_to_metric_families

from seatpool.core.ended import Ended
from seatpool.core.model import (
    Account,
    Attempt,
    Cooldown,
    CredentialKind,
    ProviderName,
    QuotaWindow,
    Scope,
    ScopeKind,
    Tokens,
)
from seatpool.core.state import PoolState
from seatpool.service.memory import meters as metering
from seatpool.service.memory.meters import EXHAUSTED, HALTED, OPEN, OTHER, Meters
from seatpool.service.telling.readings import render, take
from tests.harness import REPOSITORY

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def account(number: int, name: str, **more: object) -> Account:
    fields = {"name": name, "identity": f"id-of-{name}@person", "issuer": "https://chatgpt.com", "priority": 100}
    return Account(id=number, provider=ProviderName.CODEX, **{**fields, **more})  # type: ignore[arg-type]


def attempt(flow: str, number: int = 1, account_id: int = 1, outcome: str = "ok", model: str = "gpt-x") -> Attempt:
    tokens = Tokens(100, 60, 7) if outcome == "ok" else None
    return Attempt(flow, number, account_id, "responses", model, outcome, 200, NOW, 250.0, tokens=tokens)


def over(flow: str, number: int = 1, account_id: int | None = 1, first_ms: float | None = 300.0) -> Ended:
    return Ended(flow, 1, number, account_id, NOW, first_ms, 900.0, NOW + timedelta(microseconds=400))


def read(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Every sample by its name; each has a family with words about it."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation and family.type in ("counter", "gauge", "histogram"), family
        for sample in family.samples:
            assert sample.name.startswith("seatpool_")
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def test_a_scrape_tells_what_was_counted_and_how_the_pool_stands() -> None:
    state, meters = PoolState(), Meters()
    odd = 'b"o\\b\nby'
    state.put(account(1, "alice", plan="plus"), NOW)
    state.put(account(2, odd), NOW)
    state.observe(1, (QuotaWindow("primary", 0.25, NOW, "header", resets_at=NOW + timedelta(hours=1)),), NOW)
    state.observe(2, (QuotaWindow("chat", 1.0, NOW, "usage", unlimited=True),), NOW)
    scope = Scope(ScopeKind.MODEL, "gpt-x")
    state.cool(Cooldown(2, scope, "usage_limit_reached", NOW + timedelta(seconds=90), NOW), NOW)
    state.acquire(1, NOW)
    meters.attempt(attempt("a", outcome="usage_limit_reached", account_id=2))
    meters.attempt(attempt("a", 2))
    meters.ended(over("a", 2))
    meters.ended(Ended("b", 1, 0, None, NOW, None, 1.0, NOW))
    meters.ended(Ended("c", 1, 0, 2, NOW, None, 1.0, NOW))
    meters.attempt(attempt("d", account_id=3))
    meters.ended(over("d", account_id=3))
    meters.renewed(1, CredentialKind.CODEX_OAUTH, "ok")
    meters.cooled(2, "model", "usage_limit_reached")
    found = read(render(take(meters, state, 3, NOW)))
    assert sorted((s["account"], s["outcome"], n) for s, n in found["seatpool_requests_total"]) == [
        ("", EXHAUSTED, 1),
        ("alice", "ok", 1),
        (odd, HALTED, 1),
    ], "one that was removed is not told"
    assert [(s["account"], s["model"], s["outcome"]) for s, _ in found["seatpool_attempts_total"]] == [
        (odd, "gpt-x", "usage_limit_reached"),
        ("alice", "gpt-x", "ok"),
    ]
    assert [(s["account"], s["model"], s["type"], n) for s, n in found["seatpool_tokens_total"]] == [
        ("alice", "gpt-x", "input", 100),
        ("alice", "gpt-x", "cached", 60),
        ("alice", "gpt-x", "output", 7),
    ]
    buckets = {s["le"]: n for s, n in found["seatpool_first_byte_seconds_bucket"]}
    assert (buckets["0.25"], buckets["0.5"], buckets["+Inf"]) == (0, 1, 1)
    assert found["seatpool_first_byte_seconds_sum"] == [({"account": "alice"}, 0.3)]
    added = {s["le"]: n for s, n in found["seatpool_added_latency_seconds_bucket"]}
    assert (added["0.00025"], added["0.0005"], added["+Inf"]) == (0, 2, 2)
    known, endless = {"account": "alice", "bucket": "primary"}, {"account": odd, "bucket": "chat"}
    assert found["seatpool_quota_left_ratio"] == [(known, 0.25), (endless, 1.0)]
    assert found["seatpool_quota_reset_timestamp_seconds"] == [(known, NOW.timestamp() + 3600)]
    assert found["seatpool_cooldown_remaining_seconds"] == [
        ({"account": odd, "scope": "model", "of": "gpt-x", "reason": "usage_limit_reached"}, 90)
    ]
    assert found["seatpool_in_flight_requests"] == [({"account": "alice"}, 1), ({"account": odd}, 0)]
    assert found["seatpool_waiting_requests"] == [({}, 3)]
    assert found["seatpool_refreshes_total"] == [
        ({"account": "alice", "credential": "codex-oauth", "outcome": "ok"}, 1)
    ]
    assert {s["account"]: (s["state"], s["plan"]) for s, _ in found["seatpool_account_info"]} == {
        "alice": ("ready", "plus"),
        odd: ("ready", ""),
    }
    assert "@person" not in render(take(meters, state, 0, NOW))


def test_the_readme_has_every_metric_with_its_labels() -> None:
    state, meters = PoolState(), Meters()
    state.put(account(1, "alice"), NOW)
    state.observe(1, (QuotaWindow("primary", 0.25, NOW, "header", resets_at=NOW),), NOW)
    state.cool(Cooldown(1, Scope(ScopeKind.MODEL, "gpt-x"), "x", NOW + timedelta(days=1), NOW), NOW)
    state.caps.most = 3
    meters.attempt(attempt("a"))
    meters.ended(over("a"))
    meters.renewed(1, CredentialKind.CODEX_OAUTH, "ok")
    meters.cooled(1, "model", "x")
    meters.noticed("test", "sent")
    told: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(render(take(meters, state, 0, NOW))):
        name = family.name + ("_total" if family.type == "counter" else "")
        told[name] = {label for sample in family.samples for label in sample.labels}
    rows = re.findall(r"^\| `(seatpool_\w+)` \|([^|]*)\|", (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    assert {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows} == told


def test_memory_does_not_grow_with_what_others_choose() -> None:
    meters = Meters()
    for number in range(metering.MOST + 50):
        meters.attempt(attempt(f"open-{number}", model=f"model-{number}"))
        meters.ended(over(f"open-{number}"))
    for number in range(OPEN + 50):
        meters.attempt(attempt(f"never-over-{number}"))
    assert len(meters.attempts) <= metering.MOST + 2 and len(meters.tokens) <= metering.MOST + 2
    assert meters.attempts[1, OTHER, OTHER].n == 50 + OPEN + 50
    assert len(meters._open) == OPEN
    meters.forget([1])
    assert not (meters.attempts or meters.requests or meters.tokens or meters.first_byte)
