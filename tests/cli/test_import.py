"""`seatpool account import`: what is found, what is taken of it, and how it refuses."""

import json
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from seatpool.cli.main import main
from seatpool.core.model import Credential, CredentialKind, ProviderName
from seatpool.providers.sidecalls import OWNER
from seatpool.service.logins.theirs import LONGEST_FILE
from seatpool.store import Store
from tests.fixtures import LOGINS
from tests.upstream.logins import codex_login, copilot_login
from tests.upstream.tokens import github_token

NOBODY_THERE = ("--proxy", "http://127.0.0.1:9")
PLACES = {
    "codex/auth.json": ".codex/auth.json",
    "language-server/auth.db": ".config/github-copilot/auth.db",
    "language-server/auth.db-wal": ".config/github-copilot/auth.db-wal",
    "copilot-cli/config.json": ".copilot/config.json",
    "gh/hosts.yml": ".config/gh/hosts.yml",
}
"""Fixtures, and where their programs keep them in a home."""


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Of a person who has nothing yet."""
    for variable in (
        "CODEX_HOME",
        "COPILOT_HOME",
        "GH_CONFIG_DIR",
        "PI_CODING_AGENT_DIR",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
    ):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")
    monkeypatch.setenv("SEATPOOL_DB", str(tmp_path / "pool.db"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "pool.db")) as store:
        yield store


def seatpool_import(*arguments: str | Path, text: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["account", "import", *map(str, arguments), *NOBODY_THERE], input=text)


def good(*arguments: str | Path, text: str | bytes | None = None) -> str:
    result = seatpool_import(*arguments, text=text)
    assert result.exit_code == 0, result.output
    assert "FAKESECRET" not in result.output and "eyJ" not in result.output
    return result.stdout


def refused(*arguments: str | Path, text: str | bytes | None = None, code: int = 1) -> str:
    """The last line, which is the one that says what is wrong; there is no traceback and no secret."""
    result = seatpool_import(*arguments, text=text)
    assert (result.exit_code, type(result.exception)) == (code, SystemExit)
    lines = result.output.strip().splitlines()
    assert lines[-1].startswith("Error: ") and sum(line.startswith("Error") for line in lines) == 1
    assert "FAKESECRET" not in result.output
    return lines[-1]


def furnish(home: Path, *fixtures: str) -> None:
    """Put files where their programs keep them."""
    for fixture in fixtures or PLACES:
        target = home / PLACES[fixture]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(LOGINS / fixture, target)


def held(store: Store, name: str) -> Credential:
    (credential,) = store.credentials(store.account(name).id).values()
    return credential


@pytest.fixture
def login(tmp_path: Path) -> Path:
    return codex_login(tmp_path / "codex", "alice")


# -- a file


def test_a_login_is_told_by_its_content_and_gets_its_name(login: Path, store: Store) -> None:
    elsewhere = login.rename(login.with_name("backup.txt"))
    assert good(elsewhere, "--name", "work").startswith("added work (codex, plus)\n")
    assert [account.name for account in store.accounts()] == ["work"]


def test_importing_again_renews_the_same_account(login: Path, store: Store) -> None:
    good(login, "--name", "work")
    assert good(login.parent).startswith("renewed work (codex, plus)\n")
    assert len(store.accounts()) == 1


def test_a_login_that_its_program_renews_is_followed_and_cannot_be_renewed(login: Path, store: Store) -> None:
    said = good(login)
    assert f"shared with Codex: the pool follows {login} and never renews it" in said
    assert "seatpool login codex" in said
    credential = held(store, "alice")
    assert (credential.refresh_token, credential.attributes[OWNER]) == (None, str(login))


def test_the_file_that_is_followed_is_named_whole(login: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(login.parent)
    good("auth.json")
    assert held(store, "alice").attributes[OWNER] == str(login)


def test_with_own_the_pool_renews_it(login: Path, store: Store) -> None:
    assert "the pool renews it from now on" in good(login, "--own")
    credential = held(store, "alice")
    assert credential.refresh_token is not None and OWNER not in credential.attributes


def test_a_shared_login_does_not_replace_one_of_the_pools_own(login: Path, store: Store) -> None:
    good(login, "--own")
    codex_login(login.parent, "alice", generation=1)
    assert good(login) == "kept alice as it is: the pool has a login of its own for it\n"
    assert held(store, "alice").refresh_token is not None


def test_a_disabled_account_takes_any_login(login: Path, store: Store) -> None:
    good(login, "--own")
    store.disable(store.account("alice").id, "refresh_token_reused", datetime.now(UTC))
    codex_login(login.parent, "alice", generation=1)
    assert good(login).startswith("renewed alice")
    assert store.account("alice").usable


def test_a_login_that_serves_less_does_not_replace_one_that_serves_editors(store: Store) -> None:
    said = good(LOGINS / "language-server", LOGINS / "copilot-cli")
    assert "added emma (copilot)" in said
    before = held(store, "emma").token
    said = good(LOGINS / "copilot-cli")
    assert said == "kept emma as it is: the login that the pool has serves editors as well\n"
    assert held(store, "emma").token == before
    assert before.startswith("ghu_")


@pytest.mark.parametrize("fixture", ["copilot-cli/config.json", "gh/hosts.yml"])
def test_what_a_login_does_not_serve_is_said(fixture: str) -> None:
    assert "  serves the Copilot CLI's kind of traffic, not editors\n" in good(LOGINS / fixture)


def test_the_handle_is_kept(store: Store, tmp_path: Path) -> None:
    good(copilot_login(tmp_path, "carol"))
    assert [(a.identity, a.handle) for a in store.accounts()] == [("github.com/carol", "github.com/carol")]


# -- a folder


def test_a_folder_gives_each_person_once_with_the_best_login(store: Store, tmp_path: Path) -> None:
    shutil.copytree(LOGINS / "language-server", tmp_path / "both")
    shutil.copy(LOGINS / "language-server-1.400/apps.json", tmp_path / "both")
    copilot_login(tmp_path / "both", "carol", file="hosts.json")
    said = good(tmp_path / "both")
    assert "added emma" in said and "added carol" in said
    assert f"skipped {tmp_path / 'both/apps.json'}: the login in {tmp_path / 'both/auth.db'} serves at least" in said
    assert len(store.accounts()) == 2


def test_saved_sessions_of_codex_are_found_below_its_folder(store: Store, tmp_path: Path) -> None:
    codex_login(tmp_path / "codex", "alice")
    codex_login(tmp_path / "codex/account-sessions/one", "alice", expires_in_s=60)
    codex_login(tmp_path / "codex/account-sessions/two", "bob")
    (tmp_path / "codex/account-sessions.json").write_text("{}")
    good(tmp_path / "codex")
    owners = {account.name: held(store, account.name).attributes[OWNER] for account in store.accounts()}
    assert owners == {
        "alice": str(tmp_path / "codex/auth.json"),
        "bob": str(tmp_path / "codex/account-sessions/two/auth.json"),
    }


def test_a_broken_file_in_a_folder_is_told_of_and_harms_no_other(store: Store, tmp_path: Path) -> None:
    copilot_login(tmp_path / "some", "carol")
    (tmp_path / "some/auth.json").write_bytes(b"")
    result = seatpool_import(tmp_path / "some")
    assert result.exit_code == 0 and f"Note: {tmp_path}/some/auth.json is empty" in result.stderr
    assert [account.name for account in store.accounts()] == ["carol"]


def test_a_folder_without_a_login_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no login here; looked for auth.json, account-sessions" in refused(tmp_path / "empty")


# -- what is wrong


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b'{"tokens": {"acc', "truncated"),
        (b"hello", "not a login"),
        (b"\x00\xff\x10", "not a login"),
        (b"[1]", "not a login"),
        (b"SQLite format 3\x00", "damaged"),
        (b" " * (LONGEST_FILE + 1), "longer than 1024 KiB"),
    ],
)
def test_a_file_that_is_no_login_changes_nothing_and_says_why(
    content: bytes, said: str, tmp_path: Path, store: Store, login: Path
) -> None:
    path = tmp_path / "auth.json"
    path.write_bytes(content)
    line = refused(path)
    assert said in line and str(path) in line
    refused(login, path)
    assert store.accounts() == ()


def test_a_log_of_a_database_that_is_too_long_is_refused(tmp_path: Path, store: Store) -> None:
    shutil.copytree(LOGINS / "language-server", tmp_path / "long")
    os.truncate(tmp_path / "long/auth.db-wal", 9 * 1024 * 1024)
    assert "longer than 8192 KiB" in refused(tmp_path / "long/auth.db")
    assert store.accounts() == ()


def test_nothing_of_another_program_is_written_to(tmp_path: Path) -> None:
    shutil.copytree(LOGINS / "language-server", tmp_path / "theirs")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "theirs").iterdir()}
    good(tmp_path / "theirs")
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "theirs").iterdir()} == before


def test_one_name_cannot_be_given_to_several_logins(store: Store) -> None:
    assert "several logins" in refused(LOGINS / "gh", "--name", "work", code=2)
    assert store.accounts() == ()


def test_a_name_that_another_account_has_is_refused(login: Path, store: Store, tmp_path: Path) -> None:
    good(login, "--name", "work")
    assert "'work' already" in refused(copilot_login(tmp_path, "carol"), "--name", "work")
    assert len(store.accounts()) == 1


def test_an_issuer_that_cannot_be_asked_is_one_line_and_nothing_is_stored(store: Store, login: Path) -> None:
    line = refused(login, LOGINS / "opencode")
    assert "github.com could not be asked whose the login of opencode is" in line and "nothing was changed" in line
    assert store.accounts() == ()


# -- standard input


def test_a_file_may_come_in_on_standard_input(store: Store) -> None:
    assert "added emma" in good("-", text=(LOGINS / "language-server-1.400/apps.json").read_bytes())


def test_a_shared_login_on_standard_input_has_no_file_to_follow(login: Path, store: Store) -> None:
    assert "name its file" in refused("-", text=login.read_bytes(), code=2)
    assert store.accounts() == ()
    assert "added alice" in good("-", "--own", text=login.read_bytes())


def test_a_token_that_the_pool_holds_already_is_recognised_without_asking(store: Store) -> None:
    good(LOGINS / "copilot-cli")
    assert good("-", text=f"{github_token('emma')}\n").startswith("renewed emma (copilot)\n")
    assert len(store.accounts()) == 1


@pytest.mark.parametrize(("more", "followed"), [((), True), (("--own",), False)])
def test_an_editors_login_goes_with_the_file_that_will_have_its_next(
    more: tuple[str, ...], followed: bool, store: Store
) -> None:
    file = LOGINS / "language-server-1.400/apps.json"
    good(file, *more)
    assert held(store, "emma").attributes.get(OWNER) == (str(file) if followed else None)
    good("-", text=file.read_bytes())
    assert OWNER not in held(store, "emma").attributes


def test_a_login_that_powershell_has_written_into_a_file_is_one(tmp_path: Path) -> None:
    """Its `>` writes UTF-16: `gh auth token > token.txt`."""
    (tmp_path / "token.txt").write_bytes("gho_FAKESECRETnew\r\n".encode("utf-16"))
    assert "octo.ghe.com could not be asked" in refused(tmp_path / "token.txt", "--host", "octo.ghe.com")


def test_an_unknown_token_needs_its_issuer() -> None:
    assert "octo.ghe.com could not be asked" in refused("-", "--host", "Octo.ghe.com", text="gho_FAKESECRETnew")
    assert "TENANT.ghe.com" in refused("-", "--host", "git.example.com", text="gho_FAKESECRETnew", code=2)


# -- the usual places


def test_what_is_found_is_listed_and_nothing_is_taken_unasked(home: Path, store: Store) -> None:
    furnish(home)
    good(LOGINS / "language-server-1.400")
    result = seatpool_import()
    assert result.exit_code == 2
    assert "--yes" in result.stderr.splitlines()[-1]
    rows = [line.split() for line in result.stdout.splitlines()[1:]]
    assert ["Codex", "alice", "plus", "no", "~/.codex/auth.json"] in rows
    assert ["the", "editor", "github.com/emma", "-", "emma", "~/.config/github-copilot/auth.db"] in rows
    assert ["the", "GitHub", "CLI", "octo.ghe.com/octo", "-", "no", "~/.config/gh/hosts.yml"] in rows
    assert [account.name for account in store.accounts()] == ["emma"]


def test_yes_takes_the_best_of_everything(home: Path, store: Store) -> None:
    furnish(home)
    said = good("--yes")
    assert said.count("added ") == 4 and said.count("skipped ") == 2
    assert {(a.provider.value, a.handle) for a in store.accounts()} == {
        ("codex", None),
        ("copilot", "github.com/emma"),
        ("copilot", "github.com/alice"),
        ("copilot", "octo.ghe.com/octo"),
    }
    assert held(store, "emma").token.startswith("ghu_")


def test_what_cannot_be_identified_does_not_keep_the_rest_out(home: Path, store: Store) -> None:
    furnish(home, "codex/auth.json")
    (home / ".local/share/opencode").mkdir(parents=True)
    shutil.copy(LOGINS / "opencode/auth.json", home / ".local/share/opencode")
    result = seatpool_import("--yes")
    assert result.exit_code == 0 and "whose the login of opencode is" in result.stderr
    assert [account.name for account in store.accounts()] == ["alice"]


def test_the_programs_own_variables_say_where_to_look(
    home: Path, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(home, "codex/auth.json")
    codex_login(tmp_path / "elsewhere", "bob")
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "elsewhere"))
    good("--yes")
    assert [account.name for account in store.accounts()] == ["bob"]


def test_a_login_of_pis_is_found_and_followed(home: Path, store: Store) -> None:
    codex = json.loads((LOGINS / "opencode/auth.json").read_bytes())["openai"]
    (home / ".pi/agent").mkdir(parents=True)
    (home / ".pi/agent/auth.json").write_text(json.dumps({"openai-codex": codex}))
    assert "shared with pi: the pool follows ~/.pi/agent/auth.json" in good("--yes")
    assert [account.name for account in store.accounts()] == ["alice"]


def test_json_tells_what_is_there_and_what_was_done(home: Path) -> None:
    furnish(home, "codex/auth.json", "copilot-cli/config.json")
    listed = seatpool_import("--json")
    assert listed.exit_code == 2
    assert [(row["result"], row["who"], row["account"]) for row in json.loads(listed.stdout)] == [
        ("found", "alice", None),
        ("found", "github.com/emma", None),
    ]
    rows = json.loads(good("--yes", "--json"))
    assert [(row["result"], row["account"], row["shared"]) for row in rows] == [
        ("added", "alice", True),
        ("added", "emma", False),
    ]
    assert rows[1]["note"] == "serves the Copilot CLI's kind of traffic, not editors"
    assert rows[0]["file"] == str(home / ".codex/auth.json")


def test_an_empty_home_says_where_was_looked_and_how_to_sign_in(home: Path) -> None:
    line = refused()
    assert "Codex, opencode, pi, Copilot's editors" in line and "seatpool login" in line
    furnish(home)
    assert "needs the PATH" in refused("--name", "work", code=2)


def test_a_learnt_account_becomes_ours(store: Store, login: Path) -> None:
    token = Credential(CredentialKind.CODEX_OAUTH, "FAKESECRET-learnt")
    identity = "user-alice/" + json.loads(login.read_text())["tokens"]["account_id"]
    store.save_login(
        provider=ProviderName.CODEX,
        identity=identity,
        name="editor",
        issuer="chatgpt.com",
        credentials=(token,),
        now=datetime.now(UTC),
        learnt=True,
    )
    assert good(login).startswith("renewed editor (codex, plus)")
    assert not store.account("editor").learnt
