"""Who waits is served in turn by conversation, and within one as they came."""

from hypothesis import given
from hypothesis import strategies as st

from seatpool.core.fairness import Fair


def order(queue: Fair[int]) -> list[int]:
    """Everybody, each served as soon as it is first."""
    served = []
    while len(queue):
        conversation, item = next(iter(queue))
        queue.serve(conversation, item)
        served.append(item)
    return served


def filled(*items: tuple[str, int]) -> Fair[int]:
    queue: Fair[int] = Fair()
    for conversation, item in items:
        queue.add(conversation, item)
    return queue


def test_a_conversation_with_many_delays_another_by_one_place() -> None:
    assert order(filled(("a", 1), ("a", 2), ("a", 3), ("b", 4), ("c", 5), ("b", 6))) == [1, 4, 5, 2, 6, 3]


def test_everybody_is_asked_in_that_order() -> None:
    queue = filled(("a", 1), ("a", 2), ("b", 3))
    assert [item for _, item in queue] == [1, 3, 2]


def test_one_that_cannot_be_served_now_keeps_its_place() -> None:
    queue = filled(("a", 1), ("b", 2), ("a", 3))
    queue.serve("b", 2)
    assert order(queue) == [1, 3]


def test_who_leaves_is_gone_and_may_leave_again() -> None:
    queue = filled(("a", 1), ("b", 2))
    queue.discard("a", 1)
    queue.discard("a", 1)
    queue.discard("nobody", 1)
    assert (len(queue), order(queue)) == (1, [2])


Arrivals = st.lists(st.tuples(st.sampled_from("abcd"), st.integers()), unique_by=lambda pair: pair[1], max_size=40)


@given(Arrivals)
def test_nobody_is_lost_and_each_conversation_keeps_its_order(arrivals: list[tuple[str, int]]) -> None:
    served = order(filled(*arrivals))
    assert sorted(served) == sorted(item for _, item in arrivals)
    for conversation in "abcd":
        own = [item for name, item in arrivals if name == conversation]
        assert [item for item in served if item in own] == own


@given(Arrivals)
def test_between_two_of_one_conversation_every_other_that_waits_has_its_turn(arrivals: list[tuple[str, int]]) -> None:
    whose = {item: conversation for conversation, item in arrivals}
    served = [whose[item] for item in order(filled(*arrivals))]
    for place, conversation in enumerate(served):
        following = served[place + 1 :]
        if conversation in following:
            assert set(following[: following.index(conversation)]) == set(following) - {conversation}
