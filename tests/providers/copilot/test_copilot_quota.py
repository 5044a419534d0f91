from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatpool.core.model import QuotaWindow
from seatpool.providers.copilot import COPILOT, quota
from seatpool.providers.http import Headers
from tests.providers.copilot.copilot_material import NOW

DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)


def from_header(name: str, value: str) -> QuotaWindow | None:
    found = COPILOT.quota(Headers([(name, value)]), NOW)
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize(
    ("name", "value", "bucket", "left", "unlimited", "length_s", "resets"),
    [
        # the three examples of copilot.md 5.1
        (
            "x-quota-snapshot-premium_interactions",
            "ent=300&ov=0.0&ovPerm=false&rem=42.3&rst=2026-12-01T00%3A00%3A00Z&totRem=127.0",
            "premium_interactions", 0.423, False, 2592000, DECEMBER,
        ),
        (
            "X-Quota-Snapshot-Chat",
            "ent=-1&ov=0.0&ovPerm=false&rem=100.0&rst=2026-12-01T00%3A00%3A00Z",
            "chat", 1.0, True, 2592000, DECEMBER,
        ),
        (
            "x-usage-ratelimit-session",
            "ent=0&ov=0.0&ovPerm=false&rem=5.7&rst=2026-11-21T15%3A00%3A00Z",
            "session", 0.057, False, 18000, datetime(2026, 11, 21, 15, tzinfo=UTC),  # 5 h = 18000 s
        ),
        ("x-usage-ratelimit-weekly", "ent=0&rem=0.0", "weekly", 0.0, False, 604800, None),  # 7 * 24 * 3600 s
        # overage: the percentage falls below zero, the share does not
        ("x-quota-snapshot-chat", "ent=50&rem=-12.5&ov=6", "chat", 0.0, False, 2592000, None),
        ("x-quota-snapshot-chat", "ent=50&rem=250", "chat", 1.0, False, 2592000, None),
        # Go's zero date, and a date no window can have
        ("x-quota-snapshot-chat", "ent=50&rem=10&rst=0001-01-01T00%3A00%3A00Z", "chat", 0.1, False, 2592000, None),
        ("x-quota-snapshot-chat", "ent=50&rem=10&rst=2099-01-01T00%3A00%3A00Z", "chat", 0.1, False, 2592000, None),
    ],
)  # fmt: skip
def test_headers_are_windows(
    name: str, value: str, bucket: str, left: float, unlimited: bool, length_s: int | None, resets: datetime | None
) -> None:
    window = from_header(name, value)
    assert window is not None
    assert (window.bucket, window.unlimited, window.length_s) == (bucket, unlimited, length_s)
    assert window.left == pytest.approx(left)
    assert (window.resets_at, window.observed_at, window.source) == (resets, NOW, "header")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-quota-snapshot-premium_interactions", "ent=0&rem=0.0"),  # a free seat has no such bucket
        ("x-quota-snapshot-chat", "ent=300"),
        ("x-quota-snapshot-chat", "rem=nan"),
        ("x-quota-snapshot-chat", "rem=inf"),
        ("x-quota-snapshot-chat", "no pairs"),
        ("x-quota-snapshot-", "ent=300&rem=1"),
        ("x-quota-snapshot-<b>", "ent=300&rem=1"),
        ("x-ratelimit-remaining", "0"),
        ("content-type", "ent=300&rem=1"),
    ],
)
def test_headers_that_tell_nothing_are_no_windows(name: str, value: str) -> None:
    assert from_header(name, value) is None


USER = {
    "quota_reset_date": "2026-12-01",
    "quota_reset_date_utc": "2026-12-01T00:00:00.000Z",
    "quota_snapshots": {
        "chat": {"entitlement": 0, "remaining": 0, "percent_remaining": 100.0, "unlimited": True, "has_quota": True},
        "completions": {"entitlement": 0, "remaining": 0, "percent_remaining": 100.0, "unlimited": True},
        "premium_interactions": {
            "entitlement": 1500, "remaining": 634, "percent_remaining": 42.3, "unlimited": False, "has_quota": True,
            "quota_reset_at": 1796083200,  # 2026-12-01 00:00 UTC
        },
    },
}  # fmt: skip


def test_the_users_own_record_is_windows() -> None:
    """An entitlement of 0 beside `unlimited` is no limit here, although the header says -1 (copilot.md 5.2)."""
    told = {w.bucket: (w.left, w.unlimited, w.resets_at, w.source) for w in quota.of_user(USER, NOW)}
    assert told == {
        "chat": (1.0, True, DECEMBER, "usage"),
        "completions": (1.0, True, DECEMBER, "usage"),
        "premium_interactions": (pytest.approx(0.423), False, DECEMBER, "usage"),
    }


@pytest.mark.parametrize(
    ("snapshot", "left"),
    [
        ({"entitlement": 0, "has_quota": False, "percent_remaining": 0.0}, None),  # free seat: none of its own
        ({"entitlement": 0, "has_quota": False, "percent_remaining": 100.0}, None),
        ({"entitlement": 0, "has_quota": False, "unlimited": True}, 0.0),  # pooled seat: the pool is spent
        ({"entitlement": 300, "has_quota": False, "percent_remaining": 3.0}, 0.0),
        ({"entitlement": 300, "percent_remaining": -20}, 0.0),
        ({"entitlement": 200, "remaining": 50}, 0.25),  # 50 / 200
        ({"entitlement": 300}, None),
        ({}, None),
        ("nonsense", None),
    ],
)
def test_the_traps_of_the_record(snapshot: object, left: float | None) -> None:
    found = quota.of_user({"quota_snapshots": {"premium_interactions": snapshot}}, NOW)
    assert [(w.left, w.unlimited) for w in found] == ([] if left is None else [(left, False)])


def test_free_seats_have_an_older_form() -> None:
    user = {
        "limited_user_quotas": {"chat": 10, "completions": 500},
        "monthly_quotas": {"chat": 50, "completions": 2000},
        "limited_user_reset_date": "2026-12-01",
    }
    told = [(w.bucket, w.left, w.resets_at) for w in quota.of_user(user, NOW)]
    assert told == [("chat", 0.2, DECEMBER), ("completions", 0.25, DECEMBER)]  # 10/50, 500/2000


SPENDING = {"entitlement": 300, "percent_remaining": 5.0}


@pytest.mark.parametrize(
    ("user", "gone"),
    [
        (USER, set()),
        ({"quota_snapshots": {"premium_interactions": SPENDING}}, {"chat", "completions"}),
        (
            {
                "quota_snapshots": {
                    "premium_interactions": {"entitlement": 0, "has_quota": False, "percent_remaining": 0.0},
                    "chat": SPENDING,
                    "completions": SPENDING,
                }
            },
            {"premium_interactions"},
        ),
        (
            {"limited_user_quotas": {"chat": 10, "completions": 5}, "monthly_quotas": {"chat": 50, "completions": 10}},
            {"premium_interactions"},
        ),
        # what says nothing
        ({}, set()),
        ({"quota_snapshots": None}, set()),
        ({"quota_snapshots": {}, "limited_user_quotas": None}, set()),
        ({"quota_snapshots": {"chat": SPENDING, "completions": "nonsense"}}, set()),
        ({"quota_snapshots": {"chat": SPENDING, "completions": {"entitlement": 300}}}, set()),
        ({"quota_snapshots": {"chat": {"entitlement": 0, "has_quota": False, "percent_remaining": 0.0}}}, set()),
        ({"limited_user_quotas": {"chat": 10}}, set()),
    ],
)
def test_windows_are_gone_where_a_whole_record_does_not_name_them(user: dict[str, object], gone: set[str]) -> None:
    """Those of hours and of the week stand in headers alone (copilot.md 5.2)."""
    assert set(quota.gone_of_user(user, NOW)) == gone


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["chat", "entitlement", "percent_remaining", "unlimited", "has_quota", "quota_reset_at",
                         "reset_date", "remaining", "x"]), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


@given(_JSON, _JSON)
def test_no_record_makes_it_raise(snapshots: object, resets: object) -> None:
    windows = quota.of_user({"quota_snapshots": snapshots, "quota_reset_date": resets}, NOW)
    assert all(0.0 <= w.left <= 1.0 for w in windows)
    quota.gone_of_user({"quota_snapshots": snapshots, "limited_user_quotas": resets}, NOW)


@given(st.text(), st.text())
def test_no_header_makes_it_raise(name: str, value: str) -> None:
    windows = COPILOT.quota(Headers([(f"x-quota-snapshot-{name}", value), ("x-quota-snapshot-chat", value)]), NOW)
    assert all(0.0 <= w.left <= 1.0 for w in windows)
