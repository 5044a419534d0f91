"""On a network whose IPv6 leads nowhere, and from one network to the next, through a real mitmdump."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest

from seatpool.proxy.layers import ways
from tests.e2e.conftest import CODEX_BODY, CODEX_PATH, Scene, codex_headers
from tests.e2e.test_sockets import CODEX, code, open_socket, said, turn

HOLE = """
import socket, time
hole = socket.create_server(("::1", 443), family=socket.AF_INET6, backlog=0)
filling = [socket.socket(socket.AF_INET6) for _ in range(2)]
for each in filling:
    each.setblocking(False)
    each.connect_ex(("::1", 443))
print("full", flush=True)
time.sleep(600)
"""
"""Nobody takes the connections from its queue, so that what is sent to open another one is lost."""


def without_ipv6(scene: Scene) -> None:
    """Every host has an IPv6 address first, of which nothing ever comes back."""
    hosts = scene.lab.folder / "hosts"
    names = [line.split()[1] for line in hosts.read_text().splitlines()]
    with hosts.open("a") as file:
        file.writelines(f"::1 {name}\n" for name in names)
    hole = scene.lab.popen([sys.executable, "-c", HOLE], stdout=subprocess.PIPE, text=True)
    assert hole.stdout is not None
    if hole.stdout.readline() != "full\n":
        pytest.skip("this machine has no IPv6")


async def test_requests_and_side_calls_get_through(start: Callable[..., Scene]) -> None:
    scene = start("alice", "bob", pool_connect_timeout_s="2")
    without_ipv6(scene)
    scene.fakes.change("alice", revoked_below=1)
    async with await scene.network.http2("chatgpt.com") as client:
        incoming = await client.send("POST", CODEX_PATH, codex_headers(), CODEX_BODY)
        assert (await incoming.text()).startswith("alice0"), "with a renewed token"
    assert scene.asked("oauth-token") == ["alice"]


ANOTHER_NETWORK = """
ip route replace local 127.0.0.1 dev lo table local src 127.0.0.2
nft 'table ip left {
    chain in {
        type filter hook input priority 0;
        ip saddr 127.0.0.1 ip daddr 127.0.0.1 tcp dport 443 drop
        ip saddr 127.0.0.1 ip daddr 127.0.0.1 tcp sport 443 drop
    }
}'
"""
"""Connections to the fakes come from another address of this machine, and those from before lead nowhere."""


async def move(scene: Scene) -> None:
    if shutil.which("nft") is None:
        pytest.skip("no nft on this machine")
    await asyncio.sleep(ways.SURE_FOR_S)
    moved = scene.lab.run(["sh", "-ec", ANOTHER_NETWORK])
    if moved.returncode:
        pytest.skip(f"no rules for packets here: {moved.stderr}")


async def test_in_another_network_the_next_request_gets_through(start: Callable[..., Scene]) -> None:
    scene = start("alice", "bob")
    async with await scene.network.http2("chatgpt.com") as client:
        for number in range(2):
            if number:
                await move(scene)
            incoming = await client.send("POST", CODEX_PATH, codex_headers(), CODEX_BODY)
            assert (await incoming.text()).startswith("alice0")
    assert scene.asked("responses") == ["alice", "alice"], "and nothing was lost on the way"


async def test_in_another_network_the_next_turn_is_on_another_socket(start: Callable[..., Scene]) -> None:
    scene = start("alice", "bob")
    async with open_socket(scene, CODEX) as socket:
        assert said(await turn(socket)).startswith("alice0")
        await move(scene)
        assert code(await turn(socket)) == "websocket_connection_limit_reached", "which Codex opens another one for"
    async with open_socket(scene, CODEX) as socket:
        assert said(await turn(socket)).startswith("alice0")
