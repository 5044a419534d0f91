"""Which login belongs to which account: by identity, and by handle where no more is known. Learnt accounts."""

import pytest
from msgspec.structs import replace

from seatpool.core.model import Account, CredentialKind, ProviderName
from seatpool.store import Store
from tests.store.made import NOW, cooldown, oauth, window

ALICE, BOB = "github.com/alice", "github.com/bob"


def login(
    store: Store,
    identity: str,
    handle: str | None = None,
    *,
    name: str = "work",
    learnt: bool = False,
    provider: ProviderName = ProviderName.COPILOT,
    plan: str | None = None,
    token: int | None = None,
) -> tuple[Account, bool]:
    return store.save_login(
        provider=provider,
        identity=identity,
        handle=handle,
        name=name,
        issuer="github.com",
        credentials=() if token is None else (oauth(token),),
        now=NOW,
        learnt=learnt,
        plan=plan,
    )


def known(store: Store) -> list[tuple[str, str | None]]:
    return [(account.identity, account.handle) for account in store.accounts()]


# logins as (identity, handle), one after the other; then the accounts that there are, as (identity, handle)
STORIES: dict[str, tuple[list[tuple[str, str | None]], list[tuple[str, str | None]]]] = {
    "the same identity is the same account": ([("42", ALICE), ("42", ALICE)], [("42", ALICE)]),
    "a renamed person keeps the account": ([("42", ALICE), ("42", BOB)], [("42", BOB)]),
    "an import is upgraded by a login that knows more": ([(ALICE, ALICE), ("42", ALICE)], [("42", ALICE)]),
    "an import finds the account of that handle": ([("42", ALICE), (ALICE, ALICE)], [("42", ALICE)]),
    "an import of a renamed person finds the account": ([("42", ALICE), ("42", BOB), (BOB, BOB)], [("42", BOB)]),
    "a handle given to another person is no match": ([("42", ALICE), ("77", ALICE)], [("42", None), ("77", ALICE)]),
    "a handle means its newest holder": (
        [("42", ALICE), ("77", ALICE), (ALICE, ALICE)],
        [("42", None), ("77", ALICE)],
    ),
    "nothing is merged that may be two persons": ([("42", ALICE), (BOB, BOB), ("42", BOB)], [("42", BOB), (BOB, None)]),
    "without a handle only the identity tells": ([("42", ALICE), ("7", None)], [("42", ALICE), ("7", None)]),
    "a login that does not tell its handle leaves it": ([("42", ALICE), ("42", None)], [("42", ALICE)]),
}


@pytest.mark.parametrize("story", STORIES)
def test_logins_find_their_accounts(store: Store, story: str) -> None:
    logins, expected = STORIES[story]
    added = [login(store, identity, handle)[1] for identity, handle in logins]
    assert known(store) == expected
    assert added.count(True) == len(expected)


def test_a_handle_of_another_provider_tells_nothing(store: Store) -> None:
    login(store, ALICE, ALICE, provider=ProviderName.CODEX)
    login(store, "42", ALICE)
    assert known(store) == [(ALICE, ALICE), ("42", ALICE)]


def test_an_upgraded_import_keeps_what_the_person_set(store: Store) -> None:
    imported, _ = login(store, ALICE, ALICE, name="seat")
    store.set_priority("seat", 5)
    upgraded, added = login(store, "42", ALICE, name="alice", token=2)
    assert not added
    assert upgraded == replace(imported, identity="42", priority=5)
    assert store.credentials(imported.id)[CredentialKind.CODEX_OAUTH].generation == 1


def test_others_hear_that_a_handle_was_taken(store: Store, other: Store) -> None:
    login(store, "42", ALICE)
    seen = other.changes(None).revision
    login(store, "77", ALICE, name="new")
    assert [(account.identity, account.handle) for account in other.changes(seen).accounts] == [
        ("42", None),
        ("77", ALICE),
    ]


def test_a_learnt_account_is_added_once_and_said_to_be_learnt(store: Store) -> None:
    account, added = login(store, "42", ALICE, learnt=True)
    assert added and account.learnt
    before = store.revision()
    assert login(store, "42", ALICE, learnt=True) == (account, False)
    assert store.revision() == before
    assert store.accounts() == (account,)


def test_learning_more_of_a_learnt_account_is_written(store: Store) -> None:
    account, _ = login(store, ALICE, ALICE, learnt=True)
    assert login(store, "42", ALICE, learnt=True, plan="pro")[0] == replace(account, identity="42", plan="pro")


@pytest.mark.parametrize(("identity", "plan"), [("42", None), ("42", "pro"), (ALICE, None)])
def test_learning_changes_nothing_of_an_account_that_was_signed_in(
    store: Store, identity: str, plan: str | None
) -> None:
    account, _ = login(store, "42", ALICE, token=1)
    disabled = store.disable(account.id, "revoked", NOW)
    before = store.revision()
    assert login(store, identity, ALICE, learnt=True, plan=plan, token=2) == (disabled, False)
    assert store.revision() == before
    assert store.credentials(account.id)[CredentialKind.CODEX_OAUTH].token == oauth(1).token


def test_learning_enables_no_disabled_account(store: Store) -> None:
    account, _ = login(store, "42", ALICE, learnt=True)
    store.disable(account.id, "revoked", NOW)
    assert login(store, "42", ALICE, learnt=True, plan="pro")[0].disabled == "revoked"


def test_signing_in_makes_a_learnt_account_ours_with_all_that_is_known_of_it(store: Store) -> None:
    account, _ = login(store, "42", ALICE, name="seat", learnt=True)
    store.set_priority("seat", 5)
    held = store.cool(cooldown(account, 60))
    store.record(windows=[(account.id, window(0, 0.5))])
    ours, added = login(store, "42", ALICE, name="alice", token=1)
    assert not added
    assert ours == replace(account, learnt=False, priority=5)
    everything = store.changes(None)
    assert everything.cooldowns == (held,)
    assert everything.windows == ((account.id, window(0, 0.5)),)
    assert store.credentials(account.id)


def test_only_a_learnt_account_is_forgotten(store: Store, other: Store) -> None:
    learnt, _ = login(store, "42", ALICE, learnt=True)
    ours, _ = login(store, "77", BOB)
    seen = other.changes(None).revision
    assert store.forget(learnt.id)
    assert not store.forget(learnt.id)
    assert not store.forget(ours.id)
    news = other.changes(seen)
    assert news.full
    assert news.accounts == (ours,)


def test_what_was_learnt_and_signed_in_is_not_forgotten(store: Store) -> None:
    account, _ = login(store, "42", ALICE, learnt=True)
    login(store, "42", ALICE)
    assert not store.forget(account.id)
    assert len(store.accounts()) == 1
