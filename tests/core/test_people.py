"""Who may use what; and that what they may not use is not there for them at all."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from seatpool.core.model import WHOLE_ACCOUNT, Account, Cooldown, ProviderName
from seatpool.core.selection import BOUND, Demand, Exhausted, Selection, select
from seatpool.core.state import PoolState

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CODEX = Demand(ProviderName.CODEX)
WORK = Account(1, ProviderName.CODEX, "work", "i1", "chatgpt.com", priority=1)
HOME = Account(2, ProviderName.CODEX, "home", "i2", "chatgpt.com", priority=9)

# whose it is, whom it is shared with, who asks, whether they may use it
MAY_USE = [
    (None, (), "ann", True),  # nobody's is everybody's
    (None, (), None, True),
    ("ann", (), "ann", True),
    ("ann", (), "ben", False),
    ("ann", (), "Ann", False),  # a name is told letter by letter
    ("ann", (), "", False),
    ("ann", ("ben",), "ben", True),
    ("ann", ("ben",), "cleo", False),
    ("ann", ("ben", "cleo"), "cleo", True),
    ("ann", ("ben",), "ann", True),  # its owner need not be listed
    ("ann", (), None, True),  # where nobody is anybody in particular, nothing is closed
]


@pytest.mark.parametrize(("owner", "people", "person", "may"), MAY_USE)
def test_an_account_is_open_to_its_owner_to_whom_it_is_shared_with_and_nobodys_to_all(
    owner: str | None, people: tuple[str, ...], person: str | None, may: bool
) -> None:
    account = replace(WORK, owner=owner, people=people)
    assert account.open_to(person) is may
    state = PoolState()
    state.person = person
    state.put(account, NOW)
    assert (account.id in state.accounts, account.id in state.foreign) == (may, not may)
    assert state.usable[ProviderName.CODEX] == may
    found = select(state, CODEX, NOW)
    assert isinstance(found, Selection) is may


def bens(*accounts: Account) -> PoolState:
    state = PoolState()
    state.person = "ben"
    for account in accounts:
        state.put(account, NOW)
    return state


def test_what_is_taken_from_a_person_goes_with_all_that_was_known_of_it() -> None:
    state = bens(replace(WORK, owner="ann", people=("ben",)), HOME)
    state.cool(Cooldown(1, WHOLE_ACCOUNT, "limited", NOW + timedelta(hours=1), NOW), NOW)
    state.put(replace(WORK, owner="ann"), NOW)
    assert (set(state.accounts), state.foreign) == ({2}, {1})
    assert not any(1 in known for known in (state.windows, state.cooldowns))
    assert state.standing(1) is None
    assert not any(1 in resting for resting in state.resting.values())
    state.put(replace(WORK, owner="ann", people=("ben",)), NOW)
    assert (set(state.accounts), state.foreign) == ({1, 2}, set())


def test_neither_a_warm_cache_nor_what_only_its_account_can_read_leads_to_an_account_of_somebody_elses() -> None:
    state = bens(replace(WORK, owner="ann", people=("ben",)), HOME)
    state.remember("talk", 1, NOW, cached_tokens=90_000)
    talk = replace(CODEX, conversation="talk")
    stays = select(state, talk, NOW)
    assert isinstance(stays, Selection) and stays.account.id == 1
    state.put(replace(WORK, owner="ann"), NOW)
    goes = select(state, talk, NOW)
    assert isinstance(goes, Selection) and goes.account.id == 2
    captive = select(state, replace(talk, bound=True, owner=1, captive=True), NOW)
    assert captive == Exhausted(limited=False, reason=BOUND)
    only = select(state, replace(talk, only=frozenset({1})), NOW)
    assert isinstance(only, Exhausted) and not only.limited


def test_an_account_that_is_removed_is_nobodys_any_more() -> None:
    state = bens(replace(WORK, owner="ann"), HOME)
    state.forget_all_but({2})
    assert (set(state.accounts), state.foreign) == ({2}, set())
