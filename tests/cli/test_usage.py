"""`seatpool usage`, over a real database: what was recorded comes back as sums, and what was never told as nothing."""

import csv
import json
import os
import re
import struct
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from seatpool.cli.main import main
from seatpool.cli.usage.usage import OURS
from seatpool.core import prices
from seatpool.core.model import Attempt, ProviderName, Tokens
from seatpool.store import Store
from tests.cli.test_cli import good, refused
from tests.cli.test_why import lines
from tests.harness import REPOSITORY

TODAY = datetime.now().astimezone().replace(hour=12, minute=0, second=0, microsecond=0)  # days are a person's own
DAY = timedelta(days=1)
# account, model, outcome, when, tokens, client, repository
RECORDED: tuple[tuple[Any, ...], ...] = (
    ("work", "gpt-5", "ok", TODAY, Tokens(1_000_000, 600_000, 10_000, 4_000), "codex_vscode", "github.com/ann/site"),
    ("work", "gpt-5", "left", TODAY, None, "codex_vscode", "github.com/ann/site"),
    ("work", "gpt-5", "usage_limit_reached", TODAY, None, "codex_vscode", None),
    ("home", "claude-sonnet-4.6", "cut", TODAY - DAY, Tokens(2_000, 500, 1, None, 1_000, 5 * 10**9), "vscode", None),
    ("home", "claude-sonnet-4.6", "ok", TODAY - 9 * DAY, Tokens(200_000, 0, 100, None, 0, 10**9), "vscode", None),
    ("home", "newest", "ok", TODAY - 40 * DAY, Tokens(70, None, None), "vscode", None),
)


pytestmark = pytest.mark.usefixtures("own_world")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "pool.db")) as store:
        ids = {}
        for name, provider in (("work", ProviderName.CODEX), ("home", ProviderName.COPILOT)):
            account, _ = store.save_login(
                provider=provider, identity=name, name=name, issuer="x.test", credentials=[], now=TODAY
            )
            ids[name] = account.id
        store.record(
            attempts=[
                Attempt(f"f{n}", 1, ids[who], "chat", model, outcome, 200, at, 1.0, tokens=t, client=c, repository=r)
                for n, (who, model, outcome, at, t, c, r) in enumerate(RECORDED)
            ]
        )
        yield store


def told(*arguments: str) -> dict[str, Any]:
    return dict(json.loads(good("usage", "--json", *arguments)))


def test_a_day_is_the_persons_own(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the evening of California it is the next day already in UTC, and in the morning of Japan still the last."""
    for zone, hour in (("America/Los_Angeles", 20), ("Asia/Tokyo", 3)):
        with monkeypatch.context() as patch:
            patch.setenv("TZ", zone)
            time.tzset()
            began = (datetime.now() - DAY).replace(hour=hour).astimezone()  # noqa: DTZ005 # a person's own clock
            assert began.date() != began.astimezone(UTC).date()
            work = store.account("work").id
            store.record(attempts=[Attempt(zone, 1, work, "chat", zone, "ok", 200, began.astimezone(UTC), 1.0)])
            counted = {row["day"]: row["requests"] for row in told("--by", "day", "--since", str(began.date()))["rows"]}
            (day,) = (used.day for used in store.past.usage(began.date()) if used.model == zone)
            last = told("--days", "1")["until"]
            assert last == str(datetime.now().astimezone().date())
        time.tzset()
        assert day == str(began.date()) and counted[day] >= 1


def test_without_anything_it_says_so(tmp_path: Path) -> None:
    assert "nothing was used since" in good("usage")
    assert told()["rows"] == [] and told()["total"]["requests"] == 0
    assert good("usage", "--csv").count("\n") == 1


def test_accounts_are_summed_with_what_it_would_have_cost(store: Store) -> None:
    said = good("usage")
    # 400,000 fresh at 1.25, 600,000 cached at 0.125, 10,000 out at 10 USD a million: 0.50 + 0.075 + 0.10
    assert lines(said, "work", "2", "1", "1,000,000", "600,000", "10,000", "4,000", "$0.68")
    # 500 at 3, 500 at 0.30, 1,000 at 3.75, 1 at 15; and 200,000 at 3, 100 at 15: 0.0054 + 0.6015
    assert lines(said, "home", "202,000", "500", "101", "6.00", "$0.61")
    assert lines(said, "total", "4", "2", "1", "1,202,000", "10,101", "4,000", "6.00", "$1.28")
    assert "local days" in said and "list prices of 2026-" in said
    assert "no tokens were told of 1 request\n" in said


def test_what_was_never_told_is_null_and_what_was_is_exact(store: Store) -> None:
    by_model = told("--by", "model", "--days", "60")
    assert by_model["rows"] == [
        {
            "model": "gpt-5",
            "requests": 2,
            "aborted": 1,
            "failed": 1,
            "untold": 1,
            "input_tokens": 1_000_000,
            "cached_tokens": 600_000,
            "cache_written_tokens": None,
            "output_tokens": 10_000,
            "reasoning_tokens": 4_000,
            "ai_credits": None,
            "cost_usd": 0.675,
        },
        {
            "model": "claude-sonnet-4.6",
            "requests": 2,
            "aborted": 1,
            "failed": 0,
            "untold": 0,
            "input_tokens": 202_000,
            "cached_tokens": 500,
            "cache_written_tokens": 1_000,
            "output_tokens": 101,
            "reasoning_tokens": None,
            "ai_credits": 6.0,
            "cost_usd": 0.606915,
        },
        {
            "model": "newest",
            "requests": 1,
            "aborted": 0,
            "failed": 0,
            "untold": 0,
            "input_tokens": 70,
            "cached_tokens": None,
            "cache_written_tokens": None,
            "output_tokens": None,
            "reasoning_tokens": None,
            "ai_credits": None,
            "cost_usd": None,
        },
    ]
    assert by_model["models_without_price"] == ["newest"]
    assert by_model["total"]["cost_usd"] == 1.281915
    said = good("usage", "--by", "model", "--days", "60")
    assert lines(said, "newest", "70", "no price") and lines(said, "total", "$1.28+")
    assert "without a price, and not in the cost: newest" in said


def test_days_come_in_order_and_as_far_back_as_is_asked(store: Store) -> None:
    days = [(TODAY - n * DAY).date().isoformat() for n in (40, 9, 1, 0)]
    assert [row["day"] for row in told("--by", "day")["rows"]] == days[1:]
    assert [row["day"] for row in told("--by", "day", "--days", "1")["rows"]] == days[3:]
    assert [row["day"] for row in told("--by", "day", "--since", days[0])["rows"]] == days
    assert told("--days", "9999999")["total"]["requests"] == 5


def test_repositories_and_clients_that_are_not_known_have_a_line_of_their_own(store: Store) -> None:
    rows = told("--by", "repository")["rows"]
    assert [(row["repository"], row["requests"]) for row in rows] == [("github.com/ann/site", 2), (None, 2)]
    assert [row["client"] for row in told("--by", "client")["rows"]] == ["codex_vscode", "vscode"]
    assert lines(good("usage", "--by", "repository"), "(not known)", "202,000")


def test_csv_has_a_line_for_each_and_adds_up(store: Store) -> None:
    rows = list(csv.DictReader(good("usage", "--by", "client", "--csv").splitlines()))
    assert [row["client"] for row in rows] == ["codex_vscode", "vscode"]
    assert sum(int(row["input_tokens"]) for row in rows) == told()["total"]["input_tokens"]
    assert rows[0]["ai_credits"] == "" and rows[1]["ai_credits"] == "6.0"


def test_of_an_account_that_is_gone_the_sums_stay_and_a_new_name_counts_for_all(store: Store) -> None:
    store.rename("work", "office")
    store.remove("home")
    assert [row["account"] for row in told()["rows"]] == ["office", "home"]
    assert store.past.attempts(limit=9, account_id=2) == ()


WRITES_COST = re.compile(r"claude-|gpt-5-6|gpt-6")


def test_what_is_put_into_a_cache_costs_a_quarter_more_with_every_model_that_charges_for_it() -> None:
    known = prices.read(tomllib.loads(OURS.read_text("utf-8"))).by_model
    slips = {
        name
        for name, price in known.items()
        if price.written != (pytest.approx(1.25 * price.input) if WRITES_COST.match(name) else None)
        or (price.cached is not None and price.cached >= price.input)
    }
    assert not slips


@pytest.mark.parametrize(
    ("model", "usd"),
    [
        # 8,224 x 0.20 + 4,251 x 0.25 + 347 x 1.20, and 4 x 2 + 9,000 x 0.10 + 300 x 2.50 + 7 x 10, in millionths: what
        # Copilot has charged for these, a hundredth of a dollar for each credit.
        ("gpt-5.6-luna", 0.00312395),
        ("claude-sonnet-5.5", 0.001728),
    ],
)
def test_prices_are_what_copilot_charges(model: str, usd: float) -> None:
    counted = {
        "gpt-5.6-luna": Tokens(12_475, 0, 347, 267, 4_251),
        "claude-sonnet-5.5": Tokens(9_304, 9_000, 7, None, 300),
    }
    price = prices.read(tomllib.loads(OURS.read_text("utf-8"))).of(model)
    assert price is not None and price.cost(counted[model]) == pytest.approx(usd)


def test_prices_of_ones_own_take_the_place_of_the_releases(store: Store, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('date = 2030-01-02\n[models]\n"GPT-5" = { input = 1, output = 2 }\n')
    report = told("--prices", str(mine))
    assert (report["prices_of"], report["total"]["cost_usd"]) == ("2030-01-02", 1.02)
    assert report["models_without_price"] == ["claude-sonnet-4.6"]


NO_PRICES = {
    "no date": '[models]\n"m" = { input = 1, output = 2 }',
    "no output": 'date = 2030-01-02\n[models]\n"m" = { input = 1 }',
    "a word": 'date = 2030-01-02\n[models]\n"m" = { input = "1", output = 2 }',
    "below zero": 'date = 2030-01-02\n[models]\n"m" = { input = 1, output = -2 }',
    "misspelt": 'date = 2030-01-02\n[models]\n"m" = { input = 1, output = 2, cashed = 1 }',
    "no TOML": "[models",
}


@pytest.mark.parametrize("what", NO_PRICES)
def test_what_is_no_price_list_is_refused_in_one_line(tmp_path: Path, what: str) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(NO_PRICES[what])
    assert "mine.toml: these are no prices" in refused("usage", "--prices", str(mine))


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--days", "3", "--since", "2026-11-01"), "--days or --since"),
        (("--csv", "--json"), "one of --csv, --json and --plot"),
        (("--csv", "--plot"), "one of --csv, --json and --plot"),
        (("--plot", "usage.jpg"), "ends in .png"),
        (("--days", "0"), "x>=1"),
        (("--since", "yesterday"), "is no day: say 2026-11-01"),
        (("--by", "week"), "is not one of"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: tuple[str, ...], why: str) -> None:
    assert why in refused("usage", *arguments)


@pytest.mark.parametrize(
    ("columns", "head"),
    [
        (40, ["account", "requests", "input", "cost"]),
        (60, ["account", "requests", "input", "cached", "output", "credits", "cost"]),
    ],
)
def test_a_narrow_screen_shows_of_whom_the_numbers_are_and_fewer_of_them(
    store: Store, monkeypatch: pytest.MonkeyPatch, columns: int, head: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    said = good("usage", "--days", "2").splitlines()
    assert said[0].split() == head
    assert [line.split()[0] for line in said[1:4]] == ["work", "home", "total"]
    assert max(map(len, said[:4])) <= columns
    assert "…" not in "".join(said)


def test_bars_in_the_terminal_are_as_long_as_what_they_stand_for(store: Store) -> None:
    said = good("usage", "--plot", "--days", "2")
    assert lines(said, "work", "█" * 40 + " ", "1,010,000")
    (home,) = lines(said, "home", "2,001")
    assert "█" not in home
    assert "local days" in said


def test_bars_are_of_what_the_terminal_has(store: Store) -> None:
    result = CliRunner(charset="cp1252").invoke(main, ["usage", "--plot", "--days", "2"])
    assert result.exit_code == 0
    assert lines(result.output, "work", "#" * 40 + " ", "1,010,000")


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs matplotlib")
def test_a_picture_is_drawn_where_matplotlib_is_there(store: Store, tmp_path: Path) -> None:
    for by in ("day", "model"):
        picture = tmp_path / f"{by}.png"
        assert good("usage", "--by", by, "--plot", str(picture)) == f"drawn into {picture}\n"
        content = picture.read_bytes()
        width, height = struct.unpack(">II", content[16:24])
        assert content.startswith(b"\x89PNG\r\n\x1a\n") and width > 500 and height > 150
    assert {p.name for p in tmp_path.glob("*.png*")} == {"day.png", "model.png"}


def test_without_it_one_line_says_what_to_install(store: Store, tmp_path: Path) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ImportError")
    ended = _beside("usage", "--plot", "x.png", path=(tmp_path,))
    assert ended.returncode == 1 and not ended.stdout
    assert ended.stderr.startswith("Error: a picture needs matplotlib: pip install matplotlib")
    assert ended.stderr.count("\n") == 1


def _beside(*arguments: str, path: tuple[Path, ...]) -> subprocess.CompletedProcess[str]:
    """A `seatpool` of its own process."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*path, REPOSITORY / "addon")))}
    command = [sys.executable, "-m", "seatpool.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
