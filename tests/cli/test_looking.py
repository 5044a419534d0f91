"""`seatpool tail` and `seatpool status --watch`: what they show, of whom, where, and how they end."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from msgspec.structs import replace

from seatpool.cli.schemas import OF, text
from seatpool.core.ended import Ended, Recorded
from seatpool.core.explain import WAITING
from seatpool.core.model import Attempt, QuotaWindow, Tokens
from seatpool.core.report import Report
from seatpool.core.tail import Line, line
from seatpool.store import Store, Wanted
from tests.cli.schema import problems
from tests.cli.test_cli import good, refused
from tests.cli.test_why import FLOW, HOUR, NEXT, OTHER, Pool, lines
from tests.harness import REPOSITORY

COMMAND = [sys.executable, "-m", "seatpool.cli"]


@pytest.fixture(autouse=True)
def _own_world(own_world: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY / "addon"))


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with Store.open(str(tmp_path / "pool.db")) as store:
        yield Pool(store)


def over(pool: Pool, flow_id: str, name: str | None, number: int, total_ms: float = 3210.0) -> None:
    """A request is over."""
    account_id = pool.accounts[name].id if name is not None else None
    pool.store.record(ended=[Ended(flow_id, 1, number, account_id, pool.now, 412.0, total_ms, pool.now - HOUR)])


def served(pool: Pool) -> None:
    """One that switches from bob to alice; one that stays there, with tokens; one that nobody may serve."""
    pool.switch(FLOW)
    over(pool, FLOW, "alice", 2)
    stayed = Attempt(NEXT, 1, pool.accounts["alice"].id, "compact", "gpt-x", "ok", 200, pool.now, 9.0, "affinity", FLOW)
    pool.store.record(attempts=[replace(stayed, tokens=Tokens(20_000, 18_000, 300))])
    over(pool, NEXT, "alice", 1)
    pool.choose(OTHER, 1, only=frozenset({pool.accounts["carol"].id}), rule="work code")
    over(pool, OTHER, None, 0, 1.0)


def test_each_request_is_a_line_with_its_account_and_why(pool: Pool) -> None:
    assert good("tail", "--no-follow") == ""
    served(pool)
    told = good("tail", "--no-follow")
    assert "\x1b" not in told
    first, second, third = told.splitlines()
    assert re.search(
        r"^(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d ab12cd34 alice +200 ok +x2 +0.41s +3.21s  gpt-x  "
        r"(first in the order|the first that can serve), after bob usage_limit_reached$",
        first,
    )
    assert second.endswith("20,000 in (18,000 cached), 300 out  gpt-x  it has the conversation")
    assert "nobody exhausted" in third
    assert third.endswith("nobody could be asked, carol paused, rule work code")
    for one in told.splitlines():  # the reason is the one that `why` explains
        reason = one.rpartition("  ")[2].partition(",")[0]
        assert lines(good("why", re.findall(r"ab12\w{4}", one)[0]), reason)


def test_those_that_are_wanted_are_shown(pool: Pool) -> None:
    served(pool)

    def shown(*arguments: str) -> list[str]:
        return re.findall(r"(ab12\w{4}) ", good("tail", "--no-follow", *arguments))

    a, b, c = (flow[:8] for flow in (FLOW, NEXT, OTHER))
    assert shown("-n", "2") == [b, c]
    assert shown("-n", "0") == []
    assert shown("--account", "alice") == shown("--account", "alice", "--account", "bob") == [a, b]
    assert shown("--account", "bob") == []
    assert shown("--since", "1d") == [a, b, c]
    assert shown("--since", "1s") == []
    assert shown("--since", (pool.now + HOUR).isoformat()) == []
    assert shown("--since", "2020-01-01", "-n", "1") == [c]
    assert "alice, bob, carol" in refused("tail", "--account", "dave")
    for wrong in ("soon", "25:00", "999999d", "2026-13-01"):
        assert "say 30s" in refused("tail", "--since", wrong)


def test_json_is_what_the_schema_says(pool: Pool) -> None:
    served(pool)
    pool.store.record(windows=[(pool.accounts["bob"].id, QuotaWindow("weekly", 0.5, pool.now, "header"))])
    for told in good("tail", "--no-follow", "--json").splitlines():
        assert problems(json.loads(told), Line) == []
    status = json.loads(good("status", "--json"))
    assert problems(status, Report) == []
    assert problems({**status, "more": 1, "at": "2026-11-21T12:00:00"}, Report) != []
    assert {row["name"]: (row["requests_today"], row["share_today"]) for row in status["accounts"]} == {
        "alice": (2, 1.0),
        "bob": (0, 0.0),
        "carol": (0, 0.0),
    }
    assert status["unserved_today"] == 1
    for file, printed in OF.items():
        assert file.read_text() == text(printed), "python -m seatpool.cli.schemas writes it anew"
        assert json.loads(good(file.name.partition(".")[0], "--schema"))["$ref"] == f"#/$defs/{printed.__name__}"


def test_a_wait_a_substitute_and_where_it_was_asked_from_are_told(pool: Pool) -> None:
    served(pool)
    (first, *_) = pool.store.past.newest_ended(Wanted(), 10)[1]
    waited = replace(first.choices[0], reason=WAITING, account_id=None)
    instead = [replace(a, model="gpt-y", repository="github.com/acme/widgets") for a in first.attempts]
    accounts = {a.id: a for a in pool.accounts.values()}
    chosen = [replace(choice, model="gpt-y") for choice in first.choices]
    told = line(Recorded(first.ended, (waited, *chosen), instead), accounts)
    assert " for gpt-y in the place of gpt-x, after a wait, after bob" in told.why
    for named in ("gpt-x", None):  # in the handshake of a socket, on which a message names another one
        choices = [replace(choice, model=named) for choice in first.choices]
        assert "in the place of" not in line(Recorded(first.ended, choices, instead), accounts).why
    assert (told.repository, told.model) == ("github.com/acme/widgets", "gpt-y")
    gone = line(replace(first, attempts=()), {})
    assert (gone.account, gone.outcome) == (None, "unanswered")


def test_on_a_terminal_both_go_on_in_colour_and_end_by_ctrl_c(pool: Pool) -> None:
    served(pool)
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "160", "LINES": "40"}
    environment.pop("NO_COLOR", None)
    ended = []
    for arguments in (["tail"], ["status", "--watch"]):
        process = pexpect.spawn(
            COMMAND[0], [*COMMAND[1:], *arguments], env=environment, encoding="utf-8", timeout=20, dimensions=(40, 160)
        )
        process.expect("alice")
        if arguments == ["tail"]:
            pool.store.record(windows=[(pool.accounts["bob"].id, QuotaWindow("weekly", 0.5, pool.now, "header"))])
            over(pool, NEXT, "bob", 1)
            process.expect("bob")
        else:
            process.expect("█████░")
            pool.store.set_paused("bob", True, pool.now)
            process.expect("paused.*paused")
        process.sendintr()
        process.expect(pexpect.EOF)
        process.close()
        ended.append((process.exitstatus, "Traceback" in process.before))
    assert ended == [(130, False), (130, False)]


def test_piped_into_a_program_that_has_read_enough_it_ends_without_a_word(pool: Pool) -> None:
    served(pool)
    for arguments in ("tail -n 3 --no-follow", "tail -n 3 --no-follow --json"):
        shell = f"{' '.join(COMMAND)} {arguments} | head -n 1"
        ran = subprocess.run(["bash", "-o", "pipefail", "-c", shell], capture_output=True, text=True, timeout=20)
        assert (len(ran.stdout.splitlines()), ran.stderr) == (1, "")


def test_what_does_not_go_together_is_refused() -> None:
    assert "--watch" in refused("status", "--watch", "--strays")
