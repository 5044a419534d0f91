import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatpool.core.model import Account, ProviderName, QuotaWindow
from seatpool.core.scoring import Standing
from seatpool.core.state import PoolState
from seatpool.providers.codex import CODEX
from seatpool.providers.codex.quota import gone_of_usage, windows_of_event, windows_of_usage
from seatpool.providers.http import Headers
from tests.providers.codex.codex_material import NOW, NOW_S, at

# The capture of codex.md 3.1; its reset lies 471285 s after its own moment.
CAPTURED = datetime.fromtimestamp(1773860656 - 471285, NOW.tzinfo)
CAPTURE = {
    "x-codex-active-limit": "codex",
    "x-codex-plan-type": "free",
    "x-codex-primary-used-percent": "100",
    "x-codex-primary-window-minutes": "10080",
    "x-codex-primary-reset-after-seconds": "471285",
    "x-codex-primary-reset-at": "1773860656",
    "x-codex-secondary-used-percent": "0",
    "x-codex-secondary-window-minutes": "0",
    "x-codex-secondary-reset-after-seconds": "0",
    "x-codex-secondary-reset-at": "",
    "x-codex-primary-over-secondary-limit-percent": "0",
    "x-codex-credits-has-credits": "False",
    "x-codex-credits-unlimited": "False",
    "x-codex-credits-balance": "",
}


def headers(**fields: str) -> Headers:
    return Headers((name.replace("_", "-"), value) for name, value in fields.items())


def test_the_captured_refusal_has_one_window_and_it_is_a_week() -> None:
    """Its second window is zero minutes long, which is upstream's way to say that there is none."""
    assert CODEX.quota(Headers(CAPTURE.items()), CAPTURED) == (
        QuotaWindow(
            "primary",
            0.0,
            CAPTURED,
            "header",
            length_s=604800,  # 10080 min
            resets_at=datetime.fromtimestamp(1773860656, NOW.tzinfo),
        ),
        QuotaWindow.none("secondary", CAPTURED, "header"),
    )


def test_of_a_limit_that_shows_no_window_at_all_nothing_is_known() -> None:
    """An answer may come without numbers; which windows there are is then for a question for usage to tell."""
    none = {
        f"x-codex-{slot}-{what}": "0"
        for slot in ("primary", "secondary")
        for what in ("used-percent", "window-minutes")
    }
    assert CODEX.quota(Headers(none.items()), NOW) == ()
    unlimited = CODEX.quota(Headers({**none, "x-codex-credits-unlimited": "True"}.items()), NOW)
    assert [w.bucket for w in unlimited] == ["credits"]
    assert windows_of_event({"rate_limits": {"primary": None, "secondary": None}}, NOW) == ()


@pytest.mark.parametrize("way", ["header", "event"])
def test_the_week_of_before_counts_no_more_where_the_answers_tell_one_window(way: str) -> None:
    """As in July 2026, when the five hours went and the week came to stand in their place (can1357/oh-my-pi issue
    10929): an account that is asked all the time is not asked for its usage, so its answers are all that tells."""
    state = PoolState()
    state.put(Account(1, ProviderName.CODEX, "a", "i", "chatgpt.com"), NOW)
    spent = QuotaWindow("secondary", 0.0, NOW, "header", length_s=604800, resets_at=at(4 * 86400))
    state.observe(1, [QuotaWindow("primary", 0.5, NOW, "header", length_s=18000, resets_at=at(3600)), spent], NOW)
    assert state.score(1, NOW).standing is Standing.EXHAUSTED
    week = {"used_percent": 1, "window_minutes": 10080, "reset_at": NOW_S + 604800}
    one = {f"x-codex-primary-{name.replace('_', '-')}": str(value) for name, value in week.items()}
    other = {"x-codex-secondary-used-percent": "0", "x-codex-secondary-window-minutes": "0"}
    told = {
        "header": CODEX.quota(Headers({**one, **other}.items()), at(1)),
        "event": windows_of_event({"rate_limits": {"primary": week, "secondary": None}}, at(1)),
    }
    state.observe(1, told[way], at(1))
    assert (state.score(1, at(1)).standing, state.score(1, at(1)).main) == (Standing.LIMITED, "primary")


def test_an_additional_limit_has_windows_under_its_own_name() -> None:
    found = CODEX.quota(
        headers(
            X_Codex_Bengalfox_Primary_Used_Percent="25.5",
            X_Codex_Bengalfox_Primary_Window_Minutes="300",
            X_Codex_Bengalfox_Limit_Name="GPT-5.3-Codex-Spark",
            X_Codex_Secondary_Used_Percent="40",
            X_Codex_Secondary_Window_Minutes="10080",
            X_Codex_Secondary_Reset_After_Seconds="90",
        ),
        NOW,
    )
    assert found == (
        QuotaWindow("codex_bengalfox/primary", 0.745, NOW, "header", length_s=18000),
        QuotaWindow("secondary", 0.6, NOW, "header", length_s=604800, resets_at=at(90)),
    )


# As two answers of one account told it, three seconds apart (fawney19/Aether issue 746); resets put after NOW.
SPARKS_OWN = {
    "x-codex-bengalfox-limit-name": "GPT-5.3-Codex-Spark",
    "x-codex-bengalfox-primary-used-percent": "22",
    "x-codex-bengalfox-primary-window-minutes": "300",
    "x-codex-bengalfox-secondary-used-percent": "11",
    "x-codex-bengalfox-secondary-window-minutes": "10080",
}
SPARK = {
    **SPARKS_OWN,
    "x-codex-active-limit": "codex_bengalfox",
    "x-codex-primary-used-percent": "22",
    "x-codex-primary-window-minutes": "300",
    "x-codex-secondary-used-percent": "11",
    "x-codex-secondary-window-minutes": "10080",
}
SOL = {
    **SPARKS_OWN,
    "x-codex-active-limit": "premium",
    "x-codex-primary-used-percent": "50",
    "x-codex-primary-window-minutes": "10080",
    "x-codex-secondary-used-percent": "0",
    "x-codex-secondary-window-minutes": "0",
}


@pytest.mark.parametrize(
    ("answer", "main"),
    [
        (SPARK, {}),
        (SOL, {"primary": 0.5}),
        (SPARK | {"x-codex-active-limit": "codex-bengalfox"}, {}),
        (SPARK | {"x-codex-active-limit": "codex"}, {"primary": 0.78, "secondary": 0.89}),
        (SPARK | {"x-codex-active-limit": ""}, {"primary": 0.78, "secondary": 0.89}),
        # Whose they are is not told by a name that has no windows of its own.
        (SOL | {"x-codex-active-limit": "codex_other"}, {"primary": 0.5}),
    ],
)
def test_windows_without_a_name_are_of_the_limit_that_was_drawn_on(
    answer: dict[str, str], main: dict[str, float]
) -> None:
    """So a request on a model's own limit says nothing of what everybody else has left."""
    found = {w.bucket: w.left for w in CODEX.quota(Headers(answer.items()), NOW) if not w.gone}
    own = {"codex_bengalfox/primary": 0.78, "codex_bengalfox/secondary": 0.89}
    assert found == pytest.approx({**main, **own})


def test_unlimited_credits_are_read_from_a_python_boolean() -> None:
    assert CODEX.quota(headers(x_codex_credits_unlimited="True"), NOW) == (
        QuotaWindow("credits", 1.0, NOW, "header", unlimited=True),
    )


@pytest.mark.parametrize(
    ("used", "left"),
    [("0", 1.0), ("100", 0.0), ("150", 0.0), ("-5", 1.0), ("12.5", 0.875), ("x", None), ("", None), ("nan", None)],
)
def test_shares(used: str, left: float | None) -> None:
    found = CODEX.quota(headers(x_codex_primary_used_percent=used), NOW)
    assert [w.left for w in found] == ([] if left is None else [left])


@pytest.mark.parametrize(
    ("reset_at", "resets_at"),
    [
        (str(NOW_S + 60), at(60)),
        (str(NOW_S), at(0)),  # has reset just now
        (str(NOW_S - 5), at(-5)),
        (str(NOW_S - 36 * 86400), None),  # none that has just ended
        ("-1", None),
        (str(NOW_S * 1000), at(35 * 86400)),  # milliseconds: cut to what any plan can mean, 35 days
        ("inf", None),
        ("soon", None),
    ],
)
def test_resets(reset_at: str, resets_at: datetime | None) -> None:
    found = CODEX.quota(headers(x_codex_primary_used_percent="1", x_codex_primary_reset_at=reset_at), NOW)
    assert [w.resets_at for w in found] == [resets_at]


def test_a_reset_that_has_passed_by_our_clock_alone_is_ahead() -> None:
    """By the time from now on that is told beside it."""
    primary = {"x_codex_primary_used_percent": "100", "x_codex_primary_reset_at": str(NOW_S - 5)}
    found = CODEX.quota(headers(**primary, x_codex_primary_reset_after_seconds="60"), NOW)
    assert [w.resets_at for w in found] == [at(60)]


def test_an_event_tells_of_a_window_that_has_reset() -> None:
    window = {"used_percent": 100, "window_minutes": 300, "reset_at": NOW_S - 5}
    (found,) = windows_of_event({"rate_limits": {"primary": window}}, NOW)
    assert found.resets_at == found.empty_until == at(-5)


def test_an_event_tells_of_a_reset_from_now_on_as_well() -> None:
    """As captured, with its second window: the time of day counts for nothing where our clock is ahead."""
    window = {"used_percent": 0, "window_minutes": 10080, "reset_after_seconds": 604739, "reset_at": NOW_S - 5}
    limits = {"allowed": True, "limit_reached": False, "primary": window, "secondary": None}
    event = {"type": "codex.rate_limits", "plan_type": "plus", "rate_limits": limits, "additional_rate_limits": None}
    assert windows_of_event(event, NOW) == (
        QuotaWindow("primary", 1.0, NOW, "frame", length_s=604800, resets_at=at(604739)),
        QuotaWindow.none("secondary", NOW, "frame"),
    )


def test_the_rate_limits_event() -> None:
    """The payload of codex.md 3.2, with its resets put after NOW."""
    event = {
        "type": "codex.rate_limits",
        "plan_type": "plus",
        "metered_limit_name": "codex",
        "limit_name": None,
        "rate_limits": {
            "primary": {"used_percent": 55, "window_minutes": 300, "reset_at": NOW_S + 100},
            "secondary": {"used_percent": 9, "window_minutes": 10080, "reset_at": NOW_S + 200},
        },
        "credits": {"has_credits": False, "unlimited": False, "balance": None},
    }
    assert windows_of_event(event, NOW) == (
        QuotaWindow("primary", pytest.approx(0.45), NOW, "frame", length_s=18000, resets_at=at(100)),
        QuotaWindow("secondary", pytest.approx(0.91), NOW, "frame", length_s=604800, resets_at=at(200)),
    )
    event["metered_limit_name"] = "codex_bengalfox"
    assert [w.bucket for w in windows_of_event(event, NOW)] == ["codex_bengalfox/primary", "codex_bengalfox/secondary"]
    event["metered_limit_name"] = "codex\x1b[2J\n-fox"
    assert [w.bucket for w in windows_of_event(event, NOW)] == ["codex_[2j__fox/primary", "codex_[2j__fox/secondary"]


USAGE_PLUS = {
    "user_id": "user-aaa",
    "account_id": "1111-aaaa",
    "plan_type": "plus",
    "rate_limit": {
        "allowed": True,
        "limit_reached": False,
        "primary_window": {
            "used_percent": 33,
            "limit_window_seconds": 18000,
            "reset_after_seconds": 16481,
            "reset_at": NOW_S + 16481,
        },
        "secondary_window": {"used_percent": 5, "limit_window_seconds": 604800, "reset_after_seconds": 603281},
    },
    "code_review_rate_limit": None,
    "additional_rate_limits": [
        {
            "limit_name": "GPT-5.3-Codex-Spark-Preview",
            "metered_feature": "codex_bengalfox",
            "rate_limit": {
                "allowed": True,
                "limit_reached": False,
                "primary_window": {"used_percent": 0, "limit_window_seconds": 18000, "reset_after_seconds": 18000},
                "secondary_window": None,
            },
        }
    ],
    "credits": {"has_credits": False, "unlimited": False, "balance": "0"},
}


def test_the_usage_payload() -> None:
    assert windows_of_usage(json.dumps(USAGE_PLUS).encode(), NOW) == (
        QuotaWindow("primary", pytest.approx(0.67), NOW, "usage", length_s=18000, resets_at=at(16481)),
        QuotaWindow("secondary", pytest.approx(0.95), NOW, "usage", length_s=604800, resets_at=at(603281)),
        QuotaWindow("codex_bengalfox/primary", 1.0, NOW, "usage", length_s=18000, resets_at=at(18000)),
    )


def test_a_reached_limit_empties_the_fullest_window_whatever_its_percentage() -> None:
    limit = {**USAGE_PLUS["rate_limit"], "limit_reached": True}  # type: ignore[dict-item]
    found = windows_of_usage(json.dumps({"rate_limit": limit}).encode(), NOW)
    assert [(w.bucket, w.left) for w in found] == [("primary", 0.0), ("secondary", pytest.approx(0.95))]


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ({"allowed": True, "limit_reached": False}, 0.005),
        ({"allowed": True, "limit_reached": True}, 0.0),
        ({"allowed": False, "limit_reached": False}, 0.0),
        ({}, 0.0),
    ],
)
def test_who_is_served_at_a_hundred_percent_has_something_left(said: dict[str, bool], left: float) -> None:
    """A workspace's account was seen to be served so (can1357/oh-my-pi issue 7617)."""
    limit = {**said, "primary_window": {"used_percent": 100, "limit_window_seconds": 604800, "reset_at": NOW_S + 99}}
    usage = {"rate_limit": limit, "additional_rate_limits": [{"metered_feature": "codex_x", "rate_limit": limit}]}
    found = windows_of_usage(json.dumps(usage).encode(), NOW)
    assert [(w.bucket, w.left) for w in found] == [("primary", left), ("codex_x/primary", left)]
    assert [w.empty_until is None for w in found] == [left > 0] * 2, "a model's own limit keeps it out only where spent"


@pytest.mark.parametrize(
    "usage",
    [b"", b"<html>", b"[]", b'{"rate_limit":null,"additional_rate_limits":null,"credits":null}', b'{"rate_limit":[]}'],
)
def test_a_plan_without_windows_has_none(usage: bytes) -> None:
    assert windows_of_usage(usage, NOW) == ()


CREDITS = {"plan_type": "business", "credits": {"has_credits": True, "unlimited": True}}
NULL = {"primary_window": None, "secondary_window": None}


@pytest.mark.parametrize(
    ("usage", "gone"),
    [
        (USAGE_PLUS, {"codex_bengalfox/secondary", "credits"}),
        ({**CREDITS, "rate_limit": None}, {"primary", "secondary"}),
        ({**CREDITS, "rate_limit": {"primary_window": {"used_percent": 1}, "secondary_window": None}}, {"secondary"}),
        (
            {**CREDITS, "additional_rate_limits": [{"metered_feature": "codex_x", "rate_limit": None}, {}, 7]},
            {"codex_x/primary", "codex_x/secondary"},
        ),
        ({**CREDITS, "credits": None}, {"credits"}),
        # what says nothing
        (CREDITS, set()),
        ({**CREDITS, "rate_limit": {}}, set()),
        ({**CREDITS, "rate_limit": [], "additional_rate_limits": 3, "credits": "none"}, set()),
        ({**CREDITS, "rate_limit": {"primary_window": {"used_percent": "?"}, "secondary_window": 7}}, set()),
        ({"plan_type": "business"}, set()),
        ({**CREDITS, "credits": {"unlimited": None}}, set()),
        ({"rate_limit": None, "credits": None}, set()),
        ({**CREDITS, "plan_type": 7, "rate_limit": NULL}, set()),
    ],
)
def test_windows_are_gone_where_an_answer_says_so_and_nowhere_else(usage: dict[str, object], gone: set[str]) -> None:
    assert set(gone_of_usage(usage)) == gone


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from([*CAPTURE, "retry-after", "x-codex-credits-unlimited", "X-A-Primary-Used-Percent", ""])
VALUES = st.text(max_size=12) | st.floats().map(str) | st.integers().map(str)


@given(st.lists(st.tuples(NAMES | st.text(max_size=40), VALUES), max_size=6))
def test_headers_of_any_kind_are_read_without_an_error(fields: list[tuple[str, str]]) -> None:
    for window in CODEX.quota(Headers(fields), NOW):
        assert 0.0 <= window.left <= 1.0
        assert window.resets_at is None or at(-35 * 86400) <= window.resets_at <= at(35 * 86400)
        assert window.length_s is None or 0 < window.length_s < 2**63


@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("metered_limit_name", "limit_name", "credits", "rate_limits"), ODD)
    ),
    ODD,
    ODD,
)
def test_payloads_of_any_kind_are_read_without_an_error(event: dict[str, object], used: object, reset: object) -> None:
    windows_of_event(event, NOW)
    windows_of_event({"rate_limits": {"primary": {"used_percent": used, "reset_at": reset}}}, NOW)
    limit = {"primary_window": {"used_percent": used, "reset_at": reset, "limit_window_seconds": used}}
    usage = {"rate_limit": limit, "additional_rate_limits": [{"metered_feature": used, "rate_limit": limit}, used]}
    windows_of_usage(json.dumps({**event, **usage}).encode(), NOW)
    gone_of_usage({**event, **usage, "plan_type": "plus"})


BUDGET = {"source": "group_based_spend_controls", "limit": "25000", "used": "24000", "used_percent": 96}
CONTROL = {"reached": False, "individual_limit": {**BUDGET, "reset_after_seconds": 86_400, "reset_at": NOW_S + 86_400}}
FULL = {**CONTROL, "individual_limit": {**BUDGET, "used_percent": 100, "reset_at": NOW_S + 86_400}}


@pytest.mark.parametrize(
    ("control", "left"),
    [
        (CONTROL, [0.04]),
        (FULL, [0.005]),
        ({**CONTROL, "reached": True}, [0.0]),
        ({"reached": True, "individual_limit": None}, []),
        (None, []),
    ],
    ids=["some is left", "rounded", "spent", "none for the person", "nobody controls it"],
)
def test_a_workspaces_budget_for_a_person_counts_where_there_are_no_windows(control: object, left: list[float]) -> None:
    usage = {"plan_type": "business", "rate_limit": None, "spend_control": control}
    found = windows_of_usage(json.dumps(usage).encode(), NOW)
    assert [w.left for w in found] == pytest.approx(left)
    assert all((w.bucket, w.length_s, w.resets_at) == ("primary", 30 * 86_400, at(86_400)) for w in found)
    beside = windows_of_usage(json.dumps({**USAGE_PLUS, "spend_control": control}).encode(), NOW)
    assert beside == windows_of_usage(json.dumps(USAGE_PLUS).encode(), NOW)
