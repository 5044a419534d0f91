"""The fakes themselves, asked directly over TLS on a free port."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
import zstandard

from tests.harness import BrokenOff, HandshakeRefused, Network
from tests.upstream import (
    Behaviour,
    Certificates,
    FakeAccount,
    Journal,
    Upstream,
    World,
    codex_login,
    make_certificates,
)
from tests.upstream.tokens import (
    MARKER,
    codex_access_token,
    codex_account_id,
    codex_refresh_token,
    github_token,
)

RESPONSES = "/backend-api/codex/responses"
TURN = b'{"model": "m", "stream": true, "input": [1, 2]}'
VERSIONS = pytest.mark.parametrize("version", ["http1", "http2"])


@dataclass
class Running:
    """Fakes that run in this process."""

    world: World
    journal: Journal
    network: Network


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
async def fake(certificates: Certificates) -> AsyncIterator[Running]:
    accounts = [
        FakeAccount("alice", "codex"),
        FakeAccount("bob", "codex"),
        FakeAccount("carol", "copilot"),
        FakeAccount("dora", "copilot", plan="business"),
    ]
    world, journal = World(accounts), Journal()
    server = await Upstream(world, journal).listen(certificates, "127.0.0.1", 0)
    yield Running(world, journal, Network(certificates.ca, direct=server.sockets[0].getsockname()))
    server.close()
    await journal.wait({"done": True}, len(journal.entries))


def bearer(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {codex_access_token(name)}", "chatgpt-account-id": codex_account_id(name)}


async def fetch(
    fake: Running, method: str, url: str, headers: dict[str, str] | None = None, body: bytes = b""
) -> tuple[int, dict[str, object] | str]:
    host, _, path = url.partition("/")
    async with await fake.network.http2(host) as client:
        answer = await client.send(method, f"/{path}", headers, body)
        status, text = await answer.head(), (await answer.body()).decode()
        return status, json.loads(text) if "json" in answer.headers.get("content-type", "") else text


@VERSIONS
async def test_a_stream_arrives_delta_by_delta_while_the_fake_is_still_sending(fake: Running, version: str) -> None:
    fake.world.behave("alice", [Behaviour(deltas=4, gap_ms=30)])
    async with await getattr(fake.network, version)("chatgpt.com") as client:
        answer = await client.send("POST", RESPONSES, bearer("alice"), TURN)
        deltas = [event async for event in answer.events() if event.delta]
    entry = fake.journal.entries[0]
    assert [event.delta for event in deltas] == ["alice0 ", "alice1 ", "alice2 ", "alice3 "]
    assert entry.last_delta is not None and all(event.at < entry.last_delta for event in deltas[:3])
    assert (entry.http, entry.input, entry.deltas) == ({"http1": "1.1", "http2": "2"}[version], 2, 4)


async def test_streams_of_one_http2_connection_are_answered_side_by_side(fake: Running) -> None:
    fake.world.behave("alice", [Behaviour(gap_ms=30)])
    async with await fake.network.http2("chatgpt.com") as client:
        answers = [await client.send("POST", RESPONSES, bearer("alice"), TURN) for _ in range(3)]
        assert await asyncio.gather(*(answer.text() for answer in answers)) == ["alice0 alice1 alice2 "] * 3
    first, *_, last = sorted(fake.journal.entries, key=lambda entry: entry.first_delta or 0)
    assert first.last_delta is not None and last.first_delta is not None
    assert last.first_delta < first.last_delta and first.connection == last.connection


async def test_a_socket_prewarms_then_takes_the_turn_that_builds_on_it(fake: Running) -> None:
    socket = await fake.network.websocket("chatgpt.com", RESPONSES, bearer("alice"))
    warm = await socket.turn({"type": "response.create", "generate": False, "input": []})
    previous = warm[0][1]["response"]["id"]
    turn = await socket.turn({"type": "response.create", "previous_response_id": previous, "input": [1]})
    said = "".join(event.get("delta", "") for _, event in turn)
    await socket.close()
    await fake.journal.wait({"done": True}, 1)
    first, second = fake.journal.entries[0].turns
    assert [event["type"] for _, event in warm] == ["response.created", "response.completed"]
    assert said == "alice0 alice1 alice2 " and turn[-1][1]["type"] == "response.completed"
    assert (first.answer, second.known_previous, second.input, second.deltas) == ("prewarm", True, 1, 3)


async def test_a_previous_response_of_another_connection_is_unknown(fake: Running) -> None:
    socket = await fake.network.websocket("chatgpt.com", RESPONSES, bearer("alice"))
    (_, frame), *_ = await socket.turn({"type": "response.create", "previous_response_id": "resp_alice_1", "input": []})
    await socket.close()
    assert frame["error"]["code"] == "previous_response_not_found"


async def test_a_limit_comes_as_a_refused_handshake_or_as_a_frame_after_output(fake: Running) -> None:
    fake.world.behave("alice", [Behaviour("usage_limit", on="handshake", first=1)])  # type: ignore[arg-type]
    fake.world.behave("*", [Behaviour("usage_limit", on=("frame",), after=2)])
    with pytest.raises(HandshakeRefused) as refused:
        await fake.network.websocket("chatgpt.com", RESPONSES, bearer("alice"))
    socket = await fake.network.websocket("chatgpt.com", RESPONSES, bearer("alice"))
    turn = [event for _, event in await socket.turn({"type": "response.create", "input": []})]
    await socket.close()
    assert refused.value.status == 429 and b"usage_limit_reached" in refused.value.body
    assert [event["delta"] for event in turn if "delta" in event] == ["alice0 ", "alice1 "]
    assert turn[-1]["status_code"] == 429 and turn[-1]["error"]["type"] == "usage_limit_reached"


@VERSIONS
async def test_a_cut_stream_is_seen_as_broken_and_a_client_that_leaves_is_noted(fake: Running, version: str) -> None:
    fake.world.behave("alice", [Behaviour("cut", after=1, first=1), Behaviour("stall", after=1)])
    async with await getattr(fake.network, version)("chatgpt.com") as client:
        answer = await client.send("POST", RESPONSES, bearer("alice"), TURN)
        with pytest.raises(BrokenOff):
            await answer.text()
    async with await getattr(fake.network, version)("chatgpt.com") as client:
        await client.send("POST", RESPONSES, bearer("alice"), TURN)
        await fake.journal.wait({"deltas": 1}, 2)
    await fake.journal.wait({"done": True}, 2)
    assert [(entry.answer, entry.gone) for entry in fake.journal.entries] == [("cut", False), ("stall", True)]


async def test_a_behaviour_holds_for_its_first_requests_then_the_next_one_does(fake: Running) -> None:
    fake.world.behave("alice", [Behaviour("usage_limit", first=1, resets_in_s=60), Behaviour("server_error", first=1)])
    for _ in range(3):
        await fetch(fake, "POST", f"chatgpt.com{RESPONSES}", bearer("alice"), TURN)
    await fetch(fake, "POST", f"chatgpt.com{RESPONSES}", bearer("bob"), TURN)
    assert [entry.status for entry in fake.journal.entries] == [429, 500, 200, 200]


async def test_the_journal_tells_owners_by_name_and_holds_no_token(fake: Running) -> None:
    session = f"session_{MARKER}_dora_1"
    await fetch(fake, "POST", f"chatgpt.com{RESPONSES}", bearer("alice") | {"x-codex-turn-state": "ts"}, TURN)
    await fetch(fake, "GET", "chatgpt.com/backend-api/wham/usage", {"authorization": "Bearer nobody"})
    _, text = await fetch(
        fake,
        "POST",
        "api.githubcopilot.com/chat/completions",
        {"authorization": f"Bearer {github_token('carol')}", "copilot-session-token": session},
    )
    entries = fake.journal.entries
    assert [entry.account for entry in entries] == ["alice", "unknown", "carol"]
    assert [entry.status for entry in entries] == [200, 401, 401]
    assert (entries[0].turn_state, entries[2].session) == ("unknown", "dora")
    assert text == "Invalid auto-mode selector\n"
    assert MARKER not in json.dumps([asdict(entry) for entry in entries])


async def test_a_refresh_token_is_good_once(fake: Running, tmp_path: Path) -> None:
    login = json.loads(codex_login(tmp_path, "alice").read_text())
    body = json.dumps({"grant_type": "refresh_token", "refresh_token": login["tokens"]["refresh_token"]}).encode()
    status, fresh = await fetch(fake, "POST", "auth.openai.com/oauth/token", body=body)
    again = await fetch(fake, "POST", "auth.openai.com/oauth/token", body=body)
    assert status == 200 and isinstance(fresh, dict) and fresh["refresh_token"] == codex_refresh_token("alice", 1)
    assert again[0] == 401 and "refresh_token_reused" in json.dumps(again[1])


async def test_accounts_check_tells_the_callers_own_workspace(fake: Running) -> None:
    fake.world.change("bob", {"origin": "https://us.chatgpt.com", "override": "us"})
    _, check = await fetch(fake, "GET", "chatgpt.com/backend-api/wham/accounts/check", bearer("bob"))
    assert isinstance(check, dict)
    (entry,) = check["accounts"]  # type: ignore[misc]
    assert entry["id"] == codex_account_id("bob")  # type: ignore[index]
    assert entry["workspace_backend_origin"] == "https://us.chatgpt.com"  # type: ignore[index]


async def test_a_minted_copilot_token_serves_its_plans_hosts_and_421_elsewhere(fake: Running) -> None:
    mint = {"authorization": f"token {github_token('dora')}"}
    _, envelope = await fetch(fake, "GET", "api.github.com/copilot_internal/v2/token", mint)
    assert isinstance(envelope, dict)
    headers = {"authorization": f"Bearer {envelope['token']}"}
    body = b'{"model": "gpt-4.1", "stream": true, "messages": []}'
    statuses = {
        plan: (await fetch(fake, "POST", f"api.{plan}.githubcopilot.com/chat/completions", headers, body))[0]
        for plan in ("business", "individual")
    }
    assert envelope["endpoints"]["api"] == "https://api.business.githubcopilot.com"  # type: ignore[index]
    assert statuses == {"business": 200, "individual": 421}


async def test_a_compressed_body_is_understood(fake: Running) -> None:
    body = zstandard.compress(b'{"model": "gpt-x", "stream": true, "input": [' + b"1," * 5000 + b"1]}")
    await fetch(fake, "POST", f"chatgpt.com{RESPONSES}", bearer("alice") | {"content-encoding": "zstd"}, body)
    entry = fake.journal.entries[0]
    assert (entry.model, entry.input, entry.body_length) == ("gpt-x", 5001, len(body))
