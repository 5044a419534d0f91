"""`seatpool ca`: what it says, what it asks before, what it leaves alone. Stores are of NSS, with a made-up tool."""

import json
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pexpect
import pytest
from click.testing import CliRunner, Result
from freezegun import freeze_time

from seatpool.cli.main import main
from seatpool.core.model import ProviderName
from seatpool.providers.registry import CERTIFIED
from seatpool.setup.authority import Authority, default_folder
from seatpool.setup.pair import VALID
from seatpool.store import Store
from tests.store.made import oauth

NOW = datetime(2026, 11, 1, tzinfo=UTC)

CERTUTIL = """#!/bin/sh
# As far as it is used here: -d sql:FOLDER, then -A ... -n NAME -i FILE | -D -n NAME | -L -a -n NAME
folder=${2#sql:}
[ ! -e "$folder/locked" ] || { echo "certutil: the database is locked" >&2; exit 255; }
case $3 in
  -A) cp "$9" "$folder/$7" ;;
  -D) rm "$folder/$5" ;;
  -L) cat "$folder/$6" 2>/dev/null ;;
esac
"""


@pytest.fixture(autouse=True)
def _own_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")
    monkeypatch.setenv("SEATPOOL_DB", str(tmp_path / "pool.db"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of a database of NSS."""
    program = tmp_path / "bin" / "certutil"
    program.parent.mkdir()
    program.write_text(CERTUTIL)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    folder = tmp_path / ".pki" / "nssdb"
    folder.mkdir(parents=True)
    (folder / "cert9.db").touch()
    return folder


def seatpool(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["ca", *arguments])


def tag() -> str:
    pair = Authority(default_folder()).current()
    assert pair is not None
    return pair.tag


def held(database: Path) -> set[str]:
    return {path.name for path in database.iterdir()} - {"cert9.db", "locked"}


def test_create_makes_one_and_says_what_it_is_for(tmp_path: Path) -> None:
    result = seatpool("create")
    assert result.exit_code == 0
    assert all(name in result.output for name in CERTIFIED)
    assert "seatpool ca trust" in result.output
    before = default_folder().joinpath("mitmproxy-ca.pem").read_bytes()
    again = seatpool("create")
    assert (again.exit_code, again.output.partition(":")[0]) == (0, "there is one already")
    assert default_folder().joinpath("mitmproxy-ca.pem").read_bytes() == before
    assert default_folder() == tmp_path / "data" / "seatpool" / "ca"


def test_tenants_come_from_the_accounts_in_the_pool_and_from_the_command_line(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "pool.db")) as store:
        login = {"identity": "1", "name": "a1", "issuer": "octo.ghe.com", "credentials": [oauth(1)], "now": NOW}
        store.save_login(provider=ProviderName.COPILOT, **login)
    seatpool("create", "--host", "acme.ghe.com")
    names = json.loads(seatpool("show", "--json").output)["names"]
    assert set(names) - set(CERTIFIED) == {
        f"{use}.{tenant}.ghe.com" for use in ("api", "copilot-api", "copilot-proxy") for tenant in ("octo", "acme")
    }


def test_one_that_is_not_for_a_tenant_is_told_how_to_become_so() -> None:
    seatpool("create")
    refused = seatpool("create", "--host", "octo.ghe.com")
    assert (refused.exit_code, "not for api.octo.ghe.com" in refused.output) == (1, True)
    command = refused.output.partition("seatpool ca ")[2].split()
    assert command[0] == "rotate"
    assert seatpool(*command).exit_code == 0
    assert seatpool("create", "--host", "octo.ghe.com").exit_code == 0
    assert seatpool("rotate", "--now", "--host", "octo.ghe.com").exit_code == 0
    assert seatpool("create", "--host", "octo.ghe.com").exit_code == 0
    assert seatpool("rotate", "--now").exit_code == 0
    assert seatpool("create", "--host", "octo.ghe.com").exit_code == 0, "what it was for it is for ever after"


@pytest.mark.parametrize("host", ["example.com", "github.com", "ghe.com", "*.ghe.com", "octo.ghe.com.example.com"])
def test_a_host_that_is_no_tenant_is_refused(host: str) -> None:
    result = seatpool("create", "--host", host)
    assert result.exit_code == 2
    assert f"'{host}' is no GHE.com tenant" in result.output
    assert not default_folder().exists()


def test_show_is_for_programs_too() -> None:
    with freeze_time(NOW):
        seatpool("create")
        row = json.loads(seatpool("show", "--json").output)
    assert row["root"] == tag()
    assert row["not_after"] == (NOW + VALID).isoformat()
    assert (row["expired"], row["next"], row["trusted_by"]) == (False, None, [])
    assert row["trust_file"] == str(default_folder() / "mitmproxy-ca-cert.pem")
    with freeze_time(NOW + VALID):
        assert json.loads(seatpool("show", "--json").output)["expired"] is True
        assert "which is over" in seatpool("show").output


def test_no_command_shows_a_key() -> None:
    seatpool("create")
    shown = "".join(
        seatpool(*command).output for command in (["show"], ["show", "--json"], ["rotate"], ["trust", "--print"])
    )
    assert "PRIVATE" not in shown


@pytest.mark.parametrize("command", [["show"], ["rotate"], ["trust"]])
def test_where_there_is_none_each_says_how_to_make_one(command: list[str], database: Path) -> None:
    result = seatpool(*command)
    assert (result.exit_code, result.output) == (
        1,
        "Error: no certificate authority yet; make one with: seatpool ca create\n",
    )
    assert held(database) == set()


@pytest.mark.parametrize("command", [["show"], ["create"], ["rotate"], ["trust"], ["untrust"]])
def test_a_damaged_one_is_one_line(command: list[str], database: Path) -> None:
    seatpool("create")
    (default_folder() / "mitmproxy-ca.pem").write_text("nothing")
    result = seatpool(*command)
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1
    assert "damaged or not made by seatpool; `seatpool ca rotate --now`" in result.output
    assert seatpool("rotate", "--now").exit_code == 0
    assert seatpool("show").exit_code == 0


def test_show_warns_of_a_key_that_others_can_read() -> None:
    seatpool("create")
    (default_folder() / "mitmproxy-ca.pem").chmod(0o644)
    assert "chmod 600 it; if somebody may have read it: seatpool ca rotate --now" in seatpool("show").output


def test_trust_and_untrust_are_each_others_inverse(database: Path) -> None:
    seatpool("create")
    name = f"seatpool {tag()}"
    assert (seatpool("trust", "nss", "--yes").exit_code, held(database)) == (0, {name})
    assert (database / name).read_bytes() == (default_folder() / "mitmproxy-ca-cert.pem").read_bytes()
    assert [each["kind"] for each in json.loads(seatpool("show", "--json").output)["trusted_by"]] == ["nss"]
    again = seatpool("trust", "nss", "--yes")
    assert (again.exit_code, again.output) == (0, f"trusted already by the NSS database {database}\n")
    (database / "another").touch()
    assert (seatpool("untrust", "nss", "--yes").exit_code, held(database)) == (0, {"another"})
    assert seatpool("untrust", "nss", "--yes").output == f"not trusted by the NSS database {database}\n"


def test_a_successor_is_trusted_beside_the_present_one_and_a_former_one_is_taken_out(database: Path) -> None:
    seatpool("create")
    first = tag()
    seatpool("rotate")
    seatpool("trust", "nss", "--yes")
    row = json.loads(seatpool("show", "--json").output)
    second = row["next"]["root"]
    assert held(database) == {f"seatpool {first}", f"seatpool {second}"}
    assert {each["root"] for each in row["trusted_by"]} == {first, second}
    seatpool("rotate", "--now")
    seatpool("trust", "nss", "--yes")
    assert held(database) == {f"seatpool {tag()}"}
    assert {path.name for path in default_folder().glob("seatpool-*.pem")} == {f"seatpool-{tag()}.pem"}


def test_print_changes_nothing_and_prints_what_would_be_run(database: Path) -> None:
    seatpool("create")
    result = seatpool("trust", "nss", "--print")
    file = default_folder() / f"seatpool-{tag()}.pem"
    assert result.output == f"certutil -d sql:{database} -A -t C,, -n 'seatpool {tag()}' -i {file}\n"
    assert held(database) == set()


def test_without_a_terminal_and_without_yes_nothing_is_run(database: Path) -> None:
    seatpool("create")
    result = seatpool("trust", "nss")
    assert result.exit_code == 2
    assert "add --yes" in result.output
    assert held(database) == set()


def test_a_command_that_fails_is_named(database: Path) -> None:
    seatpool("create")
    (database / "locked").touch()
    result = seatpool("trust", "nss", "--yes")
    assert result.exit_code == 1
    assert "Error: exit code 255 of certutil -d" in result.output


def test_a_machine_without_such_a_store_is_told(tmp_path: Path) -> None:
    seatpool("create")
    result = seatpool("trust", "nss", "--yes")
    assert (result.exit_code, "this machine has no store of this kind (nss)" in result.output) == (1, True)


@pytest.mark.parametrize(
    ("answer", "code", "said", "trusts"),
    [
        ("y\n", 0, "trusted by", True),
        ("n\n", 0, "Nothing was changed", False),
        ("\x03", 130, "nothing was changed", False),
    ],
    ids=["yes", "no", "Ctrl-C"],
)
def test_a_person_is_shown_the_commands_and_asked(
    database: Path, answer: str, code: int, said: str, *, trusts: bool
) -> None:
    seatpool("create")
    source = str(Path(__file__).parents[2] / "addon")
    environment = {**os.environ, "PYTHONPATH": source}
    child = pexpect.spawn(
        sys.executable, ["-m", "seatpool.cli", "ca", "trust", "nss"], env=environment, encoding="utf-8"
    )
    child.expect(r"certutil -d .*Run these\? \[y/N\]: ")
    child.send(answer)
    child.expect(said)
    child.expect(pexpect.EOF)
    child.wait()
    assert (child.exitstatus, bool(held(database))) == (code, trusts)
    child.close(signal.SIGKILL)


def test_rotate_says_from_when_the_next_one_is_used() -> None:
    with freeze_time(NOW):
        seatpool("create")
        result = seatpool("rotate")
    assert f"follows {tag()} on {NOW + timedelta(days=28):%Y-%m-%d}" in result.output
