"""A database on a server, from the command line: two machines on it, and what each command says of it."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from seatpool.cli.main import main
from seatpool.core.model import CredentialKind
from seatpool.store import Store, WrongKey
from tests.harness import postgres
from tests.store.made import oauth, sign_in
from tests.store.served import fresh

Machine = Callable[..., Result]


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    made = fresh()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "first" / "data"))
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")
    monkeypatch.setenv("SEATPOOL_DB", made)
    return made


@pytest.fixture
def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Machine]:
    """`on("other")("key", "show")`: as that machine has it."""

    def machine(name: str) -> Machine:
        for kind in ("DATA", "CONFIG", "STATE", "RUNTIME"):
            folder = tmp_path / name / kind.lower()
            folder.mkdir(parents=True, exist_ok=True)
            monkeypatch.setenv(f"XDG_{kind}_{'DIR' if kind == 'RUNTIME' else 'HOME'}", str(folder))
        return lambda *arguments, **more: CliRunner().invoke(main, list(map(str, arguments)), **more)

    return machine


def test_the_key_is_carried_to_a_second_machine_by_a_person(
    url: str, on: Callable[[str], Machine], tmp_path: Path
) -> None:
    first = on("first")
    with Store.open(url) as store:
        account = sign_in(store, credentials=[oauth()])
    kept = Path(json.loads(first("key", "show", "--json").output)["file"])
    assert kept.parent == tmp_path / "first" / "data" / "seatpool" and stat.S_IMODE(kept.stat().st_mode) == 0o600
    carried = tmp_path / "carried"
    assert first("key", "export", carried).exit_code == 0
    assert stat.S_IMODE(carried.stat().st_mode) == 0o600
    assert "File exists" in first("key", "export", carried).output
    assert first("key", "export", "-").output == carried.read_text() == kept.read_text()

    second = on("second")
    refused = second("status")
    assert refused.exit_code == 1 and len(refused.output.splitlines()) == 1
    assert "bring it here from a machine that has it: seatpool key export there" in refused.output
    assert "that is no key" in second("key", "import", "-", input="nonsense").output
    assert "that is not the key" in second("key", "import", "-", input="A" * 43 + "=").output
    taken = second("key", "import", carried)
    assert taken.exit_code == 0 and carried.read_text().strip() not in taken.output
    with Store.open(url) as store:
        assert store.credentials(account.id)[CredentialKind.CODEX_OAUTH].token == oauth().token

    rotated = second("key", "rotate")
    assert "1 credential encrypted with a new key" in rotated.output
    assert "other machines on this database need it now" in rotated.output
    on("first")
    with pytest.raises(WrongKey, match="not the one that sealed postgresql://"):
        Store.open(url)


def test_what_commands_say_of_it(url: str, on: Callable[[str], Machine], tmp_path: Path) -> None:
    machine = on("first")
    with Store.open(url) as store:
        sign_in(store, credentials=[oauth()])
    assert "work" in machine("status").output
    told = json.loads(machine("doctor", "--json", "--only", "database", "--only", "key").output)
    where = f"postgresql://{postgres.USER}@127.0.0.1:{postgres.shared().port}/{url.rpartition('/')[2]}"
    assert f"{where}, " in str(told) and "schema" in str(told)
    planned = machine("uninstall", "--dry-run").output
    (key,) = (tmp_path / "first" / "data" / "seatpool").glob("*.key")
    assert f"delete {key}, the key of a database on a server, which stays" in planned


def test_a_password_in_the_url_is_told_nowhere(on: Callable[[str], Machine]) -> None:
    machine = on("first")
    commands = ["status"], ["doctor", "--only", "database"], ["uninstall", "--dry-run"], ["key", "show"], ["run"]
    for command in commands:
        said = machine(*command, "--db", "postgresql://me:FAKESECRET@db/pool")
        assert "FAKESECRET" not in said.output
        assert "PGPASSWORD" in said.output and said.exit_code != 0


def test_a_server_that_is_away_is_one_plain_line(on: Callable[[str], Machine]) -> None:
    said = on("first")("--db", "postgresql://me@127.0.0.1:1/pool", "status")
    assert said.exit_code == 1 and len(said.output.splitlines()) == 1
    assert "Connection refused; see that the server runs" in said.output
