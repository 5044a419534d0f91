"""Guesses at a limit's length, and the limits that they hide."""

from datetime import UTC, datetime, timedelta

import pytest

from seatpool.core.guesses import Guesses
from seatpool.core.model import WHOLE_ACCOUNT, Cooldown

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
GUESSED, TOLD = True, False


def cooldown(made_s: float, until_s: float, reason: str = "told") -> Cooldown:
    made, until = NOON + timedelta(seconds=made_s), NOON + timedelta(seconds=until_s)
    return Cooldown(1, WHOLE_ACCOUNT, reason, until, made)


T20, T30, G60, G90 = cooldown(0, 20), cooldown(2, 30), cooldown(1, 60, "guess"), cooldown(3, 90, "guess")


@pytest.mark.parametrize(
    ("met", "guessed", "hidden"),
    [
        ([(G60, GUESSED)], True, None),
        ([(T20, TOLD)], False, None),
        ([(T20, TOLD), (G60, GUESSED)], True, T20),
        ([(G60, GUESSED), (T30, TOLD)], True, T30),
        ([(T20, TOLD), (G60, GUESSED), (T30, TOLD)], True, T30),
        ([(T20, TOLD), (G60, GUESSED), (G90, GUESSED)], True, T20),
        ([(T20, TOLD), (G60, GUESSED), (cooldown(4, 10), TOLD)], True, T20),
        ([(G60, GUESSED), (G90, GUESSED)], True, None),
        ([(G90, GUESSED), (G60, GUESSED)], True, None),
        ([(G60, GUESSED), (cooldown(5, 300), TOLD)], False, None),
        ([(T20, TOLD), (cooldown(1, 15, "guess"), GUESSED)], False, None),
        ([(T20, TOLD), (cooldown(25, 80, "guess"), GUESSED)], True, None),
    ],
)
def test_a_guess_that_is_taken_back_leaves_the_limit_with_a_time_that_it_hid(
    met: list[tuple[Cooldown, bool]], guessed: bool, hidden: Cooldown | None
) -> None:
    guesses, held = Guesses(), None
    for each, kind in met:
        guesses.note(each, held, guessed=kind)
        held = each if held is None or held.until < each.until else held
    assert held is not None
    assert guesses.take_back(held) == (guessed, hidden)
    assert guesses.take_back(held) == (False, None)


def test_what_somebody_else_has_put_in_its_place_is_no_guess_of_ours() -> None:
    guesses = Guesses()
    guesses.note(G60, None, guessed=True)
    assert guesses.take_back(G90) == (False, None)
    guesses.note(cooldown(9, 100, "guess"), G90, guessed=True)
    assert guesses.take_back(cooldown(9, 100, "guess")) == (True, G90)
