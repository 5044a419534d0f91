"""Requests that are over, as who follows them sees them: each once, in order, with what is known of it."""

import threading

from msgspec.structs import replace

from seatpool.core.ended import Ended
from seatpool.store import Store, Wanted
from tests.store.made import NOW, at, attempt, sign_in

ANY = Wanted()


def over(flow_id: str, account_id: int | None, number: int = 1, first: int = 1, after_s: float = 0) -> Ended:
    return Ended(flow_id, first, number, account_id, at(after_s), 10.0, 2500.0, at(after_s))


def test_the_newest_come_the_oldest_first_and_then_what_follows(store: Store, other: Store) -> None:
    alice, bob = sign_in(store), sign_in(store, "bob", identity="bob")
    assert store.past.newest_ended(ANY, 10) == (0, ())
    store.record(ended=[over(f"flow-{n}", alice.id if n % 2 else bob.id, after_s=n) for n in range(4)])
    place, found = other.past.newest_ended(ANY, 3)
    assert [r.ended.flow_id for r in found] == ["flow-1", "flow-2", "flow-3"]
    assert other.past.ended_after(place, ANY, 10) == (place, ())
    store.record(ended=[over("flow-4", None, 0)])
    place, found = other.past.ended_after(place, ANY, 10)
    assert [r.ended for r in found] == [over("flow-4", None, 0)]
    of_alice = Wanted(frozenset({alice.id}), at(2))
    assert [r.ended.flow_id for r in other.past.newest_ended(of_alice, 10)[1]] == ["flow-3"]


def test_each_has_its_own_attempts_of_a_flow_that_had_several_requests(store: Store) -> None:
    account = sign_in(store)
    store.record(
        attempts=[replace(attempt(account, number, number), flow_id="socket") for number in (1, 2, 3)],
        ended=[over("socket", account.id, 2), over("socket", account.id, 3, 3)],
    )
    _, found = store.past.newest_ended(ANY, 10)
    assert [[a.number for a in r.attempts] for r in found] == [[1, 2], [3]]


def test_whoever_follows_misses_none_and_sees_none_twice_whatever_is_removed_meanwhile(
    store: Store, other: Store
) -> None:
    kept, gone = sign_in(store), [sign_in(store, f"gone-{n}", identity=f"gone-{n}") for n in range(5)]
    wanted = [f"flow-{n}" for n in range(300)]

    def write() -> None:
        for n, flow_id in enumerate(wanted):
            store.record(ended=[over(flow_id, kept.id)])
            if n % 60 == 30:
                account = gone[n // 60]
                store.record(ended=[over(f"of-{account.name}", account.id)])
                store.remove(account.name)  # the newest rows go, and their numbers with them

    writer = threading.Thread(target=write)
    writer.start()
    place, seen, alive = 0, [], True
    while alive:
        alive = writer.is_alive()
        while True:
            before = place
            place, found = other.past.ended_after(place, ANY, 7)
            seen += [r.ended.flow_id for r in found]
            if place == before:
                break
    writer.join()
    assert [flow_id for flow_id in seen if flow_id.startswith("flow-")] == wanted


def test_the_day_is_counted_by_account_and_what_was_never_sent_for_itself(store: Store) -> None:
    alice, bob = sign_in(store), sign_in(store, "bob", identity="bob")
    store.record(
        ended=[
            over("1", alice.id, after_s=-1),  # yesterday
            over("2", alice.id),
            over("3", alice.id, 2, after_s=5),
            over("4", bob.id, after_s=6),
            over("5", None, 0, after_s=7),
            over("6", bob.id, 0, after_s=8),  # it was revoked, so nothing was sent
        ]
    )
    assert store.seen(at(60), NOW).today == {alice.id: 2, bob.id: 1, None: 2}
    store.prune(before=at(1))
    assert [r.ended.flow_id for r in store.past.newest_ended(ANY, 9)[1]] == ["3", "4", "5", "6"]
