"""The host that the proxy answers itself, among clients of all kinds; and what the doctor learns from answers."""

import json
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.e2e.conftest import CODEX_BODY, CODEX_PATH, Scene, codex_headers
from tests.harness import REPOSITORY
from tests.harness.clients import curl

OWN = "seatpool.test"
HOST = {"host": OWN}


async def test_it_tells_over_http_1_and_2_what_the_proxy_is_and_no_secret(scene: Scene) -> None:
    scene.pool("alice")
    async with await scene.network.http1(OWN) as client:
        first = json.loads(await (await client.send("GET", "/about", HOST, b"")).text())
    async with await scene.network.http2(OWN) as client:
        second = json.loads(await (await client.send("GET", "/about", {}, b"")).text())
        assert await (await client.send("GET", "/nothing", {}, b"")).head() == 404
        assert await (await client.send("POST", "/about", {}, b"x")).head() == 405
        assert await (await client.send("GET", "/echo", {}, b"")).head() == 426
    assert first == second
    assert first["program"] == "seatpool"
    assert first["listening"] == ["127.0.0.1:8080"]
    assert "alice" not in json.dumps(first) and "FAKESECRET" not in json.dumps(first)
    assert scene.fakes.journal() == []


async def test_a_socket_gets_back_what_it_sends(scene: Scene) -> None:
    socket = await scene.network.websocket(OWN, "/echo")
    for words in ("hello", "x" * 70_000, "\N{SNOWMAN}"):
        await socket.send({"words": words})
        received = await socket.receive()
        assert received is not None and received[1] == {"words": words}
    await socket.close()
    dropped = await scene.network.websocket(OWN, "/echo")
    dropped.abort()


@pytest.mark.parametrize("port", [22, 80, 8443])
def test_no_way_to_it_leads_upstream(scene: Scene, port: int) -> None:
    since = len(scene.proxy.log)
    argv = curl(f"http://{OWN}:{port}/", "-p", "-m", "5", ca=scene.proxy.ca, proxy=scene.proxy.url)
    scene.lab.run(argv)
    assert not [line for line in scene.proxy.log[since:] if "server connect " in line]


async def test_the_doctor_finds_a_clock_that_is_wrong_by_the_answers_of_providers(scene: Scene) -> None:
    behind = format_datetime(datetime.now(UTC) - timedelta(minutes=10), usegmt=True)
    scene.fakes.behave("*", {"kind": "ok", "headers": {"date": behind}})
    async with await scene.network.http2("chatgpt.com") as client:
        await (await client.send("POST", CODEX_PATH, codex_headers(), CODEX_BODY)).body()
    env = {"PYTHONPATH": str(REPOSITORY / "addon"), "HOME": str(scene.folder)}
    argv = [sys.executable, "-m", "seatpool.cli", "doctor", "--json", "--only", "clock", "--proxy", scene.proxy.url]
    ran = scene.lab.run(argv, env=env)
    (finding,) = json.loads(ran.stdout)["findings"]
    assert (ran.returncode, finding["level"]) == (1, "problem")
    assert finding["text"].startswith("this machine's clock is 10 min ahead of the providers'")
    assert finding["mend"]
