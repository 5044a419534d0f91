"""Credentials, cooldowns, observations and leases, each through a real file."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from freezegun import freeze_time
from msgspec.structs import replace

from seatpool.clock import utcnow
from seatpool.core.model import (
    Account,
    Affinity,
    Attempt,
    Cooling,
    Credential,
    CredentialKind,
    QuotaWindow,
    Scope,
    ScopeKind,
    Tokens,
)
from seatpool.store import Grant, Lease, Store, Superseded
from seatpool.store.schema import as_text
from tests.harness.elapsing import elapse, start_anew
from tests.store.made import NOW, at, attempt, cooldown, oauth, sign_in, window
from tests.store.served import fresh

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def test_a_credential_comes_back_whole_with_its_generation(store: Store, other: Store) -> None:
    account = sign_in(store, credentials=[oauth()])
    assert other.credentials(account.id) == {CredentialKind.CODEX_OAUTH: replace(oauth(), generation=1)}


def test_all_credentials_can_be_read_at_once(store: Store, other: Store) -> None:
    first = sign_in(store, credentials=[oauth()])
    token = Credential(CredentialKind.COPILOT_TOKEN, "tid=FAKESECRET")
    store.save_credential(first.id, token, now=NOW)
    assert other.every_credential() == {first.id: store.credentials(first.id)}
    assert len(other.every_credential()[first.id]) == 2


def test_a_credential_without_refresh_token_or_expiry_comes_back_so(store: Store) -> None:
    bare = Credential(CredentialKind.GITHUB_OAUTH, "gho_FAKESECRET")
    account = sign_in(store, credentials=[bare])
    assert store.credentials(account.id)[bare.kind] == replace(bare, generation=1)


def test_each_renewal_grows_the_generation_of_its_kind(store: Store) -> None:
    account = sign_in(store, credentials=[oauth()])
    renewed = store.save_credential(account.id, oauth(2), now=NOW)
    assert renewed == replace(oauth(2), generation=2)
    minted = store.save_credential(account.id, Credential(CredentialKind.COPILOT_TOKEN, "tid=FAKESECRET"), now=NOW)
    assert minted.generation == 1
    sign_in(store, credentials=[oauth(3)])
    assert store.credentials(account.id) == {
        CredentialKind.CODEX_OAUTH: replace(oauth(3), generation=3),
        CredentialKind.COPILOT_TOKEN: minted,
    }


def test_a_credential_is_saved_with_the_release_of_its_lease(store: Store) -> None:
    account = sign_in(store)
    lease = Lease("renew", "me")
    assert store.acquire(lease.key, lease.owner, MINUTE)
    store.save_credential(account.id, oauth(), now=NOW, release=lease)
    assert store.acquire(lease.key, "another", MINUTE)


# the generation that is stored, the one that the caller takes it to be, whether the caller's is saved
EXPECTATIONS = [(0, 0, True), (0, 1, False), (1, 1, True), (1, 0, False), (2, 1, False), (2, 2, True), (2, None, True)]


@pytest.mark.parametrize(("stored", "expected", "saved"), EXPECTATIONS)
def test_a_renewal_replaces_only_the_credential_that_it_renewed(
    store: Store, other: Store, stored: int, expected: int | None, saved: bool
) -> None:
    """A process that was stalled must not put its own over a newer login. Its lease ends either way."""
    account = sign_in(store)
    for number in range(1, stored + 1):
        other.save_credential(account.id, oauth(number), now=NOW)
    lease = Lease("renew", "me")
    store.acquire(lease.key, lease.owner, MINUTE)
    before = store.changes(None)
    if saved:
        late = store.save_credential(account.id, oauth(9), now=NOW, release=lease, expected=expected)
        assert store.credentials(account.id) == {late.kind: replace(oauth(9), generation=stored + 1)}
    else:
        with pytest.raises(Superseded, match="codex-oauth"):
            store.save_credential(account.id, oauth(9), now=NOW, release=lease, expected=expected)
        assert store.changes(None) == before
    assert store.acquire(lease.key, "another", MINUTE)


# until of the held, until of the new, which is in force (seconds from now)
LENGTHS = [(60, 30, 60), (60, 60, 60), (60, 90, 90)]


@pytest.mark.parametrize(("held", "new", "in_force"), LENGTHS)
def test_a_cooldown_is_never_shortened(store: Store, other: Store, held: int, new: int, in_force: int) -> None:
    account = sign_in(store)
    store.cool(cooldown(account, held))
    effective = other.cool(cooldown(account, new, reason="new"))
    assert effective.until == at(in_force)
    assert store.cooldowns(NOW) == (effective,)


def test_cooldowns_of_different_scopes_stand_beside_each_other(store: Store) -> None:
    account = sign_in(store)
    scopes = [Scope(), Scope(ScopeKind.MODEL, "m"), Scope(ScopeKind.BUCKET, "m")]
    set_ = tuple(store.cool(cooldown(account, 60 + n, scope=scope)) for n, scope in enumerate(scopes))
    assert store.cooldowns(NOW) == set_


def test_a_cooldown_is_over_at_its_very_moment(store: Store) -> None:
    held = store.cool(cooldown(sign_in(store), 60))
    assert store.cooldowns(at(60) - timedelta(microseconds=1)) == (held,)
    assert store.cooldowns(at(60)) == ()


def test_lifting_ends_the_cooldowns_of_one_account_or_of_all(store: Store) -> None:
    a, b = (sign_in(store, name, identity=name) for name in "ab")
    store.cool(cooldown(a, 60))
    kept = store.cool(cooldown(b, 60))
    assert store.clear_cooldowns(a.id) == 1
    assert store.cooldowns(NOW) == (kept,)
    assert store.clear_cooldowns() == 1
    assert store.clear_cooldowns() == 0


def test_a_lifted_cooldown_can_be_set_anew_even_shorter(store: Store) -> None:
    account = sign_in(store)
    store.cool(cooldown(account, 60))
    store.clear_cooldowns()
    shorter = store.cool(cooldown(account, 30))
    assert store.cooldowns(NOW) == (shorter,)
    assert store.clear_cooldowns() == 1


def test_the_newest_observation_of_a_window_wins_in_whatever_order_they_come(store: Store) -> None:
    account = sign_in(store)
    store.record(windows=[(account.id, window(5, 0.5)), (account.id, window(9, 0.3)), (account.id, window(7, 0.4))])
    store.record(windows=[(account.id, window(8, 0.35)), (account.id, window(0, 1.0, "secondary"))])
    assert store.changes(None).windows == (
        (account.id, window(9, 0.3)),
        (account.id, window(0, 1.0, "secondary")),
    )


def test_a_window_that_is_gone_is_told_to_those_who_follow_and_to_nobody_else(store: Store) -> None:
    account = sign_in(store)
    store.record(windows=[(account.id, window(1, 0.0)), (account.id, window(1, 0.5, "secondary"))])
    known = store.changes(None).revision
    gone = QuotaWindow.none("primary", at(3), "usage")
    store.record(windows=[(account.id, gone)])
    assert store.changes(known).windows == ((account.id, gone),)
    store.record(windows=[(account.id, window(2, 0.0))])
    assert store.windows(account.id) == (window(1, 0.5, "secondary"),)
    assert store.seen(at(3), at(0)).windows == ((account.id, window(1, 0.5, "secondary")),)
    store.record(windows=[(account.id, window(4, 0.9))])
    assert store.windows(account.id) == (window(4, 0.9), window(1, 0.5, "secondary"))


def test_one_accounts_windows_are_read_alone(store: Store) -> None:
    a, b = (sign_in(store, name, identity=name) for name in "ab")
    store.record(windows=[(a.id, window(1, 0.5)), (b.id, window(2, 0.6)), (a.id, window(0, 1.0, "secondary"))])
    assert store.windows(a.id) == (window(1, 0.5), window(0, 1.0, "secondary"))
    assert store.windows(99) == ()


def test_an_unlimited_window_of_unknown_length_comes_back_so(store: Store) -> None:
    account = sign_in(store)
    seen = QuotaWindow("chat", 1.0, NOW, "usage", unlimited=True)
    store.record(windows=[(account.id, seen)])
    assert store.changes(None).windows == ((account.id, seen),)


def test_attempts_come_newest_first_of_one_account_or_of_all(store: Store) -> None:
    a, b = (sign_in(store, name, identity=name) for name in "ab")
    first, second, third = attempt(a, 1), attempt(b, 2), attempt(a, 3, number=2)
    store.record(attempts=[second, third, first])
    assert store.past.attempts(limit=9) == (third, second, first)
    assert store.past.attempts(limit=1) == (third,)
    assert store.past.attempts(limit=9, account_id=a.id) == (third, first)


@pytest.mark.parametrize("tokens", [Tokens(900, 0, 70), Tokens(None, None, 7), Tokens(7, None, None), None])
def test_what_was_counted_of_an_attempt_comes_back_as_it_was(store: Store, tokens: Tokens | None) -> None:
    made = replace(attempt(sign_in(store), 1), total_ms=2345.5, tokens=tokens, chosen_in="flow-0")
    store.record(attempts=[made])
    assert store.past.attempts(limit=9) == (made,)


def test_pruning_drops_what_was_over_and_nothing_else(store: Store) -> None:
    account = sign_in(store)
    store.record(attempts=[attempt(account, 1), attempt(account, 2)])
    store.cool(cooldown(account, 1))
    running = store.cool(cooldown(account, 2, scope=Scope(ScopeKind.MODEL, "m")))
    assert store.prune(before=at(2)) == 2  # one attempt, one cooldown
    assert store.past.attempts(limit=9) == (attempt(account, 2),)
    assert store.changes(None).cooldowns == (running,)


def test_what_was_written_before_the_clock_was_set_back_hides_nothing_that_is_written_now(store: Store) -> None:
    account, another = sign_in(store), sign_in(store, "bob", identity="user-2")

    def write(second: float, left: float, owner: Account) -> tuple[float, int, datetime | None]:
        talk = Affinity("talk", owner.id, at(second))
        store.record(windows=[(account.id, window(second, left))], affinities=[talk], used={account.id: at(second)})
        (talk,) = store.affinities(NOW - HOUR)
        return store.windows(account.id)[0].left, talk.account_id, store.account(account.name).last_used_at

    assert write(3600, 0.9, account) == (0.9, account.id, at(3600))
    assert write(0, 0.2, another) == (0.9, account.id, at(3600))
    assert store.call_back(at(3570)) == 0, "clocks differ"
    assert store.call_back(at(1)) == 3
    assert write(2, 0.2, another) == (0.2, another.id, at(2))


def test_pruning_calls_back_what_is_of_the_future(store: Store) -> None:
    account = sign_in(store)
    store.record(windows=[(account.id, window(3600, 0.9))])
    with freeze_time(NOW):
        store.prune(before=at(-1))
    store.record(windows=[(account.id, window(1, 0.2))])
    assert [w.left for w in store.windows(account.id)] == [0.2]


def test_pruning_drops_what_nobody_holds_any_more_whatever_the_clock_says(store: Store, url: str) -> None:
    now = utcnow()
    store.acquire("over", "me", MINUTE)
    store.claim("claimed-till-now", "me", now + MINUTE)
    elapse(url, HOUR)
    store.acquire("held", "me", MINUTE)
    store.claim("claimed", "me", now + 2 * DAY)
    with freeze_time(now + DAY):
        assert store.prune(before=now) == 2
        assert not store.acquire("held", "another", MINUTE)
    assert not store.claim("claimed", "another", now + 3 * DAY)


# who asks, how many minutes after the one before, for how many, whether they get it: one after the other on one key
LEASE_STORY = [
    ("a", 0, 60, Grant.FREE),
    ("b", 59, 40, Grant.REFUSED),  # a has it
    ("a", 0, 30, Grant.FREE),  # its own: it begins anew
    ("b", 1, 40, Grant.REFUSED),  # to 60 it was to run first, to 89 it does now
    ("b", 29, 9, Grant.LAPSED),
    ("a", 8, 40, Grant.REFUSED),
]


def test_a_lease_excludes_others_until_it_is_over(store: Store, url: str) -> None:
    got = []
    for owner, later, length, _ in LEASE_STORY:
        elapse(url, later * MINUTE)
        got.append(store.acquire("k", owner, length * MINUTE))
    assert got == [expected for *_, expected in LEASE_STORY]


@pytest.mark.parametrize("by", [DAY, -DAY])
def test_a_clock_that_is_set_neither_ends_a_lease_nor_prolongs_it(
    store: Store, other: Store, url: str, by: timedelta
) -> None:
    """Nor does one that is wrong in one process alone."""
    now = utcnow()
    assert store.acquire("k", "before", HOUR)
    with freeze_time(now + by):
        assert not other.acquire("k", "after", HOUR)
        elapse(url, HOUR)
        assert other.acquire("k", "after", HOUR)
    assert not store.acquire("k", "before", HOUR)
    elapse(url, HOUR)
    assert store.acquire("k", "before", HOUR)


def test_a_lease_ends_when_the_machine_is_started_anew_and_a_claim_does_not(store: Store, path: Path) -> None:
    store.acquire("held", "dead", HOUR)
    store.acquire("pruned", "dead", HOUR)
    store.claim("told", "dead", utcnow() + DAY)
    start_anew(path)
    assert store.acquire("held", "new", HOUR)
    assert not store.claim("told", "new", utcnow() + DAY)
    assert store.prune(before=utcnow()) == 1


def test_a_claim_is_over_at_its_moment(store: Store, other: Store, url: str) -> None:
    until = utcnow() + HOUR
    assert store.claim("k", "a", until)
    assert not other.claim("k", "b", until)
    elapse(url, HOUR)
    assert other.claim("k", "b", until)
    assert not store.acquire("k", "a", MINUTE)


def test_what_a_process_of_the_schema_before_holds_it_holds_and_what_we_hold_it_leaves(
    store: Store, path: Path
) -> None:
    """It writes and reads the calendar's moment alone."""
    taken = """INSERT INTO leases (key, owner, until) VALUES (?, 'old', ?) ON CONFLICT (key)
        DO UPDATE SET owner = excluded.owner, until = excluded.until WHERE leases.until <= ?"""
    now = utcnow()
    store.acquire("ours", "new", HOUR)
    with closing(sqlite3.connect(path)) as db, db:
        for key in ("ours", "theirs"):
            db.execute(taken, (key, as_text(now + HOUR), as_text(now)))
    assert store.acquire("ours", "new", HOUR)
    assert not store.acquire("theirs", "new", HOUR)
    elapse(str(path), HOUR)
    assert store.acquire("theirs", "new", HOUR)


@pytest.mark.parametrize("askew", [timedelta(0), HOUR, -HOUR])
def test_on_a_server_its_clock_alone_tells_when_a_claim_is_over(askew: timedelta) -> None:
    """A process whose clock is an hour wrong neither steals one nor keeps one; so it is with leases."""
    url = fresh()
    with Store.open(url) as right, Store.open(url) as wrong:
        now = utcnow()
        assert right.claim("k", "right", now + MINUTE)
        with freeze_time(now + askew):
            assert not wrong.claim("k", "wrong", utcnow() + MINUTE)
            elapse(url, MINUTE)
            assert wrong.claim("k", "wrong", utcnow() + MINUTE)
        assert not right.claim("k", "right", now + MINUTE)
        elapse(url, MINUTE)
        assert right.claim("k", "right", now + MINUTE)


def test_only_its_owner_gives_a_lease_back(store: Store) -> None:
    store.acquire("k", "a", MINUTE)
    store.release("k", "b")
    assert not store.acquire("k", "b", MINUTE)
    store.release("k", "a")
    assert store.acquire("k", "b", MINUTE)


def test_moments_of_any_zone_come_back_as_the_same_moment_in_utc(store: Store) -> None:
    """Microseconds included, and in an hour that does not exist on some clocks."""
    account = sign_in(store)
    east = datetime(2026, 3, 29, 2, 30, 0, 654321, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    store.record(used={account.id: east})
    back = store.account("work").last_used_at
    assert back == east
    assert back is not None and back.tzinfo is UTC


def test_a_moment_without_a_zone_is_a_mistake_and_says_so(store: Store) -> None:
    account = sign_in(store)
    with pytest.raises(Exception, match="aware"):
        store.record(used={account.id: NOW.replace(tzinfo=None)})


def test_strikes_are_kept_with_their_cooldown_also_after_its_end(store: Store, other: Store) -> None:
    held = replace(cooldown(sign_in(store), 60), strikes=3)
    store.cool(held)
    assert other.changes(None).cooldowns == (held,)


def test_what_a_success_has_settled_is_lifted_for_everybody(store: Store, other: Store) -> None:
    account = sign_in(store)
    over = store.cool(cooldown(account, 60))
    kept = store.cool(cooldown(account, 60, scope=Scope(ScopeKind.MODEL, "m")))
    before = other.revision()
    store.record(coolings=[Cooling(ends=over)])
    assert other.changes(before).cleared == ((account.id, over.scope),)
    assert store.cooldowns(NOW) == (kept,)
    before = other.revision()
    store.record(coolings=[Cooling(ends=over)])
    assert other.revision() == before, "once"


def test_a_cooldown_that_another_process_has_set_meanwhile_is_not_lifted(store: Store, other: Store) -> None:
    account = sign_in(store)
    over = store.cool(cooldown(account, 60))
    newer = other.cool(replace(cooldown(account, 120), created_at=at(90)))
    store.record(coolings=[Cooling(ends=over)])
    assert store.cooldowns(at(100)) == (newer,)
    assert store.cool(cooldown(account, 90), instead_of=over) == newer


def test_one_takes_the_place_of_another_that_ends_later(store: Store, other: Store) -> None:
    account = sign_in(store)
    over = store.cool(cooldown(account, 60))
    before = other.revision()
    sooner = store.cool(replace(cooldown(account, 30), created_at=at(1)), instead_of=over)
    assert store.cooldowns(NOW) == (sooner,)
    changes = other.changes(before)
    assert (changes.cleared, changes.cooldowns) == (((account.id, over.scope),), (sooner,))
    store.record(coolings=[Cooling(ends=over)])
    assert store.cooldowns(NOW) == (sooner,), "what was ended is ended once"


def test_the_newest_account_of_a_conversation_stays(store: Store, other: Store) -> None:
    a, b = sign_in(store, "a", identity="1"), sign_in(store, "b", identity="2")
    store.record(affinities=[Affinity("talk", a.id, at(10), 500), Affinity("other", a.id, at(11))])
    other.record(affinities=[Affinity("talk", b.id, at(20)), Affinity("other", b.id, at(5))])
    assert store.affinities(NOW) == (Affinity("other", a.id, at(11)), Affinity("talk", b.id, at(20)))
    assert store.affinities(at(20)) == (Affinity("talk", b.id, at(20)),)


def test_affinities_go_with_their_account_and_with_time(store: Store) -> None:
    a, b = sign_in(store, "a", identity="1"), sign_in(store, "b", identity="2")
    store.record(affinities=[Affinity("one", a.id, at(1)), Affinity("two", b.id, at(2)), Affinity("gone", 99, at(2))])
    store.remove("b")
    assert [held.conversation for held in store.affinities(NOW)] == ["one"]
    assert store.prune(before=at(2)) == 1
    assert store.affinities(NOW) == ()


def test_of_very_many_affinities_the_newest_ten_thousand_are_told_the_oldest_first(store: Store) -> None:
    account = sign_in(store)
    store.record(affinities=[Affinity(f"talk-{n}", account.id, at(n)) for n in range(10_050)])
    for told in (store.affinities(NOW), store.changes(None).affinities):
        assert [held.conversation for held in told] == [f"talk-{n}" for n in range(50, 10_050)]


def test_refusals_that_no_table_knows_are_counted_by_account_status_and_code(store: Store) -> None:
    account = sign_in(store)

    def refused(number: int, outcome: str, status: int | None, hours_ago: int) -> Attempt:
        at = NOW - timedelta(hours=hours_ago)
        return Attempt(f"flow-{number}", 1, account.id, "responses", "m", outcome, status, at, None)

    store.record(
        attempts=[
            refused(1, "unknown-teapot", 418, 169),
            refused(2, "unknown-teapot", 418, 2),
            refused(3, "unknown-teapot", 418, 1),
            refused(4, "unknown-teapot", None, 1),
            refused(5, "unknownXteapot", 418, 1),
            refused(6, "ok", 200, 1),
        ]
    )
    found = sorted(store.seen(NOW, NOW).unknown, key=lambda u: u.requests)
    assert [(u.account_id, u.status, u.code, u.requests) for u in found] == [
        (account.id, None, "teapot", 1),
        (account.id, 418, "teapot", 2),
    ]
    assert found[1].last_at == NOW - timedelta(hours=1)
