"""What a value shows of itself."""

import msgspec

from seatpool.core.silence import silent


class Letter(msgspec.Struct, frozen=True):
    to: str
    text: str
    sealed: bool = True

    __repr__ = silent("text")


def test_a_silent_field_is_neither_in_repr_nor_in_str() -> None:
    letter = Letter("bob", "the secret")
    assert repr(letter) == str(letter) == f"{letter}" == "Letter(to='bob', sealed=True)"
    assert "the secret" not in repr([letter, {"letter": letter}])


def test_a_silent_field_counts_when_values_are_compared() -> None:
    assert Letter("bob", "one") != Letter("bob", "other")
