"""The PAC file, asked by a real JavaScript engine."""

import json
import re
import shutil
import subprocess

import pytest

from seatpool.providers.registry import NAMED, pooled_patterns, provider_of
from seatpool.setup import address
from seatpool.setup.pac import pac

HOSTS = (
    *NAMED,
    "us.chatgpt.com",
    "Chatgpt.COM",
    "copilot-api.octo.ghe.com",
    "copilot-proxy.octo.ghe.com",
    "ab.chatgpt.com",
    "codex-cloud-backend.chatgpt.com",
    "chatgpt.com.example.org",
    "notchatgpt.com",
    "chatgptxcom",
    "api.github.com",
    "github.com",
    "telemetry.individual.githubcopilot.com",
    "localhost",
    "127.0.0.1",
    "::1",
)
SCRIPT = """
const [file, asked] = JSON.parse(require("fs").readFileSync(0));
const found = require("vm").runInNewContext(file + ";asked.map(each => FindProxyForURL(...each))", {asked});
console.log(JSON.stringify(found));
"""


def ask(proxy: str, *asked: tuple[str, str]) -> list[str]:
    text = json.dumps([pac(pooled_patterns(), address.parse(proxy)), asked])
    ran = subprocess.run(["node", "-e", SCRIPT], input=text, capture_output=True, text=True, check=True)
    found: list[str] = json.loads(ran.stdout)
    return found


@pytest.mark.skipif(shutil.which("node") is None, reason="no JavaScript engine: no node on this machine")
def test_pooled_hosts_go_through_the_proxy_or_directly_and_all_else_directly() -> None:
    through = "PROXY 127.0.0.1:8080; DIRECT"
    asked = [(f"{scheme}://{host}/x", host) for host in HOSTS for scheme in ("https", "wss", "http", "ftp")]
    wanted = [
        through if provider_of(host) and scheme in ("https", "wss") else "DIRECT"
        for host in HOSTS
        for scheme in ("https", "wss", "http", "ftp")
    ]
    assert ask("http://127.0.0.1:8080", *asked) == wanted
    assert wanted.count(through) == 2 * (len(NAMED) + 4)
    assert ask("http://[::1]:8081", ("https://chatgpt.com/", "chatgpt.com")) == ["PROXY [::1]:8081; DIRECT"]


def test_the_patterns_mean_the_same_to_javascript() -> None:
    for pattern in pooled_patterns():
        assert re.fullmatch(r"(?:[a-z0-9-]|\\\.|\[[a-z0-9-]+\]|\(\?[:!]|[()|?*+]|\{\d+,\d+\})+", pattern), pattern
