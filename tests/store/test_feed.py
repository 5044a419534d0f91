"""What one store writes, another on the same file hears of."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from msgspec.structs import replace
from sqlalchemy import delete, update

from seatpool.core.model import Account, Affinity, CredentialKind, Scope, ScopeKind
from seatpool.store import Changes, Store, UnknownAccount, feed, schema
from seatpool.store.rows import cooldowns
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


def test_moves_of_conversations_are_told_once(store: Store, other: Store) -> None:
    account = sign_in(store)
    seen = other.changes(None).revision
    store.record(affinities=[Affinity("talk", account.id, at(1))])
    news = other.changes(seen)
    assert (news.affinities, news.full) == ((Affinity("talk", account.id, at(1)),), False)
    assert other.changes(news.revision).affinities == ()
    assert store.news(seen).affinities == (), "who wrote it knows it"


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
    "a lease": lambda store, _: store.acquire("key", "me", timedelta(minutes=1)),
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


TOLD: dict[str, Callable[[Store, Account], object]] = {
    "a window": lambda store, account: store.record(windows=[(account.id, window(0, 0.5))]),
    "a cooldown": lambda store, account: store.cool(cooldown(account, 60)),
    "a credential": lambda store, account: store.save_credential(account.id, oauth(), now=NOW),
    "one after the other": lambda store, account: [TOLD[what](store, account) for what in list(TOLD)[:3]],
}


@pytest.mark.parametrize("what", TOLD)
def test_what_a_process_wrote_itself_is_no_news_to_it_and_all_the_more_to_others(
    store: Store, other: Store, what: str
) -> None:
    account = sign_in(store)
    before = store.revision()
    TOLD[what](store, account)
    assert store.news(before) == feed.nothing(store.revision())
    assert other.news(before) == other.changes(before) != feed.nothing(other.revision())


def test_what_another_process_wrote_before_between_or_after_is_news(store: Store, other: Store) -> None:
    account = sign_in(store)
    revisions = [store.revision()]
    for number, writer in enumerate([store, other, store, store, other]):
        writer.cool(cooldown(account, 60 + number))
        revisions.append(store.revision())
    is_news = {(since, store.news(since) != feed.nothing(revisions[-1])) for since in revisions}
    assert is_news == {(since, since < revisions[-1]) for since in revisions}  # the last was another's
    store.cool(cooldown(account, 99))
    assert store.news(revisions[-1]) == feed.nothing(store.revision())
    assert store.news(revisions[-2]) == store.changes(revisions[-2])


def test_what_a_person_or_an_issuer_changed_is_news_whoever_wrote_it(store: Store) -> None:
    """A process keeps no copy of what these return."""
    for what in ("a login", "a plan", "a pause", "a disabling", "a name", "a removal"):
        account = sign_in(store)
        store.cool(cooldown(account, 60))
        before = store.revision()
        LOUD[what](store, account.id)
        assert store.news(before) == store.changes(before) != feed.nothing(store.revision()), what
        sign_in(store, explicit_name=True)


def test_a_write_that_came_to_nothing_is_not_taken_for_ones_own(store: Store, other: Store) -> None:
    """The number that it had taken goes to the next, whoever that is."""
    account = sign_in(store)
    before = store.revision()
    with pytest.raises(UnknownAccount):
        store.cool(cooldown(replace(account, id=99), 60))
    other.cool(cooldown(account, 60))
    assert store.news(before).cooldowns == store.cooldowns(NOW)


def test_numbers_that_come_again_are_not_taken_for_ones_own(store: Store, other: Store) -> None:
    """As where an older copy was put back, or who stands in for a server has not got its last changes."""
    account = sign_in(store)
    before = store.revision()
    for number in range(3):
        store.cool(cooldown(account, 60 + number))
    since = store.news(before).revision
    with other._db.write() as db:
        db.execute(delete(schema.cooldowns))
        db.execute(update(schema.feed).values(revision=before))
    again = store.news(since)
    assert again.full and again.revision == before
    other.cool(cooldown(account, 60))
    assert store.news(before).cooldowns == (cooldown(account, 60),)


def test_a_write_that_began_before_a_server_was_lost_is_not_taken_for_ones_own(store: Store) -> None:
    """It may have got its number of the server of before, and who reads has asked another one since."""
    account = sign_in(store)
    seen = store.revision()
    with store._db.write(told=True) as db:
        cooldowns.cool(db, cooldown(account, 60))
        store._db._engine.raw_connection().invalidate()
        assert store.news(seen) == store.changes(None)
    assert store.news(seen).cooldowns == (cooldown(account, 60),)
    store.cool(cooldown(account, 90))
    assert store.news(seen + 1) == feed.nothing(seen + 2), "what is written from now on is"


def test_threads_that_write_and_follow_at_once_miss_nothing_of_others(store: Store, other: Store) -> None:
    """Two followers, each of which knows what its own store wrote: together they know everything."""
    account = sign_in(store)
    start = store.revision()

    def write(number: int) -> None:
        (store, other)[number % 2].cool(cooldown(account, 60, scope=Scope(ScopeKind.MODEL, str(number))))

    def follow(follower: Store) -> set[str]:
        since, seen = start, set()
        while since < start + 60:
            news = follower.news(since)
            assert not news.full
            seen |= {held.scope.value for held in news.cooldowns}
            since = news.revision
        return seen

    with ThreadPoolExecutor(6) as threads:
        following = [threads.submit(follow, follower) for follower in (store, other)]
        list(threads.map(write, range(60)))
    evens, odds = ({str(n) for n in range(60) if n % 2 == parity} for parity in (0, 1))
    assert following[0].result() >= odds
    assert following[1].result() >= evens
