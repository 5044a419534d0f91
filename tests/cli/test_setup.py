"""`seatpool setup`: what it shows, what it asks before, what it says afterwards."""

import json
import os
import sys
from pathlib import Path

import certifi
import pexpect
import pytest
from click.testing import CliRunner, Result

from seatpool.cli.main import main
from seatpool.setup import bundle
from seatpool.setup.authority import Authority, default_folder
from seatpool.setup.editors.journal import Journal
from tests.harness.terminal import interrupt

CODE = ".config/Code/User/settings.json"
MINE = '// mine\n{\n\t"a": 1, // one\n}\n'


@pytest.fixture(autouse=True)
def _own_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")
    monkeypatch.setenv("SEATPOOL_DB", str(tmp_path / "pool.db"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in ("XDG_CONFIG_HOME", "CODEX_HOME", "COPILOT_HOME", "SSL_CERT_FILE", "SHELL", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """With Codex, VS Code, and an authority."""
    (tmp_path / ".codex").mkdir()
    (tmp_path / CODE).parent.mkdir(parents=True)
    (tmp_path / CODE).write_text(MINE)
    assert CliRunner().invoke(main, ["ca", "create"]).exit_code == 0
    return tmp_path


def seatpool(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["setup", *arguments])


def test_without_an_authority_one_line_says_how_to_make_it(tmp_path: Path) -> None:
    (tmp_path / ".codex").mkdir()
    result = seatpool("codex", "--yes")
    assert result.exit_code == 1
    assert result.output == "Error: no certificate authority yet; make one with: seatpool ca create\n"
    assert not (tmp_path / ".codex" / ".env").exists()


def test_it_shows_asks_writes_and_says_what_is_left_to_do(home: Path) -> None:
    result = seatpool("codex", "vscode", "--yes")
    assert result.exit_code == 0
    assert f"+++ {home / CODE}" in result.output
    assert '+\t"http.proxy": "http://127.0.0.1:8080",' in result.output
    assert f"written: {home}/.codex/.env" in result.output
    assert "seatpool ca trust" in result.output, "VS Code reads the stores, and they do not trust it yet"
    assert "to see that it works: codex exec" in result.output
    assert '"http.useLocalProxyConfiguration": false' in result.output, "this machine's loopback is not the other's"
    assert json.loads(seatpool("--json").output)[0]["state"] == "configured"
    again = seatpool("codex", "vscode", "--yes")
    assert (again.exit_code, again.output.count("nothing to change in"), "written" in again.output) == (0, 2, False)


@pytest.mark.skipif(not Path("/dev/shm").is_mount(), reason="no folder that is surely mounted")
def test_a_folder_that_a_container_has_of_its_host_is_told_before_it_is_written_to(home: Path) -> None:
    result = seatpool("codex", "--dry-run", "--file", "/dev/shm/.env")
    assert "/dev/shm/.env (its folder is mounted: who else has it reads this as well" in result.output
    assert "--mode upstream" not in result.output, "no other proxy was named there"
    assert "mounted" not in seatpool("codex", "--dry-run").output


def test_who_sets_up_a_shell_is_told_of_containers_that_take_its_variables_over(home: Path) -> None:
    (home / ".bashrc").write_text("")
    assert "podman run --http-proxy=false" in seatpool("shell", "--yes").output


def test_what_a_setting_names_is_there_and_follows_the_authority(home: Path) -> None:
    seatpool("codex", "--yes")
    named = dict(line.split("=", 1) for line in (home / ".codex" / ".env").read_text().splitlines())
    held = Path(named["SSL_CERT_FILE"])
    authority = Authority(default_folder())
    assert authority.trusted.read_text() in held.read_text()
    system = next((name for name in bundle.SYSTEM_FILES if Path(name).is_file()), None)
    assert system is None or Path(system).read_text() in held.read_text()
    assert CliRunner().invoke(main, ["ca", "rotate", "--now"]).exit_code == 0
    assert authority.trusted.read_text() in held.read_text()


def test_authorities_that_a_person_has_named_already_stay_trusted(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    company = home / "company.pem"
    company.write_text("-----BEGIN CERTIFICATE-----\ncompany\n-----END CERTIFICATE-----\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(company))
    seatpool("codex", "--yes")
    monkeypatch.delenv("SSL_CERT_FILE")
    held = default_folder() / bundle.BUNDLE
    assert company.read_text() in held.read_text()
    company.write_text(company.read_text().replace("company", "renewed"))
    assert CliRunner().invoke(main, ["ca", "rotate", "--now"]).exit_code == 0
    assert company.read_text() in held.read_text()


def test_where_the_system_has_no_file_of_authorities_those_of_mitmproxy_are_trusted_besides(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "SYSTEM_FILES", ())  # as on Windows
    seatpool("codex", "--yes")
    held = (default_folder() / bundle.BUNDLE).read_text()
    assert Path(certifi.where()).read_text() in held and Authority(default_folder()).trusted.read_text() in held


def test_without_a_terminal_nothing_is_written_and_it_says_what_would(home: Path) -> None:
    result = seatpool("codex")
    assert result.exit_code == 2
    assert "+HTTPS_PROXY=http://127.0.0.1:8080" in result.output
    assert "add --yes to write this" in result.output
    assert not (home / ".codex" / ".env").exists()


def test_a_dry_run_only_shows(home: Path) -> None:
    result = seatpool("codex", "--dry-run")
    assert (result.exit_code, "+HTTPS_PROXY" in result.output) == (0, True)
    assert not (home / ".codex" / ".env").exists()
    assert not Journal().folder.exists()


@pytest.mark.parametrize(
    ("keys", "code", "written"),
    [("y\n", 0, True), ("\n", 0, False), ("n\n", 0, False), ("\x03", 130, False)],
    ids=["yes", "return", "no", "Ctrl-C"],
)
def test_at_a_terminal_it_asks_and_only_yes_writes(home: Path, keys: str, code: int, written: bool) -> None:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    program = pexpect.spawn(sys.executable, ["-m", "seatpool.cli", "setup", "codex"], env=environ, timeout=20)  # type: ignore[arg-type]
    program.expect_exact("Write this? [y/N]")
    if keys == "\x03":
        interrupt(program)
    else:
        program.send(keys)
        program.expect(pexpect.EOF)
    program.close()
    assert (program.exitstatus, (home / ".codex" / ".env").exists()) == (code, written)


def test_undo_takes_back_one_or_all_of_them(home: Path) -> None:
    seatpool("codex", "vscode", "--yes")
    assert seatpool("codex", "--undo").exit_code == 2, "that is asked, too"
    result = seatpool("codex", "--undo", "--yes")
    assert (result.exit_code, "removed: " in result.output) == (0, True)
    assert not (home / ".codex" / ".env").exists()
    assert (home / CODE).read_text() != MINE
    assert seatpool("--undo", "--yes").exit_code == 0
    assert (home / CODE).read_text() == MINE
    assert "nothing to take back" in seatpool("--undo").output


def test_what_changed_since_is_told(home: Path) -> None:
    seatpool("vscode", "--yes")
    (home / CODE).write_text((home / CODE).read_text() + "// more\n")
    result = seatpool("vscode", "--undo", "--yes")
    assert "it was changed since: only what seatpool has put there is taken out" in result.output
    assert (home / CODE).read_text() == MINE + "// more\n"


def test_another_proxy_is_told_and_its_password_is_not(home: Path) -> None:
    (home / CODE).write_text('{\n  "http.proxy": "http://me:FAKESECRET@corp:3128"\n}\n')
    row = json.loads(seatpool("--json").output)[0]
    assert (row["state"], row["files"][0]["proxy"]) == ("elsewhere", "http://me:***@corp:3128")
    result = seatpool("vscode", "--yes")
    assert "it names another proxy now, http://me:***@corp:3128" in result.output
    assert "--mode upstream:" in result.output
    assert "FAKESECRET" not in result.output


@pytest.mark.parametrize("proxy", ["me:FAKESECRET@corp:3128", "http://me:x/FAKESECRET@corp:3128"])
def test_a_password_is_hidden_however_another_proxy_is_written(home: Path, proxy: str) -> None:
    (home / ".codex/.env").write_text(f"HTTPS_PROXY={proxy}\n")
    told = seatpool("--json").output
    codex = next(row for row in json.loads(told) if row["target"] == "codex")
    assert codex["files"][0]["proxy"] == proxy.replace("x/", "").replace("FAKESECRET", "***")
    assert "FAKESECRET" not in told + seatpool("codex", "--dry-run").output
    refused = seatpool("codex", "--dry-run", "--proxy", proxy.replace("corp", "127.0.0.1"))
    assert (refused.exit_code, "FAKESECRET" in refused.output, "***@127.0.0.1:3128" in refused.output) == (
        2,
        False,
        True,
    )


def test_a_program_gets_json(home: Path) -> None:
    told = json.loads(seatpool("codex", "vscode", "--yes", "--json").output)
    assert [(row["target"], row["file"], row["result"]) for row in told["files"]] == [
        ("codex", str(home / ".codex" / ".env"), "written"),
        ("vscode", str(home / CODE), "written"),
    ]
    assert told["then"]
    undone = json.loads(seatpool("--undo", "--yes", "--json").output)
    assert {row["result"] for row in undone["files"]} == {"taken back"}


def test_another_address_and_another_file_can_be_named(home: Path) -> None:
    file = home / "portable" / "settings.json"
    file.parent.mkdir()
    result = seatpool("vscode", "--file", str(file), "--proxy", "http://localhost:9000", "--yes")
    assert result.exit_code == 0
    assert '"http.proxy": "http://localhost:9000"' in file.read_text()
    assert (home / CODE).read_text() == MINE
    assert seatpool("vscode", "--file", str(file), "--undo", "--yes").exit_code == 0
    assert not file.exists()


WRONG = {
    ("vscode", "--proxy", "localhost:8080"): (2, "name http://HOST:PORT"),
    ("--file", "x"): (2, "--file takes one name"),
    ("emacs",): (2, "'emacs' is not one of"),
    ("neovim", "--yes"): (1, "name its settings with --file"),
    ("jetbrains", "--file", "p.xml", "--proxy", "http://me:x@h:1", "--yes"): (1, "leave it out of --proxy"),
}


@pytest.mark.parametrize(("arguments", "told"), WRONG.items(), ids=lambda x: " ".join(map(str, x)))
def test_wrong_input_ends_in_a_line(home: Path, arguments: tuple[str, ...], told: tuple[int, str]) -> None:
    before = sorted(path for path in home.rglob("*") if path.is_file())
    result = seatpool(*arguments)
    code, words = told
    assert (result.exit_code, words in " ".join(result.output.split())) == (code, True), result.output
    assert sorted(path for path in home.rglob("*") if path.is_file()) == before


def test_broken_settings_are_told_by_file_and_line_and_nothing_changes(home: Path) -> None:
    (home / CODE).write_text('{\n  "a": 1\n  "b": 2\n}\n')
    result = seatpool("codex", "vscode", "--yes")
    assert result.exit_code == 1
    assert result.output == f"Error: {home / CODE}: line 3: here a comma or a }} is missing; nothing was changed\n"
    assert not (home / ".codex" / ".env").exists()
