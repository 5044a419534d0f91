"""`seatpool forecast`, over a real database; what is said is about the present, so histories end now."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from seatpool.core.model import Account, ProviderName, QuotaWindow
from seatpool.store import Store
from tests.cli.test_cli import good, refused
from tests.cli.test_why import lines

HOUR = timedelta(hours=1)


pytestmark = pytest.mark.usefixtures("own_world")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "pool.db")) as store:
        yield store


def sign_in(store: Store, name: str) -> Account:
    account, _ = store.save_login(
        provider=ProviderName.CODEX,
        identity=name,
        name=name,
        issuer="chatgpt.com",
        credentials=[],
        now=datetime.now(UTC),
    )
    return account


def record(store: Store, account: Account, rate: float, *, days: float, passed: timedelta) -> None:
    """Five-hour periods, used evenly by `rate` an hour; the present one began `passed` ago. Seen every ten minutes."""
    now = datetime.now(UTC)
    began = now - passed
    count = int(days * 24 * 6)
    seen = []
    for step in range(count, -1, -1):
        moment = now - step * HOUR / 6
        periods = (moment - began) // (5 * HOUR)
        start = began + periods * 5 * HOUR
        left = max(1.0 - rate * ((moment - start) / HOUR), 0.0)
        seen.append(QuotaWindow("primary", left, moment, "header", length_s=18_000, resets_at=start + 5 * HOUR))
    store.record(history=[(account.id, w) for w in seen], windows=[(account.id, seen[-1])])


def test_it_says_when_a_window_runs_out_and_between_when(store: Store) -> None:
    # 0.30 an hour, two hours in: 0.40 are left, which last 80 minutes of the three hours to come.
    record(store, sign_in(store, "work"), 0.30, days=4, passed=2 * HOUR)
    (row,) = lines(good("forecast"), "work")
    assert "primary (5 h)" in row and "40%" in row
    assert "in 1 h 19 min" in row or "in 1 h 20 min" in row
    (told,) = json.loads(good("forecast", "--json"))
    runs_out, earliest, latest = (datetime.fromisoformat(told[k]) for k in ("runs_out_at", "earliest", "latest"))
    assert earliest <= runs_out <= latest
    assert abs(runs_out - datetime.now(UTC) - timedelta(minutes=80)) < timedelta(minutes=3)
    assert told["points"] >= 20 and not told["lasts"]


def test_it_says_that_a_window_lasts(store: Store) -> None:
    record(store, sign_in(store, "work"), 0.10, days=4, passed=2 * HOUR)
    (row,) = lines(good("forecast"), "work")
    assert "80%" in row and row.count("lasts") == 2
    (told,) = json.loads(good("forecast", "--json"))
    assert (told["lasts"], told["runs_out_at"], told["earliest"], told["latest"]) == (True, None, None, None)
    assert told["left_at_reset"] == pytest.approx(0.5, abs=0.03)


def test_with_one_observation_the_pace_of_the_period_counts_and_there_is_no_range(store: Store) -> None:
    now, account = datetime.now(UTC), sign_in(store, "work")
    window = QuotaWindow("weekly", 0.2, now, "header", length_s=7 * 86_400, resets_at=now + timedelta(days=5))
    store.record(windows=[(account.id, window)])
    (row,) = lines(good("forecast"), "work")
    assert re.search(r"in 1[12] h", row)
    assert "too little history" in row
    (told,) = json.loads(good("forecast", "--json"))
    assert (told["earliest"], told["left_at_reset_range"], told["points"]) == (None, None, 0)


def test_empty_reset_and_unlimited_windows_are_told_apart(store: Store) -> None:
    now, account = datetime.now(UTC), sign_in(store, "work")
    windows = (
        QuotaWindow("gone", 0.0, now, "header", length_s=18_000, resets_at=now + HOUR),
        QuotaWindow("new", 0.1, now - 2 * HOUR, "header", length_s=18_000, resets_at=now - HOUR),
        QuotaWindow("free", 1.0, now, "header", unlimited=True),
    )
    store.record(windows=[(account.id, window) for window in windows])
    told = good("forecast")
    assert lines(told, "gone", "is empty")
    assert lines(told, "new", "100%", "reset since")
    assert not lines(told, "free")


def test_only_the_named_accounts_are_told(store: Store) -> None:
    for name in ("work", "home", "third"):
        record(store, sign_in(store, name), 0.1, days=0.1, passed=HOUR)
    told = good("forecast", "work", "home")
    assert lines(told, "work") and lines(told, "home") and not lines(told, "third")
    assert "known: home, third, work" in refused("forecast", "wrok")


def test_earlier_forecasts_are_scored(store: Store) -> None:
    record(store, sign_in(store, "work"), 0.15, days=6, passed=2 * HOUR)
    told = good("forecast", "--backtest")
    assert lines(told, "work", "primary", "in an hour", "%")
    assert lines(told, "work", "primary", "at the reset", "%")
    assert "80% is what the range is made for" in told
    (scored,) = json.loads(good("forecast", "--backtest", "--json"))
    for horizon in ("hour", "reset"):
        assert scored["horizons"][horizon]["mean_absolute_error"] < 0.02
        assert scored["horizons"][horizon]["cases"] >= 20


def test_with_little_history_it_says_so_in_place_of_a_score(store: Store) -> None:
    record(store, sign_in(store, "work"), 0.1, days=0.1, passed=2 * HOUR)
    assert len(lines(good("forecast", "--backtest"), "too little history")) == 2
    (scored,) = json.loads(good("forecast", "--backtest", "--json"))
    assert scored["horizons"]["reset"]["mean_absolute_error"] is None


def test_with_nothing_seen_it_says_what_is_missing(store: Store) -> None:
    assert "seatpool account import" in good("forecast")
    sign_in(store, "work")
    assert "no limited window was seen yet" in good("forecast")
    assert json.loads(good("forecast", "--json")) == []
