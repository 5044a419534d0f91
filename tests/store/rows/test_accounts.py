"""Accounts: signing in, naming, pausing, disabling, removing."""

import math
from pathlib import Path

import pytest

from seatpool.core.model import Keeping, ProviderName
from seatpool.store import BadName, BadWeight, NameTaken, Store, StoreError, UnknownAccount, Unstorable
from tests.store.made import NOW, at, cooldown, oauth, sign_in, window


def test_a_new_login_is_an_account_in_use_with_the_usual_priority(store: Store) -> None:
    account, created = store.save_login(
        provider=ProviderName.COPILOT,
        identity="42",
        name="octocat",
        issuer="github.com",
        plan="business",
        credentials=(),
        now=NOW,
    )
    assert created
    assert (account.name, account.issuer, account.plan, account.priority) == ("octocat", "github.com", "business", 100)
    assert account.usable
    assert store.account("octocat") == account
    assert store.accounts() == (account,)


def test_signing_in_again_enables_and_keeps_name_priority_plan_and_pause(store: Store) -> None:
    account = sign_in(store)
    store.set_priority("work", 5)
    store.set_plan(account.id, "pro")
    store.set_paused("work", True, NOW)
    store.disable(account.id, "token_revoked", NOW)
    again, created = store.save_login(
        provider=ProviderName.CODEX, identity="user-1", name="other", issuer="chatgpt.com", credentials=(), now=NOW
    )
    assert not created
    assert again.id == account.id
    assert (again.name, again.priority, again.plan, again.paused, again.disabled) == ("work", 5, "pro", True, None)


def test_an_explicit_name_renames_an_account_that_exists(store: Store) -> None:
    first = sign_in(store, "work")
    assert sign_in(store, "day job", explicit_name=True).id == first.id
    assert [account.name for account in store.accounts()] == ["day job"]


def test_a_suggested_name_that_is_taken_is_counted_on(store: Store) -> None:
    names = [sign_in(store, "me", identity=f"user-{n}").name for n in range(3)]
    assert names == ["me", "me-2", "me-3"]


def test_an_explicit_name_that_is_taken_is_refused_and_nothing_is_stored(store: Store) -> None:
    sign_in(store, "me")
    before = store.changes(None)
    with pytest.raises(NameTaken, match="'me'"):
        sign_in(store, "me", identity="user-2", explicit_name=True, credentials=[oauth()])
    assert store.changes(None) == before


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "\x1b[31mred"])
def test_a_name_that_would_break_a_line_is_refused_when_chosen(store: Store, name: str) -> None:
    sign_in(store, "me")
    with pytest.raises(BadName):
        store.rename("me", name)


def test_a_suggested_name_is_made_fit_for_a_line(store: Store) -> None:
    assert sign_in(store, "a\x1b\nb ", identity="1").name == "ab"
    assert sign_in(store, "\n", identity="2").name == "codex"


def test_the_same_identity_at_two_providers_is_two_accounts(store: Store) -> None:
    ids = {
        store.save_login(provider=provider, identity="1", name="x", issuer="i", credentials=(), now=NOW)[0].id
        for provider in ProviderName
    }
    assert len(ids) == 2


def test_accounts_come_by_priority_then_as_they_were_added(store: Store) -> None:
    for name in ("a", "b", "c"):
        sign_in(store, name, identity=name)
    store.set_priority("c", 1)
    assert [account.name for account in store.accounts()] == ["c", "a", "b"]


def test_renaming_to_a_taken_name_is_refused_and_to_its_own_is_no_change(store: Store) -> None:
    sign_in(store, "a", identity="a")
    sign_in(store, "b", identity="b")
    before = store.revision()
    with pytest.raises(NameTaken):
        store.rename("a", "b")
    assert store.rename("a", "a").name == "a"
    assert store.revision() == before


def test_resuming_takes_back_a_pause_and_a_disabling(store: Store) -> None:
    account = sign_in(store)
    assert not store.set_paused("work", True, NOW).usable
    assert store.disable(account.id, "revoked", NOW).disabled == "revoked"
    assert store.set_paused("work", False, NOW).usable


def test_an_unknown_name_is_refused_with_the_names_there_are(store: Store) -> None:
    with pytest.raises(UnknownAccount, match="seatpool account import"):
        store.account("nobody")
    sign_in(store, "b", identity="b")
    sign_in(store, "a", identity="a")
    for ask in (store.account, store.remove, lambda name: store.rename(name, "x")):
        with pytest.raises(UnknownAccount, match=r"'nobody'; known: a, b$"):
            ask("nobody")


def test_whatever_belongs_to_a_removed_account_is_refused_or_dropped(store: Store) -> None:
    """A flow may still be using an account that somebody removes."""
    account = sign_in(store, credentials=[oauth()])
    assert store.remove("work") == account
    for late in (
        lambda: store.cool(cooldown(account, 60)),
        lambda: store.save_credential(account.id, oauth(), now=NOW),
        lambda: store.disable(account.id, "revoked", NOW),
        lambda: store.set_plan(account.id, "pro"),
    ):
        with pytest.raises(UnknownAccount):
            late()
    store.record(windows=[(account.id, window(0, 0.5))], used={account.id: NOW})
    assert store.changes(None).windows == ()
    assert store.credentials(account.id) == {}


def test_the_id_of_a_removed_account_is_never_given_again(store: Store) -> None:
    """Else another process would take the new account for the old one."""
    first = sign_in(store)
    store.remove("work")
    assert sign_in(store).id > first.id


def test_the_sealed_credential_of_a_removed_account_is_overwritten_in_the_files(store: Store, path: Path) -> None:
    sign_in(store, credentials=[oauth()])
    assert b"gAAAAA" in _everything(path)  # how each Fernet token begins
    sealed = _everything(path).count(b"gAAAAA")
    store.remove("work")
    left = _everything(path).count(b"gAAAAA")
    assert sealed > left == 1  # the proof of the key is sealed as well, and stays


def test_last_use_is_kept_and_never_goes_back(store: Store) -> None:
    account = sign_in(store)
    store.record(used={account.id: at(10)})
    store.record(used={account.id: at(5)})
    assert store.account("work").last_used_at == at(10)


def test_every_refusal_is_one_line(store: Store) -> None:
    sign_in(store, "me")
    with pytest.raises(StoreError) as caught:
        store.rename("me", "two\nlines")
    assert "\n" not in str(caught.value)


def _everything(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob("pool.db*")) if file.suffix != ".key")


def test_weight_and_policy_are_a_persons_and_outlive_a_new_sign_in(store: Store, other: Store) -> None:
    new = sign_in(store)
    assert (new.weight, new.keeping) == (1.0, Keeping.NORMAL)
    store.set_weight("work", 2.5)
    told = store.set_keeping("work", Keeping.PRESERVED)
    assert (told.weight, told.keeping) == (2.5, Keeping.PRESERVED)
    assert sign_in(store) == told == other.account("work")


def test_weight_and_policy_that_are_the_same_are_no_news_to_others(store: Store) -> None:
    sign_in(store)
    before = store.revision()
    store.set_weight("work", 1)
    store.set_keeping("work", Keeping.NORMAL)
    assert store.revision() == before


@pytest.mark.parametrize("weight", [0.0, -1.0, 0.0009, 1001.0, math.inf, -math.inf, math.nan])
def test_a_weight_that_no_share_can_be_reckoned_by_is_refused(store: Store, weight: float) -> None:
    sign_in(store)
    with pytest.raises(BadWeight, match=r"0\.001 to 1000"):
        store.set_weight("work", weight)
    assert store.account("work").weight == 1.0


def test_what_is_sent_and_is_no_utf_8_is_no_damage(store: Store) -> None:
    account = sign_in(store)
    for ask in (
        lambda: store.account("Jos\udce9"),
        lambda: store.set_paused("Jos\udce9", True, NOW),
        lambda: store.set_plan(account.id, "Jos\udce9"),
    ):
        with pytest.raises(Unstorable, match="not UTF-8"):
            ask()
    assert store.trouble is None
    assert store.accounts() == (account,)
