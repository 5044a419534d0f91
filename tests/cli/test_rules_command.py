"""`seatpool rules ...`: what is wrong with a file, what it says, and what it would do."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from seatpool.cli.main import main
from seatpool.service.flows.rulebook import default_path
from tests.upstream.logins import codex_login

RULES = """\
[groups]
work = ["alice", "corp-*"]

[[rule]]
name = "work code"
provider = "codex"
repository = ["github.com/acme/*", ""]
only = "work"

[[rule]]
client = "neovim"
prefer = "bob"
"""
WRONG = '[[rule]]\nname = "work code"\nonyl = "work"\n'


@pytest.fixture(autouse=True)
def _own_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")
    monkeypatch.setenv("SEATPOOL_DB", str(tmp_path / "pool.db"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "rules.toml"
    path.write_text(RULES)
    return str(path)


@pytest.fixture
def alice(tmp_path: Path) -> None:
    path = codex_login(tmp_path / "codex", "alice")
    assert seatpool("account", "import", str(path), "--name", "alice").exit_code == 0


def seatpool(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def good(*arguments: str) -> str:
    result = seatpool(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_file_without_mistakes_is_told_so_and_no_database_is_made(file: str, tmp_path: Path) -> None:
    assert good("rules", "check", file) == f"{file}: 2 rules, no mistake\n"
    assert not (tmp_path / "pool.db").exists()


@pytest.mark.parametrize("command", [("check",), ("show",), ("test", "--provider", "codex")])
def test_every_mistake_is_a_line_with_its_place_and_the_exit_code_is_1(command: tuple[str, ...], file: str) -> None:
    Path(file).write_text(WRONG)
    result = seatpool("rules", *command, file)
    assert (result.exit_code, result.stdout) == (1, "")
    first, second = result.stderr.splitlines()
    assert first.startswith(f'{file}:1: rule "work code": give it either only')
    assert second.startswith(f'{file}:3: rule "work code": unknown key "onyl"')


def test_without_a_file_it_is_the_one_that_the_proxy_reads() -> None:
    assert good("rules", "check") == f"there are no rules: {default_path()} is not there\n"
    assert good("rules", "show") == "no rules: every account may serve everything\n"
    assert good("rules", "test", "--provider", "codex") == "no rule decides: every codex account may serve it\n"
    named = seatpool("rules", "check", "rules.toml")
    assert (named.exit_code, named.stderr) == (1, "rules.toml: No such file or directory\n")
    default_path().parent.mkdir(parents=True, exist_ok=True)
    default_path().write_text("")
    assert good("rules", "check") == f"{default_path()}: 0 rules, no mistake\n"
    assert good("rules", "show") == "no rules: every account may serve everything\n"


@pytest.mark.usefixtures("alice")
def test_show_tells_rules_in_order_with_the_accounts_that_they_mean(file: str) -> None:
    table = good("rules", "show", file)
    for part in ("work code", "provider codex", "github.com/acme/* or not told", "only alice, corp-*", "prefer bob"):
        assert part in table
    told = json.loads(good("rules", "show", "--json", file))
    assert [(rule["name"], rule["line"], rule["accounts"]) for rule in told] == [
        ("work code", 4, ["alice"]),
        ("rule 2", 10, []),
    ]


@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize(
    ("asked", "name", "accounts"),
    [
        (("--provider", "codex", "--repository", "git@github.com:Acme/Widgets.git"), "work code", ["alice"]),
        (("--provider", "codex", "--repository", "github.com/acme/widgets"), "work code", ["alice"]),
        (("--provider", "codex"), "work code", ["alice"]),
        (("--provider", "codex", "--repository", "github.com/bob/x", "--client", "Neovim"), "rule 2", []),
        (("--provider", "copilot", "--client", "vscode", "--model", "o3"), None, None),
    ],
)
def test_test_tells_the_rule_and_the_accounts(
    file: str, asked: tuple[str, ...], name: str | None, accounts: list[str] | None
) -> None:
    rule = json.loads(good("rules", "test", file, *asked, "--json"))["rule"]
    assert (rule and rule["name"], rule and rule["accounts"]) == (name, accounts)
    words = good("rules", "test", file, *asked)
    assert (f'rule "{name}" ({file}:' in words) if name else words.startswith("no rule decides: every copilot")


def test_a_provider_must_be_said(file: str) -> None:
    result = seatpool("rules", "test", file)
    assert result.exit_code == 2
    assert "--provider" in result.stderr
