"""How the fakes fail: real bytes on a real wire."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness import BrokenOff, Network
from tests.upstream import Behaviour, FakeAccount, Journal, Upstream, World, make_certificates
from tests.upstream.doors import ADDRESSES, Door, open_doors
from tests.upstream.tokens import codex_access_token

RESPONSES = "/backend-api/codex/responses"
TURN = b'{"model": "m", "stream": true, "input": []}'
WHOLE = b'{"model": "m", "stream": false, "input": []}'
VERSIONS = pytest.mark.parametrize("version", ["http1", "http2"])


@dataclass
class Running:
    """Fakes that run in this process."""

    world: World
    journal: Journal
    network: Network


@pytest.fixture
async def fake(tmp_path: Path) -> AsyncIterator[Running]:
    world, journal = World([FakeAccount("alice", "codex")]), Journal()
    certificates = make_certificates(tmp_path)
    server = await Upstream(world, journal).listen(certificates, "127.0.0.1", 0)
    yield Running(world, journal, Network(certificates.ca, direct=server.sockets[0].getsockname()))
    server.close()
    await journal.wait({"done": True}, len(journal.entries))


async def ask(fake: Running, version: str, behaviour: Behaviour, body: bytes = TURN) -> tuple[str, int | None]:
    """What the client got, or how it ended; and the code of a GOAWAY."""
    fake.world.behave("alice", [behaviour])
    headers = {"authorization": f"Bearer {codex_access_token('alice')}"}
    async with await getattr(fake.network, version)("chatgpt.com") as client:
        answer = await client.send("POST", RESPONSES, headers, body)
        try:
            return await answer.text(), getattr(client, "terminated", None)
        except BrokenOff as error:
            return str(error), getattr(client, "terminated", None)


@pytest.mark.parametrize("end", ["close", "reset"])
@VERSIONS
async def test_a_head_can_break_off(fake: Running, version: str, end: str) -> None:
    ending, _ = await ask(fake, version, Behaviour("half_head", end=end))
    assert ending in ({"IncompleteReadError", "connection closed"} if end == "close" else {"ConnectionResetError"})


async def test_streams_can_be_refused_and_connections_taken_leave_of(fake: Running) -> None:
    assert await ask(fake, "http2", Behaviour("refused_stream")) == ("stream reset 7", None)
    assert await ask(fake, "http2", Behaviour("goaway")) == ("connection closed", 0)
    assert await ask(fake, "http2", Behaviour("goaway_late")) == ("connection closed", 0)
    assert (await ask(fake, "http1", Behaviour("goaway")))[0] == "IncompleteReadError"


@pytest.mark.parametrize("kind", ["bad_head", "junk"])
async def test_what_is_no_http2_is_an_error_of_the_protocol(fake: Running, kind: str) -> None:
    ending, _ = await ask(fake, "http2", Behaviour(kind))
    assert ending.endswith("Error")


@VERSIONS
async def test_a_whole_answer_can_break_off_in_its_body(fake: Running, version: str) -> None:
    whole, _ = await ask(fake, version, Behaviour(), WHOLE)
    assert whole.endswith("}")
    ending, _ = await ask(fake, version, Behaviour(cut_at=20), WHOLE)
    assert ending in ("IncompleteReadError", "stream reset 2")


async def test_a_length_can_be_wrong(fake: Running) -> None:
    short, _ = await ask(fake, "http1", Behaviour(length=9), WHOLE)
    assert len(short) == 9


@VERSIONS
async def test_events_can_come_in_crumbs(fake: Running, version: str) -> None:
    said, _ = await ask(fake, version, Behaviour(piece=5))
    assert said == "alice0 alice1 alice2 "


async def test_a_journal_tells_what_was_sent_of_an_answer(fake: Running) -> None:
    await ask(fake, "http1", Behaviour("cut", after=1))
    await ask(fake, "http1", Behaviour("cut", after=1))
    first, second = fake.journal.entries
    assert len(first.sent_sha256) == 64 and first.sent_sha256 != second.sent_sha256, "response ids differ"


async def test_behind_each_door_nothing_is_to_be_had(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    close = await open_doors(tmp_path, port)
    context = ssl.create_default_context(cafile=make_certificates(tmp_path / "ours").ca)

    async def knock(door: Door) -> str:
        try:
            async with asyncio.timeout(0.5):
                await asyncio.open_connection(ADDRESSES[door], port, ssl=context, server_hostname="chatgpt.com")
        except (OSError, TimeoutError) as error:
            return type(error).__name__
        return "in"

    found = {door: await knock(door) for door in ADDRESSES}
    close()
    assert found == {
        Door.REFUSED: "ConnectionRefusedError",
        Door.SILENT: "TimeoutError",
        Door.MUTE: "TimeoutError",
        Door.SLAMMED: "ConnectionResetError",
        Door.PLAIN: "SSLError",
        Door.STRANGER: "SSLCertVerificationError",
    }
