"""What is promised whatever happens: nothing is decrypted needlessly, nothing leaks, nothing acknowledged is lost."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seatpool.core.model import CredentialKind
from seatpool.store import Store
from tests.e2e.conftest import CODEX_BODY, CODEX_PATH, Scene, codex_headers
from tests.e2e.test_copilot import editor_headers
from tests.harness import BrokenOff, Network
from tests.upstream.tokens import MARKER


async def post(scene: Scene, conversation: str = "talk") -> tuple[int, bytes]:
    async with await scene.network.http2("chatgpt.com") as client:
        incoming = await client.send("POST", CODEX_PATH, codex_headers(conversation), CODEX_BODY)
        return await incoming.head(), await incoming.body()


async def test_a_host_that_is_not_pooled_is_not_decrypted(scene: Scene) -> None:
    outside = Network(scene.fakes.ca, scene.proxy.address, scene.lab.connect)
    for host in ("example.com", "api.github.com", "auth.openai.com", "ab.chatgpt.com"):
        certificate = await outside.peer_certificate(host)
        assert (
            certificate["issuer"]
            == (await Network(scene.fakes.ca, None, scene.lab.connect).peer_certificate(host))["issuer"]
        )
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        await scene.network.peer_certificate("example.com")
    assert "seatpool issuing" in str((await scene.network.peer_certificate("chatgpt.com"))["issuer"])


async def test_no_token_is_in_any_log_database_status_or_dump(scene: Scene) -> None:
    scene.pool("alice", "bob", "carol")
    scene.fakes.behave("alice", {"kind": "unauthorized", "first": 1, "route": "responses"}, {"kind": "usage_limit"})
    await post(scene)
    async with await scene.network.http2("api.individual.githubcopilot.com") as client:
        await (
            await client.send("POST", "/chat/completions", editor_headers(), b'{"model":"gpt-4.1","messages":[]}')
        ).body()
        await (await client.send("GET", "/models", editor_headers())).body()
        session = await client.send("POST", "/models/session", editor_headers(), b"{}")
        assert MARKER in await session.text(), "the editor gets what the dump does not show"
    status = scene.lab.run(
        [Path(__file__).parents[2] / ".venv/bin/seatpool", "--db", scene.proxy.database, "status", "--json"]
    )
    files = [path for path in scene.folder.rglob("*") if path.is_file() and "logins" not in path.parts]
    looked_at = [path for path in files if path.name.startswith(("pool.db", "flows"))]
    assert {path.name for path in looked_at} >= {"pool.db", "pool.db-wal", "flows"}
    assert not [path.name for path in looked_at if MARKER.encode() in path.read_bytes()]
    assert not [line for line in scene.proxy.log if MARKER in line]
    assert '"name"' in status.stdout
    assert MARKER not in status.stdout + status.stderr


async def test_a_head_that_mitmproxy_quotes_is_not_in_the_log(scene: Scene) -> None:
    scene.pool("alice")
    begun = f"POST {CODEX_PATH} HTTP/1.1\r\nhost: chatgpt.com\r\nauthorization: Bearer {MARKER}\r\n".encode()
    for head in (begun, begun + f"authorization Bearer {MARKER}\r\n\r\n".encode()):
        _, writer = await scene.network._tls("chatgpt.com", ["http/1.1"])  # half a head is no request
        writer.write(head)
        await writer.drain()
        writer.close()
    scene.proxy.wait_log(r"completing request headers: .*\[bytes\]")
    scene.proxy.wait_log(r"Invalid header line: .*\[bytes\]")
    assert not [line for line in scene.proxy.log if MARKER in line]


async def test_without_any_account_everything_passes_as_the_editor_sent_it(scene: Scene) -> None:
    status, body = await post(scene)
    assert status == 200
    assert b"editor0" in body
    entry = scene.fakes.journal(route="responses")[0]
    sent = codex_headers()
    arrived = {n.lower(): v for n, v in entry["headers"] if n.lower() not in ("host", "content-length")}
    assert arrived.keys() == sent.keys()
    assert {k: v for k, v in arrived.items() if k != "authorization"} == {
        k: v for k, v in sent.items() if k != "authorization"
    }


async def test_block_keeps_the_editors_own_login_out(start: Callable[..., Scene]) -> None:
    scene = start(pool_on_failure="block")
    status, body = await post(scene)
    assert status == 503
    assert b'"error"' in body
    assert scene.asked("responses") == []
    async with await scene.network.http2("chatgpt.com") as client:
        incoming = await client.send("GET", "/backend-api/wham/accounts/check", codex_headers())
        assert await incoming.head() == 200, "what is the person's own still passes"


async def test_a_locked_database_costs_log_lines_and_no_request(start: Callable[..., Scene]) -> None:
    scene = start("alice", "bob")
    await post(scene)
    with sqlite3.connect(scene.proxy.database, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        scene.fakes.behave("alice", {"kind": "usage_limit", "route": "responses"})
        status, body = await post(scene)
        assert (status, b"bob0" in body) == (200, True)
        status, body = await post(scene, "next")
        assert (status, b"bob0" in body) == (200, True), "memory knows of the cooldown that could not be stored"
        other.execute("ROLLBACK")
    other.close()


async def test_a_database_that_cannot_be_opened_lets_everything_pass(
    start: Callable[..., Scene], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no database at all, but long enough to look like a file" * 100)
    scene = start(pool_db=str(broken))
    status, body = await post(scene)
    assert (status, b"editor0" in body) == (200, True)
    assert [line for line in scene.proxy.log if "not a database" in line]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ssl_insecure": "true"}, "ssl_insecure"),
        ({"listen_host": "0.0.0.0"}, "proxyauth"),  # the point of it
        ({"listen_host": "0.0.0.0", "proxyauth": "any"}, "takes every password"),
        ({"pool_max_attempts": "0"}, "1 to 10"),
        ({"pool_affinity_strength": "much"}, "0 to 100"),
        ({"pool_connect_timeout_s": "soon"}, "seconds from 0"),
    ],
)
def test_settings_that_break_a_promise_are_refused_in_words(
    start: Callable[..., Scene], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(RuntimeError, match=said):
        start(**options)


async def test_rotation_off_hands_the_limit_over(start: Callable[..., Scene]) -> None:
    scene = start("alice", "bob", pool_rotate_on_limit="false")
    scene.fakes.behave("alice", {"kind": "usage_limit", "route": "responses"})
    assert [(await post(scene))[0] for _ in range(2)] == [429, 429]
    assert scene.asked("responses") == ["alice", "alice"]
    assert scene.cooldowns() == {}


async def test_a_request_is_sent_no_more_than_max_attempts_times(start: Callable[..., Scene]) -> None:
    scene = start("alice", "bob", pool_max_attempts="1")
    scene.fakes.behave("alice", {"kind": "rate_limited", "retry_after": 60, "route": "responses"})
    assert (await post(scene))[0] == 429
    assert scene.asked("responses") == ["alice"]


async def test_a_large_body_is_pooled_although_mitmproxy_is_told_to_stream_large_ones(
    start: Callable[..., Scene],
) -> None:
    scene = start("alice", "bob", stream_large_bodies="1k")
    scene.fakes.behave("alice", {"kind": "usage_limit", "route": "responses"})
    body = CODEX_BODY[:-1] + b', "instructions": "' + b"x" * 5000 + b'"}'
    async with await scene.network.http2("chatgpt.com") as client:
        incoming = await client.send("POST", CODEX_PATH, codex_headers(), body)
        assert (await incoming.text()).startswith("bob0")
    assert {e["body_length"] for e in scene.fakes.journal(route="responses")} == {len(body)}


async def test_websockets_can_be_refused(start: Callable[..., Scene]) -> None:
    scene = start("alice", pool_websocket="refuse")
    with pytest.raises(Exception, match="refused with 426"):
        await scene.network.websocket("chatgpt.com", CODEX_PATH, codex_headers())
    assert scene.asked("responses") == []


async def test_a_cooldown_learnt_by_one_proxy_stops_the_other(start: Callable[..., Scene]) -> None:
    scene = start("alice", "bob", pool_learn="false")
    second = type(scene.proxy)(
        scene.folder / "second",
        upstream_ca=scene.fakes.ca,
        lab=scene.lab,
        options={"pool_db": str(scene.proxy.database), "pool_learn": "false"},
    )
    second.port = 8081
    scene.fakes.behave("alice", {"kind": "usage_limit", "route": "responses"})
    with second:
        await post(scene)
        await asyncio.sleep(0.6)  # the promise is 250 ms
        other = Scene(scene.lab, scene.fakes, second, scene.folder)
        await post(other, "elsewhere")
    assert scene.asked("responses") == ["alice", "bob", "bob"]


async def test_kill_9_in_the_middle_of_ten_streams_and_a_refresh_loses_nothing(start: Callable[..., Scene]) -> None:
    scene = start("alice", "bob")
    scene.fakes.behave(
        "alice",
        {"kind": "usage_limit", "first": 1, "route": "responses"},
        {"kind": "unauthorized", "route": "responses"},
    )
    scene.fakes.behave("bob", {"kind": "ok", "deltas": 200, "gap_ms": 50})
    streams = [asyncio.create_task(read_until_broken(scene, n)) for n in range(10)]
    await asyncio.to_thread(scene.fakes.wait, 10, 20, route="responses", account="bob")
    before = scene.cooldowns()
    with scene.store as store:
        store.clear_cooldowns()
        generation = store.credentials(store.account("alice").id)[CredentialKind.CODEX_OAUTH].generation
        store.cool(before["alice"])
    scene.proxy.kill()
    assert {await stream for stream in streams} == {"broken"}
    with scene.store as store:
        assert {account.name for account in store.accounts()} == {"alice", "bob"}
        assert store.credentials(store.account("alice").id)[CredentialKind.CODEX_OAUTH].generation >= generation
    assert scene.cooldowns() == before
    scene.proxy.start()
    scene.fakes.behave("bob")
    status, body = await post(scene, "after")
    assert (status, b"bob0" in body) == (200, True)


async def read_until_broken(scene: Scene, number: int) -> str:
    try:
        async with await scene.network.http2("chatgpt.com") as client:
            incoming = await client.send("POST", CODEX_PATH, codex_headers(f"talk-{number}"), CODEX_BODY)
            await incoming.body()
    except (BrokenOff, OSError):
        return "broken"
    return "complete"


def test_kill_9_at_any_moment_of_a_refresh_keeps_a_token_that_works(start: Callable[..., Scene]) -> None:
    """The login endpoint answers, the proxy dies somewhere around storing that; the next start copes."""
    scene = start("alice")
    for delay_s in (0.0, 0.05):
        scene.fakes.behave(
            "alice", {"kind": "unauthorized", "first": 1, "route": "responses"}, {"kind": "ok", "delay_ms": 400}
        )
        asker = threading.Thread(target=lambda: asyncio.run(swallow(post(scene))), daemon=True)
        asker.start()
        scene.fakes.wait(1, 20, route="oauth-token")  # the lease of the process killed before is waited out
        time.sleep(delay_s)
        scene.proxy.kill()
        asker.join(10)
        scene.fakes.behave("alice")
        scene.fakes.clear()
        scene.proxy.start()
        status, body = asyncio.run(post(scene, "after"))
        # Killed before the answer was stored, the old refresh token is spent: the account then asks for a person.
        with Store.open(str(scene.proxy.database)) as store:
            alice = store.account("alice")
        served = b"alice0" in body
        assert served or (alice.disabled or "").startswith("renewal-refresh_token"), (status, alice)
        assert alice.disabled is None or delay_s == 0.0, "20 ms after the answer it is stored"
        if alice.disabled:
            scene.fakes.change("alice", generation=0)
            scene.pool("alice")


async def swallow(work: Any) -> None:
    try:
        await work
    except (BrokenOff, OSError):
        pass
