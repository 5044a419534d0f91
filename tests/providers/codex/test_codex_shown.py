"""Other numbers in the place of those that came, read back by what reads upstream's own."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatpool.core.model import QuotaWindow
from seatpool.core.shown import Shown
from seatpool.providers.codex import shown
from seatpool.providers.codex.quota import windows_of_event, windows_of_headers, windows_of_usage
from seatpool.providers.http import Headers
from tests.providers.codex.codex_material import NOW

HOURS, WEEK = 18000, 604800
SPARK = "codex_bengalfox/primary"


def window(bucket: str, left: float, length_s: int | None = HOURS, ends_s: float | None = 3600) -> QuotaWindow:
    ends = NOW + timedelta(seconds=ends_s) if ends_s is not None else None
    return QuotaWindow(bucket, left, NOW, "frame", length_s=length_s, resets_at=ends)


def show(*windows: QuotaWindow, plan: str | None = "plus") -> Shown:
    return Shown({w.bucket: w for w in windows}, NOW, plan)


def told(windows: tuple[QuotaWindow, ...]) -> dict[str, tuple[int, int | None, object]]:
    """Percent left, length and end by bucket."""
    return {w.bucket: (round(100 * w.left), w.length_s, w.resets_at) for w in windows if not w.gone}


MINE = show(window("primary", 0.75), window("secondary", 0.4, WEEK, 90000))
SPENT = show(window("primary", 0.0, WEEK, 5000))
BOTH = show(window("primary", 0.31), window("secondary", 1.0, WEEK, None), window(SPARK, 0.5))
CAME = [
    ("content-type", "text/event-stream"),
    ("X-Codex-Active-Limit", "codex"),
    ("x-codex-plan-type", "free"),
    ("X-Codex-Primary-Used-Percent", "63"),
    ("x-codex-primary-window-minutes", "10080"),
    ("x-codex-primary-reset-after-seconds", "471285"),
    ("x-codex-primary-over-secondary-limit-percent", "0"),
    ("x-codex-credits-has-credits", "True"),
    ("x-codex-credits-balance", "12.5"),
    ("x-codex-rate-limit-reached-type", "rate_limit_reached"),
    ("x-codex-bengalfox-primary-used-percent", "9"),
    ("x-request-id", "r1"),
]
KEPT = [("content-type", "text/event-stream"), ("X-Codex-Active-Limit", "codex"), ("x-request-id", "r1")]
SILENT = frozenset({"content-type", "X-Codex-Active-Limit", "x-request-id", "x-codex-plan-type"})


@pytest.mark.parametrize("mine", [MINE, SPENT, BOTH])
def test_the_head_of_an_answer_tells_the_other_windows_and_no_number_that_came(mine: Shown) -> None:
    found = shown.head(CAME, mine)
    expected = {k: v for k, v in told(tuple(mine.windows.values())).items() if k != SPARK or mine is BOTH}
    assert told(windows_of_headers(Headers(found), NOW)) == expected
    assert [pair for pair in found if pair in KEPT] == KEPT
    assert ("x-codex-plan-type", "plus") in found
    assert not {"12.5", "63", "9", "471285", "free", "rate_limit_reached"} & {value for _, value in found}


def test_of_what_nothing_is_known_the_head_is_silent() -> None:
    assert shown.head(CAME, Shown({}, NOW)) == KEPT
    assert shown.head(KEPT, MINE) == KEPT, "nothing is told where nothing came"


EVENT: dict[str, Any] = {
    "type": "codex.rate_limits",
    "plan_type": "pro",
    "metered_limit_name": "codex",
    "limit_name": None,
    "rate_limits": {"primary": {"used_percent": 55, "window_minutes": 300, "reset_at": 4}, "secondary": None},
    "credits": {"has_credits": True, "unlimited": False, "balance": "7"},
}


@pytest.mark.parametrize("mine", [MINE, SPENT])
def test_the_event_of_limits_tells_the_other_windows(mine: Shown) -> None:
    found = shown.message(json.dumps(EVENT).encode(), mine)
    assert found is not None
    event = json.loads(found)
    assert told(windows_of_event(event, NOW)) == told(tuple(mine.windows.values()))
    assert list(event) == list(EVENT)
    assert (event["metered_limit_name"], event["plan_type"], event["credits"]) == ("codex", "plus", None)


@pytest.mark.parametrize(("limit", "passes"), [("codex", True), ("codex_bengalfox", False)])
def test_an_event_of_a_limit_of_which_nothing_is_known_is_left_out(limit: str, passes: bool) -> None:
    found = shown.message(json.dumps({**EVENT, "metered_limit_name": limit}).encode(), MINE)
    assert (found is not None) is passes


def test_headers_inside_of_a_message_are_headers() -> None:
    message = {"type": "response.metadata", "headers": dict(CAME), "more": [1]}
    found = shown.message(json.dumps(message).encode(), MINE)
    assert found is not None
    assert json.loads(found) == {**message, "headers": dict(shown.head(CAME, MINE))}


@pytest.mark.parametrize(
    "content",
    [
        b'{"type":"response.output_text.delta","delta":"used_percent"}',
        b'{"type":"response.completed","response":{"text":"used_percent"}}',
        (
            b'{"type":"error","status_code":429,"error":{"type":"usage_limit_reached"},'
            b'"headers":{"X-Codex-Primary-Used-Percent":"100"}}'
        ),
        b'{"type":"response.failed","used_percent":1}',
        b'{"type":"response.metadata","headers":{"x-codex-turn-state":"s"}}',
        b"used_percent",
        b"[]",
    ],
)
def test_every_other_message_is_the_very_same(content: bytes) -> None:
    assert shown.message(content, MINE) is content


USAGE = (
    b'{ "user_id":"user-aaa", "account_id":"1111-aaaa","email":"a@example.com","plan_type":"plus",'
    b'"rate_limit":{"allowed":false,"limit_reached":true,'
    b'"primary_window":{"used_percent":100,"limit_window_seconds":18000,"reset_after_seconds":9,"reset_at":1},'
    b'"secondary_window":null},"code_review_rate_limit":null,'
    b'"additional_rate_limits":[{"limit_name":"Spark","metered_feature":"codex_bengalfox","rate_limit":'
    b'{"allowed":true,"limit_reached":false,"primary_window":{"used_percent":0,"limit_window_seconds":18000},'
    b'"secondary_window":null}}],"credits":{"has_credits":false,"unlimited":false,"balance":"0"},'
    b'"rate_limit_reached_type":{"type":"rate_limit_reached"},"promo":null}'
)


@pytest.mark.parametrize("mine", [MINE, SPENT, BOTH])
def test_a_look_up_has_other_numbers_and_says_of_the_same_person_whether_anything_is_left(mine: Shown) -> None:
    found = shown.look_up(USAGE, mine)
    expected = told(tuple(mine.windows.values()))
    windows = told(windows_of_usage(found, NOW))
    if mine is BOTH:  # a whole window without an end ends a length from now
        expected["secondary"] = (100, WEEK, NOW + timedelta(seconds=WEEK))
    else:
        assert windows.pop(SPARK)[0] == 100, "nothing is known of it: the person's own number stays"
    assert windows == expected
    before, after = json.loads(USAGE), json.loads(found)
    assert list(after) == list(before)
    numbers = {"rate_limit", "additional_rate_limits", "rate_limit_reached_type"}
    assert {k: v for k, v in after.items() if k not in numbers} == {k: v for k, v in before.items() if k not in numbers}
    assert after["rate_limit"]["limit_reached"] is (mine is SPENT)
    assert after["rate_limit"]["allowed"] is (mine is not SPENT)
    assert (after["rate_limit_reached_type"] is None) is (mine is not SPENT)
    assert found[: found.index(b'"rate_limit"')] == USAGE[: USAGE.index(b'"rate_limit"')]


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b"<html>", b'{"rate_limit":null}', b'{"rate_limit":7}', b'{"additional_rate_limits":3}'],
)
def test_what_is_no_look_up_stays(content: bytes) -> None:
    assert shown.look_up(content, MINE) is content


@pytest.mark.parametrize(
    ("method", "path", "asks"),
    [
        ("GET", "/backend-api/wham/usage", True),
        ("GET", "/backend-api/wham/usage?x=1", True),
        ("POST", "/backend-api/wham/usage", False),
        ("GET", "/backend-api/wham/usage/thread_usage/query", False),
    ],
)
def test_who_asks_for_usage(method: str, path: str, asks: bool) -> None:
    assert shown.looks_up(method, path) is asks


@pytest.mark.parametrize(("left", "used"), [(1.0, "0"), (0.996, "0"), (0.004, "99"), (0.001, "99"), (0.0, "100")])
def test_only_nothing_left_is_all_of_it_used(left: float, used: str) -> None:
    found = Headers(shown.head(CAME, show(window("primary", left))))
    assert found.get("x-codex-primary-used-percent") == used


def test_what_a_pool_has_left_is_put_together_by_length() -> None:
    """A free account's first window is a week; beside a paid one it counts to the weeks."""
    paid = [window("primary", 0.2), window("secondary", 0.9, WEEK), window(SPARK, 0.3)]
    free = [window("primary", 0.5, WEEK), QuotaWindow("credits", 1.0, NOW, "header", unlimited=True)]
    found = shown.pooled([("plus", paid), ("free", free)], NOW)
    assert {b: (round(w.left, 2), w.length_s) for b, w in found.items() if b != "credits"} == {
        "primary": (0.2, HOURS),
        "secondary": (0.7, WEEK),  # (0.9 + 0.5) / 2
        SPARK: (0.3, HOURS),
    }
    assert all(w.bucket == bucket for bucket, w in found.items())
    assert found["credits"].unlimited
    assert dict(shown.pooled([("free", free[:1])], NOW)) == {"primary": free[0]}


@given(st.binary() | st.builds(lambda b: b'{"type":"codex.rate_limits","used_percent":' + b, st.binary()))
def test_no_nonsense_is_too_much(content: bytes) -> None:
    shown.message(content, MINE)
    shown.look_up(content, MINE)
