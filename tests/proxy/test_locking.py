"""Options are held at what is locked, through mitmproxy's own means, and are what they were once it is cleared."""

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from mitmproxy import exceptions
from mitmproxy.test import taddons

from seatpool.core.locks import LOCKABLE, PREFIX, Lock
from seatpool.proxy.faults import Faults
from seatpool.proxy.locking import Locking
from seatpool.proxy.options import OPTIONS
from seatpool.service.flows.rulebook import RuleBook

AT = datetime(2026, 11, 21, tzinfo=UTC)
OURS = '[[rule]]\nname = "ours"\nonly = "bob"\n'
THEIRS = '[[rule]]\nname = "theirs"\nclient = "neovim"\nonly = "alice"\n\n[[rule]]\nname = "more"\nprefer = "bob"\n'


class Follower:
    """An addon that follows options, and refuses what is locked, as the pool does."""

    def __init__(self) -> None:
        self.locking: Locking | None = None
        self.seen: list[set[str]] = []

    def configure(self, updated: set[str]) -> None:
        self.seen.append(updated & {option.name for option in OPTIONS})
        if self.locking is not None:
            self.locking.check(updated)


@pytest.fixture
def follower() -> Follower:
    return Follower()


@pytest.fixture
def options(follower: Follower) -> Iterator[Any]:
    with taddons.context() as context:
        for option in OPTIONS:
            context.options.add_option(option.name, option.typespec, option.default, option.help, option.choices)
        context.master.addons.add(follower)
        yield context.options


@pytest.fixture
def book(tmp_path: Path) -> RuleBook:
    book = RuleBook()
    (tmp_path / "rules.toml").write_text(OURS)
    book.load(str(tmp_path / "rules.toml"))
    return book


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Faults:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return Faults()


@pytest.fixture
def locking(options: Any, follower: Follower, book: RuleBook, faults: Faults) -> Locking:
    follower.locking = Locking(book, faults)
    return follower.locking


def locks(**values: str) -> dict[str, Lock]:
    return {name: Lock(name, value, "ann", AT) for name, value in values.items()}


def names(book: RuleBook) -> Sequence[str]:
    return [rule.name for rule in book.rules.rules]


@pytest.mark.parametrize("name", LOCKABLE)
def test_what_can_be_locked_is_an_option_with_these_values(name: str) -> None:
    (option,) = [each for each in OPTIONS if each.name == PREFIX + name]
    if option.typespec is bool:
        assert set(LOCKABLE[name]) == {"true", "false"}
    else:
        assert option.typespec is str and set(LOCKABLE[name]) == set(option.choices or get_args(option.typespec))


def test_a_lock_is_followed_kept_and_given_back(options: Any, follower: Follower, locking: Locking) -> None:
    follower.seen.clear()
    locking.take(locks(rotate_on_limit="false", on_failure="block"))
    assert (options.pool_rotate_on_limit, options.pool_on_failure) == (False, "block")
    assert follower.seen == [{"pool_rotate_on_limit", "pool_on_failure"}], "whoever follows options has heard of it"
    with pytest.raises(exceptions.OptionsError, match="pool_on_failure is locked to block by ann: seatpool lock list"):
        options.update(pool_on_failure="passthrough")
    assert options.pool_on_failure == "block"
    options.update(pool_strategy="drain", pool_on_failure="block")
    locking.take(locks(on_failure="block"))
    assert (options.pool_rotate_on_limit, options.pool_on_failure) == (True, "block")
    options.update(pool_rotate_on_limit=False)
    locking.take({})
    options.update(pool_on_failure="passthrough")
    assert (options.pool_rotate_on_limit, options.pool_strategy) == (False, "drain")


def test_what_is_set_here_is_told_not_to_count_and_counts_again_afterwards(
    options: Any, locking: Locking, faults: Faults, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    options.update(pool_rotate_on_limit=True, pool_strategy="drain")
    locking.take(locks(rotate_on_limit="false", strategy="drain", usage_poll="false"))
    assert sorted(caplog.messages) == [
        "action=locked option=pool_rotate_on_limit value=false by=ann here=true: what is set here does not count",
        "action=locked option=pool_strategy value=drain by=ann",
        "action=locked option=pool_usage_poll value=false by=ann",
    ]
    (told,) = faults._told
    assert told.startswith("pool_rotate_on_limit=true does not count here, ann has locked it to false: seatpool lock")
    caplog.clear()
    locking.take(locks(rotate_on_limit="false", strategy="quota"))
    assert options.pool_usage_poll is True
    assert len(faults._told) == 2, "drain is overruled as well by now"
    locking.take({})
    assert (options.pool_rotate_on_limit, options.pool_strategy, faults._told) == (True, "drain", {})
    caplog.clear()
    locking.take(locks(usage_poll="false"))
    assert caplog.messages == ["action=locked option=pool_usage_poll value=false by=ann"], "nobody has ever set it"


def test_locked_rules_take_the_place_of_the_files_until_they_are_cleared(
    locking: Locking, book: RuleBook, faults: Faults, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    locking.take(locks(rules=THEIRS))
    assert (names(book), book.title) == (["theirs", "more"], "locked rules")
    assert caplog.messages == [
        f"action=locked option=pool_rules value=team by=ann here={book.path}: what is set here does not count"
    ]
    (told,) = faults._told
    assert told == f"the rules in {book.path} do not count, ann has locked others: seatpool lock list"
    book.path.write_text("")
    book.load(str(book.path))
    assert names(book) == ["theirs", "more"], "an edit of the file changes nothing now"
    locking.take(locks(rules="[[rule]]\nonyl = 1\n"))
    assert names(book) == ["theirs", "more"], "what a newer version understands, this one does not guess at"
    assert "action=rules-kept" in caplog.text
    locking.take({})
    assert (names(book), book.title, faults._told) == ([], "rules.toml", {})


def test_what_a_newer_version_locks_is_told_and_changes_nothing(
    options: Any, locking: Locking, caplog: pytest.LogCaptureFixture
) -> None:
    locking.take(locks(speed="11", on_failure="explode"))
    assert options.pool_on_failure == "passthrough"
    assert [line.partition(":")[0] for line in caplog.messages] == [
        "action=lock-unknown name=speed by=ann",
        "action=lock-unknown name=on_failure by=ann",
    ]
