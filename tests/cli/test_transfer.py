"""`seatpool account export`, and `account import` of what it wrote."""

import json
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from seatpool.cli.main import main
from seatpool.core.model import Credential, CredentialKind, Keeping, ProviderName
from seatpool.store import Store
from tests.upstream.logins import codex_login, copilot_login
from tests.upstream.tokens import MARKER


@pytest.fixture(autouse=True)
def _own_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")
    monkeypatch.setenv("SEATPOOL_DB", str(tmp_path / "pool.db"))


def seatpool(*arguments: str | Path, text: str | None = None) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)), input=text)


def good(*arguments: str | Path, text: str | None = None) -> str:
    result = seatpool(*arguments, text=text)
    assert result.exit_code == 0, result.output
    assert MARKER not in result.output
    return result.stdout


def refused(*arguments: str | Path, text: str | None = None) -> str:
    result = seatpool(*arguments, text=text)
    assert result.exit_code in (1, 2) and isinstance(result.exception, SystemExit), result.output
    return result.output.strip().splitlines()[-1]


@pytest.fixture
def secret(tmp_path: Path) -> tuple[str, str]:
    """The option that gives the passphrase."""
    (tmp_path / "secret").write_text("correct horse\nanother line\n")
    return "--passphrase-file", str(tmp_path / "secret")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "pool.db")) as store:
        yield store


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Store]:
    """Another pool, on another machine as it were."""
    with Store.open(str(tmp_path / "other/pool.db")) as store:
        yield store


@pytest.fixture
def file(tmp_path: Path, store: Store) -> Path:
    """Where to export to; there are two accounts, one of them with settings of its own."""
    good("account", "import", codex_login(tmp_path / "codex", "alice"), "--own", "--name", "work")
    good("account", "import", copilot_login(tmp_path / "copilot", "carol"))
    good("account", "priority", "work", "7")
    good("account", "pause", "work")
    good("account", "weight", "work", "3")
    good("account", "policy", "work", "preserved")
    good("account", "owner", "work", "ann")
    good("account", "share", "work", "ben", "cleo")
    return tmp_path / "pool.seatpool"


def elsewhere(other: Store) -> tuple[str, str]:
    return "--db", other.url


def test_all_accounts_travel_with_their_logins_and_settings(
    file: Path, secret: tuple[str, str], store: Store, other: Store
) -> None:
    said = good("account", "export", file, *secret)
    assert said.startswith(f"exported work, carol to {file}\n")
    assert "works in one pool only" in said and "account remove" in said
    back = good("account", "import", file, *secret, *elsewhere(other))
    assert back.startswith("added work (codex, plus)\nadded carol (copilot)\n")
    assert "works in one pool only" in back
    assert [replace(a, id=0) for a in other.accounts()] == [replace(a, id=0) for a in store.accounts()]
    work = other.account("work")
    assert (work.priority, work.paused, work.weight, work.keeping) == (7, True, 3.0, Keeping.PRESERVED)
    assert (work.owner, work.people) == ("ann", ("ben", "cleo"))
    told = [(deed.did, deed.account) for deed in store.team.deeds()][-2:]
    assert told == [("export", "work"), ("export", "carol")]
    for here, there in zip(store.accounts(), other.accounts(), strict=True):
        assert other.credentials(there.id) == store.credentials(here.id)


def test_the_file_is_its_owners_alone_and_holds_no_token(file: Path, secret: tuple[str, str]) -> None:
    good("account", "export", file, *secret)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert MARKER.encode() not in file.read_bytes()
    assert [path.name for path in file.parent.glob("pool.seatpool*")] == [file.name]


def test_some_accounts_are_named(file: Path, secret: tuple[str, str], other: Store) -> None:
    said = good("account", "export", file, "carol", "carol", *secret)
    assert said == f"exported carol to {file}\n"
    assert good("account", "import", file, *secret, "--name", "mine", *elsewhere(other)) == "added mine (copilot)\n"
    assert "known: carol, work" in refused("account", "export", file, "nobody", *secret, "--force")


def test_an_account_that_is_there_already_keeps_its_name_and_settings(
    file: Path, secret: tuple[str, str], store: Store
) -> None:
    good("account", "export", file, *secret)
    good("account", "rename", "work", "job")
    good("account", "resume", "job")
    good("account", "weight", "job", "1")
    rows = json.loads(good("account", "import", file, *secret, "--json"))
    assert rows[0] == {"result": "renewed", "account": "job", "provider": "codex"}
    job = store.account("job")
    assert (job.priority, job.paused, job.weight) == (7, False, 1.0)


def test_an_existing_file_is_replaced_only_when_asked_to(file: Path, secret: tuple[str, str]) -> None:
    file.write_text("precious")
    assert "--force" in refused("account", "export", file, *secret)
    assert file.read_text() == "precious"
    good("account", "export", file, *secret, "--force")
    assert file.read_text() != "precious"


def test_a_bad_passphrase_or_a_cut_file_changes_nothing(
    file: Path, secret: tuple[str, str], tmp_path: Path, other: Store
) -> None:
    good("account", "export", file, *secret)
    (tmp_path / "wrong").write_text("incorrect horse\n")
    line = refused("account", "import", file, "--passphrase-file", tmp_path / "wrong", *elsewhere(other))
    assert "passphrase is wrong" in line
    file.write_bytes(file.read_bytes()[:-30])
    assert "truncated" in refused("account", "import", file, *secret, *elsewhere(other))
    assert other.accounts() == ()


@pytest.mark.parametrize(
    ("text", "says"), [("short\n", "8 characters"), ("", "8 characters"), ("ää\n", "8 characters")]
)
def test_a_passphrase_that_is_easily_guessed_is_refused(file: Path, text: str, says: str) -> None:
    assert says in refused("account", "export", file, "--passphrase-file", "-", text=text)
    assert not file.exists()


def test_a_passphrase_may_come_in_on_standard_input(file: Path, secret: tuple[str, str], other: Store) -> None:
    good("account", "export", file, "--passphrase-file", "-", text="correct horse\r\n")
    assert "added work" in good("account", "import", file, *secret, *elsewhere(other))


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16"])
def test_a_passphrase_that_windows_has_written_is_the_one_that_is_typed(
    file: Path, tmp_path: Path, other: Store, codec: str
) -> None:
    """`echo ... > secret.txt` in Windows PowerShell, and Notepad."""
    (tmp_path / "secret.txt").write_bytes("pferd höher\r\nanother line\r\n".encode(codec))
    good("account", "export", file, "--passphrase-file", tmp_path / "secret.txt")
    typed = good("account", "import", file, "--passphrase-file", "-", *elsewhere(other), text="pferd höher\n")
    assert "added work" in typed


def test_a_passphrase_file_without_text_is_refused(file: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(b"correct \xff horse")
    assert "holds no text" in refused("account", "export", file, "--passphrase-file", tmp_path / "secret.bin")


def test_nobody_to_ask_for_a_passphrase_is_one_line(file: Path, secret: tuple[str, str]) -> None:
    assert "--passphrase-file" in refused("account", "export", file)
    good("account", "export", file, *secret)
    assert "--passphrase-file" in refused("account", "import", file)


def test_what_cannot_be_exported_says_so(file: Path, secret: tuple[str, str], store: Store, other: Store) -> None:
    assert "no account to export" in refused("account", "export", file, *secret, *elsewhere(other))
    store.save_login(
        provider=ProviderName.CODEX,
        identity="user-ed/ws",
        name="editor",
        issuer="chatgpt.com",
        credentials=(Credential(CredentialKind.CODEX_OAUTH, "FAKESECRET-learnt"),),
        now=datetime.now(UTC),
        learnt=True,
    )
    assert "learnt" in refused("account", "export", file, "editor", *secret)
    assert "exported work, carol to" in good("account", "export", file, *secret)
    assert "No such file" in refused("account", "export", file.parent / "nowhere/x", *secret)


def test_a_login_that_follows_a_file_elsewhere_is_told_of(
    tmp_path: Path, secret: tuple[str, str], other: Store
) -> None:
    login = codex_login(tmp_path / "codex", "bob")
    good("account", "import", login)
    said = good("account", "export", tmp_path / "x", *secret)
    assert "one pool only" not in said
    login.unlink()
    back = good("account", "import", tmp_path / "x", *secret, *elsewhere(other))
    assert f"follows {login}, which is not on this machine" in back


def test_an_export_is_imported_by_itself(file: Path, secret: tuple[str, str], tmp_path: Path) -> None:
    good("account", "export", file, *secret)
    assert "by itself" in refused("account", "import", file, tmp_path / "copilot", *secret)
    assert "holds 2 accounts" in refused("account", "import", file, *secret, "--name", "x")
