"""Behind another proxy (`--mode upstream:`), with its password: requests and side calls go through it, and no other."""

from pathlib import Path

import pytest

from seatpool.providers.http import HttpRequest
from seatpool.service.network.transport import SideCallFailed, Transport, TransportSettings
from tests.e2e.conftest import ACCOUNTS, CODEX_BODY, CODEX_PATH, Scene, codex_headers
from tests.harness import Lab, Mitmdump
from tests.harness.marks import needs_namespaces


@needs_namespaces
async def test_everything_goes_through_the_upstream_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")
    with Lab(tmp_path) as lab:
        fakes = lab.upstream({"accounts": ACCOUNTS})
        tunnel = Mitmdump(
            tmp_path / "tunnel",
            lab=lab,
            bare=True,
            options={"ignore_hosts": ".*", "show_ignored_hosts": "true", "proxyauth": "me:FAKESECRET"},
        )
        tunnel.port = 8081
        misled = {"HTTPS_PROXY": "http://127.0.0.1:9", "ALL_PROXY": "http://127.0.0.1:9"}
        mode = ("--mode", "upstream:http://127.0.0.1:8081", "--upstream-auth", "me:FAKESECRET")
        proxy = Mitmdump(tmp_path / "proxy", lab=lab, upstream_ca=fakes.ca, arguments=mode, env=misled)
        proxy.folder.mkdir()
        scene = Scene(lab, fakes, proxy, tmp_path)
        scene.pool("alice", "bob")
        fakes.behave("alice", {"kind": "usage_limit", "route": "responses"})
        with tunnel, proxy:
            async with await scene.network.http2("chatgpt.com") as client:
                incoming = await client.send("POST", CODEX_PATH, codex_headers(), CODEX_BODY)
                assert (await incoming.text()).startswith("bob0")
        assert scene.asked("accounts-check") == ["alice", "bob"]
        # One tunnel for each of the side calls, at least one for the attempts.
        assert sum("server connect chatgpt.com:443" in line for line in tunnel.log) >= 3


async def test_a_side_call_ignores_proxy_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    transport = Transport(TransportSettings())
    with pytest.raises(SideCallFailed) as failed:
        await transport.send(HttpRequest("GET", "https://127.0.0.1:1/x", (("authorization", "Bearer FAKESECRET"),)))
    assert str(failed.value) == "127.0.0.1: ConnectionRefusedError", "named after the host asked for, not after a proxy"
    assert "FAKESECRET" not in repr(failed.value)
    await transport.close()
