"""What `seatpool transparent` and `seatpool pac` say where nothing is redirected."""

import json
import os
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from seatpool.cli import capturing
from seatpool.cli.main import main
from seatpool.providers.copilot import COPILOT
from seatpool.providers.registry import NAMED, PROVIDERS, pooled_names, provider_of
from seatpool.store import Store
from tests.upstream import copilot_login

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")
    monkeypatch.setenv("SEATPOOL_DB", str(tmp_path / "pool.db"))
    return lambda *argv: CliRunner().invoke(main, argv)


@pytest.fixture
def nobody() -> Iterator[None]:
    """Not root, as most people are."""
    before = os.geteuid()
    assert capturing  # loaded by now: who is not root may not be able to read root's Python
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


@pytest.mark.parametrize("what", ["on", "off"])
def test_without_root_one_line_says_what_takes_it_and_how(run: Run, nobody: None, what: str) -> None:
    done = run("transparent", what)
    assert done.exit_code == 1
    (line,) = done.output.splitlines()
    assert re.fullmatch(
        rf"Error: `transparent {what}` changes the firewall, which takes root: sudo \S+/scripts/transparent {what}",
        line,
    )


def test_status_is_for_everybody(run: Run, nobody: None) -> None:
    done = run("transparent", "status", "--json")
    assert done.exit_code == 3
    assert json.loads(done.output) == {"state": "off", "mended": False, "rules": None}


def test_a_host_that_is_not_decrypted_is_not_redirected(run: Run) -> None:
    done = run("transparent", "on", "--host", "example.com")
    assert done.exit_code == 2
    assert "no host that seatpool decrypts" in done.output


def test_hosts_are_the_providers_and_those_of_the_accounts_tenants(run: Run, tmp_path: Path) -> None:
    assert run("transparent", "hosts").output.split() == list(NAMED)
    login = copilot_login(tmp_path, "octo", prefix="gho", host="octo.ghe.com")
    with Store.open(str(tmp_path / "pool.db")) as store:
        for each in COPILOT.read_login(login.name, login.read_bytes()) or ():
            store.save_login(
                provider=each.provider,
                identity=each.identity,
                name="octo",
                explicit_name=True,
                issuer=each.issuer,
                plan=each.plan,
                credentials=each.credentials,
                now=datetime.now(UTC),
            )
    tenants = ["copilot-api.octo.ghe.com", "copilot-proxy.octo.ghe.com"]
    assert json.loads(run("transparent", "hosts", "--json").output) == [*NAMED, *tenants]


def test_the_names_are_pooled_hosts_and_every_kind_is_among_them() -> None:
    names = pooled_names(["octo.ghe.com"])
    assert all(provider_of(name) for name in names)
    for provider in PROVIDERS.values():
        for pattern in provider.hosts:
            assert any(re.fullmatch(pattern, name) for name in names), pattern


def test_pac_prints_or_writes_and_takes_no_password(run: Run, tmp_path: Path) -> None:
    printed = run("pac", "--proxy", "http://127.0.0.1:8081").output
    assert 'return pooled.test(host.toLowerCase()) ? "PROXY 127.0.0.1:8081; DIRECT" : "DIRECT";' in printed
    assert run("pac", "--proxy", "http://127.0.0.1:8081", "--file", str(tmp_path / "x.pac")).output == ""
    assert (tmp_path / "x.pac").read_text() == printed
    refused = run("pac", "--proxy", "http://me:FAKESECRET@127.0.0.1:8081")
    assert refused.exit_code == 2 and "FAKESECRET" not in refused.output
