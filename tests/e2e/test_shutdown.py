"""What a request began goes on without it: the client is gone and the proxy is told to end, or is killed."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from seatpool.core.model import CredentialKind
from tests.e2e.conftest import CODEX_BODY, CODEX_PATH, Scene, codex_headers
from tests.harness import POOL_ADDON, Incoming, Mitmdump
from tests.harness.namespace import clean_environment
from tests.harness.remains import leaks, whole
from tests.upstream.tokens import codex_refresh_token

FOR_COMPANY_S = 0.25
"""How long the proxy lets a first row wait for others."""
Start = Callable[..., Scene]
ENDS = pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)


@asynccontextmanager
async def leaving(scene: Scene, conversation: str = "talk") -> AsyncIterator[Incoming]:
    """A request whose client drops its connection as soon as the block ends."""
    client = await scene.network.http2("chatgpt.com")
    yield await client.send("POST", CODEX_PATH, codex_headers(conversation), CODEX_BODY)
    client.abort()
    await client.close()


async def ask_and_leave(scene: Scene, conversation: str = "talk") -> None:
    """Read a whole answer and leave at its last byte."""
    async with leaving(scene, conversation) as incoming:
        assert b"alice2 " in await incoming.body()


@ENDS
async def test_quota_and_attempt_are_stored_although_client_and_proxy_end_at_the_last_byte(
    start: Start, end: signal.Signals
) -> None:
    scene = start("alice", pool_learn="false")
    await ask_and_leave(scene)
    assert await asyncio.to_thread(scene.proxy.stop, end) == 0
    with scene.store as store:
        (attempt,) = store.past.attempts(limit=9)
        assert (attempt.outcome, attempt.status, attempt.route) == ("ok", 200, "responses")
        changes = store.changes(None)
        assert {window.bucket: round(window.left, 2) for _, window in changes.windows} == {
            "primary": 0.8,
            "secondary": 0.95,
        }
        assert changes.accounts[0].last_used_at == attempt.started_at
    assert leaks(scene.folder) == []


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
async def test_a_renewal_is_finished_and_stored_although_client_and_proxy_end_amid_it(
    start: Start, end: signal.Signals
) -> None:
    scene = start("alice", pool_learn="false")
    scene.fakes.change("alice", revoked_below=1)
    scene.fakes.behave("alice", {"route": "oauth-token", "delay_ms": 500})
    async with leaving(scene):
        await asyncio.to_thread(scene.fakes.wait, route="oauth-token")
    assert await asyncio.to_thread(scene.proxy.stop, end) == 0
    with scene.store as store:
        credential = store.credentials(store.account("alice").id)[CredentialKind.CODEX_OAUTH]
    assert credential.refresh_token == codex_refresh_token("alice", 1)
    scene.proxy.start()
    await ask_and_leave(scene, "after")
    assert [entry["generation"] for entry in scene.fakes.journal(route="oauth-token")] == [0]
    assert leaks(scene.folder) == []


async def test_after_a_kill_at_the_last_byte_nothing_is_read_that_was_written_by_half(start: Start) -> None:
    scene = start("alice", pool_learn="false")
    for number in range(2):
        await asyncio.gather(*(ask_and_leave(scene, f"talk-{number}-{n}") for n in range(10)))
        await asyncio.sleep(FOR_COMPANY_S * number)  # the second kill comes as they are being written
        scene.proxy.kill()
        assert whole(scene.proxy.database)
        with scene.store as store:
            attempts, changes = store.past.attempts(limit=99), store.changes(None)
            assert {(a.outcome, a.status, a.route) for a in attempts} <= {("ok", 200, "responses")}
            assert len(attempts) <= 10 * (number + 1)
            assert {window.bucket for _, window in changes.windows} in (set(), {"primary", "secondary"})
            assert (changes.accounts[0].last_used_at is not None) == bool(attempts)
        assert leaks(scene.folder) == []
        scene.proxy.start()
    await ask_and_leave(scene, "after")


def test_a_terminal_that_is_closed_is_an_end_like_any_other(tmp_path: Path) -> None:
    talkative = tmp_path / "talkative.py"
    talkative.write_text("import logging\n\ndef done():\n    logging.info('where nobody hears it')\n")
    proxy = Mitmdump(tmp_path, addon=talkative, arguments=("-s", str(POOL_ADDON)), env={"SEATPOOL_KEYRING": "off"})
    with proxy:
        pass  # it has a certificate authority now
    ours, its = os.openpty()
    command = ["setsid", "--ctty", *proxy._command()]
    environment = clean_environment(proxy._env)
    process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environment, cwd=tmp_path)
    os.close(its)
    try:
        read_until(ours, b"start-up is over")
        assert (tmp_path / "pool.db-wal").exists()
        os.close(ours)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
    assert not (tmp_path / "pool.db-wal").exists(), "who closes the database leaves none"


def read_until(terminal: int, words: bytes) -> None:
    """What a program writes to its terminal."""
    said = b""
    while words not in said:
        said += os.read(terminal, 1 << 16)
