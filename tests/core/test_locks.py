"""What can be locked, and to what."""

from datetime import UTC, datetime

import pytest

from seatpool.core.locks import LOCKABLE, LONGEST_RULES, Lock, as_option, checked

AT = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "value", "stored"),
    [
        ("rotate_on_limit", "false", ("rotate_on_limit", "false")),
        ("pool_rotate_on_limit", " FALSE ", ("rotate_on_limit", "false")),
        ("On_Failure", "block", ("on_failure", "block")),
        ("strategy", "round-robin", ("strategy", "round-robin")),
        ("on_failure", None, ("on_failure", None)),
        ("rules", "[[rule]]\n", ("rules", "[[rule]]\n")),
        ("pool_rules", None, ("rules", None)),
    ],
)
def test_names_and_values_are_taken_as_they_are_typed(name: str, value: str | None, stored: tuple[str, str]) -> None:
    assert checked(name, value) == stored


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("db", "x", "cannot be locked; there are: rotate_on_limit"),
        ("pool_person", "ann", "cannot be locked; there are"),
        ("rotate_on_limit", "maybe", "say one of: false, true"),
        ("on_failure", "", "say one of: passthrough, block"),
        ("rules", "x" * (LONGEST_RULES + 1), "too long"),
    ],
)
def test_what_cannot_be_locked_is_refused_with_what_can(name: str, value: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        checked(name, value)


@pytest.mark.parametrize(
    ("name", "value", "option"),
    [
        ("rotate_on_limit", "false", False),
        ("rotate_on_limit", "true", True),
        ("on_failure", "block", "block"),
        ("on_failure", None, None),
        ("on_failure", "explode", None),  # of a newer version
        ("speed", "11", None),
        ("rules", "[[rule]]", None),
    ],
)
def test_a_lock_is_the_value_of_an_option_where_this_version_knows_it(
    name: str, value: str | None, option: object
) -> None:
    assert as_option(Lock(name, value, "ann", AT)) == option


def test_every_lockable_option_can_be_locked_to_each_of_its_values() -> None:
    for name, values in LOCKABLE.items():
        assert [checked(name, value) for value in values] == [(name, value) for value in values]
        assert len({as_option(Lock(name, value, "ann", AT)) for value in values}) == len(values) > 1
