"""`seatpool doctor` beside a real proxy: each thing is really broken, found, and mended where that can be."""

import http.client
import json
import os
import platform
import shutil
import socket
import sqlite3
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pexpect
import pytest
from click.testing import CliRunner, Result

import seatpool
from seatpool.cli.doctor.doctor import NAMES, Report
from seatpool.cli.main import main
from seatpool.core.model import WHOLE_ACCOUNT, Cooldown, ProviderName, Scope, ScopeKind
from seatpool.providers.registry import CERTIFIED, OWN_HOST
from seatpool.setup import strangers
from seatpool.setup.address import parse, proxy_url
from seatpool.setup.authority import Authority
from seatpool.setup.bundle import BUNDLE
from seatpool.setup.code import PACKAGE
from seatpool.setup.doctor.asking import Proxy
from seatpool.setup.doctor.words import explained
from seatpool.store import Store
from tests.cli.test_ca import CERTUTIL
from tests.harness import Mitmdump
from tests.harness.namespace import clean_environment
from tests.store.made import oauth


class House:
    """A person's machine: a home, a proxy, and a shell."""

    def __init__(self, proxy: Mitmdump) -> None:
        self.proxy = proxy
        self.home = proxy.folder
        self.authority = Authority(self.home / "data" / "seatpool" / "ca")
        self.tools = self.home / "bin"

    def run(self, *arguments: str, env: Mapping[str, str] | None = None) -> Result:
        """As the person types it."""
        named = () if "--proxy" in arguments else ("--proxy", self.proxy.url)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (env or {}).items():
                patch.setenv(name, value)
            return CliRunner().invoke(main, ["doctor", *named, *arguments])

    def ask(self, *checks: str, more: tuple[str, ...] = (), env: Mapping[str, str] | None = None) -> "Answer":
        """As a program asks."""
        only = (part for check in checks for part in ("--only", check))
        ran = self.run("--json", *only, *more, env=env)
        assert ran.exit_code in (0, 1), ran.output
        answer = Answer(ran.exit_code, json.loads(ran.stdout))
        assert [row for row in answer.report.findings if (row.level == "ok") == bool(row.mend)] == []
        return answer


class Answer:
    """A report, and what the exit code said."""

    def __init__(self, code: int, told: Any) -> None:
        self.code = code
        self.report = msgspec.convert(told, Report)

    def levels(self) -> dict[str, str]:
        """The worst level of each check."""
        order = ["ok", "warning", "problem"]
        found: dict[str, str] = {}
        for row in self.report.findings:
            found[row.check] = max(found.get(row.check, "ok"), row.level, key=order.index)
        return found

    def one(self, level: str, part: str) -> str:
        """The command for the one finding of that level that says so."""
        rows = [row for row in self.report.findings if row.level == level and part in row.text]
        assert len(rows) == 1, self.report.findings
        return rows[0].mend or ""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("doctor") / "home"
    authority = Authority(home / "data" / "seatpool" / "ca")
    options = {"confdir": str(authority.folder)}
    proxy = Mitmdump(home, options=options, env={"SEATPOOL_KEYRING": "off"})
    proxy.ca = authority.trusted
    authority.keep(CERTIFIED, datetime.now(UTC))
    with proxy:
        house = House(proxy)
        house.tools.mkdir()
        (house.tools / "chmod").symlink_to("/bin/chmod")
        yield house


@pytest.fixture(scope="module")
def where() -> str:
    """The machine's own programs."""
    return os.environ["PATH"]


@pytest.fixture
def house(built: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """The house, and its shell: no program of the machine can be found, so none of its stores is touched."""
    for name in os.environ.keys() - clean_environment().keys():
        monkeypatch.delenv(name)
    places = {f"XDG_{kind}_HOME": str(built.home / kind.lower()) for kind in ("CONFIG", "DATA", "STATE", "CACHE")}
    shell = {"HOME": str(built.home), "PATH": str(built.tools), "SHELL": "/bin/sh", "SEATPOOL_KEYRING": "off"}
    for name, value in {**places, **shell, "SEATPOOL_DB": str(built.proxy.database)}.items():
        monkeypatch.setenv(name, value)
    kept = built.authority.in_use.read_bytes()
    with Store.open(str(built.proxy.database)) as store:
        for identity in (1, 2):
            login = {"identity": str(identity), "name": f"a{identity}", "issuer": "i", "credentials": [oauth(identity)]}
            store.save_login(provider=ProviderName.CODEX, **login, now=datetime.now(UTC))
    yield built
    if built.authority.in_use.read_bytes() != kept:
        built.authority.replace(CERTIFIED, datetime.now(UTC))
    assert not [line for line in built.proxy.log if "Traceback" in line or "crashed" in line]


def test_all_is_well_and_every_check_says_so(house: House) -> None:
    answer = house.ask()
    assert answer.code == 0
    # Nobody has set a client up in this home, and it has no store.
    assert answer.levels() == dict.fromkeys(NAMES, "ok") | {"clients": "warning"}
    assert answer.report.proxy == house.proxy.url
    assert "FAKESECRET" not in repr(answer.report)


def test_a_proxy_on_another_port_is_found_where_a_programs_settings_lead(house: House) -> None:
    """None is named, and nothing listens at the usual port, or another program does."""
    if Proxy(parse(proxy_url()), OWN_HOST).about().told is not None:
        pytest.skip("a seatpool of this machine's own listens at the usual port")
    (house.home / ".codex").mkdir()
    setting = house.home / ".codex" / ".env"
    try:
        for url in ("http://127.0.0.1:9", house.proxy.url):
            setting.write_text(f"HTTPS_PROXY={url}\nSSL_CERT_FILE={house.authority.trusted.parent}/{BUNDLE}\n")
            ran = CliRunner().invoke(main, ["doctor", "--json", "--only", "port", "--only", "clients"])
            report = msgspec.convert(json.loads(ran.stdout), Report)
            led = url == house.proxy.url
            assert report.proxy == (house.proxy.url if led else proxy_url())
            assert {row.level for row in report.findings if row.check == "port"} == {"ok" if led else "problem"}
    finally:
        shutil.rmtree(house.home / ".codex")


def test_a_person_reads_a_line_for_each_and_the_sum(house: House) -> None:
    ran = house.run("--only", "https", "--only", "websocket", "--only", "clients")
    assert ran.exit_code == 0, ran.stdout
    lines = ran.stdout.splitlines()
    assert lines[0].startswith("ok       https             https://seatpool.test is answered through the proxy in ")
    assert lines[1].startswith("ok       websocket         wss://seatpool.test is answered through the proxy in ")
    assert lines[-1] == "2 in order, 1 warning, 0 problems"
    assert ran.stderr == "", "no progress where nobody sees it"


@pytest.mark.parametrize(
    "arguments", [("--only", "nothing"), ("--yes",), ("--fix", "--json"), ("--proxy", "socks5://127.0.0.1:1080")]
)
def test_wrong_use_is_exit_code_2(house: House, arguments: tuple[str, ...]) -> None:
    ran = house.run(*arguments)
    assert ran.exit_code == 2
    assert ran.output.splitlines()[-1].startswith("Error: ")


def test_nothing_is_made_by_looking(house: House, tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data"), "SEATPOOL_DB": str(tmp_path / "pool.db")}
    answer = house.ask("authority", "trust", "database", "key", "accounts", "rules", "https", env=env)
    assert answer.one("problem", "there is no certificate authority") == "seatpool ca create"
    answer.one("ok", "there is no database in ")
    assert list(tmp_path.iterdir()) == []


# -- the port


def test_nothing_listens(house: House) -> None:
    answer = house.ask("port", "https", "clock", "version", more=("--proxy", "http://127.0.0.1:9"))
    assert (answer.code, answer.report.worst) == (1, "problem")
    assert answer.one("problem", "nothing listens on 127.0.0.1:9") == "seatpool run --port 9"
    assert answer.one("problem", "cannot be tried") == "seatpool run --port 9"


def test_another_program_has_the_port(house: House) -> None:
    argv = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline().split("port ")[1].split()[0])
        answer = house.ask("port", more=("--proxy", f"http://127.0.0.1:{port}"))
        server.terminate()
    said = f"another program listens on 127.0.0.1:{port} (python"
    assert f"seatpool run --port {port + 1}" in answer.one("problem", said)


def test_a_start_is_told_who_is_there_and_claims_nothing(house: House) -> None:
    port = house.proxy.port
    argv = [sys.executable, "-m", "seatpool.cli", "run", "--port", str(port)]
    env = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    ran = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=30, check=False)
    said = f"Error: seatpool ({seatpool.__version__}) listens on 127.0.0.1:{port}, process {house.proxy.pid}; "
    more = f"another one beside it: seatpool run --port {port + 1}\n"
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", said + more)


def test_a_proxy_with_a_password(house: House, tmp_path: Path) -> None:
    secret = "FAKESECRET-word"
    options = {"confdir": str(house.authority.folder), "pool_db": str(house.proxy.database)}
    with Mitmdump(tmp_path / "guarded", options=options, arguments=("--proxyauth", f"me:{secret}")) as guarded:
        asked = house.ask("port", more=("--proxy", guarded.url))
        assert "--proxy http://USER:PASSWORD@" in asked.one("problem", "asks for a password")
        wrong = house.ask("port", more=("--proxy", guarded.url.replace("//", "//me:wrong@")))
        assert wrong.code == 1 and "wrong" not in repr(wrong.report)
        named = ("--proxy", guarded.url.replace("//", f"//me:{secret}@"))
        right = house.ask("port", "https", "websocket", "authority-in-use", more=named)
    assert right.code == 0, right.report
    assert secret not in repr(right.report)


# -- the authority


def test_an_authority_that_is_over_is_made_anew(house: House) -> None:
    house.authority.replace(CERTIFIED, datetime.now(UTC) - timedelta(days=100))
    answer = house.ask("authority", "https")
    assert answer.one("problem", "is over since") == "seatpool ca rotate --now"
    assert "certificate has expired" in repr(answer.report)
    mended = house.ask("authority", "https", "authority-in-use", more=("--fix", "--yes"))
    assert mended.code == 0, mended.report
    assert [(row.command, row.exit_code) for row in mended.report.mended] == [("seatpool ca rotate --now", 0)]


def test_an_authority_that_is_gone_is_made_once_and_the_proxy_takes_it_up(house: House) -> None:
    assert house.ask("https").code == 0, "it was in use"
    gone = house.authority.folder.rename(house.home / "gone")
    answer = house.ask("authority", "https", "websocket")
    assert {row.mend for row in answer.report.findings} == {"seatpool ca create"}
    mended = house.ask("authority", "authority-in-use", "https", "websocket", more=("--fix", "--yes"))
    shutil.rmtree(gone)
    assert mended.code == 0, mended.report
    assert [(row.command, row.exit_code) for row in mended.report.mended] == [("seatpool ca create", 0)]


def test_a_person_is_asked_before_anything_is_mended(house: House) -> None:
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), "TERM": "xterm"}
    argv = ["-m", "seatpool.cli", "doctor", "--fix", "--only", "authority", "--proxy", house.proxy.url]
    house.authority.in_use.chmod(0o644)
    for answer, code, mode in (("\x03", 130, 0o644), ("y\r", 0, 0o600)):
        terminal = pexpect.spawn(sys.executable, argv, env=environment, encoding="utf-8", timeout=20)
        terminal.expect_exact(f"chmod 600 {house.authority.in_use}")
        terminal.expect_exact("Run these? [y/N]: ")
        terminal.send(answer)
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert (terminal.exitstatus, house.authority.in_use.stat().st_mode & 0o777) == (code, mode), terminal.before


def test_an_authority_of_another_folder_is_told_by_name(house: House, tmp_path: Path) -> None:
    Authority(tmp_path / "seatpool" / "ca").keep(CERTIFIED, datetime.now(UTC))
    answer = house.ask("authority", "authority-in-use", "https", env={"XDG_DATA_HOME": str(tmp_path)})
    assert "confdir" in answer.one("warning", f"the proxy uses the certificate authority in {house.authority.folder}")
    assert "seatpool run" in answer.one("problem", "the proxy's certificate is refused")


def test_an_authority_for_too_few_names_is_told(house: House) -> None:
    house.authority.replace(("chatgpt.com",), datetime.now(UTC))
    answer = house.ask("authority", "https", "websocket")
    assert answer.one("warning", "is not for githubcopilot.com, api.github.com").startswith("seatpool ca rotate --now")
    assert answer.one("problem", "https://seatpool.test: the proxy shows no certificate") == "seatpool ca rotate --now"


def test_a_key_that_others_can_read_is_shut(house: House) -> None:
    house.authority.in_use.chmod(0o644)
    mended = house.ask("authority", more=("--fix", "--yes"))
    assert mended.code == 0
    assert [row.command for row in mended.report.mended] == [f"chmod 600 {house.authority.in_use}"]
    assert house.authority.in_use.stat().st_mode & 0o777 == 0o600


def test_trust_that_was_taken_back_is_given_again(house: House) -> None:
    folder = house.home / ".pki" / "nssdb"
    folder.mkdir(parents=True)
    (folder / "cert9.db").touch()
    without = house.ask("trust")
    assert without.one("warning", "cannot be looked into without certutil"), "its tool is not here"
    certutil = house.tools / "certutil"
    certutil.write_text(CERTUTIL.replace("cp ", "/bin/cp ").replace("rm ", "/bin/rm ").replace("cat ", "/bin/cat "))
    certutil.chmod(0o755)
    assert house.ask("trust").one("warning", "does not trust the certificate authority") == "seatpool ca trust"
    mended = house.ask("trust", more=("--fix", "--yes"))
    assert mended.levels() == {"trust": "ok"}
    current = house.authority.current()
    assert current is not None
    (folder / f"seatpool {current.tag}").unlink()
    assert house.ask("trust").levels() == {"trust": "warning"}
    shutil.rmtree(folder.parent)
    certutil.unlink()


# -- the database


@pytest.fixture
def copied(house: House, tmp_path: Path) -> Path:
    """The pool's database with its key, at another place; `database` is about it then."""
    target = tmp_path / "copy.db"
    with sqlite3.connect(house.proxy.database) as db:
        db.execute("VACUUM INTO ?", (str(target),))
    db.close()
    target.chmod(0o600)
    shutil.copy(f"{house.proxy.database}.key", f"{target}.key")
    return target


def test_another_database_than_the_proxys_is_told(house: House, copied: Path) -> None:
    answer = house.ask("database", "key", "accounts", env={"SEATPOOL_DB": str(copied)})
    named = answer.one("warning", "the proxy that runs uses another database")
    assert named == f"seatpool doctor --db {house.proxy.database}"
    assert answer.levels() == {"database": "warning", "key": "ok", "accounts": "ok"}


def test_a_damaged_database_is_left_alone(house: House, copied: Path) -> None:
    content = bytearray(copied.read_bytes())
    content[4096 * 3 : 4096 * 8] = b"\x5a" * (4096 * 5)
    copied.write_bytes(content)
    answer = house.ask("database", "key", "accounts", more=("--fix", "--yes"), env={"SEATPOOL_DB": str(copied)})
    assert answer.code == 1
    assert answer.one("problem", "is damaged: ") == f"mv {copied} {copied}.broken && seatpool status"
    assert copied.read_bytes() == content


def test_a_proxy_that_cannot_open_its_database_says_so_until_it_can(house: House, tmp_path: Path) -> None:
    options = {"confdir": str(house.authority.folder)}
    proxy = Mitmdump(tmp_path, options=options, env={"SEATPOOL_KEYRING": "off", "XDG_RUNTIME_DIR": ""})
    env = {"SEATPOOL_DB": str(proxy.database), "XDG_STATE_HOME": str(tmp_path / "state"), "XDG_RUNTIME_DIR": ""}
    proxy.database.write_bytes(b"something else" * 1000)
    with proxy:
        broken = house.ask("database", "proxies", more=("--proxy", proxy.url), env=env)
        broken.one("problem", "the proxy that runs cannot open its database")
        said = broken.one("problem", f"the proxy (process {proxy.pid}) says since ")
        former, _, more = broken.one("problem", "is damaged: ").removeprefix("mv ").partition(" ")
        assert (broken.code, bool(said), more) == (1, True, f"{former}.broken && seatpool status")
        Path(former).rename(f"{former}.broken")
        Store.open(former).close()
        proxy.wait_log("action=start database=")
        mended = house.ask("database", "proxies", more=("--proxy", proxy.url), env=env)
    assert mended.levels() == {"database": "ok", "proxies": "ok"}


def test_a_database_of_a_newer_version_is_left_alone(house: House, copied: Path) -> None:
    with sqlite3.connect(copied) as db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    db.close()
    answer = house.ask("database", "key", "accounts", env={"SEATPOOL_DB": str(copied)})
    assert "update seatpool" in answer.one("problem", "was written by a newer seatpool (schema 9999")


def test_a_database_without_its_key_and_open_to_others(house: House, copied: Path) -> None:
    Path(f"{copied}.key").unlink()
    copied.chmod(0o644)
    answer = house.ask("database", "key", more=("--fix", "--yes"), env={"SEATPOOL_DB": str(copied)})
    assert "put the file back" in repr([row for row in answer.report.findings if row.check == "key"])
    assert answer.levels()["key"] == "problem"
    assert copied.stat().st_mode & 0o777 == 0o600


def test_accounts_that_need_a_person(house: House) -> None:
    now = datetime.now(UTC)
    with Store.open(str(house.proxy.database)) as store:
        store.disable(store.account("a1").id, "renewal-refresh_token_expired", now)
        some = house.ask("accounts")
        store.disable(store.account("a2").id, "abuse_flag", now)
        none = house.ask("accounts")
        for name in ("a1", "a2"):
            store.set_paused(name, True, now)
        paused = house.ask("accounts")
        for name in ("a1", "a2"):
            store.remove(name)
        empty = house.ask("accounts")
    assert some.one("warning", "a1 has to sign in again (refresh_token_expired)") == "seatpool login codex --name a1"
    assert (some.code, none.code) == (0, 1)
    assert none.one("problem", "a2 is disabled: abuse_flag") == "seatpool account resume a2"
    assert paused.code == 1, "a paused account that is disabled stays so"
    assert "seatpool login codex" in empty.one("warning", "no account is in the pool")


def test_accounts_that_all_rest(house: House) -> None:
    now = datetime.now(UTC)
    with Store.open(str(house.proxy.database)) as store:
        for name, hours in (("a1", 5), ("a2", 3)):
            until = now + timedelta(hours=hours)
            store.cool(Cooldown(store.account(name).id, WHOLE_ACCOUNT, "usage_limit", until, now))
        of_a_model = Scope(ScopeKind.MODEL, "gpt-x")
        store.cool(Cooldown(store.account("a1").id, of_a_model, "model_not_found", now + timedelta(minutes=9), now))
        answer = house.ask("accounts")
        store.clear_cooldowns()
    text = "codex: every account rests; a2 is the first to be back, in 3 h, at "
    todo = answer.one("warning", text)
    assert todo.startswith("seatpool login codex, ") and todo.endswith(": seatpool cooldown clear")
    assert answer.code == 0


def test_rules_with_a_mistake(house: House) -> None:
    rules = house.home / "config" / "seatpool" / "rules.toml"
    rules.parent.mkdir(parents=True, exist_ok=True)
    rules.write_text("[[rule]]\nnonsense = 1\n")
    answer = house.ask("rules")
    rules.unlink()
    assert answer.one("problem", f"{rules}:") == f"seatpool rules check {rules}"


# -- clients and shells


def test_a_client_that_goes_around_is_brought_through(house: House) -> None:
    (house.home / ".codex").mkdir()
    before = house.ask("clients")
    command = f"seatpool setup codex --proxy {house.proxy.url}"
    assert before.one("warning", "codex: does not come through the proxy") == command
    mended = house.ask("clients", more=("--fix", "--yes"))
    assert "codex: comes through the proxy" in repr(mended.report)
    (house.authority.folder / BUNDLE).unlink()
    assert house.ask("clients").one("problem", "which is gone: Codex reaches nobody") == command
    assert "codex: comes through the proxy" in repr(house.ask("clients", more=("--fix", "--yes")).report)
    settings = house.home / ".codex" / ".env"
    settings.write_text(settings.read_text().replace(house.proxy.url, "http://10.1.2.3:3128"))
    elsewhere = house.ask("clients", more=("--fix", "--yes"))
    assert elsewhere.one("warning", "codex: goes to http://10.1.2.3:3128") == command
    assert elsewhere.report.mended == (), "whoever has named another proxy is asked"
    shutil.rmtree(house.home / ".codex")


@pytest.mark.parametrize(
    ("env", "level", "said", "mend"),
    [
        ({"HTTPS_PROXY": "{url}", "NO_PROXY": "localhost,.chatgpt.com"}, "problem",
         "NO_PROXY has .chatgpt.com", "export NO_PROXY=localhost"),
        ({"https_proxy": "{url}", "no_proxy": "*"}, "problem", "no_proxy has *", "unset no_proxy"),
        ({"NO_PROXY": "github.com"}, "warning", "NO_PROXY has github.com", "unset NO_PROXY"),
        ({"HTTPS_PROXY": "{bare}"}, "problem", "has no scheme", "export HTTPS_PROXY={url}"),
        ({"HTTPS_PROXY": "http://me:FAKESECRET@corp:3128"}, "warning", "go there, not through seatpool",
         "export HTTPS_PROXY={url}"),
        ({"HTTPS_PROXY": "me:FAKESECRET@corp:3128"}, "problem", "HTTPS_PROXY=me:***@corp:3128 has no scheme",
         "export HTTPS_PROXY={url}"),
        ({"HTTPS_PROXY": "http://me:FAKE FAKESECRET@corp:3128"}, "warning", "http://me:***@corp:3128",
         "export HTTPS_PROXY={url}"),
        ({"HTTP_PROXY": "{url}"}, "warning", "HTTP_PROXY alone", "export HTTPS_PROXY="),
        ({"NODE_TLS_REJECT_UNAUTHORIZED": "0"}, "warning", "believes anybody", "unset NODE_TLS_REJECT_UNAUTHORIZED"),
        ({"HTTPS_PROXY": "{url}"}, "warning", "nothing in this shell names the certificate authority",
         "export NODE_EXTRA_CA_CERTS="),
        ({"HTTPS_PROXY": "{url}", "NODE_EXTRA_CA_CERTS": "/nowhere.pem"}, "problem",
         "NODE_EXTRA_CA_CERTS=/nowhere.pem cannot be read", "export NODE_EXTRA_CA_CERTS="),
        ({"HTTPS_PROXY": "{url}", "SSL_CERT_FILE": "{other}"}, "problem",
         "has not the certificate authority", "export SSL_CERT_FILE="),
        ({"HTTPS_PROXY": "{url}", "SSL_CERT_FILE": "{ours}"}, "warning", "seatpool's roots alone",
         "export SSL_CERT_FILE="),
    ],
)  # fmt: skip
def test_variables_of_the_shell(house: House, env: dict[str, str], level: str, said: str, mend: str) -> None:
    url = house.proxy.url
    parts = {"url": url, "bare": url.removeprefix("http://"), "ours": str(house.authority.trusted), "other": __file__}
    answer = house.ask("environment", env={name: value.format(**parts) for name, value in env.items()})
    assert mend.format(**parts) in answer.one(level, said)
    assert "FAKESECRET" not in repr(answer.report)


def test_on_windows_variables_are_set_as_powershell_does_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "uname", lambda: platform.uname_result("Windows", "desk", "11", "", "AMD64"))
    one = house.ask("environment", env={"HTTPS_PROXY": house.proxy.url, "NO_PROXY": "github.com"})
    assert one.one("problem", "NO_PROXY has github.com") == "Remove-Item Env:NO_PROXY"
    other = house.ask("environment", env={"HTTPS_PROXY": "http://corp:3128", "SSL_CERT_FILE": "/nowhere.pem"})
    assert other.one("warning", "not through seatpool") == f"$env:HTTPS_PROXY = '{house.proxy.url}'"
    named = f"$env:SSL_CERT_FILE = '{house.authority.folder / BUNDLE}'"
    assert other.one("problem", "cannot be read").endswith(named)


def test_a_shell_that_is_set_up_is_fine(house: House) -> None:
    env = {"HTTPS_PROXY": house.proxy.url, "NODE_EXTRA_CA_CERTS": str(house.authority.trusted)}
    answer = house.ask("environment", env={**env, "NO_PROXY": "localhost,127.0.0.1,example.com"})
    assert answer.levels() == {"environment": "ok"}


# -- what the proxy has seen


def test_hosts_that_nobody_knows(house: House) -> None:
    file = house.home / "data" / "seatpool" / "unknown-hosts.json"
    now = datetime.now(UTC)
    strangers.add(file, Counter({"api.old.githubcopilot.com": 3}), now - timedelta(days=31))
    strangers.add(file, Counter({"chatgpt.com": 3}), now)  # an older version did not know it
    assert house.ask("unknown-hosts").levels() == {"unknown-hosts": "ok"}
    since = len(house.proxy.log)
    for _ in range(3):
        with socket.create_connection(house.proxy.address) as client, client.makefile("rb") as answer:
            client.sendall(b"CONNECT api.new.githubcopilot.com:443 HTTP/1.1\r\n\r\n")
            assert answer.readline() == b"HTTP/1.1 200 Connection established\r\n"
            assert answer.readline() == b"\r\n"
            hello = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(
                ssl.MemoryBIO(), written := ssl.MemoryBIO(), server_hostname="api.new.githubcopilot.com"
            )
            with pytest.raises(ssl.SSLWantReadError):
                hello.do_handshake()
            client.sendall(written.read())
            assert answer.read() == b"", "there is no such host, and it was not decrypted"
    house.proxy.wait_log("host=api.new.githubcopilot.com reason=unknown-host", since=since)
    answer = house.ask("unknown-hosts")
    file.unlink()
    said = "api.new.githubcopilot.com looks like a provider's and is not known: 3 connections passed untouched"
    assert answer.one("warning", said) == "seatpool status --strays"


GET = "https://chatgpt.com/"
JAVA = (
    "public class Ask { public static void main(String[] a) throws Exception { new java.net.URL(a[0]).openStream(); } }"
)
NODE = """
const [http, tls] = [require('http'), require('tls')]
http.request({ host: '127.0.0.1', port: process.argv[1], method: 'CONNECT', path: 'chatgpt.com:443' })
    .on('connect', (_, socket) => tls.connect({ socket, servername: 'chatgpt.com' })).end()
"""
ASK = {
    "curl": ["curl", "-sS", GET],
    "Python": [sys.executable, "-c", f"from urllib.request import urlopen as get; get('{GET}')"],
    "Copilot's": ["node", "-e", NODE, "{port}"],
    "Go": ["go", "list", "-m", "example.com/x@v1.0.0"],
    "Java": ["java", "-Dhttps.proxyHost=127.0.0.1", "-Dhttps.proxyPort={port}", "Ask.java", GET],
}  # fmt: skip
"""Programs that ask chatgpt.com for something through a proxy, by how the table calls them."""
ALL = "all of them"


class Asked:
    """A program asked, and what it said."""

    def __init__(self, program: str, url: str, where: str, folder: Path, authority: Path | None = None) -> None:
        found = shutil.which(ASK[program][0], path=where)
        if found is None:
            pytest.skip(f"no {program} on this machine")
        (folder / "Ask.java").write_text(JAVA)
        port = url.rpartition(":")[2]
        go = {"GOPROXY": GET, "GOFLAGS": "-mod=mod", "GONOSUMDB": "*", "GOPATH": str(folder / "go")}
        env = {"https_proxy": url, "HTTPS_PROXY": url, "PATH": where, "HOME": str(folder), **go}
        if authority is not None:
            env |= dict.fromkeys(("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE"), str(authority))
        argv = [found, *(part.replace("{port}", port) for part in ASK[program][1:])]
        ran = subprocess.run(
            argv,
            env=clean_environment(env),
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert ran.returncode != 0
        self.said = ran.stderr
        self.rows = {each.said for each in explained(ran.stderr) if program in each.program or each.program == ALL}


WITHOUT = {
    "curl": "SSL certificate problem",
    "Python": "CERTIFICATE_VERIFY_FAILED",
    "Copilot's": "self-signed certificate in certificate chain",
    "Go": "x509: certificate signed by unknown authority",
    "Java": "PKIX path building failed",
}
DEAD = {"curl": "Failed to connect to 127.0.0.1", "Copilot's": "ECONNREFUSED"} | dict.fromkeys(
    ("Python", "Go", "Java"), "connection refused"
)


@pytest.mark.parametrize("program", ASK)
def test_the_words_of_a_program_without_the_authority_are_explained(
    house: House, program: str, where: str, tmp_path: Path
) -> None:
    since = len(house.proxy.log)
    asked = Asked(program, house.proxy.url, where, tmp_path)
    assert asked.rows == {WITHOUT[program]}, asked.said
    house.proxy.wait_log("does not trust the proxy's certificate", since=since)
    answer = house.ask("distrust")
    assert answer.one("warning", "a program refused the proxy's certificate for chatgpt.com") == "seatpool ca trust"
    told = house.run("--explain", asked.said)
    assert (told.exit_code, "seatpool ca trust" in told.stdout) == (0, True)
    assert Asked(program, "http://127.0.0.1:9", where, tmp_path).rows == {DEAD[program]}


def test_a_refusal_is_forgiven_once_the_certificate_was_taken(house: House, where: str, tmp_path: Path) -> None:
    Asked("Python", house.proxy.url, where, tmp_path)
    house.ask("distrust").one("warning", "for chatgpt.com")
    trusting = ssl.create_default_context(cafile=str(house.authority.trusted))
    client = http.client.HTTPSConnection(*house.proxy.address, context=trusting)
    client.set_tunnel("chatgpt.com", 443)
    client.connect()
    client.close()
    answer = house.ask("distrust")
    assert answer.code == 0 and not answer.one("ok", "for chatgpt.com"), "it may have been another program"


@pytest.mark.parametrize("program", ["curl", "Python", "Copilot's", "Go"])
def test_the_words_of_a_program_whose_authority_is_over_are_explained(
    house: House, program: str, where: str, tmp_path: Path
) -> None:
    house.authority.replace(CERTIFIED, datetime.now(UTC) - timedelta(days=100))
    asked = Asked(program, house.proxy.url, where, tmp_path, house.authority.trusted)
    assert "certificate has expired" in asked.rows, asked.said


def test_the_words_about_another_authority_are_explained(house: House, where: str, tmp_path: Path) -> None:
    with Mitmdump(tmp_path / "other", options={"confdir": str(tmp_path / "theirs")}) as other:
        asked = Asked("Copilot's", other.url, where, tmp_path)
        answer = house.ask("authority-in-use", more=("--proxy", other.url))
    assert asked.rows == {"unable to verify the first certificate"}
    assert "confdir" in answer.one("warning", f"the proxy uses the certificate authority in {tmp_path / 'theirs'}")


def test_words_that_nobody_knows(house: House) -> None:
    ran = house.run("--explain", "all is well")
    assert (ran.exit_code, "nothing is known of these words" in ran.output) == (1, True)


# -- the code


def test_files_that_were_changed_after_the_start(house: House) -> None:
    assert house.ask("version").levels() == {"version": "ok"}
    file = PACKAGE / "clock.py"
    former = file.stat()
    file.touch()
    try:
        answer = house.ask("version")
    finally:
        os.utime(file, ns=(former.st_atime_ns, former.st_mtime_ns))
    assert "seatpool run" in answer.one("warning", "were changed after the proxy was started")


def test_a_mitmproxy_that_cannot_be_loaded(house: House, tmp_path: Path) -> None:
    (tmp_path / "mitmproxy").mkdir()
    (tmp_path / "mitmproxy" / "__init__.py").write_text("raise ImportError('libssl is not there')")
    answer = house.ask("mitmproxy", env={"PYTHONPATH": str(tmp_path)})
    assert "mitmproxy>=12.2,<13" in answer.one("problem", "mitmproxy cannot be loaded: ImportError: libssl")


def test_a_mitmproxy_of_which_not_everything_is_as_it_was(house: House, tmp_path: Path) -> None:
    """Python reads `sitecustomize` as it starts: what a mitmproxy of another version has otherwise is changed there."""

    def told_where(changed: str) -> Answer:
        (tmp_path / "sitecustomize.py").write_text(changed)
        return house.ask("mitmproxy", env={"PYTHONPATH": str(tmp_path)})

    of_the_dispatch = "from mitmproxy.proxy import server\nserver.ConnectionHandler.{0} = lambda self: self.{0}()"
    slower = told_where("\n".join(map(of_the_dispatch.format, ("server_event", "hook_task", "drain_writers"))))
    slower.one("warning", "(dispatch, draining, turns): they stand aside")
    unfit = told_where("from mitmproxy.proxy.layers import http\ndel http.HttpStream.check_invalid")
    unfit.one("problem", "does not fit seatpool (type object 'HttpStream' has no attribute 'check_invalid')")
