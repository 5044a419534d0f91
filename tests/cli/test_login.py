"""`seatpool login`: what is refused before anybody is sent to a browser, and what is stored and said afterwards."""

import asyncio
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from freezegun import freeze_time
from rich.console import Console

from seatpool.cli.login.screen import LoginScreen
from seatpool.cli.login.signing import Login, LoginFailed, NotStored
from seatpool.cli.main import main
from seatpool.core.model import Credential, CredentialKind, ProviderName, QuotaWindow
from seatpool.providers.logins import ImportedLogin
from seatpool.providers.signin import Invitation, NotSignedIn, Pause, SignedIn, SignIn
from seatpool.service.network.transport import TransportSettings
from seatpool.store import Store

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NOBODY_THERE = "http://127.0.0.1:9"


pytestmark = pytest.mark.usefixtures("own_world")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "pool.db")) as store:
        yield store


def seatpool(*arguments: str) -> Result:
    """A sign-in that can reach nobody, should it come to that."""
    return CliRunner().invoke(main, [*arguments, *(() if "--proxy" in arguments else ("--proxy", NOBODY_THERE))])


def alice(identity: str = "user-alice/ws", plan: str | None = "plus") -> SignedIn:
    """A sign-in that went well."""
    credential = Credential(CredentialKind.CODEX_OAUTH, "FAKESECRET-access", "FAKESECRET-refresh")
    login = ImportedLogin(ProviderName.CODEX, "alice", identity, "chatgpt.com", (credential,), plan)
    windows = (QuotaWindow("primary", 0.5, NOW, "usage"),)
    return SignedIn(login, windows, ("its usage could not be read",))


def flow(outcome: SignedIn | NotSignedIn) -> SignIn:
    yield Pause(0)
    return outcome


class Session:
    """A `Login` and what it writes."""

    def __init__(self, store: Store, name: str | None = None) -> None:
        self.console = Console(file=io.StringIO(), width=200)
        self.login = Login(store, LoginScreen(self.console), TransportSettings(), name)

    def run(self, outcome: SignedIn | NotSignedIn) -> str:
        asyncio.run(self.login.by_code(flow(outcome), lambda _origin: False))
        return self.output

    @property
    def output(self) -> str:
        assert isinstance(self.console.file, io.StringIO)
        return self.console.file.getvalue()


REFUSED = [
    (("login", "copilot", "--host", "example.com"), "github.com or TENANT.ghe.com"),
    (("login", "copilot", "--host", "github.com.example.com"), "github.com or TENANT.ghe.com"),
    (("login", "copilot", "--host", "evil/.ghe.com"), "github.com or TENANT.ghe.com"),
    (("login", "copilot", "--app", "desktop"), "'editor', 'cli'"),
    (("login", "codex", "--name", "  "), "visible characters"),
    (("login", "codex", "--name", "a\nb"), "visible characters"),
    (("login", "codex", "--ca", "/nowhere/ca.pem"), "does not exist"),
    (("login", "codex", "--proxy", "socks5://127.0.0.1:1080"), "http://HOST:PORT"),
    (("login", "codex", "--proxy", "127.0.0.1:8080"), "http://HOST:PORT"),
    (("login", "codex", "--proxy", "http://127.0.0.1:99999"), "http://HOST:PORT"),
    (("login", "gemini"), "No such command"),
]


@pytest.mark.parametrize(("arguments", "said"), REFUSED, ids=[" ".join(each[0]) for each in REFUSED])
def test_wrong_input_is_one_line_and_nothing_is_begun(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    result = seatpool(*arguments)
    assert result.exit_code == 2
    last = result.output.strip().splitlines()[-1]
    assert last.startswith("Error: ") and said in last
    assert not (tmp_path / "pool.db").exists()


def test_a_file_without_a_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("hello")
    result = seatpool("login", "codex", "--ca", str(tmp_path / "ca.pem"))
    assert result.exit_code == 2 and "no certificate in PEM form" in result.output


def test_a_database_that_cannot_be_used_is_found_before_anybody_is_asked(tmp_path: Path) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"this is no database, and long enough to be looked at as one" * 20)
    result = seatpool("login", "codex", "--device", "--db", str(broken))
    assert result.exit_code == 1
    assert result.output.startswith("Error: ") and str(broken) in result.output and "reached" not in result.output


def test_a_name_that_is_sure_to_be_anothers_is_refused_before_anybody_is_asked(store: Store) -> None:
    Session(store, "work").run(alice())
    result = seatpool("login", "copilot", "--name", "work")
    assert result.exit_code == 1 and "another account is named 'work'" in result.output
    own = seatpool("login", "codex", "--device", "--name", "work")
    assert "cannot be reached" in own.output, "it may be the very account that is to be renewed"


def test_signing_in_again_to_an_account_goes_where_it_was(store: Store) -> None:
    tenants = ImportedLogin(
        ProviderName.COPILOT,
        "dave",
        "octo.ghe.com/7",
        "octo.ghe.com",
        (Credential(CredentialKind.GITHUB_OAUTH, "gho_F"),),
    )
    Session(store, "octo").run(SignedIn(tenants))
    assert "octo.ghe.com cannot be reached" in seatpool("login", "copilot", "--name", "octo").output
    elsewhere = seatpool("login", "copilot", "--name", "octo", "--host", "github.com")
    assert "another account is named 'octo'" in elsewhere.output


@pytest.mark.parametrize(
    ("arguments", "host"), [(("codex", "--device"), "auth.openai.com"), (("copilot",), "github.com")]
)
def test_offline_is_one_line_that_names_host_and_cause(arguments: tuple[str, ...], host: str, store: Store) -> None:
    result = seatpool("login", *arguments)
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"Error: {host} cannot be reached: check the network, then sign in again. ({host}: ConnectionRefusedError)"
    ]
    assert store.accounts() == ()


def test_an_account_is_stored_with_plan_and_quota_and_renewed_by_the_next_sign_in(store: Store) -> None:
    first = Session(store)
    assert first.run(alice()) == "Note: its usage could not be read\n"
    assert (first.login.account.name, first.login.account.plan, first.login.added) == ("alice", "plus", True)
    assert [window.left for _, window in store.changes(None).windows] == [0.5]
    again = Session(store, "work")
    again.run(alice(plan="pro"))
    assert (again.login.account.name, again.login.account.plan, again.login.added) == ("work", "pro", False)
    assert len(store.accounts()) == 1


def test_a_name_that_turns_out_to_be_anothers_loses_nothing(store: Store) -> None:
    Session(store, "work").run(alice())
    other = Session(store, "work")
    assert "this one is alice for now" in other.run(alice("user-alice/other-workspace"))
    assert sorted(account.name for account in store.accounts()) == ["alice", "work"]


def test_a_sign_in_that_cannot_be_stored_says_so_without_a_token(store: Store) -> None:
    session = Session(store)
    store.close()
    with pytest.raises(NotStored) as failed:
        session.run(alice())
    assert failed.value.message.startswith("signed in, but it could not be stored: ")
    assert "FAKESECRET" not in failed.value.message + session.output + failed.value.page.html().decode()
    assert session.login.saved is None


def test_whoever_cannot_be_told_apart_is_not_stored(store: Store) -> None:
    nobody = SignedIn(ImportedLogin(ProviderName.CODEX, "alice", None, "chatgpt.com", ()))
    with pytest.raises(LoginFailed, match="whose login"):
        Session(store).run(nobody)
    assert store.accounts() == ()


@pytest.mark.parametrize(("code", "title"), [("denied", "Sign-in denied"), ("expired", "Sign-in failed")])
def test_a_bad_end_is_told_in_the_terminal_and_on_the_page(code: str, title: str, store: Store) -> None:
    with pytest.raises(LoginFailed, match="so it goes") as ended:
        Session(store).run(NotSignedIn(code, "so it goes"))
    assert ended.value.page.title == title and ended.value.page.text == "so it goes"


async def test_without_a_terminal_the_countdown_is_a_line_for_each_minute() -> None:
    console = Console(file=io.StringIO(), width=200)
    with freeze_time(NOW, real_asyncio=True) as clock, LoginScreen(console) as screen:
        await screen.invite(Invitation("https://issuer.example/device", "ABCD-EFGH", NOW + timedelta(minutes=3)))
        for _ in range(4):
            await screen.pause(0)
            clock.tick(30)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "Open https://issuer.example/device in any browser, on any machine, and type this code: ABCD-EFGH",
        *(f"waiting for you to confirm: {left} min left" for left in (3, 2)),
    ]


async def test_an_issuer_cannot_steer_the_terminal() -> None:
    console = Console(file=io.StringIO(), width=200)
    with LoginScreen(console) as screen:
        await screen.invite(Invitation("https://x/\x1b[2J\r", "A\x1b]0;B\x07\n[bold]", datetime.now(UTC)))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert not set("\x1b\x07\r") & set(shown)
    assert "[bold]" in shown, "nor is it markup"
