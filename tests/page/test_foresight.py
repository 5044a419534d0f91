"""Forecasts come at once where they are few, and one after the other where they are many."""

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from seatpool.page import foresight
from seatpool.page.foresight import Foresight
from seatpool.service.telling import reporting
from seatpool.store import Store
from tests.store.made import sign_in, window

NOW = datetime.now(UTC)


def observe(store: Store, name: str, left: float = 0.5) -> None:
    account = sign_in(store, name, identity=name)
    seen = msgspec.structs.replace(window(0, left), observed_at=NOW, resets_at=NOW + timedelta(hours=1))
    store.record(windows=[(account.id, seen)])


def told(seer: Foresight, store: Store) -> list[str] | None:
    made = seer.look(store, reporting.read(store, NOW))
    return sorted(each["account"] for each in json.loads(made)) if made is not None else None


def test_a_few_come_at_once_and_then_not_for_a_while(store: Store) -> None:
    seer = Foresight()
    assert seer.told == b"[]"
    observe(store, "work")
    observe(store, "home")
    assert told(seer, store) == ["home", "work"]
    assert told(seer, store) is None
    assert json.loads(seer.told)[0]["account"]


def test_a_window_that_is_new_is_told_at_once_and_an_account_that_went_no_more(store: Store) -> None:
    seer = Foresight()
    observe(store, "work")
    assert told(seer, store) == ["work"]
    observe(store, "home")
    assert told(seer, store) == ["home", "work"]
    store.remove("work")
    seer.look(store, reporting.read(store, NOW))
    assert [each["account"] for each in json.loads(seer.told)] == ["home"]


def test_many_come_one_after_the_other(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foresight, "AT_ONCE_S", 0.0)
    monkeypatch.setattr(foresight, "AT_MOST", 1e9)
    for number in range(3):
        observe(store, f"seat{number}")
    seer = Foresight()
    assert [told(seer, store) for _ in range(3)] == [["seat0"], ["seat0", "seat1"], ["seat0", "seat1", "seat2"]]
