"""A person's lists of substitutes: what they mean, and what is refused with which words."""

import re

import pytest

from seatpool.core.fallback import NO_FALLBACK, Fallback, read

ENTRIES = ["GPT-5.3-codex: gpt-5.2-codex, gpt-5.1 ,gpt-5.2-codex", "claude-opus-*: claude-sonnet-5; *: gpt-4.1"]


@pytest.mark.parametrize(
    ("asked", "substitutes"),
    [
        ("gpt-5.3-codex", ("gpt-5.2-codex", "gpt-5.1")),
        ("Gpt-5.3-Codex", ("gpt-5.2-codex", "gpt-5.1")),
        ("claude-opus-9", ("claude-sonnet-5",)),
        ("anything", ("gpt-4.1",)),
        ("gpt-4.1", ()),  # it is no substitute for itself
        (None, ()),
    ],
)
def test_the_first_entry_that_fits_decides(asked: str | None, substitutes: tuple[str, ...]) -> None:
    assert read(ENTRIES).of(asked) == substitutes


def test_nothing_written_is_no_fallback() -> None:
    assert read([]) == read(["", " ; "]) == NO_FALLBACK == Fallback()
    assert not NO_FALLBACK
    assert read(ENTRIES)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("gpt-x gpt-y", '"gpt-x gpt-y": say MODEL: SUBSTITUTE, SUBSTITUTE, such as gpt-5.3-codex: '),
        ("gpt-x:", '"gpt-x:": say MODEL: '),
        (": gpt-y", '": gpt-y": say MODEL: '),
        ("gpt-x: gpt-y,, gpt-z", "say MODEL: "),
        ("gpt-x: gpt-*", '"gpt-*" is no model\'s name'),
        ("gpt-x: gpt y", '"gpt y" is no model\'s name'),
        ("gpt x: gpt-y", '"gpt x" is no model\'s name'),
        ("gpt-x: gpt-y; GPT-X: gpt-z", 'there is an entry for "GPT-X" already'),
    ],
)
def test_a_slip_is_told_with_its_entry(told: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        read([told])
