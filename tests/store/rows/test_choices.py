"""Why requests went where they went, and how windows were used up, each through a real file."""

from msgspec.structs import replace

from seatpool.core.explain import Bar, BarKind, Choice, Contender
from seatpool.core.model import Account, Keeping, ProviderName, QuotaWindow, Scope, ScopeKind
from seatpool.core.scoring import Score, Standing
from seatpool.core.strategy import Candidate, Strategy
from seatpool.store import Store
from seatpool.store.rows import choices as choice_rows
from tests.store.made import at, attempt, sign_in, window


def contender(account_id: int, *bars: Bar, resets_at: float | None = None) -> Contender:
    account = Account(account_id, ProviderName.CODEX, "", "", "", 7, keeping=Keeping.PRESERVED)
    score = Score(12.3456, Standing.LIMITED, "secondary", "primary", 0.25, stale=True, resets_at=resets_at)
    return Contender(Candidate(account, score, 1.5, 2, 3.25, 0.75, dormant=True), bars, preferred=True)


def choice(flow_id: str = "flow-1", account_id: int | None = None, seconds: float = 0, number: int = 1) -> Choice:
    return Choice(
        flow_id,
        number,
        at(seconds),
        ProviderName.CODEX,
        "responses",
        "gpt-x",
        "work",
        Strategy.DRAIN,
        "best" if account_id is not None else "exhausted",
        account_id,
        (contender(1),),
        left_out=3,
    )


def test_a_choice_comes_back_as_it_was(store: Store, other: Store) -> None:
    account = sign_in(store)
    until = at(99)
    bars = (
        Bar(BarKind.RULE),
        Bar(BarKind.COOLING, "usage_limit_reached", until, Scope(ScopeKind.MODEL, "gpt-x")),
        Bar(BarKind.DISABLED, "revoked-x"),
    )
    contenders = (contender(account.id), contender(99, *bars, resets_at=1795255499.785219))
    made = replace(choice(account_id=account.id), contenders=contenders)
    by_priority = replace(choice(number=2), strategy=None, model=None, rule=None, contenders=())
    store.record(choices=[made, by_priority])
    assert other.past.request("flow-1") == ((made, by_priority), ())


def test_a_request_is_told_with_its_attempts_and_no_others(store: Store) -> None:
    account = sign_in(store)
    mine = [replace(attempt(account, 2, n), flow_id="flow-1", reason="renewed") for n in (1, 2)]
    store.record(choices=[choice(account_id=account.id, seconds=1)], attempts=[*mine, attempt(account, 3)])
    assert store.past.request("flow-1")[1] == tuple(mine)
    assert store.past.request("flow-2") == ((), ())


def test_requests_are_found_by_their_beginning_the_newest_first(store: Store) -> None:
    for seconds, name in enumerate(("ab1", "ab2", "cd%", "ab1")):
        store.record(choices=[choice(name, seconds=seconds)])
    assert store.past.requests(limit=9) == ("ab1", "cd%", "ab2")
    assert store.past.requests("ab", limit=9) == ("ab1", "ab2")
    assert store.past.requests("ab", limit=1) == ("ab1",)
    for nobody in ("%", "_b", "abc", "b1"):
        assert store.past.requests(nobody, limit=9) == ()


def test_only_the_newest_are_kept(store: Store) -> None:
    store.record(choices=[choice(f"flow-{n}") for n in range(choice_rows.KEPT + 3)])
    kept = [store.past.request(f"flow-{n}")[0] != () for n in range(5)]
    assert kept == [False, False, False, True, True]


def test_what_is_old_is_pruned(store: Store) -> None:
    account = sign_in(store)
    seen = [(account.id, replace(window(s, 0.5), source="history")) for s in (0, 10)]
    store.record(choices=[choice("old", seconds=0), choice("new", seconds=10)], history=seen)
    assert store.prune(before=at(5)) == 2
    assert store.past.requests(limit=9) == ("new",)
    assert store.past.window_history([account.id]) == {(account.id, "primary"): [seen[1][1]]}


def test_history_is_told_by_window_the_oldest_first_of_those_accounts_alone(store: Store, other: Store) -> None:
    one, two = sign_in(store), sign_in(store, "two", identity="user-2")
    bare = QuotaWindow("chat", 0.25, at(1), "history")
    rows = [(i, replace(window(s, 0.5), source="history")) for s in (20, 10) for i in (one.id, two.id)]
    store.record(history=[*rows, (one.id, bare)])
    store.record(history=rows[:1])  # said twice is said once
    assert other.past.window_history([one.id]) == {
        (one.id, "chat"): [bare],
        (one.id, "primary"): [rows[2][1], rows[0][1]],
    }
    assert other.past.window_history([]) == {}


def test_an_attempt_that_outlives_the_choice_which_explains_it_is_no_request_to_be_told(store: Store) -> None:
    account = sign_in(store)
    store.record(choices=[choice("first", account.id)], attempts=[replace(attempt(account, 1), chosen_in="first")])
    assert set(store.past.requests(limit=9)) == {"first", "flow-1"}
    store.prune(before=at(9), attempts=at(0))
    assert store.past.requests(limit=9) == () and len(store.past.attempts(limit=9)) == 1


def test_what_is_of_a_removed_account_goes_with_it_and_is_not_recorded_any_more(store: Store) -> None:
    account = sign_in(store)
    gone = choice("gone", account.id), [(account.id, window(0, 0.5))]
    store.record(choices=[gone[0], choice("stays")], history=gone[1])
    store.remove(account.name)
    store.record(choices=[gone[0]], history=gone[1])
    assert store.past.requests(limit=9) == ("stays",)
    assert store.past.window_history([account.id]) == {}


def test_other_processes_need_not_hear_of_it(store: Store, other: Store) -> None:
    account = sign_in(store)
    before = other.revision()
    store.record(choices=[choice(account_id=account.id)], history=[(account.id, window(0, 0.5))])
    assert other.revision() == before
