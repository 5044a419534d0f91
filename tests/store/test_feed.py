"""What one store writes, another on the same file hears of."""

from collections.abc import Callable

import pytest

from seatpool.core.model import CredentialKind, Scope, ScopeKind
from seatpool.store import Changes, Store
from tests.store.made import NOW, at, attempt, cooldown, oauth, sign_in, window

MODEL = Scope(ScopeKind.MODEL, "gpt")


def test_a_first_read_is_full_and_holds_everything(store: Store, other: Store) -> None:
    account = sign_in(store, credentials=[oauth()])
    held = store.cool(cooldown(account, 60))
    store.record(windows=[(account.id, window(0, 0.5))])
    assert other.changes(None) == Changes(
        revision=store.revision(),
        full=True,
        accounts=(account,),
        cooldowns=(held,),
        cleared=(),
        windows=((account.id, window(0, 0.5)),),
        generations={(account.id, CredentialKind.CODEX_OAUTH): 1},
    )


def test_later_reads_hold_only_what_is_new(store: Store, other: Store) -> None:
    first = sign_in(store, "first", identity="1", credentials=[oauth()])
    second = sign_in(store, "second", identity="2", credentials=[oauth()])
    seen = other.changes(None).revision
    store.save_credential(second.id, oauth(2), now=NOW)
    paused = store.set_paused("first", True, NOW)
    news = other.changes(seen)
    assert not news.full
    assert news.accounts == (paused,)
    assert news.generations == {(second.id, CredentialKind.CODEX_OAUTH): 2}
    assert (news.cooldowns, news.cleared, news.windows) == ((), (), ())
    assert first.id == paused.id


def test_nothing_new_is_nothing(store: Store) -> None:
    sign_in(store)
    assert store.changes(store.revision()) == Changes(store.revision(), False, (), (), (), (), {})


def test_a_removal_makes_the_next_read_full_and_only_that(store: Store, other: Store) -> None:
    sign_in(store, "a", identity="a")
    kept = sign_in(store, "b", identity="b")
    seen = other.changes(None).revision
    store.remove("a")
    after = other.changes(seen)
    assert after.full
    assert after.accounts == (kept,)
    assert not other.changes(after.revision).full


def test_a_reader_ahead_of_the_database_reads_everything_anew(store: Store) -> None:
    """The file was replaced by an older copy."""
    assert store.changes(store.revision() + 1).full


def test_a_lifted_cooldown_is_told_once(store: Store, other: Store) -> None:
    account = sign_in(store)
    store.cool(cooldown(account, 60, scope=MODEL))
    seen = other.changes(None).revision
    assert store.clear_cooldowns() == 1
    news = other.changes(seen)
    assert (news.cooldowns, news.cleared) == ((), ((account.id, MODEL),))
    assert other.changes(news.revision).cleared == ()


def test_a_cooldown_lifted_and_set_anew_between_two_reads_is_told_as_both(store: Store, other: Store) -> None:
    """Without the lifting, a reader that never shortens would keep the longer one."""
    account = sign_in(store)
    store.cool(cooldown(account, 600))
    seen = other.changes(None).revision
    store.clear_cooldowns(account.id)
    shorter = store.cool(cooldown(account, 60))
    news = other.changes(seen)
    assert (news.cooldowns, news.cleared) == ((shorter,), ((account.id, shorter.scope),))


QUIET: dict[str, Callable[[Store, int], object]] = {
    "attempts": lambda store, _: store.record(attempts=[attempt(store.account("work"), 0)]),
    "last use": lambda store, account_id: store.record(used={account_id: NOW}),
    "a lease": lambda store, _: store.acquire("key", "me", now=NOW, until=at(60)),
    "pruning": lambda store, _: store.prune(before=at(1e6)),
    "a shorter cooldown": lambda store, _: store.cool(cooldown(store.account("work"), 1)),
    "the same cooldown": lambda store, _: store.cool(cooldown(store.account("work"), 60)),
    "the same plan": lambda store, account_id: store.set_plan(account_id, None),
    "the same pause": lambda store, _: store.set_paused("work", False, NOW),
    "the same priority": lambda store, _: store.set_priority("work", 100),
    "nothing lifted": lambda store, _: store.clear_cooldowns(account_id=999),
}


@pytest.mark.parametrize("what", QUIET)
def test_what_others_need_not_hear_of_makes_no_revision(store: Store, what: str) -> None:
    account = sign_in(store)
    store.cool(cooldown(account, 60))
    before = store.revision()
    QUIET[what](store, account.id)
    assert store.revision() == before


LOUD: dict[str, Callable[[Store, int], object]] = {
    "a window": lambda store, account_id: store.record(windows=[(account_id, window(0, 0.5))]),
    "a credential": lambda store, account_id: store.save_credential(account_id, oauth(), now=NOW),
    "a cooldown": lambda store, _: store.cool(cooldown(store.account("work"), 60)),
    "a login": lambda store, _: sign_in(store),
    "a plan": lambda store, account_id: store.set_plan(account_id, "pro"),
    "a pause": lambda store, _: store.set_paused("work", True, NOW),
    "a disabling": lambda store, account_id: store.disable(account_id, "revoked", NOW),
    "a name": lambda store, _: store.rename("work", "home"),
    "a removal": lambda store, _: store.remove("work"),
}


@pytest.mark.parametrize("what", LOUD)
def test_what_others_must_hear_of_makes_a_revision(store: Store, other: Store, what: str) -> None:
    account = sign_in(store)
    before = other.revision()
    LOUD[what](store, account.id)
    assert other.revision() > before
