"""`seatpool page` says where the page is and what its token is, whether a proxy runs or not."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from seatpool.cli.main import main

NOBODY = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


def test_it_prints_both_and_that_nobody_answers() -> None:
    ran = CliRunner().invoke(main, ["page", "--proxy", NOBODY])
    assert ran.exit_code == 0
    lines = ran.stdout.splitlines()
    assert lines[0] == f"http://seatpool.test/  in a browser that goes through {NOBODY}"
    assert lines[-1].startswith("token: ")
    assert "now nobody answers there: the proxy does not run" in ran.stderr


def test_the_token_stays_until_another_one_is_wanted() -> None:
    def token(*more: str) -> str:
        ran = CliRunner().invoke(main, ["page", "--json", "--proxy", NOBODY, *more])
        return str(json.loads(ran.stdout)["token"])

    first = token()
    assert token() == first
    second = token("--new-token")
    assert second != first and token() == second


def test_a_password_of_the_proxy_is_not_shown() -> None:
    ran = CliRunner().invoke(main, ["page", "--proxy", "http://me:hush@127.0.0.1:1"])
    assert "hush" not in ran.output and "http://me:***@127.0.0.1:1" in ran.output


def test_what_is_no_proxy_is_told_in_a_line() -> None:
    ran = CliRunner().invoke(main, ["page", "--proxy", "ftp://x"])
    assert ran.exit_code == 2 and "name http://HOST:PORT" in ran.stderr
