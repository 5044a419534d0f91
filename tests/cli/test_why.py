"""`seatpool why`, over a real database."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from seatpool.core.explain import explain, glimpse
from seatpool.core.model import WHOLE_ACCOUNT, Account, Attempt, Cooldown, ProviderName, QuotaWindow, Tokens
from seatpool.core.selection import Demand, Selection, select
from seatpool.core.state import PoolState
from seatpool.store import Store
from tests.cli.test_cli import good, refused, seatpool

FLOW = "ab12cd34-aaaa-4aaa-8aaa-000000000001"
OTHER = "ab12ee00-aaaa-4aaa-8aaa-000000000003"
NEXT = "ab12ff00-aaaa-4aaa-8aaa-000000000002"
HOUR = timedelta(hours=1)


class Pool:
    """A pool of alice, bob and carol, who is paused; requests are chosen for and recorded as a proxy does it."""

    def __init__(self, store: Store) -> None:
        self.store, self.now = store, datetime.now(UTC) - timedelta(minutes=3)
        self.state = PoolState()
        self.accounts: dict[str, Account] = {}
        for priority, name in enumerate(("alice", "bob", "carol")):
            account, _ = store.save_login(
                provider=ProviderName.CODEX,
                identity=name,
                name=name,
                issuer="chatgpt.com",
                credentials=[],
                now=self.now,
            )
            store.set_priority(name, priority)
            self.accounts[name] = store.set_paused(name, name == "carol", self.now)
            self.state.put(self.accounts[name], self.now)
            window = QuotaWindow(
                "weekly", 0.5, self.now, "header", length_s=604_800, resets_at=self.now + (50 - priority) * HOUR
            )
            self.state.observe(account.id, (window,), self.now)

    def choose(
        self,
        flow: str,
        number: int,
        tried: frozenset[int] = frozenset(),
        *,
        only: frozenset[int] | None = None,
        rule: str | None = None,
        bound: bool = False,
        model: str | None = "gpt-x",
    ) -> Account | None:
        """One choice, recorded."""
        self.now += timedelta(seconds=1)
        demand = Demand(ProviderName.CODEX, (), "talk", only, bound=bound)
        found = select(self.state, demand, self.now, tried)
        if isinstance(found, Selection) and model != "gpt-x":
            found = replace(found, reason="fallback")
        seen = glimpse(self.state, demand, self.now, tried, found, (flow, number, "responses", model, rule))
        self.store.record(choices=[explain(seen)])
        return found.account if isinstance(found, Selection) else None

    def answer(
        self, flow: str, number: int, account: Account, code: str, status: int, model: str | None = "gpt-x"
    ) -> None:
        """What came of it."""
        reason = "best" if model == "gpt-x" else "fallback"
        answer = Attempt(flow, number, account.id, "responses", model, code, status, self.now, 12.0, reason)
        self.store.record(attempts=[answer])

    def limited(self, account: Account) -> None:
        """Rest an account for five hours."""
        cooldown = Cooldown(account.id, WHOLE_ACCOUNT, "usage_limit_reached", self.now + 5 * HOUR, self.now)
        self.state.cool(cooldown, self.now)

    def switch(self, flow: str) -> None:
        """A request that meets a limit and goes on."""
        first = self.choose(flow, 1)
        assert first is not None
        self.answer(flow, 1, first, "usage_limit_reached", 429)
        self.limited(first)
        second = self.choose(flow, 2, frozenset({first.id}))
        assert second is not None
        self.answer(flow, 2, second, "ok", 200)


pytestmark = pytest.mark.usefixtures("own_world")


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with Store.open(str(tmp_path / "pool.db")) as store:
        yield Pool(store)


def lines(text: str, *words: str) -> list[str]:
    """The lines that have all of the words."""
    return [line for line in text.splitlines() if all(word in line for word in words)]


def test_a_switch_is_told_with_both_attempts_the_barred_and_the_other_strategies(pool: Pool) -> None:
    pool.switch(FLOW)
    told = good("why", FLOW[:6])
    assert FLOW in told.splitlines()[0]
    # bob's window resets an hour before alice's: the same is left for less time
    assert lines(told, "attempt 1: bob, first in the order", "strategy quota")
    assert lines(told, "attempt 2: alice")
    assert lines(told, "bob", "cooling for 5 h: usage_limit_reached; tried already")
    assert len(lines(told, "carol", "paused")) == 2
    assert lines(told, "alice", "no. 2 in the order")
    assert lines(told, "1", "bob", "usage_limit_reached", "429", "12 ms")
    assert lines(told, "2", "alice", "ok", "200")
    first, second = lines(told, "other strategies: ")
    assert "drain -> bob" in first and "priority -> alice" in first and "quota" not in first
    assert "drain -> alice" in second


def test_a_request_that_stayed_is_told_with_the_candidates_of_the_one_before(pool: Pool) -> None:
    pool.switch(FLOW)
    pool.now += timedelta(seconds=8)
    stayed = Attempt(NEXT, 1, pool.accounts["alice"].id, "compact", "gpt-x", "ok", 200, pool.now, 9.0, "affinity", FLOW)
    pool.store.record(attempts=[stayed])
    told = good("why", NEXT)
    assert "codex compact gpt-x" in told.splitlines()[0]
    assert lines(told, "attempt 1: alice, it has the conversation", "8 s earlier, for request ab12cd34")
    assert lines(told, "alice", "chosen: ")
    assert lines(told, "1", "alice", "it has the conversation", "ok", "9 ms")
    assert [line.split()[0] for line in good("why", "--list", "5").splitlines()[1:]] == [NEXT[:8], FLOW[:8]]
    (choice,) = json.loads(good("why", NEXT, "--json"))["choices"]
    assert (choice["attempt"], choice["account"], choice["told_in"]) == (1, "alice", FLOW)


def test_what_an_answer_took_and_cost_is_told(pool: Pool) -> None:
    account = pool.choose(FLOW, 1)
    assert account is not None
    first = Attempt(FLOW, 1, account.id, "responses-ws", "gpt-x", "ok", 101, pool.now, 12.0, "best", total_ms=12.0)
    first = replace(first, client="codex_vscode")
    turns = [
        replace(first, number=number, status=None, reason="socket", total_ms=2345.6, tokens=tokens)
        for number, tokens in enumerate(
            (Tokens(21_000, 18_500, 300, 64, 9, 10**9), Tokens(700, 0, 7), Tokens(None, None, 7)), 2
        )
    ]
    pool.store.record(attempts=[first, *turns])
    told = good("why")
    assert lines(told, "1", "first in the order", "101", "12 ms", " -")
    assert lines(told, "2", "a turn on its open socket", "2346 ms", "21,000 in (18,500 cached), 300 out (64 reasoning)")
    assert lines(told, "3", "700 in, 7 out")
    assert lines(told, "4", "2346 ms", " 7 out")
    assert lines(good("why", "--list", "1"), f"{account.name} ok x4")
    attempts = json.loads(good("why", "--json"))["attempts"]
    assert [(a["total_ms"], a["input_tokens"], a["cached_tokens"], a["output_tokens"]) for a in attempts] == [
        (12.0, None, None, None),
        (2345.6, 21_000, 18_500, 300),
        (2345.6, 700, 0, 7),
        (2345.6, None, None, 7),
    ]
    more = ("reasoning_tokens", "cache_written_tokens", "ai_credits", "client", "repository")
    assert [attempts[1][name] for name in more] == [64, 9, 1.0, "codex_vscode", None]


def test_a_conversation_that_its_owner_alone_can_read_is_told_so(pool: Pool) -> None:
    pool.state.remember("talk", pool.accounts["alice"].id, pool.now - 9 * HOUR)
    pool.choose(FLOW, 1, bound=True)
    told = good("why")
    assert lines(told, "attempt 1: alice, it alone can read the conversation")
    assert lines(told, "a new conversation: ", "quota -> bob")


def test_the_newest_request_is_told_where_none_is_named(pool: Pool) -> None:
    pool.switch(FLOW)
    pool.choose(NEXT, 1)
    told = good("why")
    assert NEXT in told.splitlines()[0]
    assert "no answer is recorded" in told


def test_a_request_can_be_named_as_the_log_names_it(pool: Pool) -> None:
    pool.switch(FLOW)
    for name in (FLOW, FLOW.upper(), f"request={FLOW[:8]}"):
        assert FLOW in good("why", name)


def test_a_conversation_that_stayed_is_told_with_where_a_new_one_would_go(pool: Pool) -> None:
    pool.state.remember("talk", pool.accounts["alice"].id, pool.now)
    pool.choose(FLOW, 1)
    told = good("why")
    assert lines(told, "alice, it has the conversation")
    assert lines(told, "a new conversation: quota -> bob, drain -> bob")


def test_a_rule_is_told_by_its_name(pool: Pool) -> None:
    pool.choose(FLOW, 1, only=frozenset({pool.accounts["alice"].id}), rule="work code")
    told = good("why")
    assert lines(told, "attempt 1: alice", "rule work code")
    assert lines(told, "bob", "rule work code names other accounts")
    assert json.loads(good("why", "--json"))["choices"][0]["rule"] == "work code"


def test_nobody_left_is_told_as_well(pool: Pool) -> None:
    for name in ("alice", "bob"):
        pool.limited(pool.accounts[name])
    assert pool.choose(FLOW, 1) is None
    told = good("why")
    assert lines(told, "nobody could be asked")
    assert lines(told, "nothing was sent upstream")
    assert "other strategies" not in told
    assert lines(good("why", "--list", "5"), FLOW[:8], "nobody could be asked")


def test_a_beginning_of_several_is_one_line_that_names_them(pool: Pool) -> None:
    for flow in (FLOW, NEXT):
        pool.choose(flow, 1)
    said = refused("why", "ab12")
    assert FLOW[:8] in said and NEXT[:8] in said
    assert FLOW in good("why", "ab12c")


def test_what_is_not_recorded_is_one_line(pool: Pool) -> None:
    assert "no request was recorded yet" in refused("why")
    pool.choose(FLOW, 1)
    for unknown in ("ffff", "%", "ab12cd35"):
        assert f"no request {unknown} is recorded; seatpool why --list" in refused("why", unknown)
    assert "not both" in refused("why", FLOW, "--list", "3")
    assert "--list" in refused("why", "--list", "0")


def test_the_newest_are_listed_a_line_each(pool: Pool) -> None:
    assert "no request was recorded yet" in good("why", "--list", "3")
    pool.switch(FLOW)
    pool.choose(NEXT, 1)
    _, newest, older = good("why", "--list", "3").splitlines()
    assert NEXT[:8] in newest and "alice, no answer recorded" in newest
    assert FLOW[:8] in older and "bob usage_limit_reached > alice ok" in older
    assert len(good("why", "--list", "1").splitlines()) == 2


def test_json_has_everything_in_plain_values(pool: Pool) -> None:
    pool.switch(FLOW)
    told = json.loads(good("why", "--json"))
    assert (told["request"], told["provider"], told["model"]) == (FLOW, "codex", "gpt-x")
    first, second = told["choices"]
    assert (first["account"], first["reason"], first["strategy"], first["others"]["priority"]) == (
        "bob",
        "best",
        "quota",
        "alice",
    )
    barred = {c["account"]: [bar["by"] for bar in c["excluded"]] for c in second["candidates"]}
    assert barred == {"alice": [], "bob": ["cooling", "tried"], "carol": ["paused"]}
    (cooling, _) = next(c["excluded"] for c in second["candidates"] if c["account"] == "bob")
    assert (cooling["reason"], cooling["scope"]) == ("usage_limit_reached", "account")
    assert datetime.fromisoformat(cooling["until"]) > datetime.now(UTC) + 4 * HOUR
    assert [(a["account"], a["status"]) for a in told["attempts"]] == [("bob", 429), ("alice", 200)]
    assert json.loads(good("why", "--list", "2", "--json")) == [told]


def test_names_are_those_of_today_and_a_removed_account_has_none(pool: Pool) -> None:
    pool.switch(FLOW)
    good("account", "rename", "alice", "work")
    good("account", "remove", "carol", "--yes")
    told = good("why")
    assert lines(told, "attempt 2: work")
    assert lines(told, "(removed, no. 3)", "paused")


def test_a_socket_whose_handshake_names_no_model_is_called_after_its_turns(pool: Pool) -> None:
    served = pool.choose(FLOW, 1, model=None)
    assert served is not None
    for number, model in ((1, None), (2, "gpt-y"), (3, "gpt-z")):
        pool.answer(FLOW, number, served, "ok", 101 if model is None else 200, model)
    told = good("why", FLOW)
    assert "codex responses gpt-y, " in told.splitlines()[0]
    assert "in the place of" not in told


def test_help_shows_examples() -> None:
    assert "seatpool why ab12cd34" in seatpool("why", "--help").output


def test_a_substitute_is_told_beside_the_model_that_it_stands_for(pool: Pool) -> None:
    everybody = frozenset(account.id for account in pool.accounts.values())
    assert pool.choose(FLOW, 1, everybody) is None
    served = pool.choose(FLOW, 1, model="gpt-y")
    assert served is not None
    pool.answer(FLOW, 1, served, "ok", 200, "gpt-y")
    told = good("why", FLOW)
    assert "codex responses gpt-x" in told.splitlines()[0]
    assert lines(told, "attempt 1: nobody could be asked (")
    assert lines(told, "attempt 1: bob, the first that can serve for gpt-y in the place of gpt-x")
    assert lines(told, "1 ", "bob", "gpt-y in the place of gpt-x", "ok")
    assert lines(good("why", "--list", "1"), "gpt-x", "bob ok for gpt-y in the place of gpt-x")
    found = json.loads(good("why", FLOW, "--json"))
    assert found["model"] == "gpt-x"
    assert [(c["model"], c["reason"]) for c in found["choices"]] == [("gpt-x", "exhausted"), ("gpt-y", "fallback")]
    assert [(a["model"], a["reason"]) for a in found["attempts"]] == [("gpt-y", "fallback")]


def test_status_counts_what_was_served_with_a_substitute(pool: Pool) -> None:
    everybody = frozenset(account.id for account in pool.accounts.values())
    for flow, outcome in ((FLOW, "ok"), (NEXT, "ok"), (OTHER, "usage_limit_reached")):
        pool.choose(flow, 1, everybody)
        served = pool.choose(flow, 1, model="gpt-y")
        assert served is not None
        pool.answer(flow, 1, served, outcome, 200, "gpt-y")
    pool.switch("ab12eeee-aaaa-4aaa-8aaa-000000000004")  # with the model that was asked for
    assert lines(good("status"), "gpt-y for gpt-x: 2 in 24 h, last")
    rows = {row["name"]: row["substituted"] for row in json.loads(good("status", "--json"))["accounts"]}
    (told,) = rows.pop("bob")
    assert datetime.fromisoformat(told.pop("last_at")).tzinfo is not None
    assert told == {"asked": "gpt-x", "model": "gpt-y", "requests": 2}
    assert not any(rows.values())


def test_it_names_what_is_not_yours_to_use(pool: Pool) -> None:
    pool.switch(FLOW)
    assert "not yours" not in good("why")
    pool.store.team.set_owner("carol", "dan")
    assert good("why").splitlines()[-1] == "not yours to use: carol (dan's)"
