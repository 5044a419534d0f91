"""The days of a person are those of their time zone, also those on which clocks are changed."""

import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from pathlib import Path

import pytest

from seatpool.clock import here
from seatpool.service.telling import reporting
from seatpool.store import Store

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no tzset")


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("now", "midnight"),
    [
        (datetime(2026, 3, 29, 12, tzinfo=UTC), datetime(2026, 3, 28, 23, tzinfo=UTC)),  # summer began at two o'clock
        (datetime(2026, 10, 25, 12, tzinfo=UTC), datetime(2026, 10, 24, 22, tzinfo=UTC)),  # and ended at three
        (datetime(2026, 12, 31, 23, 30, tzinfo=UTC), datetime(2026, 12, 31, 23, tzinfo=UTC)),  # it is the next year
    ],
)
def test_today_begins_at_midnight_though_the_clocks_were_changed_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: datetime, midnight: datetime
) -> None:
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")
    with Store.open(str(tmp_path / "pool.db")) as store:
        assert reporting.read(store, now).today_since == midnight


@pytest.mark.usefixtures("berlin")
def test_a_time_of_a_day_is_by_the_clocks_of_then() -> None:
    assert here(date(2026, 10, 25), time_of_day(1)) == datetime(2026, 10, 24, 23, tzinfo=UTC)
    assert here(date(2026, 10, 25), time_of_day(14)) == datetime(2026, 10, 25, 13, tzinfo=UTC)
