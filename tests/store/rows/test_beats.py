"""What each process has under way, as the others read it."""

from datetime import timedelta

from seatpool.core.model import UnderWay
from seatpool.core.slots import EXPIRES
from seatpool.store import Store
from tests.store.made import NOW, at, sign_in


def told(store: Store) -> tuple[UnderWay, ...] | None:
    return store.changes(None).under_way


def test_a_beat_replaces_the_one_before_and_no_other_process_s(store: Store, other: Store) -> None:
    one, two = (sign_in(store, name, identity=name).id for name in ("one", "two"))
    store.record(under_way=UnderWay("a", NOW, {one: 1, two: 2}))
    other.record(under_way=UnderWay("b", NOW, {one: 5}))
    store.record(under_way=UnderWay("a", at(1), {two: 3}))
    assert told(other) == (UnderWay("a", at(1), {two: 3}), UnderWay("b", NOW, {one: 5}))


def test_others_hear_of_a_beat_and_who_wrote_it_does_not(store: Store, other: Store) -> None:
    account = sign_in(store).id
    seen = other.changes(None).revision
    beat = UnderWay("a", NOW, {account: 1})
    store.record(under_way=beat)
    news = other.news(seen)
    assert (news.under_way, news.full, news.accounts) == ((beat,), False, ())
    assert store.news(seen).under_way is None


def test_the_end_of_the_last_request_leaves_no_row_and_others_hear_of_it(store: Store, other: Store) -> None:
    account = sign_in(store).id
    store.record(under_way=UnderWay("a", NOW, {account: 1}))
    seen = other.changes(None).revision
    store.record(under_way=UnderWay("a", at(1), {}))
    assert other.news(seen).under_way == ()


def test_a_beat_takes_away_the_rows_of_processes_that_are_dead(store: Store) -> None:
    account = sign_in(store).id
    store.record(under_way=UnderWay("dead", NOW, {account: 1}))
    store.record(under_way=UnderWay("alive", at(1), {account: 1}))
    late = NOW + EXPIRES + timedelta(milliseconds=1)
    store.record(under_way=UnderWay("me", late, {}))
    assert told(store) == (UnderWay("alive", at(1), {account: 1}),)
