"""On a network whose IPv6 leads nowhere, through a real mitmdump."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.e2e.conftest import CODEX_BODY, CODEX_PATH, Scene, codex_headers

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
