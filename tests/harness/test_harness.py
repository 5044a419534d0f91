"""The lab, mitmdump in it and the clients, with nothing of the pool."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Lab, Mitmdump, Network, curl
from tests.harness.marks import needs_namespaces
from tests.upstream import Control
from tests.upstream.tokens import codex_access_token

pytestmark = needs_namespaces

SCRIPT = {"accounts": {"alice": {"provider": "codex"}}}
HEADERS = {"authorization": f"Bearer {codex_access_token('alice')}"}
TURN = b'{"model": "m", "stream": true, "input": []}'


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab")) as made:
        yield made


@pytest.fixture(scope="module")
def fake(lab: Lab) -> Control:
    return lab.upstream(SCRIPT)


@pytest.fixture(scope="module")
def proxy(lab: Lab, fake: Control) -> Iterator[Mitmdump]:
    with Mitmdump(lab.folder / "bare", lab=lab, bare=True, upstream_ca=fake.ca) as made:
        yield made


def test_inside_the_fakes_have_their_real_names_and_nothing_else_can_be_reached(lab: Lab, fake: Control) -> None:
    found = lab.run(["getent", "hosts", "api.business.githubcopilot.com"]).stdout
    answered = lab.run(curl("https://example.com/", ca=fake.ca))
    beyond = lab.run(["sh", "-c", "ip route get 192.0.2.1; getent hosts elsewhere.invalid"])
    assert found.startswith("127.0.0.1")
    assert json.loads(answered.stdout) == {"host": "example.com"}
    assert "unreachable" in beyond.stderr and beyond.returncode != 0


def test_curl_streams_through_a_bare_mitmdump(lab: Lab, fake: Control, proxy: Mitmdump) -> None:
    fake.clear()
    headers = [part for name, value in HEADERS.items() for part in ("-H", f"{name}: {value}")]
    url = "https://chatgpt.com/backend-api/codex/responses"
    ran = lab.run(curl(url, "--data-binary", TURN.decode(), *headers, ca=proxy.ca, proxy=proxy.url))
    (entry,) = fake.journal(account="alice", done=True)
    assert "alice2" in ran.stdout and ran.returncode == 0, ran.stderr
    assert (entry["host"], entry["route"], entry["deltas"]) == ("chatgpt.com", "responses", 3)


@pytest.mark.parametrize("version", ["http1", "http2"])
async def test_a_client_outside_reads_a_stream_through_the_proxy_as_it_comes(
    lab: Lab, fake: Control, proxy: Mitmdump, version: str
) -> None:
    fake.behave("alice", {"gap_ms": 50})
    fake.clear()
    async with await getattr(Network(proxy.ca, proxy.address, lab.connect), version)("chatgpt.com") as client:
        answer = await client.send("POST", "/backend-api/codex/responses", HEADERS, TURN)
        deltas = [event async for event in answer.events() if event.delta]
    (entry,) = fake.wait(done=True)
    assert len(deltas) == 3 and deltas[0].at < deltas[1].at < entry["last_delta"]


async def test_a_socket_goes_through_the_proxy(lab: Lab, fake: Control, proxy: Mitmdump) -> None:
    network = Network(proxy.ca, proxy.address, lab.connect)
    socket = await network.websocket("chatgpt.com", "/backend-api/codex/responses", HEADERS)
    turn = await socket.turn({"type": "response.create", "input": []})
    await socket.close()
    assert turn[-1][1]["type"] == "response.completed"


def test_waiting_in_vain_tells_what_there_was_instead(fake: Control) -> None:
    with pytest.raises(AssertionError, match="not 1 requests"):
        fake.wait(account="nobody", timeout_s=0.05)


def test_a_killed_mitmdump_starts_again_with_what_it_left(tmp_path: Path) -> None:
    proxy = Mitmdump(tmp_path, bare=True)
    proxy.start()
    authority, pid = proxy.ca.read_text(), proxy.pid
    proxy.kill()
    proxy.start()
    again = proxy.ca.read_text()
    assert proxy.stop() == 0
    assert again == authority
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_mitmdump_that_cannot_start_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise ValueError('no such luck')")
    with pytest.raises(RuntimeError, match="no such luck"):
        Mitmdump(tmp_path, addon=broken).start()


def test_nothing_is_left_of_a_lab(tmp_path: Path) -> None:
    alive, held = os.pipe()
    with Lab(tmp_path) as lab:
        lab.upstream(SCRIPT, port=8443)
        lab.popen(["sh", "-c", "sleep 60 & wait"], pass_fds=(held,))
    os.close(held)
    with os.fdopen(alive, "rb") as pipe:
        assert pipe.read() == b""  # ends only when no process holds the other end, the grandchild included
