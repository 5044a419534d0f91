"""The command line, over a real database: what it says, what it changes, and how it refuses."""

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from seatpool.cli.main import main
from seatpool.core.explain import WAITING, explain, glimpse
from seatpool.core.model import WHOLE_ACCOUNT, Cooldown, ProviderName, QuotaWindow, Scope, ScopeKind
from seatpool.core.selection import Demand, Exhausted
from seatpool.core.state import PoolState
from seatpool.setup import strangers
from seatpool.store import Store
from tests.store.made import sign_in
from tests.upstream.logins import codex_login

HOUR = timedelta(hours=1)


pytestmark = pytest.mark.usefixtures("own_world")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(str(tmp_path / "pool.db"))


def seatpool(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=text)


def good(*arguments: str) -> str:
    result = seatpool(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: str) -> str:
    """One line that begins with Error, perhaps after the usage; never a traceback."""
    result = seatpool(*arguments)
    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit)
    lines = result.output.strip().splitlines()
    assert lines[-1].startswith("Error: ")
    assert sum(line.startswith("Error") for line in lines) == 1
    return lines[-1]


@pytest.fixture
def login(tmp_path: Path) -> Path:
    return codex_login(tmp_path / "codex", "alice")


def test_unknown_names_are_answered_with_the_known_ones(login: Path) -> None:
    good("account", "import", str(login), "--name", "work")
    for command in (
        ("account", "pause", "wrok"),
        ("account", "remove", "wrok", "--yes"),
        ("account", "weight", "wrok", "2"),
        ("account", "policy", "wrok", "normal"),
        ("cooldown", "clear", "wrok"),
    ):
        assert "work" in refused(*command)


def test_accounts_are_paused_resumed_renamed_prioritised_and_removed(login: Path, store: Store) -> None:
    good("account", "import", str(login), "--name", "work")
    good("account", "pause", "work")
    assert store.account("work").paused
    good("account", "resume", "work")
    good("account", "priority", "work", "5")
    good("account", "rename", "work", "day job")
    assert (store.account("day job").paused, store.account("day job").priority) == (False, 5)
    assert "priority" in good("account", "list")
    assert seatpool("account", "remove", "day job", text="n\n").exit_code != 0
    assert len(store.accounts()) == 1
    good("account", "remove", "day job", "--yes")
    assert store.accounts() == ()


def test_accounts_get_a_weight_and_a_policy_that_are_shown(login: Path, store: Store) -> None:
    good("account", "import", str(login), "--name", "work")
    assert good("account", "weight", "work", "2.5") == "work has weight 2.5\n"
    assert good("account", "policy", "work", "preserved") == "work is preserved\n"
    table = good("account", "list").splitlines()
    assert table[0].split() == ["account", "provider", "plan", "priority", "weight", "policy", "state"]
    assert table[1].split()[3:6] == ["100", "2.5", "preserved"]
    for command in (("status", "--json"), ("account", "list", "--json")):
        told = json.loads(good(*command))
        row = (told["accounts"] if command[0] == "status" else told)[0]
        assert (row["weight"], row["policy"]) == (2.5, "preserved")


@pytest.mark.parametrize(
    ("number", "says"),
    [
        ("0", "0.001 to 1000"),
        ("nan", "0.001 to 1000"),
        ("inf", "0.001 to 1000"),
        ("much", "'much' is not a valid float"),
    ],
)
def test_a_weight_that_is_none_is_one_line_and_changes_nothing(
    login: Path, store: Store, number: str, says: str
) -> None:
    good("account", "import", str(login), "--name", "work")
    assert says in refused("account", "weight", "work", number)
    assert store.account("work").weight == 1.0


def test_a_policy_that_there_is_not_is_answered_with_those_there_are(login: Path) -> None:
    good("account", "import", str(login), "--name", "work")
    said = refused("account", "policy", "work", "spared")
    assert all(each in said for each in ("normal", "expendable", "preserved"))


def test_resume_takes_back_a_disabling(login: Path, store: Store) -> None:
    good("account", "import", str(login), "--name", "work")
    store.disable(store.account("work").id, "deactivated_workspace", datetime.now(UTC))
    assert "disabled: deactivated_workspace" in good("account", "list")
    assert good("account", "resume", "work") == "resumed work\n"
    assert store.account("work").usable


def test_a_login_that_is_over_is_said_with_the_command_for_it(login: Path, store: Store) -> None:
    good("account", "import", str(login), "--name", "my work")
    store.disable(store.account("my work").id, "renewal-refresh_token_invalidated", datetime.now(UTC))
    again = "seatpool login codex --name 'my work'"
    told = [line.rstrip() for line in good("status").splitlines()]
    assert "has to sign in again: refresh_token_invalidated" in told[1]
    assert told[-2:] == ["my work has to sign in again (refresh_token_invalidated)", f"  to do: {again}"]
    assert "has to sign in again: refresh_token_invalidated" in good("account", "list")
    resumed = good("account", "resume", "my work")
    assert resumed == f"resumed my work\nits login was over; if it still is: {again}\n"


def test_status_says_when_somebody_serves_again_where_all_rest(login: Path, store: Store) -> None:
    good("account", "import", str(login), "--name", "work")
    now, id_ = datetime.now(UTC), store.account("work").id
    store.cool(Cooldown(id_, Scope(ScopeKind.MODEL, "gpt-x"), "model_not_found", now + HOUR, now))
    part = "codex: gpt-x rests on every account; work is the first to be back, in 60 min, at "
    assert part in good("status"), "the others of its models can be had"
    until = now + 3 * HOUR
    store.cool(Cooldown(id_, WHOLE_ACCOUNT, "usage_limit_reached", until, now))
    back = f"in 3 h, at {until.astimezone():%H:%M} (usage_limit_reached)"
    assert f"codex: every account rests; work is the first to be back, {back}" in good("status")
    good("account", "pause", "work")
    good("cooldown", "clear")
    told = [line.rstrip() for line in good("status").splitlines()]
    assert told[-2:] == ["codex: every account is paused", "  to do: seatpool account resume work"]


def test_a_part_that_rests_on_some_accounts_alone_needs_nobody(login: Path, store: Store) -> None:
    """Copilot's limits are of chat: an account is ready, and its ghost text goes on."""
    good("account", "import", str(login), "--name", "work")
    other = sign_in(store, "home")
    now, chat = datetime.now(UTC), Scope(ScopeKind.BUCKET, "chat")
    store.cool(Cooldown(store.account("work").id, chat, "user_global_rate_limited", now + 2 * HOUR, now))
    assert "to do" not in good("status")
    store.cool(Cooldown(other.id, chat, "user_weekly_rate_limited", now + 70 * HOUR, now))
    assert "codex: chat rests on every account; work is the first to be back, in 2 h" in good("status")
    store.cool(Cooldown(store.account("work").id, WHOLE_ACCOUNT, "rate_limited", now + 90 * HOUR, now))
    assert "codex: chat rests on every account; home is the first to be back, in 3 d" in good("status")


def test_status_shows_quota_cooldowns_and_use_as_table_and_as_json(
    login: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    good("account", "import", str(login), "--name", "work")
    now = datetime.now(UTC)
    id_ = store.account("work").id
    store.cool(Cooldown(id_, WHOLE_ACCOUNT, "usage_limit_reached", now + 3 * HOUR, now))
    store.record(
        windows=[(id_, QuotaWindow("primary", 0.25, now, "header", resets_at=now + 3 * HOUR))], used={id_: now}
    )
    table = good("status")
    assert "work" in table
    assert "usage_limit_reached" in table
    assert "primary 25%" in table
    monkeypatch.setenv("COLUMNS", "80")
    narrow = good("status")
    assert "…" not in narrow, "nothing is cut off on a narrow terminal"
    assert max(map(len, narrow.splitlines())) <= 80
    monkeypatch.delenv("COLUMNS")
    (line,) = [line for line in good("status").splitlines() if line.split()[0] == "work"]
    assert "usage_limit_reached" in line and "primary 25%" in line, "for a pipe, whole"
    row = json.loads(good("status", "--json"))["accounts"][0]
    assert (row["name"], row["state"], row["windows"][0]["left"]) == ("work", "cooling", 0.25)
    assert row["cooldowns"][0]["reason"] == "usage_limit_reached"
    assert good("cooldown", "clear", "work") == "cleared 1 cooldown\n"
    assert json.loads(good("status", "--json"))["accounts"][0]["state"] == "ready"


@pytest.mark.parametrize("columns", [40, 60, 80])
@pytest.mark.parametrize("name", ["work", "an account of a rather long name, as a person has it"])
def test_a_narrow_screen_shows_each_account_its_state_and_its_quota(
    login: Path, store: Store, monkeypatch: pytest.MonkeyPatch, columns: int, name: str
) -> None:
    good("account", "import", str(login), "--name", name)
    now = datetime.now(UTC)
    store.record(windows=[(store.account(name).id, QuotaWindow("primary", 0.25, now, "header"))])
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = good("status").splitlines()
    assert max(map(len, lines)) <= columns
    told = " ".join(lines).split()
    assert set(name.split()) | {"ready", "25%"} <= set(told)


@pytest.mark.parametrize("columns", [110, 120, 130, 140])
def test_a_wide_screen_has_room_for_the_state_whatever_stands_beside_it(
    login: Path, store: Store, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    name = "work-and-more-work"
    good("account", "import", str(login), "--name", name)
    now, id_ = datetime.now(UTC), store.account(name).id
    store.cool(Cooldown(id_, WHOLE_ACCOUNT, "usage_limit_reached", now + 3 * HOUR, now))
    seen = QuotaWindow("premium_interactions", 0.25, now - 2 * HOUR, "header", resets_at=now + 3 * HOUR)
    store.record(windows=[(id_, seen)], used={id_: now})
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = good("status")
    assert max(map(len, shown.splitlines())) <= columns
    assert {"state", "cooling", "usage_limit_reached"} <= set(shown.split())


@pytest.mark.parametrize("columns", ["0", "20", "-1", "wide", ""])
def test_a_width_that_no_screen_has_is_none(login: Path, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    good("account", "import", str(login), "--name", "work")
    monkeypatch.delenv("COLUMNS")
    whole = good("account", "list")
    monkeypatch.setenv("COLUMNS", columns)
    assert good("account", "list") == whole


def test_status_tells_of_requests_that_had_to_wait(login: Path, store: Store) -> None:
    good("account", "import", str(login), "--name", "work")
    assert "waited" not in good("status")
    state, demand, now = PoolState(), Demand(ProviderName.CODEX), datetime.now(UTC)
    for flow in ("flow-1", "flow-1", "flow-2"):
        seen = glimpse(state, demand, now, set(), Exhausted(limited=True), (flow, 1, "responses", None, None))
        store.record(choices=[explain(seen._replace(reason=WAITING))])
    assert "2 requests waited for an account in 24 h, the last " in good("status")


def test_status_shows_what_came_by_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert "nothing came by" in good("status", "--strays")
    assert "--strays" not in good("status")
    now = datetime.now(UTC)
    strangers.add(strangers.default_file(), {"new.githubcopilot.com": 2}, now)
    strangers.add(strangers.paths_file(), {"GET chatgpt.com/new/*": 3}, now)
    assert "GET chatgpt.com/new/*" in good("status", "--strays")
    assert "2 hosts or kinds of requests" in good("status")
    told = json.loads(good("status", "--strays", "--json"))
    assert [(row["kind"], row["name"], row["count"]) for row in told] == [
        ("host", "new.githubcopilot.com", 2),
        ("request", "GET chatgpt.com/new/*", 3),
    ]


def test_status_marks_quota_that_was_seen_long_ago(login: Path, store: Store) -> None:
    good("account", "import", str(login), "--name", "work")
    now = datetime.now(UTC)
    seen = {"primary": now - 2 * HOUR, "secondary": now - HOUR / 2}
    id_ = store.account("work").id
    store.record(windows=[(id_, QuotaWindow(bucket, 0.25, at, "usage")) for bucket, at in seen.items()])
    table = good("status")
    assert "(seen 2 h ago, stale)" in table
    assert "(seen 30 min ago)" in table
    windows = json.loads(good("status", "--json"))["accounts"][0]["windows"]
    assert {w["bucket"]: w["stale"] for w in windows} == {"primary": True, "secondary": False}


def test_an_empty_pool_says_how_to_fill_it() -> None:
    for command in (("status",), ("account", "list")):
        assert "seatpool account import" in good(*command)


def test_no_command_shows_a_token(login: Path) -> None:
    outputs = [good("account", "import", str(login), "--name", "work")]
    outputs += [
        good(*c) for c in (("status",), ("status", "--json"), ("account", "list"), ("account", "list", "--json"))
    ]
    assert "FAKESECRET" in login.read_text()
    assert not [o for o in outputs if "FAKESECRET" in o or "eyJ" in o]


def test_a_database_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"this is no database, and long enough to be looked at as one" * 20)
    assert str(broken) in refused("--db", str(broken), "status")
    assert str(broken) in refused("status", "--db", str(broken))


WORSE = "a\x1b]0;title\x07\x9b2J\r[bold]"


@pytest.mark.parametrize(
    "command", [("status",), ("account", "list"), ("forecast",), ("audit",), ("usage", "--by", "account")]
)
def test_a_terminal_does_nothing_that_the_database_says(
    login: Path, store: Store, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """A database may be shared, and upstreams name what is in it."""
    good("account", "import", str(login), "--name", "work")
    now = datetime.now(UTC)
    id_ = store.account("work").id
    store.record(windows=[(id_, QuotaWindow(f"{WORSE}/primary", 0.5, now, "header", resets_at=now + HOUR))])
    with sqlite3.connect(tmp_path / "pool.db") as other:
        other.execute("UPDATE accounts SET name = ?, plan = ?", (f"{WORSE} work", WORSE))
        other.execute("UPDATE audit SET person = ?", (WORSE,))
    other.close()
    assert not set("\x1b\x07\x9b\r") & set(good(*command))
