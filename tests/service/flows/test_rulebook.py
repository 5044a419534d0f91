"""The rules as their file says them now: edits, slips, files that come and go; and what conversations told before."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from seatpool.core.model import CredentialKind, ProviderName
from seatpool.providers.base import RequestFacts, Route
from seatpool.service.flows.rulebook import RuleBook, RulesError, default_path

ACME = "github.com/acme/widgets"
ONE = '[[rule]]\nname = "one"\nrepository = "github.com/acme/*"\nonly = "work"\n'
TWO = '[[rule]]\nname = "two"\nonly = "home"\n'
WRONG = '[[rule]]\nname = "two"\nonyl = "home"\n'
POST = Route(ProviderName.CODEX, "responses", "api")
SOCKET = replace(POST, websocket=True)
FACTS = RequestFacts(POST, (CredentialKind.CODEX_OAUTH,), "gpt-x", "talk")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rules.toml"


@pytest.fixture
def book(path: Path) -> RuleBook:
    path.write_text(ONE)
    book = RuleBook()
    book.load(str(path))
    return book


def names(book: RuleBook) -> list[str]:
    return [rule.name for rule in book.rules.rules]


def looked(book: RuleBook) -> list[str] | None:
    """What two looks find, as the second takes what the first saw settled."""
    first = book.look()
    assert first is None, "what has just changed is not read yet"
    rules = book.look()
    return None if rules is None else [rule.name for rule in rules.rules]


def edit(path: Path, text: str) -> None:
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 1_000_000, before + 1_000_000))


def test_an_edit_is_read_once_it_is_still(book: RuleBook, path: Path) -> None:
    assert book.look() is None
    edit(path, "")
    assert book.look() is None, "an editor may be in the middle of writing"
    edit(path, TWO)
    assert looked(book) == ["two"]
    assert book.look() is None


def test_a_mistake_is_told_once_with_its_line(book: RuleBook, path: Path) -> None:
    edit(path, WRONG)
    book.look()
    with pytest.raises(RulesError) as wrong:
        book.look()
    assert str(wrong.value) == f"{path}:1: " + wrong.value.lines[0].partition(": ")[2] + " (and 1 more)"
    assert wrong.value.lines[1].startswith(f'{path}:3: rule "two": unknown key "onyl"')
    assert book.look() is None
    edit(path, TWO)
    assert looked(book) == ["two"]


def test_a_file_that_is_gone_leaves_its_rules_in_force(book: RuleBook, path: Path) -> None:
    path.unlink()
    with pytest.raises(RulesError, match="it is gone; an empty file would mean no rules"):
        book.look()
    assert book.look() is None
    assert names(book) == ["one"]
    edit(path, TWO)
    assert looked(book) == ["two"]


def test_a_file_that_is_named_must_be_there(path: Path) -> None:
    with pytest.raises(RulesError, match=rf"{path}: No such file"):
        RuleBook().load(str(path))
    with pytest.raises(RulesError, match=r"~no-such-user/rules\.toml: no user of this machine"):
        RuleBook().load("~no-such-user/rules.toml")


def test_what_cannot_be_read_leaves_everything_as_it_was(book: RuleBook, path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(WRONG)
    with pytest.raises(RulesError, match=rf"{other}:"):
        book.load(str(other))
    with pytest.raises(RulesError, match="Is a directory"):
        book.load(str(tmp_path))
    assert (names(book), book.path) == (["one"], path)


def test_the_default_file_may_come_later(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    book = RuleBook()
    book.load()
    assert (names(book), book.look()) == ([], None)
    default_path().parent.mkdir(parents=True, exist_ok=True)
    default_path().write_text(TWO)
    assert looked(book) == ["two"]


@pytest.fixture
async def followed(book: RuleBook) -> AsyncIterator[RuleBook]:
    book.start()
    yield book
    await book.stop()


async def until(book: RuleBook, expected: list[str]) -> None:
    async with asyncio.timeout(10):
        while names(book) != expected:
            await asyncio.sleep(0.02)


async def test_a_running_proxy_follows_edits_and_keeps_the_last_good_ones(
    followed: RuleBook, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    edit(path, WRONG)
    async with asyncio.timeout(10):
        while "action=rules-kept" not in caplog.text:
            await asyncio.sleep(0.02)
    assert names(followed) == ["one"]
    edit(path, TWO)
    await until(followed, ["two"])
    kept = [record.getMessage() for record in caplog.records if "rules-kept" in record.getMessage()]
    assert len(kept) == 1
    assert f"reason={path}:1: " in kept[0]


# -- what requests and conversations tell


def decided(book: RuleBook, facts: RequestFacts) -> str | None:
    rule = book.of(facts)
    return rule and rule.name


def test_a_conversation_that_told_its_repository_need_not_say_it_again(book: RuleBook) -> None:
    assert decided(book, FACTS) is None
    assert decided(book, replace(FACTS, repositories=(ACME,))) == "one"
    assert decided(book, FACTS) == "one"
    assert decided(book, replace(FACTS, conversation="other")) is None
    assert decided(book, replace(FACTS, conversation=None)) is None
    assert decided(book, replace(FACTS, repositories=("github.com/bob/x",))) is None
    assert decided(book, FACTS) is None, "it has moved to another repository"


def test_a_handshake_ahead_of_its_turn_waits_where_a_rule_may_bind_it(book: RuleBook) -> None:
    early = replace(FACTS, route=SOCKET, early=True)
    pending = book.pending(early)
    assert pending is not None and pending.name == "one"
    assert book.pending(replace(early, early=False)) is None
    book.of(replace(FACTS, repositories=("github.com/bob/x",)))
    assert book.pending(early) is None, "by now it is known where it works"


def test_who_is_sent_away_from_a_socket_comes_back_with_what_it_asked(path: Path) -> None:
    path.write_text('[[rule]]\nname = "one"\nmodel = "o3"\nonly = "work"\n')
    book = RuleBook()
    book.load(str(path))
    socket = replace(FACTS, route=SOCKET)
    book.again(replace(socket, model="o3"))
    assert decided(book, FACTS) is None, "not a handshake"
    assert decided(book, socket) == "one", "although the handshake still says another model"
    assert decided(book, socket) is None


def test_what_is_new_in_a_conversation_is_new_once(book: RuleBook) -> None:
    told = replace(FACTS, repositories=(ACME,))
    assert (book.new_here(FACTS), book.new_here(told)) == (False, True)
    book.of(told)
    assert book.new_here(told) is False
