"""Other numbers in the place of those that came, read back by what reads upstream's own."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatpool.core.model import QuotaWindow
from seatpool.core.shown import Shown
from seatpool.providers.copilot import quota, shown
from seatpool.providers.http import Headers
from tests.providers.copilot.copilot_material import NOW

DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
PREMIUM = "premium_interactions"


def window(bucket: str, left: float, ends: datetime | None = DECEMBER, *, unlimited: bool = False) -> QuotaWindow:
    length_s = quota.ROLLING_S.get(bucket, quota.MONTH_S)
    return QuotaWindow(bucket, left, NOW, "header", unlimited, length_s, ends)


def show(*windows: QuotaWindow) -> Shown:
    return Shown({w.bucket: w for w in windows}, NOW)


MINE = show(
    window(PREMIUM, 0.42), window("chat", 1.0, unlimited=True), window("session", 0.057, NOW + timedelta(hours=2))
)
SPENT = show(window(PREMIUM, 0.0), window("chat", 0.5, None))
CAME = [
    ("content-type", "text/event-stream"),
    (
        "X-Quota-Snapshot-Premium_interactions",
        "ent=300&ov=7.0&ovPerm=true&rem=63.0&rst=2026-12-09T00%3A00%3A00Z&totRem=189.0",
    ),
    ("x-quota-snapshot-chat", "ent=-1&ov=0.0&ovPerm=false&rem=100.0&rst=2026-12-09T00%3A00%3A00Z"),
    ("x-quota-snapshot-completions", "ent=2000&ov=0.0&ovPerm=false&rem=3.0"),
    ("x-usage-ratelimit-session", "ent=0&ov=0.0&ovPerm=false&rem=90.0&rst=2026-12-09T00%3A00%3A00Z"),
    ("x-github-request-id", "r1"),
]
KEPT = [CAME[0], CAME[-1]]  # fmt: skip


@pytest.mark.parametrize("mine", [MINE, SPENT])
def test_the_head_of_an_answer_tells_the_other_windows_and_those_alone(mine: Shown) -> None:
    found = shown.head(CAME, mine)
    assert {w.bucket: w for w in quota.of_headers(Headers(found), NOW)} == dict(mine.windows)
    assert [pair for pair in found if pair in KEPT] == KEPT
    assert len(found) == len(KEPT) + len(mine.windows)


def test_a_value_has_the_names_that_came_and_is_of_a_hundred() -> None:
    found = dict(shown.head(CAME, MINE))
    assert found["X-Quota-Snapshot-Premium_interactions"] == (
        "ent=100&ov=0.0&ovPerm=true&rem=42.0&rst=2026-12-01T00%3A00%3A00Z&totRem=42.0"
    )
    assert found["x-usage-ratelimit-session"].startswith("ent=0&ov=0.0&ovPerm=false&rem=5.7&rst=2026-11-")


def test_how_much_there_is_in_all_is_what_the_persons_own_account_has_told() -> None:
    told = shown.sizes([("X-Quota-Snapshot-Premium_interactions", "ent=1500&rem=1"), *CAME[2:]])
    assert told == {PREMIUM: 1500.0, "completions": 2000.0}
    mine = Shown(MINE.windows, NOW, sizes=told)
    found = dict(shown.head(CAME, mine))
    assert "ent=1500&" in found["X-Quota-Snapshot-Premium_interactions"]
    assert found["X-Quota-Snapshot-Premium_interactions"].endswith("totRem=630.0")  # 1500 * 0.42
    assert found["x-quota-snapshot-chat"].startswith("ent=-1&")
    event = json.dumps({"type": "response.completed", "copilot_quota_snapshots": SNAPSHOTS}).encode()
    assert shown.message_sizes(event) == {PREMIUM: 300.0, "completions": 2000.0}
    after = json.loads(shown.message(event, mine) or b"")["copilot_quota_snapshots"]
    assert after[PREMIUM]["entitlement"] == "1500"


def test_of_what_nothing_is_known_the_head_is_silent() -> None:
    assert shown.head(CAME, show()) == KEPT
    assert shown.head(KEPT, MINE) == KEPT


SNAPSHOTS: dict[str, Any] = {
    PREMIUM: {"entitlement": "300", "percent_remaining": 63.0, "overage_permitted": True, "overage_count": 7,
              "has_quota": True, "reset_date": "2026-12-09T00:00:00Z"},
    "chat": {"entitlement": "-1", "percent_remaining": 100.0, "unlimited": True},
    "completions": {"entitlement": 2000, "percent_remaining": 3.0},
}  # fmt: skip


@pytest.mark.parametrize("mine", [MINE, SPENT])
@pytest.mark.parametrize("inside", [False, True])
def test_the_last_message_of_a_turn_tells_the_other_windows(mine: Shown, inside: bool) -> None:
    told = {"copilot_quota_snapshots": SNAPSHOTS}
    event = {
        "type": "response.completed",
        "response": {"id": "r", **(told if inside else {})},
        **({} if inside else told),
    }
    content = json.dumps(event).encode()
    found = shown.message(content, mine)
    assert found is not None
    after = json.loads(found)
    snapshots = (after["response"] if inside else after).pop("copilot_quota_snapshots")
    expected = {b: w for b, w in mine.windows.items() if b in SNAPSHOTS}
    read = quota.of_snapshots(snapshots, "header", NOW)
    assert {w.bucket: w for w in read} == expected
    assert snapshots[PREMIUM]["overage_permitted"] is True and snapshots[PREMIUM]["overage_count"] == 0
    assert after["response"]["id"] == "r"


@pytest.mark.parametrize(
    "content",
    [
        b'{"type":"response.output_text.delta","delta":"copilot_quota_snapshots"}',
        b'{"type":"response.completed","response":{}}',
        b'{"type":"error","error":{"code":"quota_exceeded"},"copilot_quota_snapshots":{"chat":{"percent_remaining":0}}}',
        b'"copilot_quota_snapshots"',
    ],
)
def test_every_other_message_is_the_very_same(content: bytes) -> None:
    assert shown.message(content, MINE) is content


def test_seats_are_put_together_by_bucket_and_a_large_one_counts_more() -> None:
    members = [("individual_pro", [window(PREMIUM, 0.2)]), ("individual", [window(PREMIUM, 0.8), window("chat", 0.5)])]
    found = shown.pooled(members, NOW)
    # 1500 premium requests beside 300: (5 * 0.2 + 1 * 0.8) / 6
    assert {bucket: round(w.left, 3) for bucket, w in found.items()} == {PREMIUM: 0.3, "chat": 0.5}


def test_a_look_up_does_not_pass_through_here() -> None:
    assert not shown.looks_up("GET", "/copilot_internal/user")


@given(st.binary() | st.builds(lambda b: b'{"copilot_quota_snapshots":' + b, st.binary()))
def test_no_nonsense_is_too_much(content: bytes) -> None:
    shown.message(content, MINE)
    shown.head([("x-quota-snapshot-chat", content.decode("latin-1"))], MINE)
