"""Who gave out what: known for a while, for so many of them, and nobody's once its account is gone."""

import random

from seatpool.core.provenance import NOBODY, PLACES, SHELVES, Provenance

NOW = 1_800_000_000.0
DAY_S = 86_400.0
MONTH_S = 30 * DAY_S


def test_what_was_learnt_is_known_until_it_is_too_long_ago() -> None:
    known = Provenance()
    assert not known
    assert known.giver(7, NOW, MONTH_S) is None
    assert known.learn([7, 8], 1, NOW) == (7, 8)
    assert known
    assert [known.giver(key, NOW, MONTH_S) for key in (7, 8, 9)] == [1, 1, None]
    assert known.giver(7, NOW + MONTH_S + 60, MONTH_S) is None


def test_only_what_is_new_is_told() -> None:
    known = Provenance()
    known.learn([7], 1, NOW)
    assert known.learn([7, 8], 1, NOW) == (8,)
    assert known.learn([7, 8], 2, NOW) == (7, 8), "another account has it now"
    assert known.giver(7, NOW, MONTH_S) == 2


def test_it_holds_fifty_thousand_and_then_forgets_what_is_oldest() -> None:
    known, chance = Provenance(), random.Random(1)
    keys = [chance.getrandbits(64) for _ in range(50_000)]
    for number, key in enumerate(keys):
        known.learn([key], 1, NOW + 60 * number)
    there = [known.giver(key, NOW, 1e9) == 1 for key in keys]
    assert sum(there) > 0.9 * len(keys), "shelves fill unevenly"
    assert all(there[-5000:])


def test_nothing_is_forgotten_while_there_is_room_for_more_shelves() -> None:
    known, chance = Provenance(), random.Random(2)
    keys = [chance.getrandbits(64) for _ in range(8_000)]
    for number, key in enumerate(keys):
        known.learn([key], 1 + number % 3, NOW + 60 * number)
    assert [known.giver(key, NOW, 1e9) for key in keys] == [1 + number % 3 for number in range(len(keys))]
    assert known.learn(keys[-100:], 4, NOW + 60 * 9_000) == tuple(keys[-100:])
    assert {known.giver(key, NOW, 1e9) for key in keys[-100:]} == {4}


def test_on_a_full_shelf_the_oldest_makes_room() -> None:
    known = Provenance()
    keys = [1 + SHELVES * number for number in range(PLACES + 1)]
    for number, key in enumerate(keys):
        known.learn([key], 1, NOW + 60 * number)
    assert [known.giver(key, NOW, 1e9) for key in keys] == [None] + [1] * PLACES


def test_a_removed_accounts_are_nobodys_here() -> None:
    known = Provenance()
    known.learn([7], 1, NOW)
    known.learn([8], 2, NOW)
    known.forget_all_but({2})
    assert [known.giver(key, NOW, MONTH_S) for key in (7, 8)] == [NOBODY, 2]
