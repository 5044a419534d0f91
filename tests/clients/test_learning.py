"""The real clients with one imported account beside their own, which the pool learns from what they send.

The proxy is one of its own: in the others the editor's own account stays out.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients import codex, language_server
from tests.clients.conftest import Desk, furnished
from tests.clients.language_server import LanguageServer
from tests.e2e.conftest import EDITOR

pytestmark = pytest.mark.timeout(90, func_only=True)


@pytest.fixture
def learning(tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "home" / "work").mkdir(parents=True)
    with furnished(tmp_path, {}) as desk:
        yield desk
        assert desk.leaks() == {}
        desk.proxy.stop()
        assert not [line for line in desk.proxy.log if "Traceback" in line]


@pytest.mark.parametrize("upgrade", [True, False], ids=["websocket", "https"])
@pytest.mark.parametrize(("limited", "serves"), [("alice", EDITOR), (EDITOR, "alice")])
def test_codex_and_one_imported_login_are_a_pool_of_two(
    learning: Desk, limited: str, serves: str, upgrade: bool
) -> None:
    learning.pool("alice")
    if not upgrade:
        learning.fakes.behave("*", {"kind": "status", "status": 426, "on": ["handshake"]})
    learning.fakes.behave(limited, {"kind": "usage_limit", "route": "responses"})
    for _ in range(2):
        code, events = codex.execute(learning, learning.folder / "home")
        assert (code, codex.errors(events)) == (0, [])
        assert codex.said(events) == [f"{serves}0 {serves}1 {serves}2 "]
    refused = [e for e in learning.fakes.journal(route="responses", account=limited) if e["status"] == 429]
    assert len(refused) <= 1, "a limited account rests"


def test_the_language_servers_own_seat_serves_beside_an_imported_one(learning: Desk) -> None:
    learning.pool("carol")
    learning.fakes.behave("carol", {"kind": "usage_limit", "retry_after": 600, "route": "engine"})
    home = learning.folder / "home"
    environment = language_server.signed_in(learning, home, "emma")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    process = learning.lab.popen(list(language_server.ARGV), env=environment, cwd=home / "work", **pipes)
    try:
        server = LanguageServer(process, home / "work")
        assert [text.strip() for text in server.complete()] == ["emma0 emma1 emma2"]
        assert [e["account"] for e in learning.fakes.journal(route="engine")] == ["carol", "emma"]
        assert server.states == {"Normal"}
    finally:
        learning.lab.end(process)
        for pipe in (process.stdin, process.stdout):
            pipe.close()
