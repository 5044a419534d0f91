"""Whose an account is, who may do what, what is locked, and that whatever was done is written down with it."""

import socket
from collections.abc import Callable, Iterator

import pytest

from seatpool.core.deeds import Did
from seatpool.core.model import Keeping
from seatpool.store import BadLock, BadPerson, NotAllowed, Store, UnknownAccount
from tests.store.made import NOW, at, cooldown, oauth, sign_in


@pytest.fixture
def ann(url: str) -> Iterator[Store]:
    with Store.open(url, person="ann") as opened:
        yield opened


@pytest.fixture
def ben(ann: Store, url: str) -> Iterator[Store]:
    with Store.open(url, person="ben") as opened:
        yield opened


Act = Callable[[Store], object]

# what is done to the account `work`, how it is called, from what to what
DEEDS: list[tuple[str, Act, Did, str | None, str | None]] = [
    ("paused", lambda s: s.set_paused("work", True, NOW), Did.PAUSE, "in use", "paused"),
    ("priority", lambda s: s.set_priority("work", 5), Did.PRIORITY, "100", "5"),
    ("weight", lambda s: s.set_weight("work", 2.5), Did.WEIGHT, "1.0", "2.5"),
    ("policy", lambda s: s.set_keeping("work", Keeping.PRESERVED), Did.POLICY, "normal", "preserved"),
    ("renamed", lambda s: s.rename("work", "job"), Did.RENAME, "work", "job"),
    ("owned", lambda s: s.team.set_owner("work", "cleo"), Did.OWNER, "ann", "cleo"),
    ("freed", lambda s: s.team.set_owner("work", None), Did.OWNER, "ann", None),
    ("shared", lambda s: s.team.share("work", ["ben", "cleo"]), Did.PEOPLE, None, "ben, cleo"),
    ("exported", lambda s: s.team.exported(["work"]), Did.EXPORT, None, None),
    ("removed", lambda s: s.remove("work"), Did.REMOVE, "codex", None),
    ("signed in", lambda s: sign_in(s, credentials=[oauth(2)]), Did.SIGN_IN, "in use", "in use"),
]


@pytest.mark.parametrize(("act", "did", "before", "after"), [pytest.param(*d[1:], id=d[0]) for d in DEEDS])
def test_each_deed_is_written_down_and_is_for_its_owner_and_for_admins(
    ann: Store, ben: Store, act: Act, did: Did, before: str | None, after: str | None
) -> None:
    """While there is no admin, everybody is one."""
    sign_in(ann, credentials=[oauth()])
    ann.team.set_owner("work", "ann")
    ann.team.appoint("dan")
    stood, known, revision = ann.team.deeds(), ann.accounts(), ann.revision()
    with pytest.raises(NotAllowed, match=r"work is ann's: only they or an admin may do that: dan; you are ben"):
        act(ben)
    assert (ann.team.deeds(), ann.accounts(), ann.revision()) == (stood, known, revision)
    act(ann)
    *others, deed = ben.team.deeds()
    assert tuple(others) == stood
    assert (deed.did, deed.account, deed.before, deed.after) == (did, "work", before, after)
    assert (deed.actor.person, deed.actor.host) == ("ann", socket.gethostname())
    assert deed.actor == ann.team.actor


def test_a_deed_and_its_note_are_one_and_the_same_again_is_none(ann: Store) -> None:
    sign_in(ann)
    ann.set_priority("work", 7)
    stood = ann.team.deeds()
    ann.set_priority("work", 7)
    ann.set_paused("work", False, NOW)
    ann.team.set_owner("work", None)
    for refused in (lambda: ann.rename("work", "\n"), lambda: ann.remove("none")):
        with pytest.raises(Exception, match="name"):
            refused()
    assert ann.team.deeds() == stood


def test_what_no_person_does_is_not_written_down(ann: Store) -> None:
    account = sign_in(ann)
    stood = ann.team.deeds()
    ann.disable(account.id, "revoked", NOW)
    ann.set_plan(account.id, "pro")
    ann.cool(cooldown(account, 60))
    ann.save_credential(account.id, oauth(3), now=NOW)
    assert ann.team.deeds() == stood


def test_deeds_outlive_their_account_follow_its_names_and_hold_no_token(ann: Store) -> None:
    account = sign_in(ann, credentials=[oauth()])
    sign_in(ann, "other", identity="user-2")
    ann.rename("work", "job")
    ann.cool(cooldown(account, 60))
    ann.clear_cooldowns(account.id)
    ann.remove("job")
    ann.keys.rotate()
    copied = ann.keys.copy()
    told = [(deed.did, deed.account) for deed in ann.team.deeds(account="work")]
    assert told == [(Did.ADD, "work"), (Did.RENAME, "work"), (Did.CLEAR_COOLDOWNS, "job"), (Did.REMOVE, "job")]
    assert ann.team.deeds(account="job") == ann.team.deeds(account="work")
    every = ann.team.deeds()
    assert [deed.did for deed in every][-2:] == [Did.ROTATE_KEY, Did.EXPORT_KEY]
    assert every[-2].after == every[-1].before
    assert copied.decode() not in repr(every)
    assert ann.team.deeds(every[-1].at) == every[-1:]
    assert "FAKESECRET" not in repr(every)
    ann.prune(before=at(10**9))
    assert ann.team.deeds() == every


def test_only_whoever_may_use_an_account_clears_its_cooldowns_where_there_is_a_team(ann: Store, ben: Store) -> None:
    accounts = [sign_in(ann, name, identity=name) for name in ("anns", "shared", "all")]
    ann.team.set_owner("anns", "ann")
    ann.team.set_owner("shared", "ann", ["ben"])
    ann.team.appoint("dan")
    for account in accounts:
        ann.cool(cooldown(account, 60))
    assert ben.clear_cooldowns() == 2
    assert [c.account_id for c in ann.cooldowns(NOW)] == [accounts[0].id]
    assert ben.clear_cooldowns(accounts[0].id) == 0
    assert ann.clear_cooldowns() == 1


def test_an_account_is_shared_by_its_owner_and_told_in_the_feed(ann: Store, ben: Store) -> None:
    sign_in(ann)
    with pytest.raises(NotAllowed, match="account owner work PERSON"):
        ann.team.share("work", ["ben"])
    seen = ben.revision()
    ann.team.set_owner("work", " ann ")
    ann.team.share("work", ["cleo", "ben", "ann"])
    (told,) = ben.changes(seen).accounts
    assert (told.owner, told.people) == ("ann", ("ben", "cleo"))
    assert ann.team.unshare("work", ["ben", "nobody"]).people == ("cleo",)
    assert ann.team.set_owner("work", "cleo").people == ()
    assert ann.team.set_owner("work", "ben", ["ann"]).people == ("ann",)
    freed = ann.team.set_owner("work", None)
    assert (freed.owner, freed.people) == (None, ())
    with pytest.raises(UnknownAccount, match="work"):
        ann.team.share("wrok", ["ben"])


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 101])
def test_a_person_has_a_name_that_can_be_shown(ann: Store, url: str, name: str) -> None:
    sign_in(ann)
    for act in (lambda: ann.team.set_owner("work", name), lambda: ann.team.appoint(name)):
        with pytest.raises(BadPerson):
            act()
    if name:
        with pytest.raises(BadPerson):
            Store.open(url, person=name)


def test_who_one_is_is_said_or_the_systems_user(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEATPOOL_PERSON", raising=False)
    with Store.open(url) as store:
        assert store.team.person == store.team.actor.user
    monkeypatch.setenv("SEATPOOL_PERSON", "ann")
    with Store.open(url) as store:
        assert (store.team.person, store.team.actor.user != "ann") == ("ann", True)
    with Store.open(url, person="ben") as store:
        assert store.team.person == "ben"


def test_everybody_is_an_admin_until_the_first_is_named_and_after_the_last_has_gone(ann: Store, ben: Store) -> None:
    ben.team.lock("strategy", "drain")
    assert ben.team.appoint("ann") and ann.team.appoint("cleo") and not ann.team.appoint("cleo")
    assert ben.team.admins() == ("ann", "cleo")
    for act in (
        lambda: ben.team.lock("strategy", "quota"),
        lambda: ben.team.unlock("strategy"),
        lambda: ben.team.appoint("ben"),
        lambda: ben.team.dismiss("ann"),
        lambda: ben.keys.rotate(),
        lambda: ben.keys.copy(),
    ):
        with pytest.raises(NotAllowed, match="only an admin may do that: ann, cleo; you are ben"):
            act()
    assert not ann.team.dismiss("dan")
    assert ann.team.dismiss("cleo") and ann.team.dismiss("ann")
    assert ben.team.admins() == ()
    ben.team.unlock("strategy")


def test_where_there_is_a_team_a_new_account_is_of_whoever_adds_it(ann: Store, ben: Store) -> None:
    assert sign_in(ann).owner is None
    ann.team.appoint("ann")
    assert sign_in(ben, "bens", identity="user-2").owner == "ben"
    assert ben.team.share("bens", ["cleo"]).people == ("cleo",)
    ben.rename("work", "everybodys")
    with pytest.raises(NotAllowed):
        ben.team.set_owner("everybodys", "ben")
    assert ann.team.set_owner("everybodys", "ben").owner == "ben"


def test_locks_are_told_in_the_feed_when_they_are_set_and_when_they_are_cleared(ann: Store, ben: Store) -> None:
    seen = ben.revision()
    assert ann.team.lock("pool_rotate_on_limit", "False") is None
    (told,) = ben.news(seen).locks
    assert (told.name, told.value, told.person) == ("rotate_on_limit", "false", "ann")
    assert ben.team.locks() == ben.changes(None).locks == (told,)
    seen = ben.revision()
    assert ben.team.unlock("rotate_on_limit") == told
    (gone,) = ann.news(seen).locks
    assert (gone.value, gone.person, ann.team.locks()) == (None, "ben", ())
    seen = ben.revision()
    assert ben.team.unlock("rotate_on_limit") is None
    assert ann.news(seen).locks == ()
    with pytest.raises(BadLock, match="there are: rotate_on_limit"):
        ann.team.lock("speed", "11")
    told_of = [(deed.did, deed.before, deed.after) for deed in ann.team.deeds()]
    assert told_of == [
        (Did.LOCK, None, "rotate_on_limit=false"),
        (Did.UNLOCK, "rotate_on_limit=false", None),
    ]


def test_what_others_hold_is_not_opened(ann: Store) -> None:
    one, two = (sign_in(ann, name, identity=name, credentials=[oauth()]) for name in "ab")
    assert set(ann.every_credential({one.id})) == {one.id}
    assert set(ann.every_credential()) == {one.id, two.id}
    assert ann.every_credential(set()) == {}
