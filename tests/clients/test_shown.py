"""The real clients where they are shown the quota of their own account, while another one serves.

With `pool_client_quota=upstream` both would show alice's and carol's numbers after the second turn.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.clients import codex, language_server
from tests.clients.codex import AppServer
from tests.clients.conftest import Desk, furnished
from tests.clients.language_server import LanguageServer
from tests.e2e.conftest import EDITOR

pytestmark = pytest.mark.timeout(90, func_only=True)

OWN_PERCENT, OTHERS_PERCENT = 20, 70


@pytest.fixture(scope="module")
def home_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("shown")
    (folder / "home" / "work").mkdir(parents=True)
    with furnished(folder, {"pool_client_quota": "primary"}) as desk:
        yield desk
        desk.proxy.stop()
        assert not [line for line in desk.proxy.log if "Traceback" in line or "quota-not-shown" in line]
        assert desk.leaks() == {}


@contextmanager
def running(desk: Desk, argv: list[str], environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    process = desk.lab.popen(argv, env=environment, cwd=desk.folder / "home" / "work", **pipes)
    try:
        yield process
    finally:
        desk.lab.end(process)
        for pipe in (process.stdin, process.stdout):
            pipe.close()


def take_out(desk: Desk) -> None:
    """The editor's own account serves no more: known to the proxy as soon as who is put into the pool behind that."""
    with desk.store as store:
        for account in store.accounts():
            if account.learnt:
                store.set_paused(account.name, True, datetime.now(UTC))


@pytest.mark.parametrize("upgrade", [True, False], ids=["websocket", "https"])
def test_codex_shows_its_own_accounts_limits_while_another_one_serves(home_desk: Desk, upgrade: bool) -> None:
    desk, home = home_desk, home_desk.folder / "home"
    desk.reset()
    if not upgrade:
        desk.fakes.behave("*", {"kind": "status", "status": 426, "on": ["handshake"]})
    desk.fakes.change(EDITOR, quota={"primary": OWN_PERCENT})
    desk.fakes.change("alice", quota={"primary": OTHERS_PERCENT})
    with running(desk, ["codex", "app-server"], codex.signed_in(desk, home)) as process:
        app = AppServer(process, home / "work")
        assert app.turn().text.startswith(f"{EDITOR}0 ")
        own = shown_limits(app)
        assert own and own[-1]["primary"]["usedPercent"] == OWN_PERCENT
        take_out(desk)
        desk.pool("alice")
        assert app.turn("and again").text.startswith("alice0 ")
        shown = shown_limits(app)
        assert len(shown) > len(own), "it was told again"
        assert {limits["primary"]["usedPercent"] for limits in shown} == {OWN_PERCENT}
        assert app.account_limits()["rateLimits"]["primary"]["usedPercent"] == OWN_PERCENT


def shown_limits(app: AppServer) -> list[dict[str, Any]]:
    """What `account/rateLimits/updated` has told so far."""
    return [params["rateLimits"] for params in app.told("account/rateLimits/updated")]


def test_the_language_server_shows_its_own_seats_quota_while_another_one_serves(home_desk: Desk) -> None:
    desk, home = home_desk, home_desk.folder / "home"
    desk.reset()
    desk.fakes.change("emma", quota={"premium_interactions": 80.0})
    desk.fakes.change("carol", quota={"premium_interactions": 30.0})
    environment = language_server.signed_in(desk, home, "emma")
    with running(desk, list(language_server.ARGV), environment) as process:
        server = LanguageServer(process, home / "work")
        assert server.chat("say hi", "claude-sonnet-4.6").text.strip() == "emma0 emma1 emma2"
        own = shown_quota(server)
        assert own
        take_out(desk)
        desk.pool("carol")
        assert server.chat("say more", "claude-sonnet-4.6").text.strip() == "carol0 carol1 carol2"
        shown = shown_quota(server)
        assert len(shown) > len(own), "it was told again"
        assert {(quota["percentRemaining"], quota["quota"]) for quota in shown} == {(80, 300)}


def shown_quota(server: LanguageServer) -> list[dict[str, Any]]:
    """What `copilot/quotaChange` has told so far."""
    told = [message.params for message in server.rpc.messages if message.method == "copilot/quotaChange"]
    return [quota["premium_interactions"] for quota in told]
