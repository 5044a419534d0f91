"""What a start makes of the authority, and of arguments that name another. Real starts are in `tests/e2e/authority`."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from freezegun import freeze_time

from seatpool.cli import handed_on
from seatpool.cli.ca.certified import certified
from seatpool.cli.main import main
from seatpool.core.model import ProviderName
from seatpool.setup.authority import Authority, default_folder
from seatpool.setup.bundle import BUNDLE
from seatpool.store import Store
from tests.store.made import oauth

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _own_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")
    monkeypatch.setenv("SEATPOOL_DB", str(tmp_path / "pool.db"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def start(*arguments: str, after: timedelta = timedelta()) -> tuple[tuple[str, ...], Path]:
    with freeze_time(NOW + after), click.Context(main):
        found = certified(handed_on.read(arguments).confdir)
    return found.arguments, found.trusted


OURS = "data/seatpool/ca"


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        ((), OURS),
        (("--set", "pool_websocket=refuse"), OURS),
        (("-w", "confdir=file"), OURS),
        (("--set", "confdir=~/mine"), "mine"),
        (("--set", "flow_detail=0", "--set=confdir=~/mine", "-q"), "mine"),
        (("--set", "confdir=~/.mitmproxy"), ".mitmproxy"),
    ],
)
def test_a_folder_that_the_person_names_wins(tmp_path: Path, arguments: tuple[str, ...], folder: str) -> None:
    added, trusted = start(*arguments)
    assert trusted == tmp_path / folder / "mitmproxy-ca-cert.pem"
    assert added == (("--set", f"confdir={tmp_path / OURS}") if folder == OURS else ())
    assert (tmp_path / OURS).exists() == (folder == OURS)


def test_each_start_has_what_settings_name_that_outlived_the_folder(tmp_path: Path) -> None:
    _, trusted = start()
    shutil.rmtree(tmp_path / OURS)
    start()
    assert trusted.read_text() in (tmp_path / OURS / BUNDLE).read_text()


def test_each_start_tells_of_the_successor_until_that_has_taken_over(capsys: pytest.CaptureFixture[str]) -> None:
    told = {}
    for day in (0, 1, 60, 70, 88, 89):
        start(after=timedelta(days=day))
        told[day] = capsys.readouterr().out
    assert "made a certificate authority that can vouch for" in told[0]
    assert (told[1], told[89]) == ("", "")
    assert all("takes over on 2027-01-28" in told[day] and "seatpool ca trust" in told[day] for day in (60, 70))
    assert "has taken over, until 2027-03-31" in told[88]


def test_a_tenant_that_came_later_is_told_and_how_to_serve_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start()
    with Store.open(str(tmp_path / "pool.db")) as store:
        login = {"identity": "1", "name": "a1", "issuer": "octo.ghe.com", "credentials": [oauth(1)], "now": NOW}
        store.save_login(provider=ProviderName.COPILOT, **login)
    start()
    told = capsys.readouterr().err
    assert "not for copilot-api.octo.ghe.com, which passes untouched" in told
    assert "seatpool ca rotate --now, then seatpool ca trust" in told


def test_a_database_that_is_away_keeps_no_authority_from_being_made(tmp_path: Path) -> None:
    (tmp_path / "pool.db").write_bytes(b"no database at all, but long enough to look like a file" * 100)
    start()
    assert Authority(default_folder()).current() is not None


def test_options_that_are_no_longer_read_are_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".mitmproxy").mkdir()
    (tmp_path / ".mitmproxy" / "config.yaml").touch()
    start()
    assert f"{tmp_path / '.mitmproxy' / 'config.yaml'} is not read" in capsys.readouterr().err


def test_a_key_that_others_could_read_is_shut_and_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    start()
    (default_folder() / "mitmproxy-ca.pem").chmod(0o644)
    start()
    assert "others could read" in capsys.readouterr().err
    start()
    assert capsys.readouterr().err == ""


def test_a_damaged_authority_is_one_line(tmp_path: Path) -> None:
    start()
    (default_folder() / "mitmproxy-ca.pem").write_text("nothing")
    with pytest.raises(click.ClickException, match="seatpool ca rotate --now"):
        start()
