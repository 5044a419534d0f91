"""`seatpool key`: what it says, what it changes, how it refuses. The rotation itself is tested with the store."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet

from seatpool.cli.main import main
from seatpool.store import Store
from tests.store.made import oauth, sign_in


@pytest.fixture(autouse=True)
def _own_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")
    monkeypatch.setenv("SEATPOOL_DB", str(tmp_path / "pool.db"))


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """The key file of a pool of two accounts."""
    with Store.open(str(tmp_path / "pool.db")) as store:
        for number in (1, 2):
            sign_in(store, f"a{number}", identity=str(number), credentials=[oauth(number)])
    return tmp_path / "pool.db.key"


def seatpool(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_show_tells_where_the_key_is_and_never_the_key(key: Path) -> None:
    plain, as_json = seatpool("key", "show"), seatpool("key", "show", "--json")
    assert plain.output == f"the key is kept in the file {key}\n"
    assert json.loads(as_json.output) == {"kept_in": "file", "file": str(key), "service": None, "name": None}
    assert key.read_text().strip() not in plain.output + as_json.output


def test_rotate_says_in_one_line_what_it_did(key: Path, tmp_path: Path) -> None:
    before = key.read_bytes()
    result = seatpool("key", "rotate")
    assert (result.exit_code, result.output) == (0, f"2 credentials encrypted with a new key, kept in the file {key}\n")
    assert key.read_bytes() != before
    with Store.open(str(tmp_path / "pool.db")) as store:
        tokens = {held.token for kinds in store.every_credential().values() for held in kinds.values()}
    assert tokens == {oauth(1).token, oauth(2).token}


@pytest.mark.parametrize("command", ["show", "rotate"])
def test_without_the_right_key_both_refuse_in_one_line_and_change_nothing(
    key: Path, tmp_path: Path, command: str
) -> None:
    key.write_bytes(Fernet.generate_key())
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    result = seatpool("key", command)
    assert result.exit_code == 1
    assert result.output == (
        f"Error: the key at hand is not the one that sealed {tmp_path / 'pool.db'}; put the right {key} back\n"
    )
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_a_key_is_taken_in_however_windows_has_written_it(key: Path, tmp_path: Path, codec: str) -> None:
    """`seatpool key export - > pool.key` in Windows PowerShell writes UTF-16."""
    mark = "\ufeff" if codec == "utf-16-be" else ""
    before = key.read_bytes()
    (tmp_path / "carried").write_bytes(f"{mark}{before.decode().strip()}\r\n".encode(codec))
    assert seatpool("key", "import", str(tmp_path / "carried")).exit_code == 0
    assert key.read_bytes() == before, "it is kept as any other key is"


@pytest.mark.parametrize("command", [("key",), ("key", "show"), ("key", "rotate")])
def test_help_shows_an_example(command: tuple[str, ...]) -> None:
    assert "\n  seatpool key " in seatpool(*command, "--help").output
